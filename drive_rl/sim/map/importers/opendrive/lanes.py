"""Lanes of OpenDRIVE roads -> lanes of a foreign map: bounds, speed limit and markings of each."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from drive_rl.sim.map.importers.assemble import ForeignLane
from drive_rl.sim.map.importers.opendrive.roads import Lane, LaneKey, Mark, Road, Section, beside
from drive_rl.sim.map.network import Floats, Marking

DRIVEN = (
    "driving", "bidirectional", "entry", "exit", "onRamp", "offRamp", "connectingRamp", "slipLane", "HOV", "mwyEntry",
    "mwyExit",
)  # fmt: skip
"""Types of lanes for cars."""
_STEP_M, _END_M = 1.0, 0.05  # points close to the ends give the directions there
_NARROWEST_M, _UNEVEN_M = 0.5, 0.5
_DASHED = {"broken": (True,), "broken broken": (True, True), "botts dots": (True,)}
_LINES = {
    "solid": (False,),
    "solid solid": (False, False),
    "solid broken": (False, True),
    "broken solid": (True, False),
} | _DASHED
"""Types of road marks -> whether each line is dashed, from the inside out; of the middle one from left to right."""
_UNPAINTED = ("none", "curb", "grass")
_COLOURS = {"standard": "WHITE", "white": "WHITE", "yellow": "YELLOW"}


def foreign_lanes(roads: Mapping[str, Road], unsupported: Counter[str]) -> dict[LaneKey, ForeignLane]:
    """Return the lanes for cars; what of them is not taken over is counted."""
    lanes: dict[LaneKey, ForeignLane] = {}
    for road in roads.values():
        for index, section in enumerate(road.sections):
            if section.end_m > section.start_m:
                lanes |= _section_lanes(road, index, section, unsupported)
    return lanes


def _section_lanes(road: Road, index: int, section: Section, unsupported: Counter[str]) -> dict[LaneKey, ForeignLane]:
    s = _places(road, section)
    line, bounds = road.line.at(s), road.bounds(index, s)
    lanes: dict[LaneKey, ForeignLane] = {}
    for number, lane in sorted(section.lanes.items()):
        if number == 0 or not _is_driven(lane, section, unsupported):
            continue
        inner, outer = bounds[number - int(np.sign(number))], bounds[number]
        widths = np.abs(outer - inner)
        if widths.max() < _NARROWEST_M:
            unsupported[f"lanes for cars narrower than {_NARROWEST_M:g} m"] += 1
            continue
        unsupported["lanes that widen or narrow, as wide as on average everywhere"] += bool(np.ptp(widths) > _UNEVEN_M)
        key = LaneKey(road.id, index, number)
        lanes[key] = _lane(road, key, (beside(line, inner), beside(line, outer)), unsupported)
    return lanes


def _is_driven(lane: Lane, section: Section, unsupported: Counter[str]) -> bool:
    """Return whether a lane is for cars; other lanes are counted once, not in each part of a section."""
    is_driven = lane.type in DRIVEN
    if section.start_m == section.origin_m:
        unsupported[f"lanes of type {lane.type}"] += not is_driven
        unsupported["lanes driven both ways, taken as one way"] += lane.type == "bidirectional"
    return is_driven


def _places(road: Road, section: Section) -> Floats:
    """Return where along a road the bounds of a section are sampled."""
    start, end = section.start_m, section.end_m
    steps = np.arange(np.ceil(start), end, _STEP_M)
    starts = [lane.widths.starts + section.origin_m for lane in section.lanes.values()]
    near_ends = np.array([start + _END_M, end - _END_M])
    s = np.concatenate([steps, near_ends, road.line.breaks_m, road.offset.starts, *starts])
    s = np.unique(s[(s > start) & (s < end)])
    return np.concatenate([[start], s, [end]])


def _lane(road: Road, key: LaneKey, bounds: tuple[Floats, Floats], unsupported: Counter[str]) -> ForeignLane:
    """Return a lane with these inner and outer bounds, which run along the road."""
    section = road.sections[key.section]
    left, right = bounds if key.lane < 0 else (line[::-1] for line in bounds)
    several = f" section {key.section}" if len(road.sections) > 1 else ""
    return ForeignLane(
        f"road {key.road}{several} lane {key.lane}",
        left,
        right,
        (left + right) / 2,
        _limit(road, section, section.lanes[key.lane]),
        _markings(section, key.lane, unsupported),
        is_connection=bool(road.junction),
    )


def _limit(road: Road, section: Section, lane: Lane) -> float:
    """Return the speed limit in the middle of a lane: its own, or that of its road; NaN: none."""
    middle = (section.start_m + section.end_m) / 2
    for limits, start in ((lane.limits, section.origin_m), (road.limits, 0.0)):
        before = [limit for at, limit in limits if at + start <= middle]
        if before:
            return before[-1]
    return math.nan


def _markings(section: Section, number: int, unsupported: Counter[str]) -> tuple[Marking, Marking]:
    """Return what is painted on the left and right bound of a lane, seen in its driving direction."""
    sign = int(np.sign(number))
    inner, outer = section.lanes.get(number - sign), section.lanes[number]
    span = section.start_m - section.origin_m, section.end_m - section.origin_m
    of_two = 0 if number == 1 else -1  # seen from the lane: the left one of the middle, else the outer one of a bound
    left = _marking(inner.marks if inner else (), span, of_two, unsupported)
    return left, _marking(outer.marks, span, 0, unsupported)


def _marking(marks: Sequence[Mark], span_m: tuple[float, float], which: int, unsupported: Counter[str]) -> Marking:
    """Return the marking that covers most of a span of a bound; `which` of two lines is seen from the lane."""
    covered = np.diff(np.clip([*(mark.from_m for mark in marks), span_m[1]], *span_m))
    if not marks or covered.max() <= 0:
        return Marking.NONE
    mark = marks[int(np.argmax(covered))]
    if mark.type in _UNPAINTED:
        return Marking.NONE
    if mark.type not in _LINES:
        unsupported[f"markings of type {mark.type}, taken as unpainted"] += 1
        return Marking.NONE
    if mark.colour not in _COLOURS:
        unsupported[f"{mark.colour} markings, taken as white"] += 1
    kind = "DASHED" if _LINES[mark.type][which] else "SOLID"
    return Marking[f"{_COLOURS.get(mark.colour, 'WHITE')}_{kind}"]
