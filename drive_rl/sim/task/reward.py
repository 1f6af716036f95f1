"""Reward terms, each pure and in [0, 1], and their weighted combination (as in dm_control's `rewards`). No score."""

import math
from typing import NamedTuple

from drive_rl.sim.compiled import njit

_SPEED_POWER = 1.25
_LEAST_TARGET_MPS = 3.0
_HEADING_RAD = 0.6
_LATERAL_ACCEL_MPS2 = 6.0
_STEER_CHANGE = 0.1


class RewardRules(NamedTuple):
    """The numbers of a `RewardSpec`; a world with extra terms has more weights."""

    product: bool
    weights: tuple[float, ...]
    arrival: float
    failure: float


@njit
def lane_term(offset_m: float, half_lane_m: float) -> float:
    """Return 1 on the lane's centre line, falling with the square of the offset to 0 at its edge."""
    return max(0.0, 1 - (offset_m / half_lane_m) ** 2)


@njit
def speed_term(speed_mps: float, target_mps: float) -> float:
    """Return 1 at the target speed, 0 at standstill, and exp(-4 error) for a relative error above it.

    Below 3 m/s errors are relative to that, so that who has to wait may stand.

    Below, (speed / target)^1.25: a metre takes longer the slower the car is, so a linear term would earn the same a
    metre at every speed. However fast the car is, slower is better: a term that is flat far above the target speed
    teaches no braking.
    """
    error = (
        speed_mps / target_mps - 1 if target_mps >= _LEAST_TARGET_MPS else (speed_mps - target_mps) / _LEAST_TARGET_MPS
    )
    return math.exp(-4 * error) if error > 0 else max(0.0, 1 + error) ** _SPEED_POWER


@njit
def heading_term(heading_error_rad: float) -> float:
    """Return 1 along the road, 0 at 0.6 rad from it."""
    return max(0.0, 1 - abs(heading_error_rad) / _HEADING_RAD)


@njit
def comfort_term(lateral_accel_mps2: float) -> float:
    """Return 1 without side force, 0 at 6 m/s^2."""
    return max(0.0, 1 - abs(lateral_accel_mps2) / _LATERAL_ACCEL_MPS2)


@njit
def steering_term(steer_change: float) -> float:
    """Return 1 where the steering in [-1, 1] stays as it is, 1 / e where a step moves it by 0.1.

    The cost of a movement is convex, so that many small ones cost less than a large one.
    """
    return math.exp(-((steer_change / _STEER_CHANGE) ** 2))


@njit
def combine(terms, weights, product):
    """Return the reward in [0, 1] of a step: the terms' weighted product, or else their weighted mean."""
    if product:
        reward = 1.0
        for i in range(len(weights)):
            if weights[i] != 0:
                reward *= terms[i] ** weights[i]
        return reward
    reward = total = 0.0
    for i in range(len(weights)):
        reward += weights[i] * terms[i]
        total += weights[i]
    return reward / total
