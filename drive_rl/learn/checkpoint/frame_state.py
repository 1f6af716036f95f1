"""The stacks of a replay buffer that keeps each frame once, as arrays of its npz file. It does not know the file.

The frames are in pieces, each freed once it is back in the ring: there are never two rings in memory.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.learn.sb3.frame_replay import StackedFrames
from drive_rl.sim.state import Expected

Arrays = dict[str, NDArray[Any]]

_PIECE_BYTES = 2**26


def frame_arrays(stacks: StackedFrames) -> Arrays:
    """Return the filled part of the ring, the number of transitions added, and the stacks kept whole.

    Those are copies, in the order of their rows and environments, where `ages` is 0; the rest are views.
    """
    filled = min(stacks.added, stacks.ring)
    kept = [stacks.starts[row, env] for row, env in _starts(stacks.ages[:filled])]
    return {
        "added": np.array(stacks.added),
        "ages": stacks.ages[:filled],
        "starts": np.array(kept, np.uint8).reshape(len(kept), *stacks.shape),
        **{name: stacks.frames[rows] for name, rows in _pieces(stacks, filled).items()},
    }


def expected_frames(stacks: StackedFrames, arrays: Arrays) -> dict[str, Expected]:
    """Return what each of `frame_arrays` must be, for such stacks."""
    added, ages = arrays.get("added"), arrays.get("ages")
    filled = 0
    if added is not None and added.shape == () and added.dtype == np.int64:
        filled = min(int(added), stacks.ring)
    starts = None if ages is None else int(np.count_nonzero(ages == 0))
    return {
        "added": Expected((), np.int64, 0, 2**62),
        "ages": Expected((filled, stacks.envs), np.uint8, 0, stacks.stack),
        "starts": Expected((starts, *stacks.shape), np.uint8),
        **{
            name: Expected((rows.stop - rows.start, *stacks.frames.shape[1:]), np.uint8)
            for name, rows in _pieces(stacks, filled).items()
        },
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
    """Fill stacks with what was checked; the frames are taken out of `arrays`."""
    filled = len(arrays["ages"])
    stacks.added, stacks.ages[:filled] = int(arrays["added"]), arrays["ages"]
    places = _starts(stacks.ages[:filled])
    stacks.starts = {at: start.copy() for at, start in zip(places, arrays.pop("starts"), strict=True)}
    for name, rows in _pieces(stacks, filled).items():
        stacks.frames[rows] = arrays.pop(name)


def _pieces(stacks: StackedFrames, filled: int) -> dict[str, slice]:
    """Return the rows of each piece of the filled ring, by its name in the file."""
    step = max(1, _PIECE_BYTES // stacks.frames[0].nbytes)
    return {f"frames/{first}": slice(first, min(first + step, filled)) for first in range(0, filled, step)}


def _starts(ages: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return the (row, environment) of stacks kept whole."""
    rows, envs = np.nonzero(ages == 0)
    return list(zip(rows.tolist(), envs.tolist(), strict=True))
