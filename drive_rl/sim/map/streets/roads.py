"""The lanes of a street, their markings and the parking bays along them."""

import math
from collections.abc import Sequence

import numpy as np

from drive_rl.sim.map.build import BayDraft, CrossingDraft, LaneDraft, NetworkDraft
from drive_rl.sim.map.network import Marking
from drive_rl.sim.map.streets.curves import Pose, backwards, beside, pose
from drive_rl.sim.map.streets.graph import Street

BAY_LENGTH_M = 6.0
BAY_WIDTH_M = 2.1
CROSSING_M = 3.0
"""Length of a zebra crossing along the street."""
_FREE_M = 14.0  # between bays and the ends of lanes


def lay_lanes(
    draft: NetworkDraft, street: Street, span: tuple[float, float], name: str, end_width_m: float | None = None
) -> tuple[list[int], list[int]]:
    """Add the lanes of a street.

    Args:
        draft: The network.
        street: The street.
        span: Where they begin and end along its curve [m].
        name: What to call them.
        end_width_m: Their width where they end, if not the street's; it changes smoothly.

    Returns:
        The lanes along the curve and those against it, from the middle outwards.
    """
    both: list[list[int]] = []
    widths = (street.lane_width_m, street.lane_width_m if end_width_m is None else end_width_m)
    for along in (True, False):
        first = len(draft.lanes)
        for i in range(street.lanes):
            d = (i + 0.5) * (-1 if along else 1)
            curve = beside(street.curve, *span, d * widths[0], d * widths[1])
            points, length = curve if along else backwards(curve)
            lane = LaneDraft(f"{name}{'+' if along else '-'}{i}", points, length, min(widths), street.speed_limit_mps)
            lane.left, lane.left_marking = (first + i - 1, Marking.WHITE_DASHED) if i else (-1, street.centre)
            last = i == street.lanes - 1
            lane.right, lane.right_marking = (-1, street.edge) if last else (first + i + 1, Marking.WHITE_DASHED)
            draft.lanes.append(lane)
        both.append(list(range(first, len(draft.lanes))))
    ahead, back = both
    draft.lanes[ahead[0]].opposite, draft.lanes[back[0]].opposite = back[0], ahead[0]
    return ahead, back


def cross(draft: NetworkDraft, street: Street, at_m: float, lanes: Sequence[int]) -> None:
    """Add a zebra crossing of a street and its lanes; `at_m` is where it begins along the street's curve."""
    ends, half = (at_m, at_m + CROSSING_M), street.half_width_m
    sides = ((ends[0], half), (ends[1], half), (ends[1], -half), (ends[0], -half))
    corners = np.array([pose(street.curve, s, d)[:2] for s, d in sides])
    middle = [pose(street.curve, s) for s in ends]
    crossed = []
    for lane in lanes:
        one, other = (_abreast(draft.lanes[lane], place) for place in middle)
        crossed.append((lane, min(one, other), max(one, other)))
    draft.crossings.append(CrossingDraft(corners, crossed))


def _abreast(lane: LaneDraft, place: Pose) -> float:
    """Return the s [m] along a lane that is abreast of a place."""
    x, y, yaw, bend = lane.points.T
    i = int(np.argmin((x - place.x) ** 2 + (y - place.y) ** 2))
    east, north, cos, sin = place.x - x[i], place.y - y[i], math.cos(yaw[i]), math.sin(yaw[i])
    along, left = east * cos + north * sin, north * cos - east * sin
    return float(i * lane.length_m / (len(x) - 1) + along / (1 - bend[i] * left))


def cross_midway(
    draft: NetworkDraft, street: Street, span: tuple[float, float], lanes: Sequence[int], rng: np.random.Generator
) -> None:
    """Add a zebra crossing somewhere in the middle of a street."""
    cross(draft, street, span[0] + float(rng.uniform(0.35, 0.65)) * (span[1] - span[0]), lanes)


def lay_bays(draft: NetworkDraft, lane: int, rng: np.random.Generator) -> None:
    """Add groups of parking bays right of a street's outermost lane, with gaps between them and beside crossings."""
    road = draft.lanes[lane]
    crossed = [start for crossing in draft.crossings for number, start, _ in crossing.lanes if number == lane]
    d_m = -(road.width_m + BAY_WIDTH_M) / 2 - 0.1
    s_m, left = _FREE_M + BAY_LENGTH_M / 2, int(rng.integers(2, 7))
    while s_m + BAY_LENGTH_M / 2 < road.length_m - _FREE_M - 4:
        if all(abs(s_m - start - CROSSING_M / 2) > 8 + BAY_LENGTH_M / 2 for start in crossed):
            draft.bays.append(BayDraft(lane, s_m, d_m, BAY_LENGTH_M, BAY_WIDTH_M))
        left -= 1
        if left == 0:
            s_m, left = s_m + float(rng.uniform(5, 16)), int(rng.integers(2, 7))
        s_m += BAY_LENGTH_M


def keep_paint_off(draft: NetworkDraft, lane: int, from_s_m: float = 0.0, to_s_m: float = math.inf) -> None:
    """Let a lane's markings begin and end no further out than this."""
    road = draft.lanes[lane]
    road.paint_from_s_m, road.paint_to_s_m = max(road.paint_from_s_m, from_s_m), min(road.paint_to_s_m, to_s_m)
