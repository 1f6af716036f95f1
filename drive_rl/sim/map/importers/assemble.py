"""Lanes as a foreign map gives them -> a network, with neighbours and signals that it does not spell out."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.map.build import CrossingDraft, LaneDraft, NetworkDraft, SignalDraft, build
from drive_rl.sim.map.geometry import Knots
from drive_rl.sim.map.importers.junctions import find_junctions
from drive_rl.sim.map.importers.lines import centre_lines
from drive_rl.sim.map.network import Control, Floats, Marking, StreetMap, Turn
from drive_rl.sim.map.routes import strong_parts

SHORT_M = 0.05
"""Lanes shorter than this are joined with those before [m]."""

_BESIDE_M = 0.4  # bounds whose ends are closer than this are one
_GREEN_S, _ALL_RED_S = 20.0, 2.0


@dataclass
class ForeignLane:
    """A lane of a foreign map.

    Attributes:
        name: What its source calls it.
        left: Points (n, 2) [m] of its left bound, in driving direction.
        right: Points of its right bound.
        centre: Points of its centre line.
        speed_limit_mps: Speed limit.
        markings: What is painted on its left and right bound.
        successors: Indices of the lanes after it.
        is_connection: Whether its source says that it lies in a junction.
        control: What governs it, and
        stop: the middle of its stop line [m], if any; it may lie at the start of a connection.
    """

    name: str
    left: Floats
    right: Floats
    centre: Floats
    speed_limit_mps: float
    markings: tuple[Marking, Marking] = (Marking.NONE, Marking.NONE)
    successors: list[int] = field(default_factory=list)
    is_connection: bool = False
    control: Control = Control.NONE
    stop: tuple[float, float] | None = None

    @property
    def width_m(self) -> float:
        """Mean of its widths: along it where its bounds have as many points, else at its ends."""
        at = slice(None) if len(self.left) == len(self.right) else [0, -1]
        return float(np.hypot(*(self.left[at] - self.right[at]).T).mean())


def assemble(
    name: str, lanes: Sequence[ForeignLane], crossings: Sequence[Floats], unsupported: Counter[str]
) -> StreetMap:
    """Return a map of those lanes that reach each other.

    Args:
        name: What to call it.
        lanes: The lanes.
        crossings: Corners (4, 2) [m] of zebra crossings.
        unsupported: What the source holds beside them -> how many; what is left out here is added.

    Raises:
        DriveRLError: no lane leads on to another and back.
    """
    lines = centre_lines([lane.centre for lane in lanes], [lane.successors for lane in lanes])
    drafts = [_draft(lane, *line) for lane, line in zip(lanes, lines, strict=True)]
    _find_neighbours(drafts, lanes)
    kept = _joined(drafts)
    if not kept:
        raise DriveRLError(
            f"{name}: {len(lanes)} lanes for cars, and none leads back to itself: expected lanes that reach each other;"
            " fix: link each lane to one after it (in Lanelet2 their bounds share end points), and close a loop"
        )
    if len(kept) < len(lanes):
        unsupported["lanes that do not lead on or are not led to"] = len(lanes) - len(kept)
    draft, lanes = NetworkDraft([drafts[old] for old in kept], shoulder_m=0.3), [lanes[old] for old in kept]
    find_junctions(draft, [lane.is_connection for lane in lanes])
    _govern(draft, lanes, unsupported)
    for corners in crossings:
        _cross(draft, corners)
    return StreetMap(name, build(draft), tuple(lane.name for lane in lanes), dict(unsupported))


def without_short(lanes: Sequence[ForeignLane], unsupported: Counter[str]) -> list[ForeignLane]:
    """Return the lanes without those of no length; the lanes before those lead to the lanes after."""
    short = {index for index, lane in enumerate(lanes) if np.hypot(*np.diff(lane.centre, axis=0).T).sum() < SHORT_M}
    if not short:
        return list(lanes)
    unsupported[f"lanes shorter than {SHORT_M:g} m, joined with those before"] = len(short)
    for _ in short:  # one may follow another
        for lane in lanes:
            through = [after for one in lane.successors if one in short for after in lanes[one].successors]
            lane.successors = sorted({*lane.successors, *through})
    kept = [index for index in range(len(lanes)) if index not in short]
    number = {old: new for new, old in enumerate(kept)}
    for lane in lanes:
        lane.successors = [number[after] for after in lane.successors if after in number]
    return [lanes[old] for old in kept]


def _draft(lane: ForeignLane, points: Knots, length_m: float) -> LaneDraft:
    left, right = lane.markings
    return LaneDraft(
        lane.name,
        points,
        length_m,
        lane.width_m,
        lane.speed_limit_mps,
        left_marking=left,
        right_marking=right,
        successors=list(lane.successors),
    )


def _joined(drafts: Sequence[LaneDraft]) -> list[int]:
    """Return the largest part of the lanes that reach each other and lead on, and let them name only each other."""
    kept, size = list(range(len(drafts))), -1
    while kept and len(kept) != size:  # a lane that ends beside another leaves those before it without a way on
        size = len(kept)
        lanes = [drafts[old] for old in kept]
        part = strong_parts(build(NetworkDraft(lanes)))
        main = np.bincount(part).argmax()
        left = [new for new, lane in enumerate(lanes) if part[new] == main and lane.successors]
        number = {old: new for new, old in enumerate(left)}
        for lane in lanes:
            lane.successors = [number[after] for after in lane.successors if after in number]
            lane.left, lane.right, lane.opposite = (number.get(at, -1) for at in (lane.left, lane.right, lane.opposite))
        kept = [kept[new] for new in left]
    return kept


def _find_neighbours(drafts: Sequence[LaneDraft], lanes: Sequence[ForeignLane]) -> None:
    """Find lanes that share a bound: the left one of the one is the right or left one of the other."""
    plain = [index for index, lane in enumerate(lanes) if not lane.is_connection]
    ends = np.array([[lane.left[0], lane.left[-1], lane.right[0], lane.right[-1]] for lane in lanes])
    left, right = ends[plain, :2], ends[plain, 2:]
    for index in plain:
        same = np.hypot(*(right - ends[index, :2]).transpose(2, 0, 1)).max(axis=1) < _BESIDE_M
        oncoming = np.hypot(*(left[:, ::-1] - ends[index, :2]).transpose(2, 0, 1)).max(axis=1) < _BESIDE_M
        for at in np.flatnonzero(same).tolist():
            if plain[at] != index:
                drafts[index].left, drafts[plain[at]].right = plain[at], index
        for at in np.flatnonzero(oncoming).tolist():
            drafts[index].opposite = plain[at]


def _govern(draft: NetworkDraft, lanes: Sequence[ForeignLane], unsupported: Counter[str]) -> None:
    """Put stop lines and controls at the ends of lanes that lead to a junction."""
    for index, lane in enumerate(lanes):
        for into in _approaches(draft, index) if lane.control != Control.NONE else ():
            road = draft.lanes[into]
            if _junction_ahead(draft, into) < 0:
                unsupported["signals and signs that no junction follows"] += 1
                continue
            road.control, road.stop_s_m = lane.control, road.length_m
            if lane.stop is not None and into == index:
                away = np.hypot(*(road.points[:, :2] - lane.stop).T)
                road.stop_s_m = float(np.argmin(away) * road.length_m / (len(road.points) - 1))
            road.paint_to_s_m = road.stop_s_m
    _add_signals(draft, unsupported)


def _add_signals(draft: NetworkDraft, unsupported: Counter[str]) -> None:
    """Give the signals of each junction a program of two phases: lanes that cross are green in turn."""
    signalled: dict[int, list[int]] = {}
    for index, road in enumerate(draft.lanes):
        if road.control == Control.SIGNAL:
            signalled.setdefault(_junction_ahead(draft, index), []).append(index)
    cycle = 2 * (_GREEN_S + 3 + _ALL_RED_S)
    for junction, into in signalled.items():
        first = float(draft.lanes[into[0]].points[-1, 2])
        for lane in into:
            across = abs(math.sin(float(draft.lanes[lane].points[-1, 2]) - first)) > math.sin(math.pi / 4)
            draft.lanes[lane].signal = len(draft.signals) + across
        draft.signals += [SignalDraft(junction, cycle, start, _GREEN_S) for start in (0.0, cycle / 2)]
    if signalled:
        unsupported["junctions whose signals get a program of two phases"] = len(signalled)


def _junction_ahead(draft: NetworkDraft, lane: int) -> int:
    """Return the junction that a lane leads to, a few lanes ahead; -1: none near."""
    ahead = [lane]
    for _ in range(4):
        ahead = [after for one in ahead for after in draft.lanes[one].successors]
        if (junction := max(draft.lanes[after].junction for after in ahead)) >= 0:
            return junction
    return -1


def _approaches(draft: NetworkDraft, index: int) -> list[int]:
    """Return the lanes that a control governs: the lane itself, or those before it if it is a connection."""
    if draft.lanes[index].turn == Turn.NONE:
        return [index]
    before = [one for one, lane in enumerate(draft.lanes) if index in lane.successors and lane.turn == Turn.NONE]
    return before or [index]


def _cross(draft: NetworkDraft, corners: Floats) -> None:
    """Add a zebra crossing with the lanes whose centre line it covers."""
    met = []
    for index, lane in enumerate(draft.lanes):
        inside = np.flatnonzero(_covers(corners, lane.points[:, :2]))
        if inside.size:
            step = lane.length_m / (len(lane.points) - 1)
            met.append((index, float(inside[0] * step), float(inside[-1] * step)))
    draft.crossings.append(CrossingDraft(corners, met))


def _covers(corners: Floats, points: Floats) -> NDArray[np.bool_]:
    """Return whether a convex outline covers each point (n,)."""
    edges = np.roll(corners, -1, axis=0) - corners
    to = points[:, None] - corners
    side = edges[:, 0] * to[..., 1] - edges[:, 1] * to[..., 0]
    return np.all(side >= 0, axis=1) | np.all(side <= 0, axis=1)
