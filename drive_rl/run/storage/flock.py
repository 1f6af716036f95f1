"""The kernel's advisory locks on files and folders (flock): each goes with its process, however that ends.

It knows descriptors. It does not know what is locked, or why.
"""

import errno
import fcntl
import os
from pathlib import Path

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)  # EBADF: NFS, for folders

_held: set[int] = set()


class NoLocksError(OSError):
    """The filesystem knows no such locks."""


def take(path: Path, flags: int = os.O_RDONLY, wait: bool = False) -> int | None:
    """Lock a file or folder; return a descriptor for `let_go`, or None: another has it, or nothing is there.

    Children that are forked or executed do not get the lock.

    Args:
        path: What is locked. It keeps its lock when it is renamed.
        flags: How it is opened.
        wait: Whether to wait until the other lets go.

    Raises:
        NoLocksError: the filesystem knows no locks.
        OSError: it may not be opened.
    """
    while True:
        try:
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        except FileNotFoundError:
            return None
        _held.add(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            let_go(descriptor)
            return None
        except BaseException as error:
            let_go(descriptor)
            if isinstance(error, OSError) and error.errno in _UNSUPPORTED:
                raise NoLocksError(error.errno, error.strerror, str(path)) from error
            raise
        let_go(descriptor)  # it was deleted or renamed before it was locked


def holds(descriptor: int) -> bool:
    """Whether this process, and not the one that it was forked from, holds a lock."""
    return descriptor in _held


def let_go(descriptor: int) -> None:
    """Release a lock."""
    if holds(descriptor):
        _held.discard(descriptor)
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _forget() -> None:
    """In a child that was forked: close the parent's locks, which hold until the last copy is closed."""
    for descriptor in tuple(_held):
        let_go(descriptor)


os.register_at_fork(after_in_child=_forget)
