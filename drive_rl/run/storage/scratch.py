"""Scratch files and folders: hidden names beside a target, `.NAME.tmp-PID`, while it is written or after a kill.

A writer holds the kernel's lock on its scratch, so scratch that nobody holds is a leftover. This module does not know
what is written, or when it is renamed.
"""

import glob
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drive_rl.run.storage.flock import NoLocksError, let_go, take

_SCRATCH = re.compile(r"\..+\.tmp-\d+", re.DOTALL)


def sibling(path: Path, suffix: str) -> Path:
    """Return a hidden name beside `path`."""
    return path.with_name(f".{path.name}.{suffix}")


def scratch_name(path: Path) -> Path:
    """Return the name of this process's scratch for `path`."""
    return sibling(path, f"tmp-{os.getpid()}")


def in_scratch(path: Path) -> bool:
    """Whether `path` is in a scratch folder of this process, which is synced and renamed as a whole."""
    end = f".tmp-{os.getpid()}"
    return any(_SCRATCH.fullmatch(part) and part.endswith(end) for part in path.parent.parts)


@contextmanager
def scratch(path: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Yield a new hidden file or folder beside `path`, and delete it at the end unless it was renamed.

    Args:
        path: Its later name.
        make: Makes it: `Path.touch`, or `Path.mkdir`.
    """
    delete_leftovers(path.parent, path.name)
    temporary = scratch_name(path)
    try:
        with _claimed(temporary, make):
            yield temporary
    finally:
        _delete(temporary)


def delete_leftovers(folder: Path, name: str | None = None) -> None:
    """Delete the scratch in `folder`, for one target or all, that no live process is writing.

    Where the filesystem does not support locks, nothing is deleted.
    """
    pattern = "*" if name is None else glob.escape(name)
    for path in folder.glob(f".{pattern}.tmp-*"):
        if _SCRATCH.fullmatch(path.name):
            with suppress(NoLocksError, PermissionError), holding(path) as held:
                if held:
                    _delete(path)


@contextmanager
def holding(path: Path, wait: bool = False) -> Iterator[bool]:
    """Hold the lock on a file or folder within the block; yield whether it is held.

    Raises:
        NoLocksError: the filesystem does not support locks.
    """
    descriptor = take(path, wait=wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            let_go(descriptor)


@contextmanager
def _claimed(path: Path, make: Callable[[Path], None]) -> Iterator[None]:
    """Make a file or folder and hold it; make it again if another process sweeps it before it is held."""
    descriptor = None
    while descriptor is None:
        _delete(path)
        make(path)
        try:
            descriptor = take(path, wait=True)
        except NoLocksError:
            break
    try:
        yield
    finally:
        if descriptor is not None:
            let_go(descriptor)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
