"""Actions of many cars -> steering and pedal, checked before anything moves. It knows action spaces only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.spec import TaskSpec

Grid = NDArray[np.float64]
"""(actions, 2): steering and pedal in [-1, 1] of each discrete action."""


def action_grid(task: TaskSpec) -> Grid:
    """Return the world's discrete actions, steer-major."""
    return np.array([(steer, pedal) for steer in task.steer_grid for pedal in task.pedal_grid], np.float64)


def commands_of(actions: Any, num_cars: int, grid: Grid | None) -> NDArray[np.float64]:
    """Return steering and pedal (N, 2) of N actions: pairs in [-1, 1], or with a grid indices into it.

    Raises:
        DriveRLError: another shape or type, a NaN, or an index beyond the grid.
    """
    given = np.asarray(actions)
    shape, kinds = ((num_cars, 2), "fiu") if grid is None else ((num_cars,), "iu")
    if given.shape != shape or given.dtype.kind not in kinds:
        what = "numbers [steer, pedal]" if grid is None else "integers"
        raise DriveRLError(
            f"step: actions of shape {given.shape} and type {given.dtype}: expected {what} of shape {shape}"
        )
    if grid is None:
        wrong = ~np.isfinite(given).all(axis=1)
        expected = "finite numbers [steer, pedal] in [-1, 1]"
    else:
        wrong = (given < 0) | (given >= len(grid))
        expected = f"an integer in [0, {len(grid)})"
    if wrong.any():
        first = int(wrong.argmax())
        raise DriveRLError(f"step: action {first} = {given[first].tolist()}: expected {expected}")
    return np.clip(given, -1.0, 1.0).astype(np.float64) if grid is None else grid[given]
