"""Dead ends -> loops in which cars turn around, for nobody ever leaves the streets.

The middle of a loop turns right, left and right again with one radius, like a drop, and ends where it began.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from drive_rl.sim.map.importers.assemble import ForeignLane
from drive_rl.sim.map.importers.opendrive.chains import LaneGraph, graph_of
from drive_rl.sim.map.importers.opendrive.roads import Contact, LaneKey, Road
from drive_rl.sim.map.network import Floats, Marking

_RADIUS_M = 10.0  # of the innermost lane where it turns right
_LIMIT_MPS = 30 / 3.6
_STEP_RAD = 0.05
_CLEAR_M = 5.0  # between the middles of a loop and of other roads
_APART_M = 60.0  # most between the two directions of a road, and between a lane and its road's reference line
_ABREAST_M = 0.5

Pair = tuple[LaneKey, LaneKey]
"""A lane that ends at a dead end, and one that begins there."""


def turn_at_dead_ends(graph: LaneGraph, roads: Mapping[str, Road], unsupported: Counter[str]) -> LaneGraph:
    """Return the graph with loops where roads with lanes both ways end, and there is room for one."""
    lanes = dict(graph.lanes)
    after = {key: set(others) for key, others in graph.after.items()}
    dead_ends = list(_dead_ends(graph, roads))
    stranded = _stranded(graph, {key for *_, leaving, _ in dead_ends for key in leaving})
    for road, at, leaving, coming in dead_ends:
        pairs = _pairs(leaving, [key for key in coming if key not in stranded])
        loops = _loops(pairs, graph) if pairs else None
        if loops is None or not _has_room(loops[-1], road, lanes):
            continue
        unsupported["dead ends, closed by loops to turn around in"] += 1
        shared = [key for key, count in Counter(key for pair in pairs for key in pair).items() if count > 1]
        for number, ((end, begin), loop) in enumerate(zip(pairs, loops, strict=True)):
            key = LaneKey(road, -1 if at == "start" else len(roads[road].sections), number)
            if end in shared or begin in shared:  # who goes first has to be found
                loop.is_connection, loop.markings = True, (Marking.NONE, Marking.NONE)
            lanes[key] = loop
            after[end] |= {key}
            after[key] = {begin}
    return graph_of(lanes, after)


def _pairs(leaving: list[LaneKey], coming: list[LaneKey]) -> list[Pair]:
    """Return which lanes to join; where there are more of the one, the outermost of the other serves several."""
    most = max(len(leaving), len(coming)) if leaving and coming else 0
    return [(leaving[min(at, len(leaving) - 1)], coming[min(at, len(coming) - 1)]) for at in range(most)]


def _dead_ends(
    graph: LaneGraph, roads: Mapping[str, Road]
) -> Iterator[tuple[str, Contact, list[LaneKey], list[LaneKey]]]:
    """Yield the ends of roads where lanes end and others begin, with both from the middle outwards."""
    by_road: dict[str, list[LaneKey]] = {}
    for key in sorted(graph.lanes, key=lambda key: abs(key.lane)):
        by_road.setdefault(key.road, []).append(key)
    for name, keys in by_road.items():
        ends: tuple[tuple[Contact, int, float], ...] = (("start", 1, 0.0), ("end", -1, roads[name].line.length_m))
        for at, sign, s in () if roads[name].junction else ends:
            place = roads[name].line.at(np.array([s]))[0]
            leaving = [key for key in keys if key.lane * sign > 0 and not graph.after[key]]
            coming = [key for key in keys if key.lane * sign < 0 and not graph.before[key]]
            leaving = [key for key in leaving if _lies_at(place, graph.lanes[key].centre[-1])]
            coming = [key for key in coming if _lies_at(place, graph.lanes[key].centre[0])]
            if leaving and coming:
                yield name, at, leaving, coming


def _stranded(graph: LaneGraph, leaving: set[LaneKey]) -> set[LaneKey]:
    """Return the lanes that lead only to lanes which end beside others, and not to those that leave at a dead end."""
    found: set[LaneKey] = set()
    size = -1
    while size < len(found):
        size = len(found)
        found |= {key for key, others in graph.after.items() if key not in leaving and others <= found}
    return found


def _lies_at(place: Floats, point: Floats) -> bool:
    """Return whether a point lies abreast of an end of a road (x, y, heading)."""
    x, y = point - place[:2]
    cos, sin = math.cos(place[2]), math.sin(place[2])
    return abs(x * cos + y * sin) < _ABREAST_M and abs(y * cos - x * sin) < _APART_M


def _loops(pairs: list[Pair], graph: LaneGraph) -> list[ForeignLane] | None:
    """Return a loop for each pair; None where the two directions are too far apart to be one road."""
    inner = [graph.lanes[key] for key in pairs[0]]
    start, end = inner[0].left[-1], inner[1].left[0]
    apart, ahead = float(np.hypot(*(end - start))), inner[0].centre[-1] - inner[0].centre[-2]
    outermost = graph.lanes[pairs[-1][0]]
    radius = max(_RADIUS_M + float(np.hypot(*(outermost.right[-1] - start))), apart / 2)
    if apart > _APART_M:
        return None
    middle, heading = _drop(start, math.atan2(ahead[1], ahead[0]), apart, radius)
    normal = np.stack([np.sin(heading), -np.cos(heading)], axis=1)  # to the right
    share = np.linspace(0, 1, len(middle))[:, None]
    loops = []
    for leaving, coming in ((graph.lanes[one], graph.lanes[other]) for one, other in pairs):
        left, right = (
            middle + normal * (_off(a, start) * (1 - share) + _off(b, end) * share)
            for a, b in ((leaving.left[-1], coming.left[0]), (leaving.right[-1], coming.right[0]))
        )
        limit = min(leaving.speed_limit_mps, _LIMIT_MPS)
        loops.append(
            ForeignLane(f"turn behind {leaving.name}", left, right, (left + right) / 2, limit, leaving.markings)
        )
    return loops


def _off(point: Floats, middle: Floats) -> float:
    return float(np.hypot(*(point - middle)))


def _drop(start: Floats, yaw: float, apart: float, radius: float) -> tuple[Floats, Floats]:
    """Return points (n, 2) and headings of the way from one place to another, so far left of it, and back."""
    aside = math.acos(min((apart + 2 * radius) / (4 * radius), 1.0))
    points, headings = [start], [yaw]
    for turned in (-aside, math.pi + 2 * aside, -aside):
        if abs(turned) < 1e-6:
            continue
        count = max(math.ceil(abs(turned) / _STEP_RAD), 1)
        angles = np.linspace(0, turned, count + 1)[1:]
        x, y, heading = *points[-1], headings[-1]
        bend = math.copysign(1 / radius, turned)
        points += list(
            np.stack(
                [
                    x + (np.sin(heading + angles) - math.sin(heading)) / bend,
                    y - (np.cos(heading + angles) - math.cos(heading)) / bend,
                ],
                axis=1,
            )
        )
        headings += (heading + angles).tolist()
    return np.array(points), np.array(headings)


def _has_room(loop: ForeignLane, road: str, lanes: Mapping[LaneKey, ForeignLane]) -> bool:
    """Return whether the outermost loop of a road keeps clear of the lanes of others."""
    others = [lane.centre for key, lane in lanes.items() if key.road != road]
    low, high = loop.centre.min(axis=0) - _CLEAR_M, loop.centre.max(axis=0) + _CLEAR_M
    near = [line[((line > low) & (line < high)).all(axis=1)] for line in others]
    points = np.concatenate([np.empty((0, 2)), *near])
    return not len(points) or bool(np.hypot(*(points[:, None] - loop.centre).transpose(2, 0, 1)).min() > _CLEAR_M)
