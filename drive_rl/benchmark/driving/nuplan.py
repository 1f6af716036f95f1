"""nuPlan's closed-loop score of a drive, in [0, 1]: gates times a weighted mean.

Sources: nuPlan's devkit 1.2 (Caesar et al. 2021, arXiv 2106.11810), its metrics and the weights of
`closed_loop_nonreactive_agents_weighted_average`. It compares progress with an expert's on the same scene; no expert
drives here, so that the expert's progress is the route.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from drive_rl.benchmark.driving.collisions import Collision
from drive_rl.benchmark.driving.comfort import is_comfortable
from drive_rl.benchmark.driving.record import DriveRecord, Floats

LEAST_TTC_S = 0.95
LEAST_PROGRESS = 0.2
OFF_PAVEMENT_M = 0.3
COMPLIANT_M, VIOLATION_M, DIRECTION_S = 2.0, 6.0, 1.0
"""So far may a car drive against the traffic within some seconds without a deduction, and with half of one."""
OVERSPEED_MPS = 2.23
FORGIVEN = {"static": 1}
"""How many collisions at fault are forgiven in part; none with people and vehicles."""
WEIGHTS = {"time_to_collision": 5, "progress": 5, "speed_limit": 4, "comfort": 2}


class NuPlan(NamedTuple):
    """The score and its parts, each in [0, 1]."""

    score: float
    no_at_fault_collision: float  # these four multiply
    drivable_area: float
    driving_direction: float
    making_progress: float
    time_to_collision: float  # these four are averaged
    progress: float
    speed_limit: float
    comfort: float


def nuplan_score(record: DriveRecord, collisions: Sequence[Collision], ttc_s: Floats) -> NuPlan:
    """Return nuPlan's score of a drive.

    Args:
        record: The drive.
        collisions: Its collisions.
        ttc_s: (T,), its times to collision.
    """
    progress = record.route_completion
    gates = {
        "no_at_fault_collision": no_at_fault_collision(collisions),
        "drivable_area": float((record.place.off_pavement_m < OFF_PAVEMENT_M).all()),
        "driving_direction": driving_direction(record),
        "making_progress": float(progress >= LEAST_PROGRESS),
    }
    means = {
        "time_to_collision": float((ttc_s > LEAST_TTC_S).all()),
        "progress": progress,
        "speed_limit": speed_limit(record),
        "comfort": float(is_comfortable(record)),
    }
    mean = sum(WEIGHTS[name] * value for name, value in means.items()) / sum(WEIGHTS.values())
    return NuPlan(float(np.prod(list(gates.values()))) * mean, **gates, **means)


def no_at_fault_collision(collisions: Sequence[Collision]) -> float:
    """Return 1 without a collision at fault, 0 with one with a person or vehicle, 0.5 with one with something else."""
    score = 1.0
    for who in ("pedestrian", "cyclist", "vehicle", "static"):
        count = sum(collision.at_fault and collision.who == who for collision in collisions)
        score *= max(0.0, 1 - count / (FORGIVEN.get(who, 0) + 1))
    return score


def driving_direction(record: DriveRecord) -> float:
    """Return 1 where the car never moved 2 m against its lane's direction within a second, 0 where it moved 6 m."""
    along = np.diff(record.ego.s_m, prepend=record.ego.s_m[:1]) * record.place.direction
    window = round(DIRECTION_S / record.step_s) + 1
    whole = np.concatenate([np.zeros(window), np.cumsum(along)])
    against = -float((whole[window:] - whole[:-window]).min())
    return 1.0 if against < COMPLIANT_M else 0.5 if against < VIOLATION_M else 0.0


def speed_limit(record: DriveRecord) -> float:
    """Return 1 - the mean speed above the limit [m/s] / 2.23, at least 0."""
    duration_s = record.step_s * (len(record.ego.s_m) - 1)
    if duration_s <= 0:
        return 1.0
    over = np.maximum(record.ego.speed_mps - record.place.limit_mps, 0.0)
    return max(0.0, 1 - float(over.sum()) * record.step_s / (OVERSPEED_MPS * duration_s))
