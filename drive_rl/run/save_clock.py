"""How often to save: as often as is cheap. It knows seconds, not what is saved."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

_EVERY_S = 30.0
_SHARE = 0.02
"""Share of the time that saving may take."""


class SaveClock:
    """Decides when the next save is due; the first one is due at once."""

    def __init__(self) -> None:
        self._saved_s = -math.inf
        self._cost_s = 0.0

    def due(self, urgent: bool = False) -> bool:
        """Whether a save is due.

        Args:
            urgent: Whether the next step takes so long that a save should come before it, if saving is cheap.
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
