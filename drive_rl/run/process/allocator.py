"""Memory for training: the allocator keeps what torch frees, instead of asking the system again at every layer.

glibc maps each block above 128 kB anew and unmaps it when freed; the page faults cost more than the arithmetic of small
networks (docs/log.md). Only glibc takes this hint; other allocators need none.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Let this process keep up to 1 GiB of freed memory for itself (glibc's `mallopt`)."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
