"""Opening untrusted files: regular files only, without blocking, up to a size limit.

A FIFO would block for ever, and a device such as `/dev/zero` has no end.
"""

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path, largest: int) -> BinaryIO:
    """Open a regular file of at most `largest` bytes; links are followed.

    Raises:
        OSError: it is something else, larger, missing or unreadable; `strerror` has the reason.
    """
    try:
        _check(path, os.stat(path), largest)  # before opening it, for opening a device can already have an effect
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OSError(errno.EINVAL, f"not a valid file name: {error}", str(path)) from error
    file = os.fdopen(opened, "rb")
    try:
        _check(path, os.fstat(opened), largest)  # another file may have taken its place
        is_empty = os.fstat(opened).st_size == 0
    except BaseException:
        file.close()
        raise
    if is_empty:  # so are files of /proc, which may have no end: they count as empty
        file.close()
        return io.BytesIO()
    return file


def read_plain(path: Path, largest: int) -> bytes:
    """Return the content of a regular file of at most `largest` bytes.

    Raises:
        OSError: as `open_plain`.
    """
    with open_plain(path, largest) as file:
        data = file.read(largest + 1)
    if len(data) > largest:  # it has grown
        raise _refused(path, _too_large(len(data), largest))
    return data


def _check(path: Path, found: os.stat_result, largest: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "not a regular file, but a device, FIFO or socket")
    if found.st_size > largest:
        raise _refused(path, _too_large(found.st_size, largest))


def _refused(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, why, str(path))


def _too_large(size: int, largest: int) -> str:
    return f"too large: {size:,} bytes or more, expected at most {largest:,}"
