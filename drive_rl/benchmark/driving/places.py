"""What is under a car, by the map: its lane, limit, pavement and stop lines. It knows no engine.

Streets take it from their network, single roads from the world's numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from drive_rl.benchmark.driving.boxes import corners
from drive_rl.benchmark.driving.record import Car, Ego, Floats, Place, StopLines
from drive_rl.config.specs.world import RoadSpec
from drive_rl.sim.map.geometry import Knots, project
from drive_rl.sim.map.lane_geometry import light_of_times
from drive_rl.sim.map.network import Control, RoadNetwork
from drive_rl.sim.map.paved_field import PAVED_CELL_M, STEPS_A_METRE
from drive_rl.sim.map.street_route import StreetRoute, stop_lines_m
from drive_rl.sim.sensors.streets.ground import StreetGround
from drive_rl.sim.task.episode import lane_centre_d_m


class _Corners(NamedTuple):
    """The corners of the car, (T, 4) each."""

    points: Floats  # (T, 4, 2) [m]
    s_m: Floats
    d_m: Floats


def street_place(
    network: RoadNetwork, ground: StreetGround, route: StreetRoute, car: Car, ego: Ego, offset_m: Floats
) -> Place:
    """Return what was under a car on a route in streets; `offset_m` (T,) is its centre's."""
    at = _lane_at(route)
    lane, found = route.lanes[at(ego.s_m)], _corners(route.knots, car, ego)
    half_m, limit = network.width_m / 2, _limits(network)
    in_lane = np.abs(found.d_m) <= half_m[route.lanes[at(found.s_m)]]
    return Place(
        offset_m=offset_m,
        half_lane_m=half_m[lane],
        limit_mps=limit[lane],
        in_junction=network.junction[lane] >= 0,
        in_one_lane=np.asarray(in_lane.all(axis=1)),
        off_pavement_m=np.maximum(-pavement_m(ground, found.points), 0.0).max(axis=1),
        direction=_direction(network, lane, offset_m),
    )


def road_place(road: RoadSpec, knots: Knots, car: Car, ego: Ego, offset_m: Floats) -> Place:
    """Return what was under a car on a single road, which has no speed limit."""
    width, found = road.lane_width_m, _corners(knots, car, ego)
    lane_d = lane_centre_d_m(road)
    right, left = road.lanes_ahead * width + road.shoulder_m, road.lanes_oncoming * width + road.shoulder_m
    d_m, rows = offset_m + lane_d, len(offset_m)
    ahead, oncoming = (d_m <= 0) & (d_m >= -road.lanes_ahead * width), (d_m > 0) & (d_m <= road.lanes_oncoming * width)
    return Place(
        offset_m=offset_m,
        half_lane_m=np.full(rows, width / 2),
        limit_mps=np.full(rows, np.inf),
        in_junction=np.zeros(rows, np.bool_),
        in_one_lane=np.asarray((np.abs(found.d_m - lane_d) <= width / 2).all(axis=1)),
        off_pavement_m=np.maximum(np.maximum(-found.d_m - right, found.d_m - left), 0.0).max(axis=1),
        direction=np.where(ahead, 1.0, np.where(oncoming, -1.0, 0.0)),
    )


def stop_lines(network: RoadNetwork, route: StreetRoute, times_s: Floats) -> StopLines:
    """Return the stop lines on a route, and their lights at some times (T,) of the signals' clock."""
    lanes, s_m = stop_lines_m(network, route)
    light = np.zeros((len(times_s), len(lanes)), np.int64)
    for k, lane in enumerate(lanes.tolist()):
        if network.control[lane] == Control.SIGNAL:
            group = network.signal[lane]
            cycle_s, start_s = float(network.signal_cycle_s[group]), float(network.signal_start_s[group])
            green_s, yellow_s = float(network.signal_green_s[group]), float(network.signal_yellow_s[group])
            light[:, k] = [light_of_times(t, cycle_s, start_s, green_s, yellow_s) for t in times_s.tolist()]
    return StopLines(s_m, network.control[lanes].astype(np.int64), light)


def no_stop_lines(rows: int) -> StopLines:
    """Return none, of a record of so many rows."""
    return StopLines(np.zeros(0), np.zeros(0, np.int64), np.zeros((rows, 0), np.int64))


def pavement_m(ground: StreetGround, points: Floats) -> Floats:
    """Return how far points (..., 2) [m] are from the edge of the pavement (...) [m], positive on it; at most 4 m."""
    lowest = ground.corners.astype(np.int8)  # the corner at a cell's own row and column
    steps = lowest.reshape(ground.rows, ground.columns).astype(np.float64) / STEPS_A_METRE
    column = np.clip((points[..., 0] - ground.x0) / PAVED_CELL_M, 0, ground.columns - 1.001)
    row = np.clip((points[..., 1] - ground.y0) / PAVED_CELL_M, 0, ground.rows - 1.001)
    i, k = row.astype(np.int64), column.astype(np.int64)
    u, v = row - i, column - k
    below = (1 - v) * steps[i, k] + v * steps[i, k + 1]
    above = (1 - v) * steps[i + 1, k] + v * steps[i + 1, k + 1]
    return (1 - u) * below + u * above


def _lane_at(route: StreetRoute) -> Callable[[Floats], np.ndarray]:
    """Return a function from places along the route to places in its list of lanes."""
    return lambda s_m: np.clip(np.searchsorted(route.begins_m, s_m, side="right") - 1, 0, len(route.lanes) - 1)


def _limits(network: RoadNetwork) -> Floats:
    """Return the speed limit of each lane; within junctions the highest of the lanes before and behind, as nuPlan."""
    limit = network.speed_limit_mps.copy()
    for lane in np.flatnonzero(network.junction >= 0).tolist():
        before = network.predecessor[network.first_predecessor[lane] : network.first_predecessor[lane + 1]]
        behind = network.successor[network.first_successor[lane] : network.first_successor[lane + 1]]
        limit[lane] = network.speed_limit_mps[[lane, *before.tolist(), *behind.tolist()]].max()
    return limit


def _direction(network: RoadNetwork, lane: np.ndarray, offset_m: Floats) -> Floats:
    """Return the direction of the lane that is under the car's centre (T,)."""
    half = network.width_m[lane] / 2
    beyond_left, beyond_right = offset_m > half, offset_m < -half
    left = np.where(network.left[lane] >= 0, 1.0, np.where(network.opposite[lane] >= 0, -1.0, 0.0))
    right = np.where(network.right[lane] >= 0, 1.0, 0.0)
    return np.where(beyond_left, left, np.where(beyond_right, right, 1.0))


def _corners(knots: Knots, car: Car, ego: Ego) -> _Corners:
    points = corners(ego.pose, np.array([car.half_length_m, car.half_width_m]))
    s_m, d_m = np.empty(points.shape[:2]), np.empty(points.shape[:2])
    for t in range(len(points)):
        for k in range(4):
            x, y = points[t, k].tolist()
            s_m[t, k], d_m[t, k], _, _ = project(knots, x, y, float(ego.s_m[t]))
    return _Corners(points, s_m, d_m)
