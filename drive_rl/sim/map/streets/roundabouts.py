"""Roundabouts: one lane around, counter-clockwise; who enters gives way. Each arm is a junction of its own."""

import math
from collections.abc import Sequence

import numpy as np

from drive_rl.sim.map.build import LaneDraft, NetworkDraft
from drive_rl.sim.map.network import Control, Marking, Turn
from drive_rl.sim.map.streets.curves import STEP_M, Curve, Pose, connect
from drive_rl.sim.map.streets.graph import Arm, Node, StreetGraph
from drive_rl.sim.map.streets.junctions import mark_mouth

CIRCLE_WIDTH_M = 4.0
CIRCLE_SPEED_MPS = 8.0
_WAY_WIDTH_M = 3.8  # of the ways in and out
LEAST_BETWEEN_RAD = math.radians(50)
"""Smallest angle between two arms."""

_MOUTH_RAD = math.radians(34)  # half of the angle from where cars leave at an arm to where they enter
_PLAIN_RAD = math.radians(8)  # least circle between two arms


def lay_roundabout(draft: NetworkDraft, node: Node, arms: Sequence[Arm], name: str, rng: np.random.Generator) -> None:
    """Connect the lanes of single-lane streets that meet at a node by a roundabout."""
    centre = arms[0].at(0.0)
    angles = [_angle(arm, centre) for arm in arms]
    gaps = [(after - angle) % (2 * math.pi) for angle, after in zip(angles, [*angles[1:], angles[0]], strict=True)]
    mouth = min(_MOUTH_RAD, (min(gaps) - _PLAIN_RAD) / 2)
    circle = [
        _circle(draft, node, centre, (angle + mouth, angle + gap - mouth), f"{name}:circle{index}")
        for index, (angle, gap) in enumerate(zip(angles, gaps, strict=True))
    ]
    for index, (arm, angle) in enumerate(zip(arms, angles, strict=True)):
        here = f"{name}:{draft.lanes[arm.into[0]].name}"
        straight = _circle(draft, node, centre, (angle - mouth, angle + mouth), f"{here}:past")
        _lay_arm(draft, arm, (circle[index - 1], straight, circle[index]), here)
        mark_mouth(draft, arm, rng.random() < node.crossings)


def _angle(arm: Arm, centre: Pose) -> float:
    place = arm.at(arm.setback_m)
    return math.atan2(place.y - centre.y, place.x - centre.x)


def _circle(draft: NetworkDraft, node: Node, centre: Pose, span: tuple[float, float], name: str) -> int:
    """Add a piece of the lane around, between two angles; return its index."""
    radius, angle = node.roundabout_m, span[1] - span[0]
    on = np.linspace(*span, max(math.ceil(angle * radius / STEP_M), 2) + 1)
    x, y = centre.x + radius * np.cos(on), centre.y + radius * np.sin(on)
    points = np.stack([x, y, on + math.pi / 2, np.full(on.size, 1 / radius)], axis=1)
    lane = LaneDraft(name, points, angle * radius, CIRCLE_WIDTH_M, CIRCLE_SPEED_MPS)
    lane.left_marking = lane.right_marking = Marking.WHITE_SOLID
    draft.lanes.append(lane)
    return len(draft.lanes) - 1


def _lay_arm(draft: NetworkDraft, arm: Arm, circle: tuple[int, int, int], name: str) -> None:
    """Add an arm's way in and way out.

    Args:
        draft: The network.
        arm: The arm.
        circle: The lane around before the arm, past it and after it.
        name: Name of the lanes.
    """
    before, past, after = circle
    junction = len(draft.outlines)
    into, out = draft.lanes[arm.into[0]], draft.lanes[arm.out[0]]
    into.control = Control.GIVE_WAY
    way_in = _way(draft, connect(_last(into), _first(draft.lanes[after])), junction, f"{name}:in")
    way_out = _way(draft, connect(_last(draft.lanes[before]), _first(out)), junction, f"{name}:out")
    draft.lanes[past].junction, draft.lanes[past].turn = junction, Turn.STRAIGHT
    draft.lanes[past].right_marking = Marking.NONE
    for one, other in (
        (arm.into[0], way_in), (way_in, after), (before, past), (past, after), (before, way_out), (way_out, arm.out[0]),
    ):  # fmt: skip
        draft.lanes[one].successors.append(other)
    lines = [draft.lanes[way_in].points, draft.lanes[past].points[::-1], draft.lanes[way_out].points]
    draft.outlines.append(np.concatenate([line[:, :2] for line in lines])[::-1].copy())


def _way(draft: NetworkDraft, curve: Curve, junction: int, name: str) -> int:
    lane = LaneDraft(
        name, curve.points, curve.length_m, _WAY_WIDTH_M, CIRCLE_SPEED_MPS, junction=junction, turn=Turn.RIGHT
    )
    lane.right_marking = Marking.WHITE_SOLID
    draft.lanes.append(lane)
    return len(draft.lanes) - 1


def _first(lane: LaneDraft) -> Pose:
    return Pose(*lane.points[0, :3].tolist())


def _last(lane: LaneDraft) -> Pose:
    return Pose(*lane.points[-1, :3].tolist())


def have_room(graph: StreetGraph) -> bool:
    """Return whether the roundabouts of a graph have room between each two arms."""
    for node, arms in zip(graph.nodes, graph.arms(), strict=True):
        if node.roundabout_m and len(arms) > 2:
            for index, arm in enumerate(arms):
                if (arm.yaw_rad - arms[index - 1].yaw_rad) % (2 * math.pi) < LEAST_BETWEEN_RAD:
                    return False
    return True
