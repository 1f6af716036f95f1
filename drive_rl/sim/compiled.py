"""Where compiled functions are cached: numba's own place, or a private folder. It knows nothing of what they compute.

numba caches them in `__pycache__` beside their module. In a read-only installation it would choose a folder below the
home directory, and fail at import where there is none (a container with `--user`). Compiled functions are pickles, so
such a folder is used only if nobody else can write to it. Its name changes with the sources, because numba does not
notice when a function that another one calls has changed.

Every compiled function of this package is made by `njit` from here.
"""

import hashlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from drive_rl.private_folder import candidates, private_folder, writable
from drive_rl.sim.compile_turns import Turns

_SOURCES = Path(__file__).resolve().parent
_Function = TypeVar("_Function", bound=Callable[..., Any])
_TAKES = "10 to 30 s, streets a minute or two"
_CONFIGS = ("numba.core.config", "numba.cuda.core.config")


def choose_cache() -> bool:
    """Give numba a folder for compiled functions if it cannot write to its own; return whether there is any.

    This sets `NUMBA_CACHE_DIR`, for this process and those that it starts.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    own = Path(chosen) if chosen else _SOURCES / "__pycache__"
    if os.name != "posix" or writable(own):
        return True
    name = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_SOURCES.rglob("*.py")))).hexdigest()[:16]
    folder = private_folder(name)
    if folder is None:
        warnings.warn(
            f"found no folder to cache compiled functions in, so each process compiles them again ({_TAKES}): this"
            f" user alone must be able to write to one of {', '.join(map(str, [own, *candidates(name)]))}; fix: set"
            " NUMBA_CACHE_DIR to a folder of your own",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    for config in filter(None, map(sys.modules.get, _CONFIGS)):  # the modules that have read it already
        config.__dict__["CACHE_DIR"] = str(folder)
    return True


CACHED = choose_cache()

from numba import njit as _njit  # noqa: E402 - numba reads NUMBA_CACHE_DIR when it is imported
from numba.core import event  # noqa: E402
from numba.core.compiler_lock import global_compiler_lock  # noqa: E402
from numba.core.types import unliteral  # noqa: E402


@overload
def njit(function: _Function) -> _Function: ...
@overload
def njit(**options: Any) -> Callable[[_Function], _Function]: ...
def njit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """`numba.njit` that caches what it compiles, if there is a place for it. None: return a decorator.

    numba compiles a function again for each literal that another one calls it with, and of each function a second
    entry, for C, that nobody uses. Here it does neither, which saves a fifth of the time. Nor does it compile what
    another process is compiling: it waits and loads it.
    """
    if function is None:
        return partial(njit, **options)
    compiled = cast(Any, _njit)(cache=CACHED, no_cfunc_wrapper=True, **options)(function)
    template = compiled.get_call_template
    compiled.get_call_template = lambda given, named: template(tuple(map(unliteral, given)), named)
    if CACHED and os.name == "posix":
        compiled.compile = partial(_compile_in_turn, compiled, compiled.compile)
    return compiled


def _compile_in_turn(compiled: Any, compile_: Callable[[Any], Any], types: Any) -> Any:
    if types in compiled.overloads:
        return compile_(types)
    name = f"{compiled.py_func.__module__}.{compiled.py_func.__qualname__}"
    with global_compiler_lock, _TURNS.turn(name):
        return compile_(types)


_scalar = partial(njit, nogil=True, _nrt=False, error_model="numpy")


def njit_scalar(function: _Function) -> _Function:
    """Compile a function that makes no arrays, as `njit` does, but without counting references to those it is given.

    Counting takes longer than a short function with many arrays does. It divides without a test for zero, which would
    raise, and lets other threads run.
    """
    return _scalar()(function)


def njit_inline(function: _Function) -> _Function:
    """Compile as `njit_scalar` does a function whose callers are to contain it: handing over a hundred numbers, which
    few arrays are, would take as long as what it does.
    """
    return _scalar(forceinline=True)(function)


_NOTICE_AFTER_S = 0.5


class CompileNotice(event.Listener):
    """Prints once on stderr that the simulator is being compiled, once that takes a while.

    numba reports a compilation only if it found nothing in its cache. Many short ones may follow each other, and a
    single one may take the whole time, so a timer looks as well.
    """

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._running = 0
        self._printed = False

    def on_start(self, event: event.Event) -> None:
        """Note that a compilation begins."""
        if _is_ours(event):
            self._begin()

    def on_end(self, event: event.Event) -> None:
        """Note that a compilation ends."""
        if _is_ours(event):
            self._end()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Take a block for a compilation: in it, one by another process is waited for."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    def _begin(self) -> None:
        if self._printed:
            return
        self._running += 1
        now_s = time.perf_counter()
        if self._first_s is None:
            self._first_s = now_s
        if now_s - self._first_s >= _NOTICE_AFTER_S:
            self._print()
        elif self._running == 1:
            timer = threading.Timer(_NOTICE_AFTER_S, self._print_if_running)
            timer.daemon = True
            timer.start()

    def _end(self) -> None:
        self._running = max(0, self._running - 1)

    def _print_if_running(self) -> None:
        if self._running:
            self._print()

    def _print(self) -> None:
        if not self._printed:
            self._printed = True
            often = "once" if CACHED else "in each process"
            print(f"compiling the simulator {often} ({_TAKES}) ...", file=sys.stderr, flush=True)


def _is_ours(event: event.Event) -> bool:
    compiled = getattr((event.data or {}).get("dispatcher"), "py_func", None)
    return getattr(compiled, "__module__", "").startswith("drive_rl.")


_NOTICE = CompileNotice()
event.register("numba:compile", _NOTICE)
_TURNS = Turns(Path(os.environ.get("NUMBA_CACHE_DIR") or _SOURCES / "__pycache__") / "compiling.lock", _NOTICE.waiting)
