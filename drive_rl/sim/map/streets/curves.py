"""Lines that streets are made of: smooth curves between poses, lines beside them, and turns through junctions.

A curve is a table of `Knots` (n, 4) whose points are evenly spaced. Knows nothing of lanes or junctions.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import CURVATURE, HEADING, Knots, X, Y, wrap

STEP_M = 1.0
"""Largest spacing of points along lanes [m]."""

_DENSE_M = 0.5
_EASE = 0.3  # share of a turn over which the curvature grows, and over which it shrinks again
_FILLET_RAD = math.radians(25)


class Pose(NamedTuple):
    """Where a line starts or ends [m, rad]."""

    x: float
    y: float
    yaw: float


class Curve(NamedTuple):
    """A line as evenly spaced points, and its length [m]."""

    points: Knots
    length_m: float


@njit
def _even(dense: Knots, along: NDArray, step_m: float) -> tuple[Knots, float]:
    """Return evenly spaced points between dense ones, whose lengths `along` the line are known [m]."""
    length = along[-1]
    count = max(math.ceil(length / step_m - 1e-9), 1) + 1
    s = np.linspace(0, length, count)
    points = np.empty((count, 4))
    for column in range(4):
        points[:, column] = np.interp(s, along, dense[:, column])
    return points, length


@njit
def _bezier(start: Pose, end: Pose, reach: float) -> tuple[Knots, float]:
    handle = reach * math.hypot(end.x - start.x, end.y - start.y)
    count = max(int(handle / reach / _DENSE_M) * 4, 16)
    x0, y0 = start.x + handle * math.cos(start.yaw), start.y + handle * math.sin(start.yaw)
    x1, y1 = end.x - handle * math.cos(end.yaw), end.y - handle * math.sin(end.yaw)
    dense, along = np.empty((count + 1, 4)), np.zeros(count + 1)
    for i in range(count + 1):
        t = i / count
        a, b, c, e = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        dense[i, X], dense[i, Y] = a * start.x + b * x0 + c * x1 + e * end.x, a * start.y + b * y0 + c * y1 + e * end.y
        a, b, c = 3 * (1 - t) ** 2, 6 * t * (1 - t), 3 * t * t
        vx = a * (x0 - start.x) + b * (x1 - x0) + c * (end.x - x1)
        vy = a * (y0 - start.y) + b * (y1 - y0) + c * (end.y - y1)
        ax = 6 * (1 - t) * (x1 - 2 * x0 + start.x) + 6 * t * (end.x - 2 * x1 + x0)
        ay = 6 * (1 - t) * (y1 - 2 * y0 + start.y) + 6 * t * (end.y - 2 * y1 + y0)
        yaw = math.atan2(vy, vx)
        before = dense[i - 1, HEADING] if i > 0 else start.yaw
        dense[i, HEADING] = before + wrap(yaw - before)
        dense[i, CURVATURE] = (vx * ay - vy * ax) / max(math.hypot(vx, vy), 1e-9) ** 3
        if i > 0:
            along[i] = along[i - 1] + math.hypot(dense[i, X] - dense[i - 1, X], dense[i, Y] - dense[i - 1, Y])
    return _even(dense, along, _DENSE_M)


def bezier(start: Pose, end: Pose, reach: float = 1 / 3) -> Curve:
    """Return a smooth curve between two poses; `reach`: how far the headings act, relative to the distance."""
    return Curve(*_bezier(start, end, reach))


@njit
def _at(points: Knots, spacing: float, s: float) -> tuple[float, float, float, float]:
    """Return x, y, heading and curvature at `s` along a table: positions by a cubic, the others linear."""
    i = min(max(int(s / spacing), 0), points.shape[0] - 2)
    u, one, other = s / spacing - i, points[i], points[i + 1]
    a, b = (1 + 2 * u) * (1 - u) ** 2, u * u * (3 - 2 * u)
    c, e = spacing * u * (1 - u) ** 2, spacing * u * u * (u - 1)
    x = a * one[X] + b * other[X] + c * math.cos(one[HEADING]) + e * math.cos(other[HEADING])
    y = a * one[Y] + b * other[Y] + c * math.sin(one[HEADING]) + e * math.sin(other[HEADING])
    yaw, bend = (
        one[HEADING] + u * (other[HEADING] - one[HEADING]),
        one[CURVATURE] + u * (other[CURVATURE] - one[CURVATURE]),
    )
    return x, y, yaw, bend


@njit
def _beside(curve: Curve, from_s: float, to_s: float, d0: float, d1: float) -> tuple[Knots, float]:
    spacing = curve.length_m / (curve.points.shape[0] - 1)
    count = max(math.ceil((to_s - from_s) / _DENSE_M), 4)
    s, line = np.linspace(from_s, to_s, count + 1), np.empty((count + 1, 4))
    for i in range(count + 1):
        line[i] = _at(curve.points, spacing, s[i])
    along, ds = np.zeros(count + 1), (to_s - from_s) / count
    for i in range(count + 1):
        t = i / count
        d = d0 + (d1 - d0) * t**3 * (10 - 15 * t + 6 * t * t)
        slope = (d1 - d0) * 30 * (t * (1 - t)) ** 2 / (to_s - from_s)
        grows = (d1 - d0) * 60 * t * (1 - t) * (1 - 2 * t) / (to_s - from_s) ** 2
        yaw, bend = line[i, HEADING], line[i, CURVATURE]
        ahead = 1 - bend * d
        speed = math.hypot(ahead, slope)
        line[i, X] -= d * math.sin(yaw)
        line[i, Y] += d * math.cos(yaw)
        line[i, HEADING] = yaw + math.atan2(slope, ahead)
        line[i, CURVATURE] = bend / speed + (grows * ahead + slope * bend * slope) / speed**3
        along[i] = speed * ds  # for now
    for i in range(count, 0, -1):
        along[i] = 0.5 * (along[i] + along[i - 1])
    along[0] = 0.0
    return _even(line, np.cumsum(along), STEP_M)


def beside(curve: Curve, from_s_m: float, to_s_m: float, d_m: float, end_d_m: float | None = None) -> Curve:
    """Return the line `d_m` left of a part of a curve; with `end_d_m` it moves over smoothly on the way."""
    return Curve(*_beside(curve, from_s_m, to_s_m, d_m, d_m if end_d_m is None else end_d_m))


def backwards(curve: Curve) -> Curve:
    """Return a curve that is driven the other way."""
    points = curve.points[::-1].copy()
    points[:, HEADING] += math.pi
    points[:, CURVATURE] *= -1
    return Curve(points, curve.length_m)


def pose(curve: Curve, s_m: float, d_m: float = 0.0) -> Pose:
    """Return the pose at `s_m` along a curve, `d_m` left of it."""
    x, y, yaw, _ = _at(curve.points, curve.length_m / (len(curve.points) - 1), float(s_m))
    return Pose(x - d_m * math.sin(yaw), y + d_m * math.cos(yaw), yaw)


@njit
def _eased(s: float, angle: float) -> tuple[float, float]:
    """Return heading [rad] and curvature at `s` in [0, 1] of a turn of unit length: clothoid, arc, clothoid."""
    peak = angle / (1 - _EASE)
    if s < _EASE:
        return 0.5 * peak * s * s / _EASE, peak * s / _EASE
    if s > 1 - _EASE:
        return angle - 0.5 * peak * (1 - s) ** 2 / _EASE, peak * (1 - s) / _EASE
    return peak * (s - 0.5 * _EASE), peak


@njit
def _turn(start: Pose, end: Pose) -> tuple[Knots, float]:
    """Return a straight, an eased turn and a straight between two poses; no points: their headings do not meet."""
    angle = wrap(end.yaw - start.yaw)
    cos, sin = math.cos(start.yaw), math.sin(start.yaw)
    ahead, left = (end.x - start.x) * cos + (end.y - start.y) * sin, (end.y - start.y) * cos - (end.x - start.x) * sin
    after = left / math.sin(angle)
    before = ahead - after * math.cos(angle)
    leg = min(before, after)
    if leg < 1.0:
        return np.empty((0, 4)), 0.0
    count = 256
    x, y = np.zeros(count + 1), np.zeros(count + 1)
    for i in range(count):
        mid, _ = _eased((i + 0.5) / count, angle)
        x[i + 1], y[i + 1] = x[i] + math.cos(mid) / count, y[i] + math.sin(mid) / count
    size = leg * 2 * math.cos(angle / 2) / math.hypot(x[-1], y[-1])
    length = before + after - 2 * leg + size
    points = np.empty((max(math.ceil(length / STEP_M - 1e-9), 2) + 1, 4))
    for i in range(points.shape[0]):
        s = i * length / (points.shape[0] - 1) - (before - leg)
        u = min(max(s / size, 0.0), 1.0)
        yaw, bend = _eased(u, angle)
        k = min(int(u * count), count - 1)
        px, py = x[k] + (u * count - k) * (x[k + 1] - x[k]), y[k] + (u * count - k) * (y[k + 1] - y[k])
        rest = s - u * size
        px, py = before - leg + px * size + rest * math.cos(yaw), py * size + rest * math.sin(yaw)
        points[i] = start.x + px * cos - py * sin, start.y + px * sin + py * cos, start.yaw + yaw, bend / size
    return points, length


@njit
def _connect(start: Pose, end: Pose) -> tuple[Knots, float]:
    if _FILLET_RAD < abs(wrap(end.yaw - start.yaw)) < math.pi - _FILLET_RAD / 2:
        points, length = _turn(start, end)
        if points.shape[0]:
            return points, length
    points, length = _bezier(start, end, 0.4)
    return _even(points, np.linspace(0, length, points.shape[0]), STEP_M)


def connect(start: Pose, end: Pose) -> Curve:
    """Return the way from one pose to another through a junction: an eased turn, or a smooth curve."""
    return Curve(*_connect(start, end))
