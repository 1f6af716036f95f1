"""Where bodies are in the world, and which touch: rectangles on the ground. Drivers do not use it."""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.map.network import LaneLines, RoadNetwork
from drive_rl.sim.traffic.actors import BEFORE, LANE, SHIFT, S, Traffic
from drive_rl.sim.traffic.follow import lane_ahead
from drive_rl.sim.traffic.population import LENGTH, OFFSET, WIDTH
from drive_rl.sim.traffic.streets import AXLES, NONE


@njit_scalar
def pose_of(i: int, traffic: Traffic, network: RoadNetwork | LaneLines) -> tuple[float, float, float]:
    """Return x, y [m] and yaw [rad] of actor i: both axles are on its way, so that long bodies cut bends."""
    lane, s = traffic.whole[i, LANE], traffic.real[i, S]
    d = traffic.real[i, SHIFT] + traffic.driver[i, OFFSET]
    rear, front = s - AXLES * traffic.driver[i, LENGTH], s + AXLES * traffic.driver[i, LENGTH]
    before, at, ahead, on = traffic.whole[i, BEFORE], lane, lane, front
    if rear < 0.0 and before != NONE:
        at, rear = before, rear + network.length_m[before]
    if front > network.length_m[lane]:
        (ahead, _), on = lane_ahead(i, traffic, lane, 0), front - network.length_m[lane]
        if ahead == NONE:
            ahead, on = lane, front
    x0, y0, _ = pose_at(network, at, rear, d)
    x1, y1, _ = pose_at(network, ahead, on, d)
    return 0.5 * (x0 + x1), 0.5 * (y0 + y1), math.atan2(y1 - y0, x1 - x0)


@njit
def contacts(traffic: Traffic, network: RoadNetwork) -> NDArray[np.bool_]:
    """Return which bodies touch (N, N)."""
    count, half = traffic.whole.shape[0], 0.5 * traffic.driver[:, LENGTH : WIDTH + 1]
    poses, touching = np.zeros((count, 3)), np.zeros((count, count), np.bool_)
    for i in range(count):
        if traffic.whole[i, LANE] == NONE:
            continue
        poses[i, 0], poses[i, 1], poses[i, 2] = pose_of(i, traffic, network)
        for j in range(i):
            if traffic.whole[j, LANE] != NONE and bodies_touch(poses[i], half[i], poses[j], half[j]):
                touching[i, j] = touching[j, i] = True
    return touching


@njit_scalar
def bodies_touch(pose, half, other_pose, other_half) -> bool:
    """Return whether two rectangles (x, y, yaw; half length, half width) overlap (separating axes)."""
    dx, dy = other_pose[0] - pose[0], other_pose[1] - pose[1]
    if dx * dx + dy * dy > (half[0] + half[1] + other_half[0] + other_half[1]) ** 2:
        return False
    turn = other_pose[2] - pose[2]
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    for yaw, own, other in ((pose[2], half, other_half), (other_pose[2], other_half, half)):
        c, s = math.cos(yaw), math.sin(yaw)
        if abs(c * dx + s * dy) > own[0] + other[0] * cos + other[1] * sin:
            return False
        if abs(c * dy - s * dx) > own[1] + other[0] * sin + other[1] * cos:
            return False
    return True
