"""A route on a map of streets as one line, in knots as a road's: the centre lines of its lanes, one after another, and
smooth ways over from one lane to the next where it changes lanes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import HEADING, KNOT_M, Knots
from drive_rl.sim.map.lane_geometry import curvature_at, pose_at
from drive_rl.sim.map.network import Control, Marking, RoadNetwork, Turn

RUN_IN_M = 5.0
"""How much of the line lies before the start [m]."""
RUN_OUT_M = 45.0
"""How much of the line lies behind the goal, for drivers that look ahead [m]."""
ENTERS, LEAVES, CHANGES = range(3)
"""Columns of `StreetRoute.spans`."""
_FREE_M = 12.0  # between the start or a change of lanes and what comes before and after it
_CHANGE_S, _NOTICE_S = 3.5, 3.0  # at the speed limit: how long a change takes, and from the start to the first one
_LATER_M = 40.0  # at most, the first change is so much later
_TRIES = 100


class StreetRoute(NamedTuple):
    """A route from somewhere on its first lane to somewhere on its last but some.

    Distances along the route count from the line's first knot.
    """

    lanes: NDArray[np.int64]  # (n,), run-out included
    from_m: NDArray[np.float64]  # (n,), where s of each is 0 along the route, negative for the first
    spans: NDArray[np.float64]  # (n, 3), s where it enters each, s where it leaves it, and so long before that and
    # after it the way over to the next takes, 0: the next is its successor [m]
    knots: Knots
    limit_mps: NDArray[np.float64]  # (knots,), the speed limit
    start_m: float
    end_m: float

    @property
    def begins_m(self) -> NDArray[np.float64]:
        """Where it enters each lane along the route [m], (n,)."""
        return self.from_m + self.spans[:, ENTERS]


def stop_lines_m(network: RoadNetwork, route: StreetRoute) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the K stop lines on a route: their lanes (K,), and where they are along it [m], (K,)."""
    where = np.flatnonzero(network.stop_s_m[route.lanes] <= route.spans[:, LEAVES])  # not where there is none
    lanes = route.lanes[where]
    return lanes, route.from_m[where] + network.stop_s_m[lanes]


def draw_route(network: RoadNetwork, length_m: float, rng: np.random.Generator, changes: int = 0) -> StreetRoute:
    """Draw a route: its start by the lanes' lengths, its turns evenly among the ways that each lane offers.

    Args:
        network: The map.
        length_m: Of the route.
        rng: Source of randomness.
        changes: How often it changes lanes first, to one side.

    Raises:
        DriveRLError: the map has no way so long that takes no lane twice.
    """
    rows = lanes_beside(network, changes)
    usable = _room_m(network, rows)
    if usable.sum() > 0:
        for _ in range(_TRIES):
            at = int(rng.choice(len(usable), p=usable / usable.sum()))
            start_s = _FREE_M + float(rng.uniform(0, usable[at]))
            if (route := _walk_from(network, rows[at], [], (start_s, length_m), rng)) is not None:
                return route
    raise _no_route(length_m, changes)


def lanes_beside(network: RoadNetwork, changes: int) -> NDArray[np.int64]:
    """Return the rows of lanes, each beside the last, that so many changes to one side lead over (n, changes + 1)."""
    found = list[NDArray[np.int64]]()
    for beside, marking in ((network.left, network.left_marking), (network.right, network.right_marking)):
        open_to = np.where(np.isin(marking, (Marking.WHITE_SOLID, Marking.YELLOW_SOLID)), -1, beside)
        row = [np.arange(len(beside))]
        for _ in range(changes):
            row.append(np.where(row[-1] >= 0, open_to[row[-1]], -1))
        found.append(np.stack(row, axis=1))
    rows = np.concatenate(found) if changes else found[0]
    return rows[(rows >= 0).all(axis=1)]


