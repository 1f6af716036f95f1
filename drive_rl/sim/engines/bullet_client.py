"""One PyBullet client that cannot leak: `close` frees it, or the end of the last reference to it.

It knows no world. PyBullet itself frees a client only on request, and a client holds about 30 MB.
"""

import os
import weakref
from collections.abc import Callable

import pybullet

from drive_rl.errors import DriveRLError

MAX_CLIENTS = 1024
"""PyBullet opens no more clients in one process."""
CLIENT_BYTES = 30_000_000
"""About the memory that a client takes."""


class BulletClient:
    """An open client without a window.

    Raises:
        DriveRLError: PyBullet opens no more.
    """

    def __init__(self) -> None:
        number = pybullet.connect(pybullet.DIRECT)
        if number < 0:
            raise DriveRLError("PyBullet: no client could be opened; fix: close other environments of this process")
        self._number = number
        self._before: list[Callable[[], object]] = []
        self._free = weakref.finalize(self, _disconnect, number, os.getpid(), self._before)
        self._free.atexit = False  # the end of the process frees it anyway

    @property
    def number(self) -> int:
        """PyBullet's `physicsClientId`; -1 after `close`."""
        return self._number if self._free.alive else -1

    def before_closing(self, do: Callable[[], object]) -> None:
        """Call `do` before the client is freed."""
        self._before.append(do)

    def close(self) -> None:
        """Free the client; safe to call twice."""
        self._free()


def _disconnect(number: int, process: int, before: list[Callable[[], object]]) -> None:
    if before and os.getpid() != process:
        return  # a fork cannot do so; its parent will
    if pybullet.isConnected(number):  # not if the user has disconnected it
        for do in before:
            do()
        pybullet.disconnect(number)
