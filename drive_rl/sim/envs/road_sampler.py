"""Draws the roads of one car from a split. It knows seeds only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.sim.state import Expected, State, check_generator, check_state

WORDS = 6
"""Length of a generator's state."""
_KEY = "course."  # followed by the car's number; checkpoints hold these names
_LOW = 2**64 - 1


class RoadSampler:
    """Draws road seeds as one `LaneEnv` of the same seed does."""

    def __init__(self, split: Split, rng: np.random.Generator) -> None:
        self.rng = rng
        self._roads = SPLITS[split]

    def next(self) -> int:
        """Return the next road's seed."""
        return int(self.rng.integers(self._roads.start, self._roads.stop))

    def get_state(self) -> NDArray[np.uint64]:
        """Return the generator's state, (6,)."""
        return generator_state(self.rng)

    def set_state(self, state: NDArray[np.uint64]) -> None:
        """Resume from what `get_state` returned."""
        set_generator_state(self.rng, state)


def name_samplers(states: Sequence[NDArray[np.uint64]]) -> State:
    """Return the samplers' states under the names that a saved state has for them."""
    return {f"{_KEY}{i}": state for i, state in enumerate(states)}


def split_samplers(state: Mapping[str, NDArray[Any]]) -> tuple[State, State]:
    """Return a saved state without its samplers, and the samplers."""
    samplers = {name: array for name, array in state.items() if name.startswith(_KEY)}
    return {name: array for name, array in state.items() if name not in samplers}, samplers


def check_samplers(samplers: Mapping[str, NDArray[Any]], count: int, length: int | None = WORDS) -> list[NDArray[Any]]:
    """Refuse arrays that are not the states of `count` samplers; return them in order. Length None: more may follow.

    Raises:
        DriveRLError: names the array.
    """
    expected = [f"{_KEY}{i}" for i in range(count)]
    check_state(samplers, dict.fromkeys(expected, Expected((length,), np.uint64)))
    for name in expected:
        check_generator(f"state: {name}", samplers[name][:WORDS])
    return [samplers[name] for name in expected]


def generator_state(rng: np.random.Generator) -> NDArray[np.uint64]:
    """Return the state of a PCG64 generator, NumPy's and Gymnasium's own kind, as (6,) uint64."""
    state = rng.bit_generator.state
    words = [part for word in (state["state"]["state"], state["state"]["inc"]) for part in (word >> 64, word & _LOW)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def set_generator_state(rng: np.random.Generator, state: NDArray[np.uint64]) -> None:
    """Set a generator to a state of `generator_state`."""
    a, b, c, d, has, value = state.tolist()
    words = {"state": a << 64 | b, "inc": c << 64 | d}
    rng.bit_generator.state = {"bit_generator": "PCG64", "state": words, "has_uint32": has, "uinteger": value}
