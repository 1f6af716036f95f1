"""The kernel's advisory locks on files and folders (flock), which end with their process, however it ends.

It knows descriptors. It does not know what is locked, or why.
"""

import errno
import fcntl
import os
from pathlib import Path

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)  # EBADF: NFS, for folders

_held: set[int] = set()


class NoLocksError(OSError):
    """The filesystem does not support locks."""


def take(path: Path, flags: int = os.O_RDONLY, wait: bool = False) -> int | None:
    """Lock a file or folder; return a descriptor for `let_go`. None: another process holds it, or there is none.

    Forked or executed children do not inherit the lock.

    Args:
        path: The file or folder; the lock survives a rename.
        flags: For opening it.
        wait: Whether to wait for another holder.

    Raises:
        NoLocksError: the filesystem does not support locks.
        OSError: it cannot be opened.
    """
    while True:
        try:
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        except FileNotFoundError:
            if flags & os.O_CREAT:
                raise
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
    """Whether this process holds a lock, rather than the one it was forked from."""
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
    """In a forked child: close the parent's locks, which last until every copy is closed."""
    for descriptor in tuple(_held):
        let_go(descriptor)


os.register_at_fork(after_in_child=_forget)
