"""Opening files that a stranger may have named or made: regular ones alone, without waiting, and no more than a limit.

It knows nothing of what they hold. A FIFO would wait for ever, and a device such as `/dev/zero` has no end.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path, largest: int) -> BinaryIO:
    """Open a regular file of at most `largest` bytes; links are followed.

    Raises:
        OSError: it is something else, larger, not there, or may not be read; `strerror` says what.
    """
    try:
        _check(path, os.stat(path), largest)  # before it is opened: to open a device can already be heard
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OSError(errno.EINVAL, f"no file can have such a name: {error}", str(path)) from error
    file = os.fdopen(opened, "rb")
    try:
        _check(path, os.fstat(opened), largest)  # what was opened may be another
    except BaseException:
        file.close()
        raise
    return file


def read_plain(path: Path, largest: int) -> bytes:
    """Return what a regular file of at most `largest` bytes holds.

    Raises:
        OSError: as `open_plain`.
    """
    with open_plain(path, largest) as file:
        data = file.read(largest + 1)
    if len(data) > largest:  # files of /proc say that they are empty
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
