"""The environment of a command: variables that libraries read, arguments, streams. Checked before anything else.

A value that would make a library crash, hang or fail is refused by name before that library is imported. A value that
a library ignores, with or without a warning, is left to it.
"""

import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.private_folder import private_folder, user_cache, writable


@dataclass(frozen=True)
class _Rule:
    fits: Callable[[str], bool]
    expected: str


def _whole(low: int, high: int) -> _Rule:
    def fits(text: str) -> bool:
        return re.fullmatch(r"\s*[0-9]{1,18}\s*", text) is not None and low <= int(text) <= high

    return _Rule(fits, f"a whole number from {low} to {high}")


def _list_of(part: str, expected: str) -> _Rule:
    return _Rule(lambda text: re.fullmatch(rf"\s*{part}([\s,]+{part})*\s*", text) is not None, expected)


_THREADS = _whole(1, 1024)  # from some thousands on, OpenMP's start crashes
_THREADS_BY_LEVEL = _Rule(lambda text: all(map(_THREADS.fits, text.split(","))), _THREADS.expected)
_STACK = _list_of(r"([0-9]{2,6}[kK]?|[0-9]{1,3}[mM]|[0-9]{5,9}[bB])", "a size such as 512K or 8M")
_SIZE = _list_of(r"[0-9]{1,12}([MK][Bb]|[mk]b)?", "a whole number, or one such as 64MB")
_LARGEST_CAMERA_PX = 4096
_OPENCV_SIZES = (
    "IMGCODECS_AVIF_MAX_FILE_SIZE", "IMGCODECS_WEBP_MAX_FILE_SIZE", "IO_MAX_IMAGE_PARAMS",
    "KMEANS_PARALLEL_GRANULARITY", "OPENCL_ALIGNMENT_MEM_USE_HOST_PTR", "THREAD_POOL_ACTIVE_WAIT_MAIN",
    "THREAD_POOL_ACTIVE_WAIT_PAUSE_LIMIT", "THREAD_POOL_ACTIVE_WAIT_THREADS_LIMIT", "THREAD_POOL_ACTIVE_WAIT_WORKER",
    "TRACE_DEPTH_OPENCV", "TRACE_MAX_CHILDREN", "TRACE_MAX_CHILDREN_OPENCV",
)  # fmt: skip
_RULES: dict[str, _Rule] = {
    "OMP_NUM_THREADS": _THREADS_BY_LEVEL,
    "OMP_STACKSIZE": _STACK,
    "GOMP_STACKSIZE": _STACK,
    "GOMP_CPU_AFFINITY": _list_of(r"[0-9]{1,5}(-[0-9]{1,5}(:[0-9]{1,5})?)?", "numbers of cores such as 0 2 or 0-3"),
    "NUMBA_NUM_THREADS": _THREADS,
    "NUMBA_DISABLE_JIT": _Rule(lambda text: text.strip() == "0", "0: the simulator drives in compiled code alone"),
    "NUMBA_CPU_FEATURES": _list_of(r"[+-][\w.-]+", "features such as +avx2,-fma"),
    "NUMBA_CACHE_DIR": _Rule(lambda text: writable(Path(text)), "a folder that this user can write"),
    "NUMBA_CACHE_LOCATOR_CLASSES": _list_of(
        r"((UserProvided|InTree|UserWide|IPython|Zip)CacheLocator|\w+(\.\w+)+)",
        "numba's classes, such as UserWideCacheLocator",
    ),
    "LRU_CACHE_CAPACITY": _whole(0, 2**31 - 1),  # torch's, of oneDNN's kernels
    "OPENCV_IO_MAX_IMAGE_PIXELS": _whole(_LARGEST_CAMERA_PX**2, 2**50),
    "OPENCV_IO_MAX_IMAGE_WIDTH": _whole(_LARGEST_CAMERA_PX, 2**30),
    "OPENCV_IO_MAX_IMAGE_HEIGHT": _whole(_LARGEST_CAMERA_PX, 2**30),
    "OPENCV_FOR_THREADS_NUM": _whole(0, 1024),
    **{f"OPENCV_{name}": _SIZE for name in _OPENCV_SIZES},
}
_PREFIXES = {
    "torch": ("TORCH", "PYTORCH"), "numba": ("NUMBA_",), "numba_cuda": ("NUMBA_",), "cv2": ("OPENCV_",),
    "matplotlib": ("MPL", "MATPLOTLIB"),
}  # fmt: skip
"""Libraries -> prefixes of the variables that they read on import."""


def prepare(arguments: list[str]) -> None:
    """Check the environment of a command before anything heavy is imported, and make output that never fails.

    An empty variable counts as unset. Where the user's cache folder is not writable, libraries get a private one.

    Raises:
        DriveRLError: a variable or an argument is unusable; all of them are listed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for what its encoding lacks
    for name in _RULES:
        if not os.environ.get(name, "set").strip():
            del os.environ[name]
    if os.environ.get("COLUMNS") == "0":  # a terminal without a size; rich would print nothing
        del os.environ["COLUMNS"]
    if wrong := [*_wrong_variables(), *_wrong_arguments(arguments)]:
        raise DriveRLError("\n".join(wrong))
    warnings.filterwarnings("error", "Environment variable 'NUMBA_", RuntimeWarning)  # for `explain`
    cache = user_cache()
    if cache is None or not os.access(cache if cache.exists() else cache.parent, os.W_OK | os.X_OK):
        instead = private_folder("cache")
        if instead is not None:
            os.environ["XDG_CACHE_HOME"] = str(instead)


def explain(error: Exception) -> str | None:
    """Return why a library failed to import, if variables that it reads are set; None for any other error."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    loading = [part for frame in frames if frame.name == "<module>" for part in Path(frame.filename).parts]
    library = next((part for part in loading if part in _PREFIXES), None)
    if library is None:
        return None
    found = {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES[library])}
    found = {name: value for name, value in found.items() if name in str(error)} or found
    if not found:
        return None
    named = " and ".join(f"{name} = {_short(value)}" for name, value in found.items())
    reason = " ".join(str(error).partition(".\n")[0].split())[:200] or type(error).__name__
    return f"environment: {named}: {library} cannot be imported with it ({reason}); fix: unset {' '.join(found)}"


def _wrong_variables() -> Iterator[str]:
    for name, rule in _RULES.items():
        value = os.environ.get(name)
        if value is not None and not rule.fits(value):
            yield f"environment: {name} = {_short(value)}: expected {rule.expected}; fix: unset {name}, or correct it"


def _wrong_arguments(arguments: list[str]) -> Iterator[str]:
    encoding = sys.getfilesystemencoding()
    for word in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            yield (
                f"command line: {_short(word)}: is not text in {encoding}; fix: rename the file or folder, or set a"
                " locale of its encoding, such as LC_ALL=C.UTF-8"
            )


def _short(value: str) -> str:
    return repr(value if len(value) <= 80 else f"{value[:77]}...")
