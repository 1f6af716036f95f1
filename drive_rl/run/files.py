"""Writing files and folders so that a reader sees the old one or the new one, never half of one.

It knows names and renames; it does not know what the files hold.
"""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from drive_rl.errors import DriveRLError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a quota, a limit on file size
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn a full, read-only or obstructed disk into a `DriveRLError` that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DriveRLError(
                f"{path}: no space left on the disk; nothing half-written was kept: free some space, or "
                "write to another disk, and run the command again"
            ) from error
        if error.errno in _DENIED:
            raise DriveRLError(
                f"{path}: may not be written ({error.strerror}): choose a folder you own, or change its permissions"
            ) from error
        if isinstance(error, (NotADirectoryError, FileExistsError)):
            raise DriveRLError(
                f"{path}: a file stands where a folder is needed ({error.filename}): move the file, or "
                "choose another folder"
            ) from error
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary sibling and a rename."""
    temporary = _sibling(path, f"tmp-{os.getpid()}")
    with explain_disk_errors(path):
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented strict JSON (no NaN), as `write_bytes` does."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, fix: str) -> Any:
    """Read a strict JSON file: UTF-8, no NaN, no key twice, no more nesting than Python can follow.

    Raises:
        DriveRLError: it is missing, broken or no regular file; the message ends in `fix`.
    """
    require_file(path, fix)
    try:
        text = path.read_bytes().decode("utf-8")
        return json.loads(text, object_pairs_hook=_table, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise DriveRLError(f"{path}: cannot be read as JSON (nested too deeply): {fix}") from error
    except (OSError, ValueError) as error:  # a JSON error and a decoding error are both ValueErrors
        raise DriveRLError(f"{path}: cannot be read as JSON ({error}): {fix}") from error


def require_file(path: Path, fix: str) -> None:
    """Refuse a path that is absent, or that opening could hang on: a pipe, a device, a folder, links in a circle.

    Raises:
        DriveRLError: it leads to no regular file; the message ends in `fix`.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise DriveRLError(f"{path}: file not found: {fix}") from error
    except (OSError, ValueError) as error:
        raise DriveRLError(f"{path}: cannot be read ({error}): {fix}") from error
    if not stat.S_ISREG(mode):
        raise DriveRLError(f"{path}: is not a regular file (a folder, a pipe or a device): {fix}")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return table


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@contextmanager
def write_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that takes the name `path` when the block ends well.

    An older folder at `path` stays whole until then. When the block fails, the temporary folder goes and the
    older one stays. A crash between the two renames leaves the older one under a hidden name; `settle` brings
    it back.
    """
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        settle(path)
        with _scratch(path) as temporary:
            yield temporary
            _swap(temporary, path)


def new_directory(parent: Path, stem: str, fill: Callable[[Path], None]) -> Path:
    """Make `parent/stem`, or `stem-2`, `stem-3`, ... where that name is taken, and return its path.

    `fill` writes into a temporary folder, which is then renamed. Two processes at once get two names.
    """
    with explain_disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        with _scratch(parent / stem) as temporary:
            fill(temporary)
            return _place(temporary, parent, stem)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """An empty hidden folder beside `path`, deleted when the block fails."""
    temporary = _sibling(path, f"tmp-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


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


def settle(path: Path) -> None:
    """Finish what a crash inside `write_directory(path)` left: the new folder if it is there, or the old."""
    old = _sibling(path, "old")
    if not old.exists():
        return
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(old, path)


def _swap(new: Path, path: Path) -> None:
    if not path.exists():
        os.rename(new, path)
        return
    if not path.is_dir():
        raise FileExistsError(errno.EEXIST, "not a folder", str(path))
    old = _sibling(path, "old")
    os.rename(path, old)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")
