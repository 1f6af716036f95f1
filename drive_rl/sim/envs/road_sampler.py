"""Which road comes next for one car: drawn from a split, or one that it failed before. It knows seeds only."""

from collections import deque
from collections.abc import Mapping

import numpy as np

from drive_rl.config.spec import SPLITS, Split
from drive_rl.sim.state import Expected, check_array, check_generator, check_state

_FAILED_KEPT = 8


class RoadSampler:
    """Draws road seeds as one `LaneEnv` of the same seed does.

    With a chance of `retry`, the next road is the one that was failed longest ago, and not the one drawn (a simple
    prioritized level replay, after Jiang et al. 2021, arXiv 2010.03934).
    """

    def __init__(self, split: Split, rng: np.random.Generator, retry: float = 0.0) -> None:
        self.rng = rng
        self._roads, self._retry = SPLITS[split], retry
        self._failed: deque[int] = deque(maxlen=_FAILED_KEPT)  # road seeds, the oldest first

    def next(self) -> int:
        """Return the next road's seed."""
        again = bool(self._failed) and self.rng.random() < self._retry
        drawn = int(self.rng.integers(self._roads.start, self._roads.stop))
        return self._failed.popleft() if again else drawn

    def driven(self, road_seed: int, success: bool) -> None:
        """Note how a road was driven."""
        if self._retry and not success:
            self._failed.append(road_seed)

    def get_state(self) -> np.ndarray:
        """Return the generator's state and the failed roads as uint64."""
        return np.concatenate([generator_state(self.rng), np.array(self._failed, np.uint64)])

    def set_state(self, state: np.ndarray) -> None:
        """Go on from what `get_state` returned; `check_samplers` says whether it can."""
        set_generator_state(self.rng, state[:_WORDS])
        self._failed = deque(state[_WORDS:].tolist(), _FAILED_KEPT)


def split_samplers(state: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the state of many cars without their courses, and the courses `sampler.0`, `sampler.1`, ..."""
    samplers = {name: array for name, array in state.items() if name.startswith("course.")}
    return {name: array for name, array in state.items() if name not in samplers}, samplers


def check_samplers(samplers: Mapping[str, np.ndarray], count: int) -> None:
    """Refuse arrays that are not `RoadSampler.get_state` of `sampler.0` to `sampler.COUNT-1`.

    Raises:
        DriveRLError: with the name of the array.
    """
    check_state(samplers, {f"course.{i}": Expected((None,), np.uint64) for i in range(count)})
    for name, words in samplers.items():
        check_generator(f"state: {name}", words[:_WORDS])
        check_array(f"state: {name}: road seeds", words[_WORDS:], _SEEDS, _FIX)


_FIX = "fix: the world and num_envs that it was taken from"
_WORDS = 6
_SEEDS = Expected((None,), np.uint64, 0, 2**63 - 1)
_LOW = 2**64 - 1


def generator_state(rng: np.random.Generator) -> np.ndarray:
    """Return the state of a PCG64 generator, NumPy's and Gymnasium's own kind, as (6,) uint64."""
    state = rng.bit_generator.state
    words = [part for word in (state["state"]["state"], state["state"]["inc"]) for part in (word >> 64, word & _LOW)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def set_generator_state(rng: np.random.Generator, state: np.ndarray) -> None:
    """Bring a generator to where `generator_state` saw it."""
    a, b, c, d, has, value = state.tolist()
    words = {"state": a << 64 | b, "inc": c << 64 | d}
    rng.bit_generator.state = {"bit_generator": "PCG64", "state": words, "has_uint32": has, "uinteger": value}
