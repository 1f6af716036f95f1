"""Lanes one by one -> the arrays of a `RoadNetwork`. Predecessors, conflicts and crossings by lane are found here."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.map.conflicts import Entrant, priority, zone
from drive_rl.sim.map.geometry import HEADING, Knots, X, Y
from drive_rl.sim.map.network import Control, Floats, Indices, Marking, RoadNetwork, Turn


@dataclass
class LaneDraft:
    """A lane in the making; the fields are those of `RoadNetwork`.

    Attributes:
        name: A name for people.
        points: (n, 4): x [m], y [m], yaw [rad] and curvature [1/m], evenly spaced along the lane; at least two.
        length_m: Length along the points.
        successors: Indices of lanes.
    """

    name: str
    points: Knots
    length_m: float
    width_m: float
    speed_limit_mps: float
    left: int = -1
    right: int = -1
    opposite: int = -1
    left_marking: Marking = Marking.NONE
    right_marking: Marking = Marking.NONE
    paint_from_s_m: float = 0.0
    paint_to_s_m: float = math.inf
    junction: int = -1
    turn: Turn = Turn.NONE
    control: Control = Control.NONE
    stop_s_m: float = math.nan
    signal: int = -1
    successors: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class CrossingDraft:
    """A zebra crossing: its corners (4, 2) [m], and the lanes that it crosses with from where to where [m]."""

    corners: Floats
    lanes: Sequence[tuple[int, float, float]]


@dataclass(frozen=True)
class BayDraft:
    """A parking bay along a lane."""

    lane: int
    s_m: float
    d_m: float
    length_m: float
    width_m: float


@dataclass(frozen=True)
class SignalDraft:
    """A signal group and its times."""

    junction: int
    cycle_s: float
    start_s: float
    green_s: float
    yellow_s: float = 3.0


@dataclass
class NetworkDraft:
    """A network in the making; lanes name others by their place in `lanes`."""

    lanes: list[LaneDraft] = field(default_factory=list)
    crossings: list[CrossingDraft] = field(default_factory=list)
    bays: list[BayDraft] = field(default_factory=list)
    signals: list[SignalDraft] = field(default_factory=list)
    outlines: list[Floats] = field(default_factory=list)  # of junctions, (n, 2) each
    shoulder_m: float = 0.5


def build(draft: NetworkDraft) -> RoadNetwork:
    """Return the network of lanes, crossings, bays and signals; `check.check_network` says whether it is sound."""
    lanes = draft.lanes
    points = np.concatenate([lane.points for lane in lanes])
    first_successor, successor = _lists([lane.successors for lane in lanes])
    before: list[list[int]] = [[] for _ in lanes]
    for index, lane in enumerate(lanes):
        for other in lane.successors:
            before[other].append(index)
    first_predecessor, predecessor = _lists(before)
    columns = {name: np.ascontiguousarray(points[:, at]) for at, name in enumerate(_POINT)}
    columns |= {name: np.array([getattr(lane, name) for lane in lanes], np.float64) for name in _FLOAT}
    columns |= {name: np.array([getattr(lane, name) for lane in lanes], np.int32) for name in _INDEX}
    columns |= {name: np.array([getattr(lane, name) for lane in lanes], np.int8) for name in _CODE}
    columns["step_m"] = columns["length_m"] / np.array([len(lane.points) - 1 for lane in lanes])
    columns["paint_to_s_m"] = np.minimum(columns["paint_to_s_m"], columns["length_m"])
    return RoadNetwork(
        **columns,
        **_conflicts(lanes, before),
        **_crossings(draft),
        **_bays(draft.bays),
        **_signals(draft.signals),
        first_point=_firsts([len(lane.points) for lane in lanes]),
        first_successor=first_successor,
        successor=successor,
        first_predecessor=first_predecessor,
        predecessor=predecessor,
        first_corner=_firsts([len(outline) for outline in draft.outlines]),
        corner=np.concatenate([np.empty((0, 2)), *draft.outlines]),
        shoulder_m=draft.shoulder_m,
    )


_POINT = ("x_m", "y_m", "yaw_rad", "curvature_1pm")
_FLOAT = ("length_m", "width_m", "speed_limit_mps", "paint_from_s_m", "paint_to_s_m", "stop_s_m")
_INDEX = ("left", "right", "opposite", "junction", "signal")
_CODE = ("left_marking", "right_marking", "turn", "control")


def _firsts(sizes: Iterable[int]) -> Indices:
    return np.concatenate([[0], np.cumsum(list(sizes), dtype=np.int64)]).astype(np.int32)


def _lists(lists: Sequence[Sequence[int]]) -> tuple[Indices, Indices]:
    return _firsts(map(len, lists)), np.array([item for items in lists for item in items], np.int32)


def _conflicts(lanes: Sequence[LaneDraft], before: Sequence[Sequence[int]]) -> dict[str, NDArray]:
    """Return the columns of what meets, by lane."""
    found: list[list[tuple[int, float, float, int]]] = [[] for _ in lanes]
    junctions: dict[int, list[int]] = {}
    for index, lane in enumerate(lanes):
        if lane.junction >= 0 and before[index]:
            junctions.setdefault(lane.junction, []).append(index)
    places = {index: np.ascontiguousarray(lanes[index].points[:, [X, Y]]) for at in junctions.values() for index in at}
    entrants = {index: _entrant(lanes, index, before[index][0]) for index in places}
    for members in junctions.values():
        for at, one in enumerate(members):
            for other in members[at + 1 :]:
                if before[one][0] != before[other][0]:
                    _meet(lanes, (one, other), places, entrants, found)
    rows = [row for rows in found for row in rows]
    return {
        "first_conflict": _firsts(map(len, found)),
        "conflict_lane": np.array([row[0] for row in rows], np.int32),
        "conflict_s_m": np.array([row[1] for row in rows], np.float64),
        "conflict_end_s_m": np.array([row[2] for row in rows], np.float64),
        "conflict_priority": np.array([row[3] for row in rows], np.int8),
    }


def _entrant(lanes: Sequence[LaneDraft], index: int, before: int) -> Entrant:
    lane, into = lanes[index], lanes[before]
    return Entrant(float(lane.points[0, HEADING]), lane.turn, into.control, into.signal, before)


def _meet(
    lanes: Sequence[LaneDraft],
    pair: tuple[int, int],
    places: dict[int, Floats],
    entrants: dict[int, Entrant],
    found: list[list[tuple[int, float, float, int]]],
) -> None:
    """Enter the conflict of two connections, if they meet, in the lists of both."""
    for one, other in (pair, pair[::-1]):
        start, end = zone(places[one], places[other])
        if start < 0:
            return
        step = lanes[one].length_m / (len(places[one]) - 1)
        found[one].append((other, start * step, end * step, priority(entrants[one], entrants[other])))


def _crossings(draft: NetworkDraft) -> dict[str, NDArray]:
    met: list[list[tuple[int, float, float]]] = [[] for _ in draft.lanes]
    for index, crossing in enumerate(draft.crossings):
        for lane, start, end in crossing.lanes:
            met[lane].append((index, start, end))
    rows = [row for rows in met for row in sorted(rows, key=lambda row: row[1])]
    return {
        "crossing_corners": np.array([crossing.corners for crossing in draft.crossings], np.float64).reshape(-1, 4, 2),
        "first_crossing": _firsts(map(len, met)),
        "crossing": np.array([row[0] for row in rows], np.int32),
        "crossing_s_m": np.array([row[1] for row in rows], np.float64),
        "crossing_end_s_m": np.array([row[2] for row in rows], np.float64),
    }


def _bays(bays: Sequence[BayDraft]) -> dict[str, NDArray]:
    names = ("s_m", "d_m", "length_m", "width_m")
    lane = {"bay_lane": np.array([bay.lane for bay in bays], np.int32)}
    return lane | {f"bay_{name}": np.array([getattr(bay, name) for bay in bays], np.float64) for name in names}


def _signals(signals: Sequence[SignalDraft]) -> dict[str, NDArray]:
    names = ("cycle_s", "start_s", "green_s", "yellow_s")
    junction = {"signal_junction": np.array([group.junction for group in signals], np.int32)}
    return junction | {
        f"signal_{name}": np.array([getattr(group, name) for group in signals], np.float64) for name in names
    }
