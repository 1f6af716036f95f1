"""Where compiled functions are kept: numba's own place, or a private folder. It knows nothing of what they compute.

numba keeps them in `__pycache__` beside their module. Where an installation is read-only it would choose a folder below
the home directory, and fail at import where there is none (a container with `--user`). Compiled functions are pickles,
so such a folder is used only if nobody else can write there. Its name changes with the sources, because numba does not
notice when a function that another one calls has changed.

Every compiled function of this package is made by `njit` from here.
"""

import hashlib
import os
import sys
import time
import warnings
from functools import partial
from pathlib import Path

from drive_rl.private_folder import candidates, private_folder, writable

_SOURCES = Path(__file__).resolve().parent
_CONFIGS = ("numba.core.config", "numba.cuda.core.config")


def choose_cache() -> bool:
    """Give numba a folder for compiled functions where its own cannot be written; return whether there is any.

    `NUMBA_CACHE_DIR` is then set for this process and those that it starts.
    """
    wished = os.environ.get("NUMBA_CACHE_DIR")
    own = Path(wished) if wished else _SOURCES / "__pycache__"
    if os.name != "posix" or writable(own):
        return True
    name = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_SOURCES.rglob("*.py")))).hexdigest()[:16]
    folder = private_folder(name)
    if folder is None:
        warnings.warn(
            "no folder to keep compiled functions in, so that each process compiles them anew (10 to 30 s): this user"
            f" alone must be able to write to one of {', '.join(map(str, [own, *candidates(name)]))}; fix: set"
            " NUMBA_CACHE_DIR to a folder of your own",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    for config in filter(None, map(sys.modules.get, _CONFIGS)):  # those that have read it already
        config.__dict__["CACHE_DIR"] = str(folder)
    return True


CACHED = choose_cache()

from numba import njit as _njit  # noqa: E402 - numba reads NUMBA_CACHE_DIR when it is imported
from numba.core import event  # noqa: E402

njit = partial(_njit, cache=CACHED)
"""`numba.njit` that keeps what it compiles, where there is a place for it."""

_NOTICE_AFTER_S = 0.5


class CompileNotice(event.Listener):
    """Says once on stderr that the simulator is being compiled, when numba has really begun and it takes a while.

    numba tells of a compilation only where nothing kept could be loaded. It compiles what a function calls within it,
    so that many more begin soon after the first.
    """

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._said = False

    def on_start(self, event: event.Event) -> None:
        """Note that a compilation begins."""
        if self._said or not _is_ours(event):
            return
        now_s = time.perf_counter()
        if self._first_s is None:
            self._first_s = now_s
        elif now_s - self._first_s >= _NOTICE_AFTER_S:
            self._said = True
            often = "once" if CACHED else "in each process"
            print(f"compiling the simulator {often} (10 to 30 s) ...", file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """Do nothing: the next start tells how long it has taken."""


def _is_ours(event: event.Event) -> bool:
    compiled = getattr((event.data or {}).get("dispatcher"), "py_func", None)
    return getattr(compiled, "__module__", "").startswith("drive_rl.")


event.register("numba:compile", CompileNotice())
