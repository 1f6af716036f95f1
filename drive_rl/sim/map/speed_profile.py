"""The target speed along a road: the world's, slower in bends, braking in time."""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.task import TaskSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import CURVATURE, KNOT_M, Knots


def speed_profile(knots: Knots, lane_d_m: float, task: TaskSpec) -> NDArray[np.float64]:
    """Return the target speed at each knot [m/s], (knots,), on the line `lane_d_m` left of the reference line.

    A bend limits it to sqrt(a_lat / |curvature|); a backward pass with `v^2 = u^2 + 2 a s` brakes in time.
    """
    return limited_profile(knots, lane_d_m, np.full(len(knots), task.target_speed_mps), task)


def limited_profile(
    knots: Knots, lane_d_m: float, limit_mps: NDArray[np.float64], task: TaskSpec
) -> NDArray[np.float64]:
    """Do as `speed_profile`, with a limit at each knot [m/s], (knots,), instead of the world's target speed."""
    return _profile(knots, lane_d_m, limit_mps, task.lateral_accel_mps2, task.braking_mps2)


@njit
def _profile(
    knots: Knots, lane_d: float, limit: NDArray[np.float64], lateral: float, braking: float
) -> NDArray[np.float64]:
    speed = np.empty(knots.shape[0])
    for i in range(knots.shape[0]):
        curvature = abs(lane_curvature(knots[i, CURVATURE], lane_d))
        speed[i] = min(limit[i], math.sqrt(lateral / max(curvature, 1e-6)))
    for i in range(knots.shape[0] - 2, -1, -1):
        speed[i] = min(speed[i], math.sqrt(speed[i + 1] ** 2 + 2 * braking * KNOT_M))
    return speed


@njit
def lane_curvature(curvature: float, lane_d: float) -> float:
    """Return the curvature [1/m] of the line `lane_d` [m] left of a line of the given curvature."""
    return curvature / (1 - curvature * lane_d)
