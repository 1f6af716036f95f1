"""Junctions: which lane leads where, who may go, stop lines, crossings and the paved outline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drive_rl.sim.map.build import LaneDraft, NetworkDraft, SignalDraft
from drive_rl.sim.map.geometry import wrap
from drive_rl.sim.map.network import Control, Floats, Turn
from drive_rl.sim.map.streets.curves import Pose, connect
from drive_rl.sim.map.streets.graph import MAJOR_RAD, Arm, Node, straight_pair
from drive_rl.sim.map.streets.roads import CROSSING_M, cross, keep_paint_off, lay_lanes

_BEFORE_CROSSING_M = 1.0  # from the junction to a crossing, and from a crossing to a stop line
_STOP_M = 0.5  # from a stop line to the junction


@dataclass(frozen=True)
class Way:
    """A connection to be: from a lane of an arm to a lane of another."""

    into: int
    out: int
    turn: Turn
    end_arm: int
    start_arm: int


def join(draft: NetworkDraft, node: Node, arms: Sequence[Arm], name: str, rng: np.random.Generator) -> None:
    """Connect the lanes that meet at a node: a junction, or a bend of one street."""
    if len(arms) == 2 and arms[0].street.lanes == arms[1].street.lanes:
        _bend(draft, arms, name)
        return
    junction = len(draft.outlines)
    draft.outlines.append(outline(arms))
    for way in ways(arms):
        _connect(draft, way, junction, name, arms)
    _govern(draft, node, arms, junction, rng)
    for arm in arms:
        mark_mouth(draft, arm, rng.random() < node.crossings)


def _bend(draft: NetworkDraft, arms: Sequence[Arm], name: str) -> None:
    one, other = arms
    curve = connect(_towards(one), other.at(other.setback_m))
    span, street = (0.0, curve.length_m), replace(one.street, curve=curve, parking=False)
    ahead, back = lay_lanes(draft, street, span, f"{name}/", other.street.lane_width_m)
    for before, lane, after in (
        *zip(one.into, ahead, other.out, strict=True),
        *zip(other.into, back, one.out, strict=True),
    ):
        draft.lanes[before].successors.append(lane)
        draft.lanes[lane].successors.append(after)


def _towards(arm: Arm, d_m: float = 0.0) -> Pose:
    """Return the pose at an arm's mouth that heads for the node, `d_m` left of the arm's middle as it leads away."""
    place = arm.at(arm.setback_m, d_m)
    return Pose(place.x, place.y, place.yaw + math.pi)


def turn_of(one: Arm, other: Arm) -> Turn:
    """Return which turn leads from an arm to another."""
    turned = wrap(other.yaw_rad - one.yaw_rad - math.pi)
    if abs(turned) < MAJOR_RAD:
        return Turn.STRAIGHT
    return Turn.LEFT if turned > 0 else Turn.RIGHT


def ways(arms: Sequence[Arm]) -> list[Way]:
    """Return the connections of a junction: every lane leads somewhere, and every lane is led to."""
    found: list[Way] = []
    for a, one in enumerate(arms):
        for b, other in enumerate(arms):
            if a != b:
                turn = turn_of(one, other)
                found += [Way(one.into[i], other.out[j], turn, b, a) for i, j in _pairs(one, other, turn)]
    for a, arm in enumerate(arms):
        found += [
            _widened(found, arm.into, lane, a, True) for lane in arm.into if lane not in {way.into for way in found}
        ]
        found += [
            _widened(found, arm.out, lane, a, False) for lane in arm.out if lane not in {way.out for way in found}
        ]
    return found


def _pairs(one: Arm, other: Arm, turn: Turn) -> list[tuple[int, int]]:
    into, out = len(one.into), len(other.out)
    if turn == Turn.LEFT:
        return [(0, 0)]
    if turn == Turn.RIGHT:
        return [(into - 1, out - 1)]
    skip = max(into - out, 0)  # lanes at the left that do not go straight on
    return [(i, i - skip) for i in range(skip, into)]


def _widened(found: list[Way], lanes: list[int], lane: int, arm: int, into: bool) -> Way:
    """Return a way for a lane that has none: beside that of the nearest lane of its arm that has one."""
    here = [way for way in found if (way.start_arm if into else way.end_arm) == arm]
    at = lanes.index(lane)
    near = min(here, key=lambda way: (abs(lanes.index(way.into if into else way.out) - at), way.turn != Turn.STRAIGHT))
    return replace(near, into=lane) if into else replace(near, out=lane)


def _connect(draft: NetworkDraft, way: Way, junction: int, name: str, arms: Sequence[Arm]) -> None:
    into, out = draft.lanes[way.into], draft.lanes[way.out]
    points, length = connect(Pose(*into.points[-1, :3].tolist()), Pose(*out.points[0, :3].tolist()))
    lane = LaneDraft(
        f"{name}:{into.name}>{out.name}", points, length, min(into.width_m, out.width_m), out.speed_limit_mps
    )
    lane.junction, lane.turn, lane.successors = junction, way.turn, [way.out]
    next_arm = (way.start_arm + 1) % len(arms)
    if way.turn == Turn.STRAIGHT and next_arm == way.end_arm and into.right < 0:  # no arm on the right
        lane.right_marking = out.right_marking
    into.successors.append(len(draft.lanes))
    draft.lanes.append(lane)


def _govern(draft: NetworkDraft, node: Node, arms: Sequence[Arm], junction: int, rng: np.random.Generator) -> None:
    """Give the arms signals or signs."""
    major = straight_pair(arms)
    if node.right == "none" or major is None:
        return
    controls = {"signals": Control.SIGNAL, "stop": Control.STOP_SIGN, "give_way": Control.GIVE_WAY}
    group = len(draft.signals)
    for index, arm in enumerate(arms):
        if node.right != "signals" and index in major:
            continue
        for lane in arm.into:
            draft.lanes[lane].control = controls[node.right]
            draft.lanes[lane].signal = group + (index not in major) if node.right == "signals" else -1
    if node.right == "signals":
        _add_signals(draft, junction, rng)


def _add_signals(draft: NetworkDraft, junction: int, rng: np.random.Generator) -> None:
    """Add two groups that are green in turn; all is red for 2 s between them."""
    greens, between = (float(rng.uniform(15, 30)), float(rng.uniform(10, 20))), 3.0 + 2.0
    cycle = sum(greens) + 2 * between
    start = float(rng.uniform(0, cycle))
    for green in greens:
        draft.signals.append(SignalDraft(junction, cycle, start, green))
        start = (start + green + between) % cycle


def mark_mouth(draft: NetworkDraft, arm: Arm, crossed: bool) -> None:
    """End the markings of an arm's lanes, with stop lines where they are governed and maybe a zebra crossing."""
    back = _BEFORE_CROSSING_M + CROSSING_M if crossed else 0.0
    for lane in arm.into:
        road = draft.lanes[lane]
        if road.control != Control.NONE:
            road.stop_s_m = road.length_m - back - (_BEFORE_CROSSING_M if crossed else _STOP_M)
        keep_paint_off(draft, lane, to_s_m=road.length_m - back if math.isnan(road.stop_s_m) else road.stop_s_m)
    for lane in arm.out:
        keep_paint_off(draft, lane, from_s_m=back)
    if crossed:
        near = arm.setback_m + _BEFORE_CROSSING_M
        cross(
            draft,
            arm.street,
            near if arm.outward else arm.street.curve.length_m - near - CROSSING_M,
            [*arm.into, *arm.out],
        )


def outline(arms: Sequence[Arm]) -> Floats:
    """Return the paved outline of a junction (n, 2) [m], counter-clockwise, with round corners."""
    parts = []
    for arm, after in zip(arms, [*arms[1:], arms[0]], strict=True):
        right = _away(arm, -arm.half_width_m)
        parts.append(np.array([right[:2]]))
        parts.append(connect(_towards(arm, arm.half_width_m), _away(after, -after.half_width_m)).points[:, :2])
    return np.concatenate(parts)


def _away(arm: Arm, d_m: float) -> Pose:
    """Return the pose at an arm's mouth that heads away from the node."""
    return arm.at(arm.setback_m, d_m)
