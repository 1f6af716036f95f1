"""Rectangles on the ground, many at once: corners, overlap, and where one is from another.

A pose (..., 3) is x, y [m] and yaw [rad]; a size (..., 2) is half length and half width [m]. Leading axes broadcast.
"""

import numpy as np

from drive_rl.benchmark.driving.record import Flags, Floats

TOUCH_M = 1e-6
"""Rectangles that are no farther apart touch: engines find contacts, and rounding must not lose them [m]."""


def corners(pose: Floats, half_m: Floats) -> Floats:
    """Return the corners (..., 4, 2) [m]: front left, rear left, rear right, front right."""
    along = np.array([1, -1, -1, 1]) * half_m[..., 0, None]
    left = np.array([1, 1, -1, -1]) * half_m[..., 1, None]
    cos, sin = np.cos(pose[..., 2, None]), np.sin(pose[..., 2, None])
    return np.stack([pose[..., 0, None] + along * cos - left * sin, pose[..., 1, None] + along * sin + left * cos], -1)


def overlap(pose: Floats, half_m: Floats, other: Floats, other_half_m: Floats) -> Flags:
    """Return whether rectangles touch (...), by separating axes (Gottschalk et al. 1996)."""
    dx, dy = other[..., 0] - pose[..., 0], other[..., 1] - pose[..., 1]
    turn = other[..., 2] - pose[..., 2]
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    touching = np.ones(np.broadcast_shapes(dx.shape, half_m.shape[:-1], other_half_m.shape[:-1]), np.bool_)
    for yaw, own, theirs in ((pose[..., 2], half_m, other_half_m), (other[..., 2], other_half_m, half_m)):
        c, s = np.cos(yaw), np.sin(yaw)
        touching &= np.abs(c * dx + s * dy) <= own[..., 0] + theirs[..., 0] * cos + theirs[..., 1] * sin + TOUCH_M
        touching &= np.abs(c * dy - s * dx) <= own[..., 1] + theirs[..., 0] * sin + theirs[..., 1] * cos + TOUCH_M
    return touching


def moved(pose: Floats, forward_m: Floats | float) -> Floats:
    """Return poses (..., 3) so far ahead of others."""
    return np.stack(
        [
            pose[..., 0] + forward_m * np.cos(pose[..., 2]),
            pose[..., 1] + forward_m * np.sin(pose[..., 2]),
            pose[..., 2] + 0 * forward_m,
        ],
        axis=-1,
    )


def angle_to(pose: Floats, point: Floats) -> Floats:
    """Return the angle (...) in [0, pi] between a pose's heading and the way to a point (..., 2 or 3)."""
    bearing = np.arctan2(point[..., 1] - pose[..., 1], point[..., 0] - pose[..., 0]) - pose[..., 2]
    return np.abs(np.remainder(bearing + np.pi, 2 * np.pi) - np.pi)


def near(pose: Floats, half_m: Floats, other: Floats, other_half_m: Floats, beyond_m: Floats | float = 0.0) -> Flags:
    """Return whether the circles around rectangles are within some metres (...): others need no closer test."""
    apart = np.hypot(other[..., 0] - pose[..., 0], other[..., 1] - pose[..., 1])
    reach = np.hypot(*np.moveaxis(half_m, -1, 0)) + np.hypot(*np.moveaxis(other_half_m, -1, 0))
    return apart <= reach + beyond_m + TOUCH_M
