"""Two small maps by hand: a circuit of lanes, and a crossing whose four arms lead back to it."""

import math
from collections.abc import Sequence

import numpy as np

from drive_rl.sim.map.build import LaneDraft, NetworkDraft, SignalDraft, build
from drive_rl.sim.map.network import Control, Floats, Marking, RoadNetwork, Turn

HALF_LANE_M = 1.75
BOX_M = 12.0
ARM_M = 90.0


def lane(name: str, xy: Floats, speed_mps: float, **fields) -> LaneDraft:
    """Return a lane along points (n, 2) [m] that lie densely."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    even = np.linspace(0, along[-1], max(math.ceil(along[-1]), 4) + 1)
    x, y = (np.interp(even, along, xy[:, k]) for k in (0, 1))
    yaw = np.unwrap(np.arctan2(np.gradient(y, even, edge_order=2), np.gradient(x, even, edge_order=2)))
    points = np.column_stack([x, y, yaw, np.gradient(yaw, even)])
    return LaneDraft(name, points, float(along[-1]), 2 * HALF_LANE_M, speed_mps, **fields)


def circuit(lanes: int = 1, length_m: float = 800.0, parts: int = 4, speed_mps: float = 15.0) -> RoadNetwork:
    """Return a circle driven counter-clockwise, in parts; its lanes are numbered from the left."""
    drafts, radius = [], length_m / (2 * math.pi)
    for part in range(parts):
        turn = np.linspace(part, part + 1, 400) / parts * 2 * math.pi
        for k in range(lanes):
            r = radius + k * 2 * HALF_LANE_M
            draft = lane(f"{part}.{k}", r * np.column_stack([np.cos(turn), np.sin(turn)]), speed_mps)
            first = part * lanes
            draft.left, draft.right = (first + k - 1 if k else -1), (first + k + 1 if k + 1 < lanes else -1)
            draft.left_marking = draft.right_marking = Marking.WHITE_DASHED
            draft.successors = [(part + 1) % parts * lanes + k]
            drafts.append(draft)
    return build(NetworkDraft(drafts))


def crossing(controls: Sequence[Control] = (Control.NONE,) * 4, speed_mps: float = 12.0) -> RoadNetwork:
    """Return a crossing of two streets; arm k (east, north, west, south) leads out, round, and in on arm k + 3."""
    draft = NetworkDraft()
    if Control.SIGNAL in controls:
        draft.signals = [SignalDraft(0, 40.0, start, 14.0) for start in (0.0, 20.0)]
    for arm, control in enumerate(controls):  # lanes 0 to 3 lead in, 4 to 7 lead out and round
        into = lane(f"in {arm}", _straight(_place(arm, ARM_M, 1), _place(arm, BOX_M, 1)), speed_mps)
        into.control, into.stop_s_m = control, into.length_m - 1.0
        into.signal = arm % 2 if control == Control.SIGNAL else -1
        draft.lanes.append(into)
    for arm in range(4):
        ahead, back = _unit(arm), -_unit(arm + 3)
        far, near = _place(arm, ARM_M, -1), _place(arm + 3, ARM_M, 1)
        way = np.concatenate([_straight(_place(arm, BOX_M, -1), far), _smooth(far, ahead, near, back, 60.0)[1:]])
        draft.lanes.append(lane(f"out {arm}", way, speed_mps, successors=[(arm + 3) % 4]))
    for arm in range(4):
        for turn, other in ((Turn.RIGHT, arm + 3), (Turn.STRAIGHT, arm + 2), (Turn.LEFT, arm + 1)):
            draft.lanes[arm].successors.append(len(draft.lanes))
            ends = _place(arm, BOX_M, 1), -_unit(arm), _place(other, BOX_M, -1), _unit(other)
            way = _smooth(*ends, reach=0.6 * math.dist(ends[0], ends[2]))
            names = f"{arm} {turn.name.lower()}"
            draft.lanes.append(lane(names, way, speed_mps, junction=0, turn=turn, successors=[4 + other % 4]))
    return build(draft)


def _unit(arm: int) -> Floats:
    return np.array([(1, 0), (0, 1), (-1, 0), (0, -1)], np.float64)[arm % 4]


def _place(arm: int, away_m: float, side: int) -> Floats:
    """Return the place on an arm so far from the middle, on the lane that leads in (side 1) or out (-1)."""
    return away_m * _unit(arm) + side * HALF_LANE_M * _unit(arm + 1)


def _straight(start: Floats, end: Floats) -> Floats:
    return start + np.linspace(0, 1, 400)[:, None] * (end - start)


def _smooth(start: Floats, ahead: Floats, end: Floats, back: Floats, reach: float) -> Floats:
    """Return a cubic Bezier curve that leaves along `ahead` and arrives along `back`."""
    t = np.linspace(0, 1, 800)[:, None]
    mid, late = start + reach * ahead, end - reach * back
    return (1 - t) ** 3 * start + 3 * t * (1 - t) ** 2 * mid + 3 * t * t * (1 - t) * late + t**3 * end
