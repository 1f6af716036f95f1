"""The driving score of CARLA's leaderboard, in two versions that differ much: never compare one with the other.

Sources:
    2.0: `leaderboard/utils/statistics_manager.py` of its branch `leaderboard-2.0`.
    2.1: the same of the branch `leaderboard-2.1`, and https://leaderboard.carla.org/evaluation_v2_1/.
"""

from math import prod

from drive_rl.benchmark.driving.infractions import Infractions

FACTORS_2_0 = {
    "pedestrian": 0.5,
    "cyclist": 0.6,  # to CARLA a cyclist is a vehicle
    "vehicle": 0.6,
    "static": 0.65,
    "red_light": 0.7,
    "stop_sign": 0.8,
    "scenario_timeout": 0.7,
    "yield_emergency": 0.7,
}
"""Leaderboard 2.0: each infraction multiplies the score by its factor."""
MIN_SPEED_2_0 = 0.7
"""Leaderboard 2.0: the factor of a part of the route that was driven at no speed; at the traffic's speed it is 1."""

COEFFICIENTS_2_1 = {
    "pedestrian": 1.0,
    "cyclist": 0.7,
    "vehicle": 0.7,
    "static": 0.6,
    "red_light": 0.4,
    "stop_sign": 0.25,
    "scenario_timeout": 0.4,
    "yield_emergency": 0.4,
}
"""Leaderboard 2.1: each infraction adds its coefficient to the denominator."""
MIN_SPEED_2_1 = 0.4
"""Leaderboard 2.1: what a part of the route that was driven at no speed adds; at the traffic's speed it is 0."""


def driving_score_2_0(route_completion: float, infractions: Infractions) -> float:
    """Return the driving score of leaderboard 2.0, in [0, 1].

    Route completion, of which what was driven outside the route's lanes does not count, times the product of factors.
    """
    slow = prod(1 - (1 - MIN_SPEED_2_0) * (1 - share) for share in infractions.min_speed)
    rest = prod(factor ** getattr(infractions, name) for name, factor in FACTORS_2_0.items())
    return route_completion * (1 - infractions.off_lane) * slow * rest


def driving_score_2_1(route_completion: float, infractions: Infractions) -> float:
    """Return the driving score of leaderboard 2.1, in [0, 1].

    Route completion times (1 - share driven outside the route's lanes) / (1 + sum of coefficient x count).
    """
    total = sum(coefficient * getattr(infractions, name) for name, coefficient in COEFFICIENTS_2_1.items())
    total += sum(MIN_SPEED_2_1 * (1 - share) for share in infractions.min_speed)
    return route_completion * (1 - infractions.off_lane) / (1 + total)
