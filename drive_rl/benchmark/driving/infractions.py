"""What the ego car did wrong, as CARLA's leaderboard counts it.

Source: `scenario_runner`'s `atomic_criteria.py` (CollisionTest, RunningRedLightTest, RunningStopTest,
OutsideRouteLanesTest, MinimumSpeedRouteTest, YieldToEmergencyVehicleTest). Where the simulations differ, the rule is
that of these streets: a line is crossed by the front bumper; who stands before a stop sign as the traffic here does has
stopped; who lets an emergency vehicle past does so at once, not by the end of the scenario; and speeds are compared
over the whole route, which is shorter than the quarters of CARLA's, where one red light would decide.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from drive_rl.benchmark.driving.collisions import Collision
from drive_rl.benchmark.driving.record import ROAD_USERS, DriveRecord, RoadUser
from drive_rl.sim.map.network import Control, Light
from drive_rl.sim.traffic.step import AT_THE_LINE_M, STANDING_MPS

FINISHED = 0.95
"""Speeds are compared where at least this share of the route was driven."""
NEARBY_M = 50.0
"""Others within this distance are the traffic around (CARLA: its background vehicles, which it keeps near the car)."""
BEHIND_M, HELD_UP_S = 20.0, 10.0
"""An emergency vehicle is held up that is so near behind the car, in its way, for so long in all."""


class Infractions(NamedTuple):
    """What one drive did wrong. What no world here has yet is 0."""

    pedestrian: int = 0  # collisions
    cyclist: int = 0
    vehicle: int = 0
    static: int = 0
    red_light: int = 0
    stop_sign: int = 0
    scenario_timeout: int = 0
    yield_emergency: int = 0
    min_speed: tuple[float, ...] = ()  # of each part driven slower than the traffic: the share of its speed
    off_lane: float = 0.0  # share of the distance driven outside the route's lanes
    off_route: int = 0  # the drive ended beside the road or in another lane


def find_infractions(record: DriveRecord, collisions: Sequence[Collision]) -> Infractions:
    """Return what a drive did wrong."""

    def touched(who: RoadUser) -> int:
        return sum(collision.who == who for collision in collisions)

    return Infractions(
        pedestrian=touched("pedestrian"),
        cyclist=touched("cyclist"),
        vehicle=touched("vehicle"),
        static=touched("static"),
        red_light=len(red_lights(record)),
        stop_sign=len(stop_signs(record)),
        yield_emergency=held_up(record),
        min_speed=slow_parts(record),
        off_lane=off_lane_share(record),
        off_route=int(record.end_reason in ("off_road", "wrong_way")),
    )


def red_lights(record: DriveRecord) -> list[int]:
    """Return the steps in which the front bumper crossed a stop line while its light was red, as a driver last saw it.

    Each line counts once.
    """
    lines = record.lines
    red = (lines.light[:-1] == Light.RED) & (lines.control == Control.SIGNAL)
    return _first_steps(_crossings(record) & red)


def stop_signs(record: DriveRecord) -> list[int]:
    """Return the steps in which the line of a stop sign was crossed by a car that had not stood at it; each once."""
    lines, crossings = record.lines, _crossings(record)
    left_m = lines.s_m - _front_m(record)[:-1, None]  # (T - 1, K)
    stood = (record.ego.speed_mps[:-1, None] < STANDING_MPS) & (left_m >= 0) & (left_m < AT_THE_LINE_M)
    ran = crossings & ~np.logical_or.accumulate(stood, axis=0) & (lines.control == Control.STOP_SIGN)
    return _first_steps(ran)


def held_up(record: DriveRecord) -> int:
    """Return how many emergency vehicles were held up: longer than `HELD_UP_S` in all less than `BEHIND_M` behind the
    car, bumper to bumper, and less than both bodies' half widths beside it.
    """
    others, (x, y, yaw) = record.others, record.ego.pose.T[:, :, None]
    dx, dy = others.pose[..., 0] - x, others.pose[..., 1] - y
    ahead, left = np.cos(yaw) * dx + np.sin(yaw) * dy, np.cos(yaw) * dy - np.sin(yaw) * dx
    gap_m = -ahead - others.half_m[:, 0] - record.car.half_length_m
    behind = (ahead < 0) & (gap_m < BEHIND_M) & (np.abs(left) < others.half_m[:, 1] + record.car.half_width_m)
    held_s = (behind & others.present & others.emergency).sum(axis=0) * record.step_s
    return int((held_s > HELD_UP_S).sum())


def off_lane_share(record: DriveRecord) -> float:
    """Return the share of the distance that was driven with the car's centre outside the route's lanes."""
    whole = record.moved_m.sum()
    outside = np.abs(record.place.offset_m) > record.place.half_lane_m
    return float(record.moved_m[outside].sum() / whole) if whole > 0 else 0.0


def slow_parts(record: DriveRecord) -> tuple[float, ...]:
    """Return the ratio of the car's mean speed on the route to that of the traffic around it, if it is below 1.

    Pedestrians are no traffic. Steps with nobody near do not count, nor do routes that were not driven to their end.
    """
    others = record.others
    apart = np.hypot(*np.moveaxis(others.pose[..., :2] - record.ego.pose[:, None, :2], -1, 0))
    near = others.present & (apart <= NEARBY_M) & (others.who != ROAD_USERS.index("pedestrian"))
    some = near.any(axis=1)
    if record.route_completion < FINISHED or not some.any():
        return ()
    theirs = np.where(near, others.speed_mps, 0.0).sum(axis=1)[some] / near.sum(axis=1)[some]
    own, traffic = float(record.ego.speed_mps[some].mean()), float(theirs.mean())
    return (own / traffic,) if own < traffic else ()


def _first_steps(ran: np.ndarray) -> list[int]:
    """Return the first true row of each column (T - 1, K) that has one."""
    line, step = np.nonzero(ran.T)
    return step[np.unique(line, return_index=True)[1]].tolist()


def _front_m(record: DriveRecord) -> np.ndarray:
    """Return where the front bumper was along the route (T,)."""
    return record.ego.s_m + record.car.half_length_m


def _crossings(record: DriveRecord) -> np.ndarray:
    """Return in which steps the front bumper crossed which stop line (T - 1, K)."""
    front = _front_m(record)[:, None]
    return (front[:-1] < record.lines.s_m) & (front[1:] >= record.lines.s_m)
