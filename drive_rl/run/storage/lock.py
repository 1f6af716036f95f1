"""One writer at a time for a run, a benchmark's folder or a data set: a lock file that names its holder.

The kernel's lock on the file counts, not the file: after a crash or a power loss the next process simply takes it.
"""

import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import explain_disk_errors, make_directory
from drive_rl.run.storage.flock import NoLocksError, holds, let_go, take


@contextmanager
def only_writer(lock: Path, what: Path) -> Iterator[None]:
    """Be the only writer of `what` within the block.

    Where the filesystem does not support locks, the block runs without one, with a warning on stderr.

    Args:
        lock: The lock file; it is deleted at the end.
        what: What it protects, for messages.

    Raises:
        DriveRLError: another process, which is named, writes there; or the lock file cannot be written.
    """
    with explain_disk_errors(what):
        make_directory(lock.parent)
        try:
            descriptor = _taken(lock)
        except NoLocksError as error:
            lock.unlink(missing_ok=True)
            print(
                f"{what}: its filesystem does not support locks ({error.strerror}): let no second process write here",
                file=sys.stderr,
            )
            descriptor = None
        else:
            if descriptor is None:
                raise DriveRLError(f"{what}: {_holder(lock)}; fix: wait until it ends, or stop it")
    try:
        yield
    finally:
        if descriptor is not None and holds(descriptor):
            lock.unlink(missing_ok=True)
            let_go(descriptor)


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock; False where the filesystem does not support locks."""
    if not lock.is_file():
        return False
    try:
        descriptor = take(lock)
    except NoLocksError:
        return False
    if descriptor is None:
        return lock.is_file()  # False if it was released in between
    let_go(descriptor)
    return False


def _taken(lock: Path) -> int | None:
    """Return the lock's descriptor, or None where another process holds it."""
    descriptor = take(lock, os.O_RDWR | os.O_CREAT)
    if descriptor is None:
        return None
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
    }
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(holder).encode())
    return descriptor


def _holder(lock: Path) -> str:
    """Return the holder of a lock, in words."""
    try:
        holder = json.loads(lock.read_text(encoding="utf-8"))
        return (
            f"process {holder['pid']} on host {holder['host']} has been writing here since {holder['since']}"
            f" ({holder['command']})"
        )
    except (OSError, ValueError, TypeError, KeyError):  # it is being written, or gone
        return "another process is writing here"
