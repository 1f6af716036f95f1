"""A road's geometry: a reference line of piecewise-linear curvature. Knows nothing of paint, cars or seeds.

`s` [m] runs along the reference line, `d` [m] is left-positive from it. Between knots 1 m apart the curvature is
linear (a clothoid), so heading is exact and position is a 3-point Gauss-Legendre integral (error below 1e-9 m).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit

KNOT_M = 1.0
"""Spacing of the knots [m]."""

Knots = NDArray[np.float64]
"""(n, 4) float64: x [m], y [m], heading [rad], curvature [1/m] every `KNOT_M` along the line."""
X, Y, HEADING, CURVATURE = range(4)
"""Columns of `Knots`."""

_GAUSS = math.sqrt(0.6)


@njit(inline="always")
def _advance(x: float, y: float, yaw: float, curvature: float, slope: float, u: float) -> tuple[float, float, float]:
    """Return the pose `u` [m] further along a clothoid whose curvature grows by `slope` [1/m^2]."""
    half = 0.5 * u
    a, b, c = half * (1 - _GAUSS), half, half * (1 + _GAUSS)
    ha = yaw + (curvature + 0.5 * slope * a) * a
    hb = yaw + (curvature + 0.5 * slope * b) * b
    hc = yaw + (curvature + 0.5 * slope * c) * c
    x += u * (5 * math.cos(ha) + 8 * math.cos(hb) + 5 * math.cos(hc)) / 18
    y += u * (5 * math.sin(ha) + 8 * math.sin(hb) + 5 * math.sin(hc)) / 18
    return x, y, yaw + (curvature + 0.5 * slope * u) * u


@njit
def integrate(curvature: NDArray[np.float64], x: float, y: float, yaw: float) -> Knots:
    """Return the knots of a line that starts at a pose and has the given curvature at each knot [1/m]."""
    knots = np.empty((curvature.size, 4))
    for i in range(curvature.size):
        knots[i] = x, y, yaw, curvature[i]
        if i + 1 < curvature.size:
            slope = (curvature[i + 1] - curvature[i]) / KNOT_M
            x, y, yaw = _advance(x, y, yaw, curvature[i], slope, KNOT_M)
    return knots


@njit
def pose_at(knots: Knots, s: float) -> tuple[float, float, float, float]:
    """Return x [m], y [m], heading [rad] and curvature [1/m] of the reference line at `s` [m]."""
    i = min(max(int(s / KNOT_M), 0), knots.shape[0] - 2)
    u = s - i * KNOT_M
    curvature = knots[i, CURVATURE]
    slope = (knots[i + 1, CURVATURE] - curvature) / KNOT_M
    x, y, yaw = _advance(knots[i, X], knots[i, Y], knots[i, HEADING], curvature, slope, u)
    return x, y, yaw, curvature + slope * u


@njit
def nearest_knot(knots: Knots, x: float, y: float) -> int:
    """Return the index of the knot nearest to a point."""
    best, best_d2 = 0, np.inf
    for i in range(knots.shape[0]):
        d2 = (knots[i, X] - x) ** 2 + (knots[i, Y] - y) ** 2
        if d2 < best_d2:
            best, best_d2 = i, d2
    return best


@njit
def project(knots: Knots, x: float, y: float, s: float) -> tuple[float, float, float, float]:
    """Return s [m], d [m], heading [rad] and curvature [1/m] of the foot of the perpendicular near `s` (Newton)."""
    d = heading = curvature = 0.0
    for _ in range(12):
        rx, ry, heading, curvature = pose_at(knots, s)
        cos, sin = math.cos(heading), math.sin(heading)
        along = (x - rx) * cos + (y - ry) * sin
        d = (y - ry) * cos - (x - rx) * sin
        if abs(along) < 1e-10:
            break
        s += min(max(along / max(1 - curvature * d, 0.1), -2.0), 2.0)
    return s, d, heading, curvature


@njit
def locate(knots: Knots, x: float, y: float) -> tuple[float, float, float, float]:
    """Return s [m], d [m], road heading [rad] and curvature [1/m] of the point of the line nearest to (x, y)."""
    return project(knots, x, y, nearest_knot(knots, x, y) * KNOT_M)


@njit
def _line(knots: Knots, d: float, s: NDArray[np.float64]) -> NDArray[np.float64]:
    points = np.empty((s.size, 2))
    for i in range(s.size):
        x, y, heading, _ = pose_at(knots, s[i])
        points[i] = x - d * math.sin(heading), y + d * math.cos(heading)
    return points


@dataclass(frozen=True)
class RoadPoint:
    """A pose in road coordinates."""

    s_m: float
    d_m: float
    heading_error_rad: float
    curvature_1pm: float


@dataclass(frozen=True)
class Road:
    """One road: its reference line, where the route starts and ends on it, and the tier it was drawn from."""

    knots: Knots
    start_s_m: float
    end_s_m: float
    tier: str

    @property
    def length_m(self) -> float:
        """Length of the whole reference line, run-in and run-out included [m]."""
        return (len(self.knots) - 1) * KNOT_M

    def locate(self, x_m: float, y_m: float, yaw_rad: float = 0.0) -> RoadPoint:
        """Return the road coordinates of a pose; exact while |d| is less than the radius of the bend."""
        s, d, heading, curvature = locate(self.knots, x_m, y_m)
        return RoadPoint(s, d, wrap(yaw_rad - heading), curvature)

    def place(self, s_m: float, d_m: float, heading_error_rad: float = 0.0) -> tuple[float, float, float]:
        """Return x [m], y [m], yaw [rad] of a pose given in road coordinates."""
        x, y, heading, _ = pose_at(self.knots, s_m)
        return x - d_m * math.sin(heading), y + d_m * math.cos(heading), wrap(heading + heading_error_rad)

    def line(self, d_m: float, start_s_m: float, end_s_m: float, step_m: float = 1.0) -> NDArray[np.float64]:
        """Return points (n, 2) [m] of the line `d_m` left of the reference line."""
        return _line(self.knots, d_m, np.arange(start_s_m, end_s_m + 1e-9, step_m))


@njit
def wrap(angle: float) -> float:
    """Return an angle wrapped to (-pi, pi]."""
    return math.pi - (math.pi - angle) % (2 * math.pi)
