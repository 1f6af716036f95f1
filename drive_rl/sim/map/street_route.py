"""A route on a map of streets as one line: the centre lines of its lanes, one after another, in knots as a road's."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import KNOT_M, Knots
from drive_rl.sim.map.lane_geometry import curvature_at, pose_at
from drive_rl.sim.map.network import Control, RoadNetwork, Turn

RUN_IN_M = 5.0
"""How much of the line lies before the start [m]."""
RUN_OUT_M = 45.0
"""How much of the line lies behind the goal, for drivers that look ahead [m]."""
_FREE_M = 12.0  # between the start and both ends of its lane
_TRIES = 100


class StreetRoute(NamedTuple):
    """A route that follows lanes without changing them, from somewhere on the first to somewhere on the last but some.

    Distances along the route count from the line's first knot.
    """

    lanes: NDArray[np.int64]  # (n,), run-out included
    from_m: NDArray[np.float64]  # (n,), where each begins along the route, negative for the first
    knots: Knots
    limit_mps: NDArray[np.float64]  # (knots,), the speed limit
    start_m: float
    end_m: float


def draw_route(network: RoadNetwork, length_m: float, rng: np.random.Generator) -> StreetRoute:
    """Draw a route: its start by the lanes' lengths, its turns evenly among the ways that each lane offers.

    Args:
        network: The map.
        length_m: Of the route.
        rng: Source of randomness.

    Raises:
        DriveRLError: the map has no way so long that takes no change of lanes and no lane twice.
    """
    usable = np.where(network.junction < 0, network.length_m - 2 * _FREE_M, 0.0).clip(0)
    if usable.sum() > 0:
        for _ in range(_TRIES):
            first = int(rng.choice(len(usable), p=usable / usable.sum()))
            start_s = _FREE_M + float(rng.uniform(0, usable[first]))
            lanes = _walk(network, [first], start_s + length_m + RUN_OUT_M, rng)
            if lanes:
                return _route(network, np.array(lanes, np.int64), start_s, length_m)
    raise _no_route(length_m)


def connections(
    network: RoadNetwork, control: Control | None, turns: Sequence[Turn] | None, arms: int | None
) -> NDArray[np.int64]:
    """Return the lanes through junctions of so many arms that turn so, from lanes that are governed one way and long
    enough to begin on; None: any.
    """
    inside = np.flatnonzero(network.junction >= 0)
    before = network.predecessor[network.first_predecessor[inside]]
    fits = (network.junction[before] < 0) & (network.length_m[before] > 2 * _FREE_M)
    if control is not None:
        fits &= network.control[before] == control
    if turns is not None:
        fits &= np.isin(network.turn[inside], turns)
    if arms is not None:
        into = np.unique(before[network.left[before] < 0])  # the leftmost lane of each arm
        ends_at = network.junction[network.successor[network.first_successor[into]]]
        fits &= np.bincount(ends_at, minlength=len(network.first_corner))[network.junction[inside]] == arms
    return inside[fits]


def draw_route_through(
    network: RoadNetwork, through: NDArray[np.int64], approach_m: float, length_m: float, rng: np.random.Generator
) -> StreetRoute:
    """Draw a route that begins on the lane before one of some `connections`, and takes that first.

    Args:
        network: The map.
        through: The connections, at least one.
        approach_m: Where the lane is long enough, the route begins between half as far and so far before its end.
        length_m: Of the route.
        rng: Source of randomness.

    Raises:
        DriveRLError: the map has no way so long behind them that takes no change of lanes and no lane twice.
    """
    for _ in range(_TRIES):
        connection = int(through[rng.integers(len(through))])
        lane = int(network.predecessor[network.first_predecessor[connection]])
        start_s = max(float(network.length_m[lane]) - approach_m * float(rng.uniform(0.5, 1)), _FREE_M)
        lanes = _walk(network, [lane, connection], start_s + length_m + RUN_OUT_M, rng)
        if lanes:
            return _route(network, np.array(lanes, np.int64), start_s, length_m)
    raise _no_route(length_m)


def _no_route(length_m: float) -> DriveRLError:
    return DriveRLError(
        f"streets.route_m = {length_m:g}: found no such route in {_TRIES} tries that takes no lane twice and no"
        " change of lanes; fix: a smaller streets.route_m, or a larger map"
    )


def _walk(network: RoadNetwork, begun: list[int], length_m: float, rng: np.random.Generator) -> list[int]:
    """Return the lanes of a random way so long from the start of the first lane on; empty: it came to an end."""
    lanes, lane, way_m = list(begun), begun[-1], float(network.length_m[begun].sum())
    while way_m < length_m:
        ways = network.successor[network.first_successor[lane] : network.first_successor[lane + 1]]
        new = [int(way) for way in ways if int(way) not in lanes]
        if not new:
            return []
        lane = new[int(rng.integers(len(new)))]
        lanes.append(lane)
        way_m += float(network.length_m[lane])
    return lanes


def _route(network: RoadNetwork, lanes: NDArray[np.int64], start_s_m: float, length_m: float) -> StreetRoute:
    lengths = network.length_m[lanes]
    from_m = np.concatenate([[0.0], np.cumsum(lengths)[:-1]]) - (start_s_m - RUN_IN_M)
    knots = np.empty((int((RUN_IN_M + length_m + RUN_OUT_M) / KNOT_M) + 1, 4))
    on = np.searchsorted(from_m, np.arange(len(knots)) * KNOT_M, side="right") - 1
    _fill(network, lanes[on], np.arange(len(knots)) * KNOT_M - from_m[on], knots)
    return StreetRoute(lanes, from_m, knots, network.speed_limit_mps[lanes[on]], RUN_IN_M, RUN_IN_M + length_m)


@njit
def _fill(network: RoadNetwork, lanes: NDArray[np.int64], s: NDArray[np.float64], knots: Knots) -> None:
    for k in range(lanes.size):
        x, y, yaw = pose_at(network, lanes[k], s[k], 0.0)
        knots[k] = x, y, yaw, curvature_at(network, lanes[k], s[k])
