"""Which training road comes next for one car: a new one, or one that it failed before. It knows seeds only."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError

_FAILED_KEPT = 8


def first_seed(seed: int) -> int:
    """Return the seed of a run's first environment: far apart for every run, unlike its own seed and those after."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1)[0] >> 2)


class Curriculum:
    """Replays failed roads: a simple prioritized level replay (after Jiang et al. 2021, arXiv 2010.03934).

    Args:
        retry: Chance that an episode takes place on the road that was failed longest ago, if there is one.

    Raises:
        DriveRLError: it is not in [0, 1].
    """

    def __init__(self, retry: float) -> None:
        if not isinstance(retry, int | float) or not 0 <= retry <= 1:
            raise DriveRLError(f"retry = {retry!r}: expected a number in [0, 1]; fix: such as 0.5")
        self.retry = retry
        self._failed: deque[int] = deque(maxlen=_FAILED_KEPT)  # road seeds, the oldest first

    def replay(self, rng: np.random.Generator) -> int | None:
        """Return the seed of the failed road to drive next, which is then forgotten, or None for a new road."""
        return self._failed.popleft() if self._failed and rng.random() < self.retry else None

    def record(self, road_seed: int, success: bool) -> None:
        """Note the outcome of an episode."""
        if self.retry and not success:
            self._failed.append(road_seed)

    def get_state(self) -> NDArray[np.int64]:
        """Return the failed roads' seeds, the oldest first."""
        return np.array(self._failed, np.int64)

    def set_state(self, failed: NDArray[np.int64] | NDArray[np.uint64]) -> None:
        """Resume from what `get_state` returned."""
        self._failed = deque(failed.tolist(), _FAILED_KEPT)
