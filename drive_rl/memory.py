"""Free memory, and the one refusal of what does not fit into it."""

import os
from pathlib import Path

from drive_rl.errors import DriveRLError


def free_bytes() -> int:
    """Return how much memory this process can still take before the system swaps or kills it [bytes].

    That is Linux's estimate (`MemAvailable`, reclaimable caches included), or what the container's limit (cgroup v2)
    leaves of it; on other systems all of the machine's memory.
    """
    available = _kilobytes(Path("/proc/meminfo"), "MemAvailable:")
    if available is None:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    left = _left_in_container(Path("/sys/fs/cgroup"))
    return 1024 * available if left is None else min(1024 * available, left)


def require_memory(asked: str, needed: float, free: float, fix: str) -> None:
    """Refuse a request that does not fit into memory.

    Args:
        asked: The request, such as `num_envs = 4096`.
        needed: Memory that it takes [bytes].
        free: Memory that is free [bytes].
        fix: The fix, for the message.

    Raises:
        DriveRLError: more is needed than is free.
    """
    if needed > free:
        raise DriveRLError(
            f"{asked}: about {needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free; fix: {fix}"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: Python's and NumPy's, or torch's, which is a RuntimeError."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)
    )


def _left_in_container(group: Path) -> int | None:
    """Return what a container's limit leaves [bytes]; None without a limit."""
    try:
        limit, used = (group / "memory.max").read_text().strip(), int((group / "memory.current").read_text())
        if limit == "max":
            return None
        caches = next(
            (int(line.split()[1]) for line in (group / "memory.stat").open() if line.startswith("inactive_file ")), 0
        )
        return max(0, int(limit) - used + caches)
    except (OSError, ValueError):
        return None


def _kilobytes(table: Path, name: str) -> int | None:
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), None)