def _room_m(network: RoadNetwork, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how much of the first lane of each row there is to begin on before the changes over the row [m], (n,)."""
    limits = network.speed_limit_mps[rows[:, :-1]]
    needed = _NOTICE_S * limits[:, :1].sum(axis=1) + (_CHANGE_S * limits + _FREE_M).sum(axis=1)
    room = network.length_m[rows].min(axis=1) - 2 * _FREE_M - needed
    return np.where(network.junction[rows[:, 0]] < 0, room, 0.0).clip(0)


def connections(
    network: RoadNetwork, control: Control | None, turns: Sequence[Turn] | None, arms: int | None, changes: int = 0
) -> NDArray[np.int64]:
    """Return the lanes through junctions of so many arms that turn so, from lanes that are governed one way and long
    enough to begin on and to change to before; None: any.
    """
    inside = np.flatnonzero(network.junction >= 0)
    before = network.predecessor[network.first_predecessor[inside]]
    fits = (network.junction[before] < 0) & (network.length_m[before] > 2 * _FREE_M)
    if changes:
        fits &= np.isin(before, _rows_with_room(network, changes)[:, -1])
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
    network: RoadNetwork,
    through: NDArray[np.int64],
    approach_m: float,
    length_m: float,
    rng: np.random.Generator,
    changes: int = 0,
) -> StreetRoute:
    """Draw a route that begins on the lane before one of some `connections`, or beside it, and takes that first.

    Args:
        network: The map.
        through: The connections, at least one.
        approach_m: Where the lane is long enough, the route begins between half as far and so far before its end; as
            far as changes of lanes take.
        length_m: Of the route.
        rng: Source of randomness.
        changes: How often it changes lanes before, to one side.

    Raises:
        DriveRLError: the map has no way so long behind them that takes no lane twice.
    """
    rows = _rows_with_room(network, changes)
    for _ in range(_TRIES):
        connection = int(through[rng.integers(len(through))])
        lane = int(network.predecessor[network.first_predecessor[connection]])
        start_s = max(float(network.length_m[lane]) - approach_m * float(rng.uniform(0.5, 1)), _FREE_M)
        row = np.array([lane])
        if changes:
            beside = rows[rows[:, -1] == lane]
            row = beside[int(rng.integers(len(beside)))]
            start_s = min(start_s, _FREE_M + float(_room_m(network, row[None])[0]))
        if (route := _walk_from(network, row, [connection], (start_s, length_m), rng)) is not None:
            return route
    raise _no_route(length_m, changes)


def _rows_with_room(network: RoadNetwork, changes: int) -> NDArray[np.int64]:
    rows = lanes_beside(network, changes)
    return rows[_room_m(network, rows) > 0]


def _walk_from(
    network: RoadNetwork, row: NDArray[np.int64], then: list[int], way: tuple[float, float], rng: np.random.Generator
) -> StreetRoute | None:
    """Return a random route that changes over a row of lanes and takes `then`; None: it came to an end.

    Args:
        network: The map.
        row: The lanes.
        then: Lanes behind the row.
        way: Where the route begins on the first lane, and how long it is [m].
        rng: Source of randomness.
    """
    start_s, length_m = way
    beside_m = float(network.length_m[row[:-1]].sum())
    lanes = _walk(network, [*row.tolist(), *then], beside_m + start_s + length_m + RUN_OUT_M, rng)
    return _route(network, lanes, _draw_changes(network, row, start_s, rng), way) if lanes else None


def _draw_changes(
    network: RoadNetwork, row: NDArray[np.int64], start_s: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Return where on each lane of a row the way over to the next begins and ends [m]."""
    changes = list[tuple[float, float]]()
    if len(row) > 1:
        later_m = min(_FREE_M + float(_room_m(network, row[None])[0]) - start_s, _LATER_M)
        at = start_s + _NOTICE_S * float(network.speed_limit_mps[row[0]]) + float(rng.uniform(0, later_m))
        for limit_mps in network.speed_limit_mps[row[:-1]].tolist():
            changes.append((at, at + _CHANGE_S * limit_mps))
            at = changes[-1][1] + _FREE_M
    return changes


def _no_route(length_m: float, changes: int) -> DriveRLError:
    if changes:
        return DriveRLError(
            f"streets.lane_changes = {changes}: found no route of {length_m:g} m that begins with so many and takes no"
            " lane twice; fix: fewer, a smaller streets.route_m, or a map with more and longer lanes side by side"
        )
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


def _route(
    network: RoadNetwork, way_lanes: list[int], changes: list[tuple[float, float]], way: tuple[float, float]
) -> StreetRoute:
    """Return the route along lanes; `changes` are from where to where it moves over to the second lane and so on."""
    (start_s, length_m), lanes = way, np.array(way_lanes, np.int64)
    lengths = network.length_m[lanes]
    spans = np.column_stack([np.zeros(len(lanes)), lengths, np.zeros(len(lanes))])
    overs = [_way_over(network, lanes[k], lanes[k + 1], change) for k, change in enumerate(changes)]
    further = lengths.copy()  # from s = 0 of each lane to s = 0 of the next, along the route
    for k, ((start, end), over) in enumerate(zip(changes, overs, strict=True)):
        half = over[-1, 0] / 2
        further[k] = start + 2 * half - end * lengths[k + 1] / lengths[k]
        spans[k, LEAVES], spans[k, CHANGES], spans[k + 1, ENTERS] = start + half, half, start + half - further[k]
    from_m = np.concatenate([[0.0], np.cumsum(further)[:-1]]) - (start_s - RUN_IN_M)
    along = np.arange(int((RUN_IN_M + length_m + RUN_OUT_M) / KNOT_M) + 1) * KNOT_M
    on = np.searchsorted(from_m + spans[:, ENTERS], along, side="right") - 1
    knots = np.empty((len(along), 4))
    _fill(network, lanes[on], along - from_m[on], knots)
    for k, ((start, _), over) in enumerate(zip(changes, overs, strict=True)):
        at = along - (from_m[k] + start)
        within = (at >= 0) & (at <= over[-1, 0])
        knots[within] = np.stack([np.interp(at[within], over[:, 0], column) for column in over.T[1:]], axis=1)
    limit_mps = network.speed_limit_mps[lanes[on]]
    return StreetRoute(lanes, from_m, spans, knots, limit_mps, RUN_IN_M, RUN_IN_M + length_m)


def _way_over(network: RoadNetwork, lane: int, other: int, change: tuple[float, float]) -> NDArray[np.float64]:
    """Return the way from a lane to the one beside it, (n, 5): metres along it, and the columns of `Knots`.

    The share of the way across is a quintic in that of the way along: neither heading nor curvature jumps.
    """
    s = np.linspace(*change, int(2 * (change[1] - change[0])) + 1)
    knots, beside = np.empty((len(s), 4)), np.empty((len(s), 4))
    _fill(network, np.full(len(s), lane), s, knots)
    _fill(network, np.full(len(s), other), s * network.length_m[other] / network.length_m[lane], beside)
    u = np.linspace(0, 1, len(s))[:, None]
    share = share_across(u)
    places = (1 - share) * knots[:, :2] + share * beside[:, :2]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))])
    dx, dy = (np.gradient(column, along) for column in places.T)
    yaw = np.unwrap(np.arctan2(dy, dx))
    yaw += 2 * np.pi * np.round((knots[0, HEADING] - yaw[0]) / (2 * np.pi))
    return np.column_stack([along, places, yaw, np.gradient(yaw, along)])


@njit
def share_across(u):
    """Return the share of the way across to the other lane that is done after a share of a change of lanes."""
    return u**3 * (10 - 15 * u + 6 * u**2)


@njit
def _fill(network: RoadNetwork, lanes: NDArray[np.int64], s: NDArray[np.float64], knots: Knots) -> None:
    for k in range(lanes.size):
        x, y, yaw = pose_at(network, lanes[k], s[k], 0.0)
        knots[k] = x, y, yaw, curvature_at(network, lanes[k], s[k])
