"""One process at a time compiles a function, and the others wait and load what it made. It knows nothing of numba.

Otherwise processes that start together, such as those of `train --seeds 4`, would each compile all of the simulator.
"""

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

_NAMES = 2**31


class Turns:
    """Turns to compile functions, shared with other processes by locks on the bytes of a file.

    Such a lock is the process's own: the kernel releases it when the process ends, however it ends.

    Args:
        file: The file, which is created when the first turn begins.
        waiting: Makes the block within which a turn is waited for.
    """

    def __init__(self, file: Path, waiting: Callable[[], AbstractContextManager[None]]) -> None:
        self._path = file
        self._waiting = waiting
        self._file: BinaryIO | None = None
        self._held: set[int] = set()

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Be the only process in a block of this name. Where files cannot be locked, it is one of many.

        Turns may be nested. A function waits only for those that it calls, so processes never wait in a circle; where
        two names share a byte and they would, the kernel refuses the lock.
        """
        byte = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _NAMES
        taken = byte not in self._held and self._take(byte)
        if taken:
            self._held.add(byte)
        try:
            yield
        finally:
            if taken:
                self._held.remove(byte)
                self._lock(fcntl.LOCK_UN, byte)

    def _take(self, byte: int) -> bool:
        try:
            self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, byte)
        except BlockingIOError:
            with self._waiting():
                return self._wait(byte)
        except OSError:
            return False
        return True

    def _wait(self, byte: int) -> bool:
        try:
            self._lock(fcntl.LOCK_EX, byte)
        except OSError:
            return False
        return True

    def _lock(self, how: int, byte: int) -> None:
        if self._file is None:
            self._file = self._path.open("ab")  # for good: closing it would release every lock
        fcntl.lockf(self._file, how, 1, byte)
