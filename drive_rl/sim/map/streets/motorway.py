"""Motorways: two carriageways, joined by wide loops at their ends, with ramps to service areas at their sides.

The loops keep the map flat: there are no bridges.
"""

import math

import numpy as np

from drive_rl.config.specs.streets.map import MotorwaySpec
from drive_rl.sim.map.build import BayDraft, NetworkDraft
from drive_rl.sim.map.geometry import Knots, X, Y, integrate
from drive_rl.sim.map.network import Control
from drive_rl.sim.map.streets.carriageway import LANE_M, Carriageway
from drive_rl.sim.map.streets.curves import Curve, Pose, backwards, beside

_MEDIAN_M = 3.0  # half of it
_APPROACH_M = 250.0  # before a loop, with a lower limit
_TAPER_M, _EXIT_M, _RAMP_M, _SERVICE_M, _ENTRY_M = 60.0, 140.0, 100.0, 170.0, 200.0
_AREA_M = 2 * _TAPER_M + _EXIT_M + 2 * _RAMP_M + _SERVICE_M + _ENTRY_M
_ASIDE_M = 16.0  # from the carriageway to a service lane
_LOOP_M, _EASE_M = 80.0, 40
_KMH = 1 / 3.6
_BAY_M = (6.0, 2.5)


def lay_motorway(spec: MotorwaySpec, is_test: bool, rng: np.random.Generator) -> NetworkDraft:
    """Draw a motorway."""
    draft = NetworkDraft(shoulder_m=1.5)
    median = _median(float(rng.uniform(*(spec.test_length_m if is_test else spec.length_m))), rng)
    limit = (100, 110, 120, 130)[int(rng.integers(4))] * _KMH
    road = Carriageway(draft, spec.lanes, limit)
    east = beside(median, 0.0, median.length_m, -_MEDIAN_M)
    west = backwards(beside(median, 0.0, median.length_m, _MEDIAN_M))
    for name, curve in (("east", east), ("west", west)):
        road.name = name
        _lay_side(road, curve, rng)
        loop = _loop(Pose(*curve.points[-1, :3].tolist()))
        road.name = f"{name} loop"
        road.lay(loop, (0.0, loop.length_m), 60 * _KMH)
    for before, after in zip(road.ends, range(spec.lanes), strict=True):
        draft.lanes[before].successors.append(after)
    return draft


def _median(length_m: float, rng: np.random.Generator) -> Curve:
    """Return the line between the carriageways: gentle bends, straight at its ends."""
    s = np.arange(math.ceil(length_m) + 1.0)
    waves = rng.uniform(400, 1000, 3)[:, None]
    bend = np.sin(2 * math.pi * (s / waves + rng.uniform(0, 1, (3, 1)))).mean(axis=0) * rng.uniform(0.5, 1) / 500
    bend *= np.clip(np.minimum(s, s[-1] - s) / 100 - 0.5, 0, 1)
    return Curve(integrate(bend, 0.0, 0.0, float(rng.uniform(-math.pi, math.pi))), float(s[-1]))


def _loop(start: Pose) -> Curve:
    """Return the way from the end of one carriageway to the start of the other: right, a wide left, right again."""
    right = round(_LOOP_M * math.acos((_MEDIAN_M + _LOOP_M) / (2 * _LOOP_M)))
    left = round(_LOOP_M * math.pi) + 2 * right
    ramp = np.full(_EASE_M, 1 / _EASE_M)

    def turned(bend: float) -> Knots:
        """Return the loop whose right turns have this curvature [1/m]; its heading changes by pi in all."""
        parts = [(-bend, right), ((math.pi + 2 * bend * right) / left, left), (-bend, right)]
        profile = np.concatenate([np.full(count, value) for value, count in parts])
        return integrate(np.pad(np.convolve(profile, ramp), 1), 0.0, 0.0, 0.0)

    low, high = 0.5 / _LOOP_M, 2 / _LOOP_M
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if turned(middle)[-1, Y] < 2 * _MEDIAN_M else (middle, high)
    points = turned(low)
    cos, sin = math.cos(start.yaw), math.sin(start.yaw)
    x, y = points[:, X].copy(), points[:, Y].copy()
    points[:, X], points[:, Y] = start.x + cos * x - sin * y, start.y + sin * x + cos * y
    points[:, 2] += start.yaw
    return Curve(points, len(points) - 1.0)


def _lay_side(road: Carriageway, curve: Curve, rng: np.random.Generator) -> None:
    """Add one carriageway with as many service areas as there is room for."""
    room = curve.length_m - 2 * _APPROACH_M
    count = int(room // (_AREA_M + 100))
    at = 0.0
    for index in range(count):
        slot = room / count
        start = _APPROACH_M + index * slot + float(rng.uniform(20, slot - _AREA_M - 20))
        road.lay(curve, (at, start), road.limit_mps)
        at = _lay_area(road, curve, start)
    end = curve.length_m - _APPROACH_M
    road.lay(curve, (at, end), road.limit_mps)
    road.lay(curve, (end, curve.length_m), 80 * _KMH)


def _lay_area(road: Carriageway, curve: Curve, at: float) -> float:
    """Add an off ramp, a service lane with parking bays and an on ramp; return where they end."""
    main, extra = -(road.lanes - 0.5) * LANE_M, -(road.lanes + 0.5) * LANE_M
    aside, limit, slow = extra - _ASIDE_M, road.limit_mps, 60 * _KMH
    before, taper = road.ends[-1], (at, at + _TAPER_M)
    right = road.lay(curve, taper, limit)[-1]
    leaves = road.shift(curve, taper, (main, extra), before, limit)
    road.mark_taper(right, leaves)
    exit_end = taper[1] + _EXIT_M
    exit_lane = road.lay(curve, (taper[1], exit_end), limit, leaves)[-1]
    service, on = exit_end + _RAMP_M, exit_end + _RAMP_M + _SERVICE_M
    ramp = road.shift(curve, (exit_end, service), (extra, aside), exit_lane, slow)
    ramp = road.shift(curve, (service, on), (aside, aside), ramp, 30 * _KMH)
    _park(road.draft, ramp)
    ramp = road.shift(curve, (on, on + _RAMP_M), (aside, extra), ramp, slow)
    road.lay(curve, (exit_end, on + _RAMP_M), limit)
    entry = (on + _RAMP_M, on + _RAMP_M + _ENTRY_M)
    entry_lane = road.lay(curve, entry, limit, ramp)[-1]
    road.draft.lanes[entry_lane].control = Control.GIVE_WAY
    taper = (entry[1], entry[1] + _TAPER_M)
    right = road.lay(curve, taper, limit)[-1]
    joins = road.shift(curve, taper, (extra, main), entry_lane, limit)
    road.mark_taper(right, joins)
    road.joining = [joins]
    return taper[1]


def _park(draft: NetworkDraft, lane: int) -> None:
    length, width = _BAY_M
    count = int((draft.lanes[lane].length_m - 10) // length)
    d_m = -(LANE_M + width) / 2 - 0.1
    draft.bays += [BayDraft(lane, 5 + (i + 0.5) * length, d_m, length, width) for i in range(count)]
