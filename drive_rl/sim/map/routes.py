"""Shortest paths over lanes, lane changes included, compiled. Knows nothing of who drives them."""

import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.lane_geometry import may_change, next_lane
from drive_rl.sim.map.network import Floats, Indices, RoadNetwork

CHANGE_M = 50.0
"""What a lane change adds to a path, so that it is taken only where it is needed [m]."""


@njit
def distance_to(network: RoadNetwork, goal: int) -> Floats:
    """Return the distance from the start of each lane to the end of the goal (L,) [m]; infinite: no way leads there.

    Each lane change counts `CHANGE_M` more. Dijkstra's method, backwards from the goal.
    """
    size = network.length_m.size
    distance, done = np.full(size, np.inf), np.zeros(size, np.bool_)
    distance[goal] = network.length_m[goal]
    while True:
        lane, least = -1, np.inf
        for i in range(size):
            if not done[i] and distance[i] < least:
                lane, least = i, distance[i]
        if lane < 0:
            return distance
        done[lane] = True
        for i in range(network.first_predecessor[lane], network.first_predecessor[lane + 1]):
            before = network.predecessor[i]
            distance[before] = min(distance[before], least + network.length_m[before])
        for other, to_left in ((network.left[lane], False), (network.right[lane], True)):
            if other >= 0 and may_change(network, other, to_left):
                distance[other] = min(distance[other], least + CHANGE_M)


@njit
def _route(network: RoadNetwork, distance: Floats, start: int, goal: int) -> Indices:
    route = np.empty(network.length_m.size, np.int32)
    route[0], size = start, 1
    while route[size - 1] != goal:
        lane = route[size - 1]
        ahead = next_lane(network, distance, lane)
        best, least = ahead, (distance[ahead] + network.length_m[lane] if ahead >= 0 else np.inf)
        for other, to_left in ((network.left[lane], True), (network.right[lane], False)):
            if may_change(network, lane, to_left) and distance[other] + CHANGE_M < least:
                best, least = other, distance[other] + CHANGE_M
        route[size], size = best, size + 1
    return route[:size]


def shortest_route(network: RoadNetwork, start: int, goal: int) -> Indices:
    """Return the lanes of the shortest path, from `start` to `goal`; neighbours in it are a lane change.

    Raises:
        DriveRLError: the goal cannot be reached.
    """
    distance = distance_to(network, goal)
    if not np.isfinite(distance[start]):
        raise DriveRLError(
            f"lane {goal} cannot be reached from lane {start}: expected a goal that the streets lead to; fix: another"
            f" goal ({int(np.isfinite(distance).sum())} lanes lead to this one), or connect the lanes"
        )
    return _route(network, distance, start, goal)


@njit
def strong_parts(network: RoadNetwork) -> Indices:
    """Return a number for each lane (L,): lanes that reach each other share it (Tarjan's method, without recursion)."""
    size = network.length_m.size
    part, order, low = np.full(size, -1, np.int32), np.full(size, -1, np.int32), np.zeros(size, np.int32)
    stack, open_lanes = np.empty(size, np.int32), np.empty(size, np.int32)
    taken = np.zeros(size, np.int32)  # edges followed so far
    seen, parts, opened = 0, 0, 0
    for root in range(size):
        if order[root] >= 0:
            continue
        depth = 1
        stack[0] = root
        while depth > 0:
            lane = stack[depth - 1]
            if order[lane] < 0:
                order[lane] = low[lane] = seen
                open_lanes[opened] = lane
                seen, opened = seen + 1, opened + 1
            ways = network.first_successor[lane + 1] - network.first_successor[lane]
            if taken[lane] < ways + 2:
                edge = taken[lane]
                taken[lane] += 1
                if edge < ways:
                    other = network.successor[network.first_successor[lane] + edge]
                elif not may_change(network, lane, edge == ways):
                    continue
                else:
                    other = network.left[lane] if edge == ways else network.right[lane]
                if order[other] < 0:
                    stack[depth], depth = other, depth + 1
                elif part[other] < 0:
                    low[lane] = min(low[lane], order[other])
                continue
            depth -= 1
            if depth > 0:
                low[stack[depth - 1]] = min(low[stack[depth - 1]], low[lane])
            if low[lane] == order[lane]:
                while True:
                    opened -= 1
                    part[open_lanes[opened]] = parts
                    if open_lanes[opened] == lane:
                        break
                parts += 1
    return part
