"""The stacks of a replay buffer that keeps each frame once, as arrays of its npz file. It does not know the file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.learn.sb3.frame_replay import StackedFrames
from drive_rl.sim.state import Expected

Arrays = dict[str, NDArray[Any]]


def frame_arrays(stacks: StackedFrames) -> Arrays:
    """Return the filled part of the ring (views), the number of transitions added, and a copy of the stacks kept whole.

    Those are in the order of their rows and environments, where `ages` is 0.
    """
    filled = min(stacks.added, stacks.ring)
    kept = [stacks.starts[row, env] for row, env in _starts(stacks.ages[:filled])]
    return {
        "added": np.array(stacks.added),
        "frames": stacks.frames[:filled],
        "ages": stacks.ages[:filled],
        "starts": np.array(kept, np.uint8).reshape(len(kept), *stacks.shape),
    }


def expected_frames(stacks: StackedFrames, arrays: Arrays) -> dict[str, Expected]:
    """Return what each of `frame_arrays` must be, for such stacks."""
    added, ages = arrays.get("added"), arrays.get("ages")
    filled = None
    if added is not None and added.shape == () and added.dtype == np.int64:
        filled = min(int(added), stacks.ring)
    starts = None if ages is None else int(np.count_nonzero(ages == 0))
    return {
        "added": Expected((), np.int64, 0, 2**62),
        "frames": Expected((filled, *stacks.frames.shape[1:]), np.uint8),
        "ages": Expected((filled, stacks.envs), np.uint8, 0, stacks.stack),
        "starts": Expected((starts, *stacks.shape), np.uint8),
    }


def check_frames(name: str, stacks: StackedFrames, arrays: Arrays, fix: str) -> None:
    """Refuse ages that do not count from a stack that is kept whole, after `expected_frames` has been checked.

    Raises:
        DriveRLError: with `name` and `fix`.
    """
    ages, added = arrays["ages"].astype(np.int64), int(arrays["added"])
    if added > stacks.ring:
        ages = np.roll(ages, -(added % stacks.ring), axis=0)  # the oldest first
    counted = (ages[1:] == 0) | (ages[1:] == np.minimum(ages[:-1] + 1, stacks.stack))
    begun = added >= stacks.ring or not ages[:1].any()
    if not (counted.all() and begun):
        raise DriveRLError(f"{name}: do not count the steps since an episode's first; {fix}")


def fill_frames(stacks: StackedFrames, arrays: Arrays) -> None:
    """Fill stacks with what was checked. The file's frames become the ring: there are never two of that size."""
    filled = len(arrays["ages"])
    frames: NDArray[np.uint8] = np.require(arrays.pop("frames"), np.uint8, ("C", "O"))
    frames.resize(stacks.frames.shape, refcheck=False)
    stacks.frames, stacks.added = frames, int(arrays["added"])
    stacks.ages[:filled] = arrays["ages"]
    places = _starts(stacks.ages[:filled])
    stacks.starts = {at: start.copy() for at, start in zip(places, arrays["starts"], strict=True)}


def _starts(ages: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return the (row, environment) of stacks kept whole."""
    rows, envs = np.nonzero(ages == 0)
    return list(zip(rows.tolist(), envs.tolist(), strict=True))
