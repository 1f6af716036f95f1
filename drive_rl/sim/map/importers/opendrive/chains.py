"""Lanes that go on as one another -> one lane; speed limits that no file gives; ends that hardly miss each other.

Exporters cut roads into many sections, some of them centimetres long, and leave connecting roads without limits.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from drive_rl.sim.map.importers.assemble import ForeignLane
from drive_rl.sim.map.importers.lines import joints
from drive_rl.sim.map.importers.opendrive.roads import LaneKey
from drive_rl.sim.map.network import Floats

_SHORT_M = 5.0  # of two sections, one so short takes the markings and the limit of the other
_MEETS_M, _CLOSED_M = 0.05, 0.5  # gaps that are none, and gaps that are closed
_BLEND_M = 15.0
_DEFAULT_MPS = 50 / 3.6


@dataclass
class LaneGraph:
    """Lanes by key, and the lanes after and before each."""

    lanes: dict[LaneKey, ForeignLane]
    after: dict[LaneKey, set[LaneKey]]
    before: dict[LaneKey, set[LaneKey]]


def graph_of(lanes: dict[LaneKey, ForeignLane], after: Mapping[LaneKey, Iterable[LaneKey]]) -> LaneGraph:
    """Return the graph of lanes with those after each."""
    before: dict[LaneKey, set[LaneKey]] = {key: set() for key in lanes}
    for key in lanes:
        for other in after[key]:
            before[other].add(key)
    return LaneGraph(lanes, {key: set(after[key]) for key in lanes}, before)


def numbered(graph: LaneGraph) -> list[ForeignLane]:
    """Return the lanes with their successors by place in the list."""
    number = {key: index for index, key in enumerate(graph.lanes)}
    for key, lane in graph.lanes.items():
        lane.successors = sorted(number[other] for other in graph.after[key])
    return list(graph.lanes.values())


def fill_limits(graph: LaneGraph, unsupported: Counter[str]) -> None:
    """Give lanes without a speed limit the lowest of the lanes before, else of those after, else 50 km/h."""
    lanes = graph.lanes
    missing = [key for key, lane in lanes.items() if math.isnan(lane.speed_limit_mps)]
    for beside in (graph.before, graph.after):
        found = True
        while found:
            found = False
            for key in missing:
                limits = [lanes[other].speed_limit_mps for other in beside[key]]
                limits = [limit for limit in limits if not math.isnan(limit)]
                if limits and math.isnan(lanes[key].speed_limit_mps):
                    lanes[key].speed_limit_mps, found = min(limits), True
    for key in missing:
        if math.isnan(lanes[key].speed_limit_mps):
            lanes[key].speed_limit_mps = _DEFAULT_MPS
            unsupported[f"lanes without a speed limit, taken as {_DEFAULT_MPS * 3.6:g} km/h"] += 1


def join_sections(graph: LaneGraph) -> LaneGraph:
    """Return the graph with each lane of a section joined to that of the next one where all lanes there just go on."""
    sections: dict[tuple[str, int], list[LaneKey]] = {}
    for key in graph.lanes:
        sections.setdefault((key.road, key.section), []).append(key)
    chains: dict[LaneKey, list[LaneKey]] = {}  # the last key of a chain along the road -> its keys
    for (road, section), keys in sorted(sections.items()):
        earlier = sections.get((road, section - 1), [])
        pairs = _going_on(graph, earlier, keys)
        if pairs and all(_alike(graph.lanes[one], graph.lanes[other]) for one, other in pairs):
            for one, other in pairs:
                chains[other] = [*chains.pop(one), other]
        else:
            chains |= {key: [key] for key in keys}
    new = {key: chain[0] for chain in chains.values() for key in chain}
    lanes = {chain[0]: _joined([graph.lanes[key] for key in _driven(chain)]) for chain in chains.values()}
    after = {chain[0]: {new[other] for other in graph.after[_driven(chain)[-1]]} for chain in chains.values()}
    return graph_of(lanes, after)


def _driven(chain: list[LaneKey]) -> list[LaneKey]:
    return chain if chain[0].lane < 0 else chain[::-1]


def _going_on(graph: LaneGraph, earlier: list[LaneKey], keys: list[LaneKey]) -> list[tuple[LaneKey, LaneKey]]:
    """Return each lane with the one that it goes on as along the road; nothing where any has another way or none."""
    pairs = []
    for key in keys:
        ways, back = (graph.before, graph.after) if key.lane < 0 else (graph.after, graph.before)
        found = [one for one in ways[key] if one in earlier]
        if len(found) != 1 or len(ways[key]) != 1 or len(back[found[0]]) != 1:
            return []
        pairs.append((found[0], key))
    return pairs if len(pairs) == len(earlier) else []


def _alike(one: ForeignLane, other: ForeignLane) -> bool:
    first, last = (one, other) if _gap(one, other) < _gap(other, one) else (other, one)
    if _gap(first, last) > _MEETS_M:
        return False
    same = one.markings == other.markings and one.speed_limit_mps == other.speed_limit_mps
    return same or min(_length(one), _length(other)) < _SHORT_M


def _joined(lanes: list[ForeignLane]) -> ForeignLane:
    """Return lanes one after another as one, with the markings and the limit of the longest."""
    longest = max(lanes, key=_length)
    governed = next((lane for lane in reversed(lanes) if lane.control), lanes[-1])
    left, right, centre = (
        np.concatenate([lines[0], *(line[1:] for line in lines[1:])])
        for lines in zip(*((lane.left, lane.right, lane.centre) for lane in lanes), strict=True)
    )
    stop = next((lane.stop for lane in reversed(lanes) if lane.stop), None)
    return replace(longest, left=left, right=right, centre=centre, control=governed.control, stop=stop)


def cut_links(graph: LaneGraph, unsupported: Counter[str]) -> None:
    """Take away the links of lanes whose ends lie too far apart to be one place."""
    for key, others in graph.after.items():
        for other in sorted(others):
            if _gap(graph.lanes[key], graph.lanes[other]) > _CLOSED_M:
                others.discard(other)
                graph.before[other].discard(key)
                unsupported[f"links of lanes that miss each other by more than {_CLOSED_M:g} m, left out"] += 1


def close_gaps(lanes: Sequence[ForeignLane], unsupported: Counter[str]) -> None:
    """Let the ends of lanes that hardly miss each other meet in their middle."""
    for joint in joints([lane.successors for lane in lanes]):
        ends = [(index, -1 if at_end else 0) for index, at_end in sorted(joint)]
        places = np.array([lanes[index].centre[end] for index, end in ends])
        by = places.mean(axis=0) - places
        if np.hypot(*by.T).max() > _MEETS_M / 2:
            unsupported[f"places where lanes miss each other by up to {_CLOSED_M:g} m, bent"] += 1
            for (index, end), move in zip(ends, by, strict=True):
                _bend(lanes[index], end, move)


def _bend(lane: ForeignLane, end: int, by: Floats) -> None:
    """Move an end of a lane, and the rest of it the less the further away it is."""
    for name in ("left", "right", "centre"):
        line: Floats = getattr(lane, name)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        away = np.clip((along[-1] - along if end else along) / min(_BLEND_M, along[-1] or 1.0), 0, 1)
        share = 1 - away * away * (3 - 2 * away)
        setattr(lane, name, line + share[:, None] * by)


def _gap(lane: ForeignLane, after: ForeignLane) -> float:
    return float(np.hypot(*(lane.centre[-1] - after.centre[0])))


def _length(lane: ForeignLane) -> float:
    return float(np.hypot(*np.diff(lane.centre, axis=0).T).sum())
