"""Surrogate measures of safety: how near a drive came to a collision, in time.

Sources:
    Time to collision: Hayward 1972; `time_to_collision_within_bound.py` of nuPlan's devkit 1.2 (arXiv 2106.11810).
    Post-encroachment time: Allen, Shin and Cooper 1978, Transportation Research Record 667.
"""

from collections.abc import Sequence

import numpy as np

from drive_rl.benchmark.driving.boxes import angle_to, moved, near, overlap
from drive_rl.benchmark.driving.collisions import BEHIND_RAD, OTHER_STOPPED_MPS, Collision
from drive_rl.benchmark.driving.record import DriveRecord, Flags, Floats

TTC_STEP_S, TTC_STEPS = 0.1, 30
TTC_HORIZON_S = TTC_STEP_S * TTC_STEPS
"""Collisions that are farther away in time are none."""
AHEAD_RAD = np.deg2rad(20)
"""Others whose middle is seen at less than this from the rear axle are ahead."""

PET_HORIZON_S = 5.0
"""Who comes later than this does not meet the other."""
CROSSING_RAD = np.deg2rad(30)
"""Paths that meet at a smaller angle do not cross: one follows the other."""


def times_to_collision(record: DriveRecord, collisions: Sequence[Collision]) -> Floats:
    """Return the time (T,) [s] after which the car would touch another, if all kept their speed and heading.

    Infinite where nobody is touched within 3 s, 0 in a collision at fault. Counted are those ahead, and those beside it
    while it is in a junction or not in one lane; who was touched before does not count.
    """
    ego, others, found = record.ego, record.others, np.full(len(record.ego.s_m), np.inf)
    half = np.array([record.car.half_length_m, record.car.half_width_m])
    reach_m = (ego.speed_mps[:, None] + others.speed_mps) * TTC_HORIZON_S
    close = near(ego.pose[:, None], half, others.pose, others.half_m, reach_m)
    step, other = np.nonzero(_counted(record, collisions) & close)
    for k in range(1, TTC_STEPS):
        time_s = k / round(1 / TTC_STEP_S)
        then = moved(others.pose[step, other], others.speed_mps[step, other] * time_s)
        touching = overlap(moved(ego.pose[step], ego.speed_mps[step] * time_s), half, then, others.half_m[other])
        np.minimum.at(found, step[touching], time_s)
        step, other = step[~touching], other[~touching]
    found[[collision.step for collision in collisions if collision.at_fault]] = 0.0
    return found


def _counted(record: DriveRecord, collisions: Sequence[Collision]) -> Flags:
    """Return which others (T, A) a collision with would be the car's matter."""
    axle = moved(record.ego.pose, -record.car.rear_axle_m)[:, None]
    angle = angle_to(axle, record.others.pose)
    beside = (record.place.in_junction | ~record.place.in_one_lane)[:, None] & (angle <= BEHIND_RAD)
    counted = record.others.present & ((angle < AHEAD_RAD) | beside)
    counted &= record.ego.speed_mps[:, None] > OTHER_STOPPED_MPS
    for collision in collisions:
        counted[collision.step :, collision.other] = False
    return counted


def post_encroachment_time(record: DriveRecord) -> float:
    """Return the shortest time [s] between one leaving a place where paths cross, and the other coming there.

    Of the car and any other one; infinite where nobody's path crosses the car's within 5 s.
    """
    for lag in range(round(PET_HORIZON_S / record.step_s) + 1):
        if _crosses(record, lag, first=True) or _crosses(record, lag, first=False):
            return lag * record.step_s
    return np.inf


def _crosses(record: DriveRecord, lag: int, first: bool) -> bool:
    """Return whether the car was where another was so many steps later (`first`), or before, on a path across."""
    rows = len(record.ego.s_m) - lag
    if rows <= 0:
        return False
    own, theirs = (slice(0, rows), slice(lag, None)) if first else (slice(lag, None), slice(0, rows))
    half, others = np.array([record.car.half_length_m, record.car.half_width_m]), record.others
    pose, there = record.ego.pose[own], others.pose[theirs]
    across = np.abs(np.remainder(there[..., 2] - pose[:, None, 2] + np.pi, 2 * np.pi) - np.pi) > CROSSING_RAD
    step, other = np.nonzero(others.present[theirs] & across & near(pose[:, None], half, there, others.half_m))
    return bool(overlap(pose[step], half, there[step, other], others.half_m[other]).any())
