"""PyBullet, imported in silence, and one client of it that cannot leak.

`close` frees a client, or the end of the last reference to it. It knows no world. PyBullet itself frees a client only
on request, and a client holds about 30 MB. Other modules take `pybullet` from here.
"""

import importlib
import os
import sys
import weakref
from collections.abc import Callable
from typing import Any

from drive_rl.errors import DriveRLError


def import_bullet() -> Any:
    """Return PyBullet's module, imported without the line that it writes to standard error.

    Raises:
        DriveRLError: it is not installed, as on a Python without wheels of it.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed: there is nothing to keep silent
        kept = None
    if kept is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
    try:
        return importlib.import_module("pybullet")
    except ImportError as error:
        raise DriveRLError(
            f"engine = bullet: PyBullet cannot be imported ({error}); the Python here is"
            f" {sys.version_info.major}.{sys.version_info.minor}, and PyBullet has wheels for 3.11 and older; fix:"
            " Python 3.11, or the batch engine: engine=batch, or gymnasium.make_vec(ID,"
            ' vectorization_mode="vector_entry_point")'
        ) from error
    finally:
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)


pybullet: Any = import_bullet()

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
