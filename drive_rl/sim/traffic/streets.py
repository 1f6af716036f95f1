"""A road network as drivers know it: few arrays with a row a lane, so that compiled calls stay cheap. Knows no actors.

Beside what the network says, a lane has the speed at which bends are taken and how far ways that part are in each
other's way.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.map.conflicts import CLEAR_M
from drive_rl.sim.map.lane_geometry import light_of_times, may_change
from drive_rl.sim.map.network import Priority, RoadNetwork
from drive_rl.sim.map.roadside import bus_stops
from drive_rl.sim.map.routes import distance_to

CORNERING_MPS2 = 2.0
"""Sideways acceleration that drivers accept in bends [m/s^2]."""
SLOWEST_MPS = 2.0
TIGHT_M = 25.0
"""In bends of a smaller radius long bodies may reach into the next lane [m]."""
WIDEST_M = 4.2
"""Bodies on lines that are further apart never touch [m]."""
GOALS = 24
"""Most places that drivers drive to."""
GOAL_M = 30.0
"""No lane between junctions that is shorter is one [m]."""
AXLES = 0.3
"""Axles are so many lengths before and behind the middle of a body, and follow the lane."""
NONE = -1

LANE_LENGTH, LANE_WIDTH, LANE_SPEED, PARTS, TAIL, BEND, BUS_STOP = range(7)
"""Columns of `Streets.lane`: length and width [m]; speed: the limit, or less in bends [m/s]; up to where a car is in
the way of those that leave the same lane elsewhere [m]; from the stop line to the end [m]; largest curvature [1/m];
where buses stop with their fronts [m], `NONE`: nowhere."""
LEFT, RIGHT, JUNCTION, TURN, CONTROL, SIGNAL, APPROACH, FIRST_NEXT, END_NEXT, FIRST_BEFORE, END_BEFORE = range(11)
FIRST_CONFLICT, END_CONFLICT, OPPOSITE = 11, 12, 13
"""Columns of `Streets.tie`: lanes that may be changed to; as in `RoadNetwork`; the lane before; ranges of lists;
the oncoming lane on the left."""
OTHER, MIRROR, PRIORITY = range(3)
"""Columns of `Streets.meets`."""
FROM, TO, GAP = range(3)
"""Columns of `Streets.meets_m`."""
CYCLE, START, GREEN, YELLOW = range(4)
"""Columns of `Streets.signal_s`."""


class Streets(NamedTuple):
    """L lanes, C conflicts of connections, G signal groups."""

    lane: NDArray[np.float64]  # (L, 7)
    tie: NDArray[np.int64]  # (L, 14)
    next: NDArray[np.int64]  # successors of each lane, one after another
    previous: NDArray[np.int64]  # predecessors
    meets: NDArray[np.int64]  # (C, 3), the other connection, the same conflict as it has it, the `Priority` over it
    meets_m: NDArray[np.float64]  # (C, 3), from where to where, and how near the lines come, 0 if anybody touches there
    signal_s: NDArray[np.float64]  # (G, 4)
    goal: NDArray[np.int64]  # (K,), lanes that drivers drive to, one after another
    to_goal: NDArray[np.float64]  # (K x L,), from the start of each lane to each goal, goal after goal [m]


def streets_of(network: RoadNetwork) -> Streets:
    """Return the streets of a network."""
    size = network.length_m.size
    lane, tie = np.zeros((size, 7)), np.full((size, 14), NONE, np.int64)
    lane[:, LANE_LENGTH], lane[:, LANE_WIDTH] = network.length_m, network.width_m
    lane[:, BUS_STOP] = np.nan_to_num(bus_stops(network), nan=NONE)
    lane[:, TAIL] = np.where(np.isnan(network.stop_s_m), 0.0, network.length_m - network.stop_s_m)
    for column, values in (
        (JUNCTION, network.junction),
        (TURN, network.turn),
        (CONTROL, network.control),
        (SIGNAL, network.signal),
        (OPPOSITE, network.opposite),
        (FIRST_NEXT, network.first_successor[:-1]),
        (END_NEXT, network.first_successor[1:]),
        (FIRST_BEFORE, network.first_predecessor[:-1]),
        (END_BEFORE, network.first_predecessor[1:]),
    ):
        tie[:, column] = values
    _measure(network, lane, tie)
    meets, meets_m = _conflicts(network, lane, tie)
    places = np.flatnonzero((network.junction < 0) & (network.length_m >= min(GOAL_M, network.length_m.max())))
    goal = places[np.linspace(0, len(places) - 1, min(GOALS, len(places))).astype(np.int64)]
    signal_s = [network.signal_cycle_s, network.signal_start_s, network.signal_green_s, network.signal_yellow_s]
    return Streets(
        lane,
        tie,
        network.successor.astype(np.int64),
        network.predecessor.astype(np.int64),
        meets,
        meets_m,
        np.column_stack(signal_s),
        goal,
        np.concatenate([distance_to(network, lane) for lane in goal]),
    )


def _conflicts(network: RoadNetwork, lane: NDArray, tie: NDArray) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the columns of conflicts, and enter their ranges: the network's, and those of long bodies alone."""
    found: list[dict[int, tuple[float, float, float, int]]] = [{} for _ in lane]
    for one in range(len(lane)):
        for c in range(network.first_conflict[one], network.first_conflict[one + 1]):
            start, end = network.conflict_s_m[c], network.conflict_end_s_m[c]
            found[one][int(network.conflict_lane[c])] = start, end, 0.0, int(network.conflict_priority[c])
    tight = np.flatnonzero((lane[:, BEND] > 1 / TIGHT_M) | (tie[:, JUNCTION] >= 0))
    for one in tight:
        for other in tight:
            apart = tie[one, APPROACH] != tie[other, APPROACH] and tie[one, JUNCTION] == tie[other, JUNCTION]
            if apart and other not in found[one]:
                start, end, gap = _near(network, one, other)
                if start >= 0:
                    found[one][int(other)] = start, end, gap, int(Priority.NEITHER)
    rows = [(one, other) for one, others in enumerate(found) for other in others]
    order = {pair: at for at, pair in enumerate(rows)}
    edges = np.concatenate([[0], np.cumsum([len(others) for others in found])])
    tie[:, FIRST_CONFLICT], tie[:, END_CONFLICT] = edges[:-1], edges[1:]
    meets = [(other, order[other, one], found[one][other][3]) for one, other in rows]
    meets_m = [found[one][other][:3] for one, other in rows]
    return np.array(meets, np.int64).reshape(-1, 3), np.array(meets_m, np.float64).reshape(-1, 3)


