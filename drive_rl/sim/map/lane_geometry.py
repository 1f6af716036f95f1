"""Places on lanes, compiled: a pose at (lane, s, d), the projection of a point, what comes next, the state of a signal.

Between points the position is a cubic (Hermite) and the heading is linear, so both are continuous; a lane goes on
straight before its start and beyond its end.
"""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.map.network import LaneLines, Light, Marking, RoadNetwork


@njit_scalar
def pose_at(network: RoadNetwork | LaneLines, lane: int, s: float, d: float) -> tuple[float, float, float]:
    """Return x [m], y [m] and yaw [rad], not wrapped, at `s` along a lane and `d` left of its centre line."""
    step, point = network.step_m[lane], network.first_point[lane]
    on = min(max(s, 0.0), network.length_m[lane])
    i = min(int(on / step), network.first_point[lane + 1] - point - 2)
    i, u = point + i, on / step - i
    yaw0, yaw1 = network.yaw_rad[i], network.yaw_rad[i + 1]
    a, b = (1 + 2 * u) * (1 - u) ** 2, u * u * (3 - 2 * u)
    c, e = step * u * (1 - u) ** 2, step * u * u * (u - 1)
    x = a * network.x_m[i] + b * network.x_m[i + 1] + c * math.cos(yaw0) + e * math.cos(yaw1)
    y = a * network.y_m[i] + b * network.y_m[i + 1] + c * math.sin(yaw0) + e * math.sin(yaw1)
    yaw = yaw0 + u * (yaw1 - yaw0)
    cos, sin = math.cos(yaw), math.sin(yaw)
    return x + (s - on) * cos - d * sin, y + (s - on) * sin + d * cos, yaw


@njit
def curvature_at(network: RoadNetwork, lane: int, s: float) -> float:
    """Return the curvature of a lane's centre line [1/m], left-positive."""
    on = min(max(s, 0.0), network.length_m[lane]) / network.step_m[lane]
    point = network.first_point[lane]
    i = min(int(on), network.first_point[lane + 1] - point - 2)
    before, after = network.curvature_1pm[point + i], network.curvature_1pm[point + i + 1]
    return before + (on - i) * (after - before)


@njit
def project(network: RoadNetwork, lane: int, x: float, y: float, s: float) -> tuple[float, float]:
    """Return s and d [m] of the foot of a point's perpendicular on a lane, near a first guess `s` (Newton).

    Beyond the lane's ends s is below 0 or above its length.
    """
    d = 0.0
    for _ in range(12):
        px, py, yaw = pose_at(network, lane, s, 0.0)
        cos, sin = math.cos(yaw), math.sin(yaw)
        along, d = (x - px) * cos + (y - py) * sin, (y - py) * cos - (x - px) * sin
        if abs(along) < 1e-9:
            break
        bend = curvature_at(network, lane, s) if 0 < s < network.length_m[lane] else 0.0
        s += min(max(along / max(1 - bend * d, 0.1), -4.0), 4.0)
    return s, d


@njit
def locate(network: RoadNetwork, lane: int, x: float, y: float) -> tuple[float, float]:
    """Return s and d [m] of the point of a lane nearest to (x, y), found without a guess."""
    best, best_d2 = 0, np.inf
    for i in range(network.first_point[lane], network.first_point[lane + 1]):
        d2 = (network.x_m[i] - x) ** 2 + (network.y_m[i] - y) ** 2
        if d2 < best_d2:
            best, best_d2 = i - network.first_point[lane], d2
    return project(network, lane, x, y, best * network.step_m[lane])


@njit
def lane_at(network: RoadNetwork, x: float, y: float, yaw: float) -> tuple[int, float, float]:
    """Return the lane that holds a pose, s and d [m]: of the lanes within 90 degrees of its heading, the nearest."""
    best, best_s, best_d, least = -1, 0.0, 0.0, np.inf
    for lane in range(network.length_m.size):
        s, d = locate(network, lane, x, y)
        beyond = max(-s, s - network.length_m[lane], 0.0)
        _, _, along = pose_at(network, lane, s, 0.0)
        if math.cos(yaw - along) > 0 and math.hypot(d, beyond) < least:
            best, best_s, best_d, least = lane, s, d, math.hypot(d, beyond)
    return best, best_s, best_d


@njit
def opposite_s(network: RoadNetwork, lane: int, s: float, other: int) -> float:
    """Return the s [m] on an oncoming lane that is abreast of `s` on a lane."""
    return network.length_m[other] * (1 - s / network.length_m[lane])


@njit
def may_change(network: RoadNetwork, lane: int, to_left: bool) -> bool:
    """Return whether there is a neighbour on that side, behind a dashed line or none."""
    marking = network.left_marking[lane] if to_left else network.right_marking[lane]
    other = network.left[lane] if to_left else network.right[lane]
    return other >= 0 and marking != Marking.WHITE_SOLID and marking != Marking.YELLOW_SOLID


@njit
def next_lane(network: RoadNetwork, distance_m: NDArray[np.float64], lane: int) -> int:
    """Return the successor of a lane that is nearest to the goal, by `routes.distance_to`; -1: none leads there."""
    best, least = -1, np.inf
    for i in range(network.first_successor[lane], network.first_successor[lane + 1]):
        other = network.successor[i]
        if distance_m[other] < least:
            best, least = other, distance_m[other]
    return best


@njit_scalar
def light_of_times(time_s: float, cycle_s: float, start_s: float, green_s: float, yellow_s: float) -> int:
    """Return the `Light` of a signal with these times (`RoadNetwork`)."""
    into = (time_s - start_s) % cycle_s
    if into < green_s:
        return Light.GREEN
    return Light.YELLOW if into < green_s + yellow_s else Light.RED


@njit
def light_at(network: RoadNetwork, group: int, time_s: float) -> int:
    """Return the `Light` of a signal group."""
    cycle_s, start_s = network.signal_cycle_s[group], network.signal_start_s[group]
    return light_of_times(time_s, cycle_s, start_s, network.signal_green_s[group], network.signal_yellow_s[group])
