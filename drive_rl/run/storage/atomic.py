"""Writing files and folders so that a reader sees the old one or the new one, never half of one.

This holds after a crash of the process and after a power loss: bytes and names are on the disk (`fsync`) before
anything older is deleted. It knows names, renames and syncs; it does not know what the files hold.
"""

import ctypes
import errno
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.flock import NoLocksError
from drive_rl.run.storage.json_values import JsonTable
from drive_rl.run.storage.scratch import delete_leftovers, holding, in_scratch, scratch, scratch_name, sibling

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a quota, a limit on file size
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_PLACE = (errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP)  # as in /proc
_CANNOT_SYNC = (errno.EINVAL, errno.EOPNOTSUPP)  # folders on some network filesystems, which sync by themselves
_MANY = 64  # files that are synced one by one


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn a full, read-only or obstructed disk, or a place for no files, into a `DriveRLError` that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DriveRLError(
                f"{path}: no space left on the disk; nothing half-written was kept; fix: free some space, or write to"
                " another disk, and run the command again"
            ) from error
        if error.errno in _DENIED:
            raise DriveRLError(
                f"{path}: cannot be written ({error.strerror}); fix: choose a folder you own, or change its permissions"
            ) from error
        if isinstance(error, (NotADirectoryError, FileExistsError)):
            raise DriveRLError(
                f"{path}: a file is where a folder is needed ({error.filename}); fix: move the file, or choose another"
                " folder"
            ) from error
        if error.errno in _NO_PLACE:
            raise DriveRLError(
                f"{path}: no file can be made there ({error.strerror}); fix: choose a folder on a disk, or a shorter"
                " name"
            ) from error
        raise


def check_writable(folder: Path) -> None:
    """Refuse a folder, or the nearest one above it that exists, that takes no new file; it leaves none.

    Raises:
        DriveRLError: with the fix.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    with explain_disk_errors(folder), tempfile.TemporaryFile(dir=there):
        pass


@contextmanager
def write_file(path: Path) -> Iterator[Path]:
    """Yield the name of an empty temporary file that is renamed to `path` when the block succeeds.

    Both bytes and name are then on the disk: a power loss leaves the old file or the new one. Within a folder of
    `write_directory` it is written directly: the folder is kept or dropped as a whole.

    Raises:
        DriveRLError: no space left, or the place cannot be written.
    """
    if in_scratch(path):
        yield path  # errors are explained for the whole folder
        return
    with explain_disk_errors(path), scratch(path, Path.touch) as temporary:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, as `write_file` does."""
    with write_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented strict JSON (no NaN), as `write_bytes` does."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, fix: str) -> Any:
    """Read a strict JSON file: UTF-8, no NaN, no duplicate key, no deeper nesting than Python can parse.

    Raises:
        DriveRLError: it is missing, broken or not a regular file; the message ends in `fix` (`fix: ...`).
    """
    require_file(path, fix)
    try:
        text = path.read_bytes().decode("utf-8")
        return json.loads(text, object_pairs_hook=_table, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise DriveRLError(f"{path}: cannot be read as JSON (nested too deeply); {fix}") from error
    except (OSError, ValueError) as error:  # a JSON error and a decoding error are both ValueErrors
        raise DriveRLError(f"{path}: cannot be read as JSON ({error}); {fix}") from error


def require_file(path: Path, fix: str) -> None:
    """Refuse a path that does not exist, or whose opening could hang: a pipe, a device, a folder, circular links.

    Raises:
        DriveRLError: it is not a regular file; the message ends in `fix` (`fix: ...`).
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise DriveRLError(f"{path}: file not found; {fix}") from error
    except (OSError, ValueError) as error:
        raise DriveRLError(f"{path}: cannot be read ({error}); {fix}") from error
    if not stat.S_ISREG(mode):
        raise DriveRLError(f"{path}: is not a regular file (a folder, a pipe or a device); {fix}")


def _table(pairs: list[tuple[str, Any]]) -> JsonTable:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} appears twice")
    return table


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text[:40]} is too large for a number")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@contextmanager
def write_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that is renamed to `path` when the block succeeds.

    An older folder at `path` stays whole until the new one is on the disk. If the block fails, the temporary folder is
    deleted and the older one stays. A crash between the two renames leaves the older one under a hidden name; `settle`
    restores it.
    """
    with explain_disk_errors(path):
        make_directory(path.parent)
        settle(path)
        with scratch(path, Path.mkdir) as temporary:
            yield temporary
            _sync_tree(temporary)
            _swap(temporary, path)


def new_directory(parent: Path, stem: str, fill: Callable[[Path], None]) -> Path:
    """Make `parent/stem`, or `stem-2`, `stem-3`, ... where the name is taken; return its path.

    `fill` writes into a temporary folder, which is then renamed. Two concurrent processes get two names.
    """
    with explain_disk_errors(parent):
        make_directory(parent)
        delete_leftovers(parent)
        with scratch(parent / stem, Path.mkdir) as temporary:
            fill(temporary)
            _sync_tree(temporary)
            path = _place(temporary, parent, stem)
            sync(parent)
            return path


def make_directory(path: Path) -> None:
    """Make a folder and its missing parents, durable before anything is written inside."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def remove_directory(path: Path) -> None:
    """Delete a folder, if it exists; a crash leaves no half of it under its name."""
    with explain_disk_errors(path):
        settle(path)
        if path.is_dir():
            gone = scratch_name(path)
            os.rename(path, gone)
            sync(path.parent)
            shutil.rmtree(gone, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Delete or finish what killed writers left in a folder; what a live process is writing stays."""
    delete_leftovers(folder)
    for old in folder.glob(".*.old"):
        settle(folder / old.name.removeprefix(".").removesuffix(".old"))


def settle(path: Path) -> None:
    """Repair a crash inside `write_directory(path)`: keep the new folder if it is there, or restore the old.

    Waits for a live writer that is replacing the folder.
    """
    old = sibling(path, "old")
    if not old.is_dir():
        return
    with explain_disk_errors(path), _held(old) as found:
        if not found:
            return
        if path.exists():
            sync(path.parent)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, path)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    """Sync a folder and its contents; many files by one call, because a disk can take 10 ms for each."""
    paths = [folder, *folder.rglob("*")]
    if len(paths) > _MANY:
        _sync_filesystem(folder)
    else:
        for path in paths:
            sync(path)


def _sync_filesystem(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def _place(temporary: Path, parent: Path, stem: str) -> Path:
    for number in count(1):
        path = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            os.rename(temporary, path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                continue
            raise
        return path
    raise AssertionError("unreachable: count() does not end")


def _swap(new: Path, path: Path) -> None:
    if not path.exists():
        os.rename(new, path)
        sync(path.parent)
        return
    if not path.is_dir():
        raise FileExistsError(errno.EEXIST, "not a folder", str(path))
    old = sibling(path, "old")
    with _held(path):
        try:
            os.rename(path, old)
            os.rename(new, path)
        except BaseException:
            if old.exists() and not path.exists():
                os.rename(old, path)
            raise
        sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Wait for the lock on a folder and hold it; yield whether the folder still exists."""
    try:
        with holding(path, wait=True) as held:
            yield held
    except NoLocksError:
        yield path.is_dir()