@njit
def _near(network, one, other):
    """Return from where to where on `one` [m] long bodies may touch those on `other`, and how near the lines come."""
    start, end, least, step = -1.0, -1.0, WIDEST_M * WIDEST_M, network.step_m[one]
    first = network.first_point[one]
    for i in range(first, network.first_point[one + 1]):
        for k in range(network.first_point[other], network.first_point[other + 1]):
            dx, dy = network.x_m[i] - network.x_m[k], network.y_m[i] - network.y_m[k]
            if dx * dx + dy * dy < WIDEST_M * WIDEST_M:
                start, end = ((i - first) * step if start < 0 else start), (i - first) * step
                least = min(least, dx * dx + dy * dy)
    return start, end, math.sqrt(least)


@njit_scalar
def reach_of(streets: Streets, lane: int, length: float, width: float) -> float:
    """Return how far from a lane's centre line a body with both axles on it reaches in the lane's tightest bend [m].

    Its middle is inside the bend, its corners outside (`contacts.pose_of`).
    """
    bend = max(streets.lane[lane, BEND], 1e-6)
    inside = 0.5 * (AXLES * length) ** 2 * bend
    middle = 1.0 / bend - inside + 0.5 * width
    return max(inside + 0.5 * width, math.sqrt(middle * middle + 0.25 * length * length) - 1.0 / bend)


@njit_scalar
def light_of(streets: Streets, lane: int, time_s: float) -> int:
    """Return the `Light` at the end of a lane that has a signal."""
    times = streets.signal_s[streets.tie[lane, SIGNAL]]
    return light_of_times(time_s, times[CYCLE], times[START], times[GREEN], times[YELLOW])


@njit_scalar
def abreast(streets: Streets, lane: int, s: float, other: int) -> float:
    """Return the s [m] on a neighbour that is beside `s` on a lane."""
    return s * streets.lane[other, LANE_LENGTH] / streets.lane[lane, LANE_LENGTH]


@njit
def _measure(network, lanes, tie):
    for lane in range(lanes.shape[0]):
        bend = 0.0
        for i in range(network.first_point[lane], network.first_point[lane + 1]):
            bend = max(bend, abs(network.curvature_1pm[i]))
        lanes[lane, BEND] = bend
        cornering = np.sqrt(CORNERING_MPS2 / max(bend, 1e-9))
        lanes[lane, LANE_SPEED] = max(min(network.speed_limit_mps[lane], cornering), SLOWEST_MPS)
        if may_change(network, lane, True):
            tie[lane, LEFT] = network.left[lane]
        if may_change(network, lane, False):
            tie[lane, RIGHT] = network.right[lane]
        if tie[lane, FIRST_BEFORE] < tie[lane, END_BEFORE]:
            tie[lane, APPROACH] = network.predecessor[tie[lane, FIRST_BEFORE]]
        for i in range(tie[lane, FIRST_NEXT], tie[lane, END_NEXT]):
            for k in range(tie[lane, FIRST_NEXT], tie[lane, END_NEXT]):
                if i != k:
                    one, other = network.successor[i], network.successor[k]
                    lanes[one, PARTS] = max(lanes[one, PARTS], _together(network, one, other))


@njit
def _together(network, one, other):
    """Return how far along `one` a car touches cars on `other`, both of which leave the same lane [m]."""
    far, at = 0.0, 0.0
    for i in range(network.first_point[one], network.first_point[one + 1]):
        near = False
        for k in range(network.first_point[other], network.first_point[other + 1]):
            dx, dy = network.x_m[i] - network.x_m[k], network.y_m[i] - network.y_m[k]
            near = near or dx * dx + dy * dy < CLEAR_M * CLEAR_M
        if near:
            far = at
        at += network.step_m[one]
    return min(far + network.step_m[one], network.length_m[one])
