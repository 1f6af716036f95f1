"""When to save what a crash would lose: as often as costs little. It knows seconds, not what is saved."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

_EVERY_S = 30.0
_SHARE = 0.02
"""Of the time between two saves, spent saving."""


class SaveClock:
    """Says when the next save is worth it; the first one is at once."""

    def __init__(self) -> None:
        self._saved_s = -math.inf
        self._cost_s = 0.0

    def due(self, urgent: bool = False) -> bool:
        """Whether it is time to save.

        Args:
            urgent: Whether what comes next takes so long that a save must come before it, if it costs little.
        """
        since = time.perf_counter() - self._saved_s
        return since >= self._cost_s / _SHARE and (urgent or since >= _EVERY_S)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Time a save."""
        begin = time.perf_counter()
        yield
        self._saved_s = time.perf_counter()
        self._cost_s = self._saved_s - begin
