"""Whom the ego car touched, and whether it was at fault by nuPlan's rule.

Source: `no_ego_at_fault_collisions.py` of nuPlan's devkit 1.2 (Caesar et al. 2021, arXiv 2106.11810).
"""

from typing import Literal, NamedTuple

import numpy as np

from drive_rl.benchmark.driving.boxes import angle_to, moved, near, overlap
from drive_rl.benchmark.driving.record import ROAD_USERS, DriveRecord, RoadUser

CollisionKind = Literal["stopped ego", "stopped other", "rear", "front", "lateral"]

EGO_STOPPED_MPS = 0.05
OTHER_STOPPED_MPS = 0.005
BEHIND_RAD = np.deg2rad(150)
"""Others whose middle is seen at more than this from the rear axle are behind."""


class Collision(NamedTuple):
    """The first touch of another."""

    step: int  # row of the record
    other: int  # row of the others
    who: RoadUser
    kind: CollisionKind
    at_fault: bool


def find_collisions(record: DriveRecord) -> tuple[Collision, ...]:
    """Return the first touch of each other one that was touched, in order of time."""
    pose, others = record.ego.pose[:, None], record.others
    half = np.array([record.car.half_length_m, record.car.half_width_m])
    step, other = np.nonzero(others.present & near(pose, half, others.pose, others.half_m))
    touching = overlap(record.ego.pose[step], half, others.pose[step, other], others.half_m[other])
    found, seen = list[Collision](), set[int]()
    for t, k in zip(step[touching].tolist(), other[touching].tolist(), strict=True):
        if k not in seen:
            seen.add(k)
            found.append(_classified(record, t, k))
    return tuple(found)


def _classified(record: DriveRecord, step: int, other: int) -> Collision:
    kind = _kind(record, step, other)
    fault = kind in ("stopped other", "front") or (kind == "lateral" and not record.place.in_one_lane[step])
    return Collision(step, other, ROAD_USERS[record.others.who[other]], kind, bool(fault))


def _kind(record: DriveRecord, step: int, other: int) -> CollisionKind:
    car, others, pose = record.car, record.others, record.ego.pose[step]
    if record.ego.speed_mps[step] <= EGO_STOPPED_MPS:
        return "stopped ego"
    if others.speed_mps[step, other] <= OTHER_STOPPED_MPS:
        return "stopped other"
    if angle_to(moved(pose, -car.rear_axle_m), others.pose[step, other]) > BEHIND_RAD:
        return "rear"
    bumper = moved(pose, car.half_length_m), np.array([0.0, car.half_width_m])
    return "front" if overlap(*bumper, others.pose[step, other], others.half_m[other]) else "lateral"
