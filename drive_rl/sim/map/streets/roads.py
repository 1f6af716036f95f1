"""The lanes of a street, their markings and the parking bays along them."""

import math

import numpy as np

from drive_rl.sim.map.build import BayDraft, CrossingDraft, LaneDraft, NetworkDraft
from drive_rl.sim.map.network import Marking
from drive_rl.sim.map.streets.curves import backwards, beside, pose
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


def cross(draft: NetworkDraft, street: Street, at_m: float, lanes: dict[int, float]) -> None:
    """Add a zebra crossing of a street.

    Args:
        draft: The network.
        street: The street.
        at_m: Where it begins along the street's curve.
        lanes: The lanes that it crosses -> where it begins on each [m].
    """
    half = street.half_width_m
    sides = ((at_m, half), (at_m + CROSSING_M, half), (at_m + CROSSING_M, -half), (at_m, -half))
    corners = np.array([pose(street.curve, s, d)[:2] for s, d in sides])
    draft.crossings.append(CrossingDraft(corners, [(lane, s, s + CROSSING_M) for lane, s in lanes.items()]))


def cross_midway(
    draft: NetworkDraft, street: Street, span: tuple[float, float], lanes: list[int], rng: np.random.Generator
) -> float:
    """Add a zebra crossing somewhere in the middle half of a street; return where it lies between its ends [0, 1]."""
    share = float(rng.uniform(0.35, 0.65))
    at_m = span[0] + share * (span[1] - span[0])
    ahead, back = lanes[: street.lanes], lanes[street.lanes :]
    places = {lane: share * draft.lanes[lane].length_m for lane in ahead}
    places |= {lane: (1 - share) * draft.lanes[lane].length_m - CROSSING_M for lane in back}
    cross(draft, street, at_m, places)
    return share


def lay_bays(draft: NetworkDraft, lane: int, keep_free: list[float], rng: np.random.Generator) -> None:
    """Add groups of parking bays right of a lane, with gaps between them.

    Args:
        draft: The network.
        lane: The outermost lane of a street.
        keep_free: Places along the lane that bays keep 8 m from [m].
        rng: Source of randomness.
    """
    road = draft.lanes[lane]
    d_m = -(road.width_m + BAY_WIDTH_M) / 2 - 0.1
    s_m, left = _FREE_M + BAY_LENGTH_M / 2, int(rng.integers(2, 7))
    while s_m + BAY_LENGTH_M / 2 < road.length_m - _FREE_M - 4:
        if all(abs(s_m - place) > 8 + BAY_LENGTH_M / 2 for place in keep_free):
            draft.bays.append(BayDraft(lane, s_m, d_m, BAY_LENGTH_M, BAY_WIDTH_M))
        left -= 1
        if left == 0:
            s_m, left = s_m + float(rng.uniform(5, 16)), int(rng.integers(2, 7))
        s_m += BAY_LENGTH_M


def keep_paint_off(draft: NetworkDraft, lane: int, from_s_m: float = 0.0, to_s_m: float = math.inf) -> None:
    """Let a lane's markings begin and end no further out than this."""
    road = draft.lanes[lane]
    road.paint_from_s_m, road.paint_to_s_m = max(road.paint_from_s_m, from_s_m), min(road.paint_to_s_m, to_s_m)
