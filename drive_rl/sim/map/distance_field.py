"""The road as a distance field: (d, s) on a grid of 1 m cells, NaN away from the road. Knows nothing of paint.

Both are smooth near the road, so bilinear interpolation between cells is off by millimetres only (a test measures it).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import RoadSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.generator import paved_half_width_m
from drive_rl.sim.map.geometry import CURVATURE, HEADING, KNOT_M, Knots, Road, X, Y

CELL_M = 1.0
"""Size of the grid's cells [m]."""

_EVERY = 2  # the search for nearest knots skips every second one; `_foot` reaches as far as the one between
_MARGIN_M = 1.5  # a cell's diagonal: every cell that holds pavement has four known corners


@dataclass(frozen=True)
class Field:
    """Road coordinates at the corners of grid cells; corner (row, column) is at `origin + (column, row) * CELL_M`."""

    d_m: NDArray[np.float32]  # (rows, columns), NaN away from the road
    s_m: NDArray[np.float32]  # (rows, columns)
    origin_x_m: float
    origin_y_m: float


def build_field(road: Road, spec: RoadSpec) -> Field:
    """Return the distance field of a road."""
    band_m = paved_half_width_m(spec) + _MARGIN_M
    low = np.floor(road.knots[:, :2].min(axis=0) - band_m - 1)
    high = np.ceil(road.knots[:, :2].max(axis=0) + band_m + 1)
    columns, rows = (int(n) for n in (high - low) / CELL_M + 1)
    d, s = _fill(road.knots, float(low[0]), float(low[1]), rows, columns, band_m)
    return Field(d, s, float(low[0]), float(low[1]))


@njit(nogil=True)
def _fill(
    knots: Knots, x0: float, y0: float, rows: int, columns: int, band_m: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    nearest = np.empty((rows, columns), np.int32)
    near_d2 = np.full((rows, columns), np.inf, np.float32)
    reach = int(np.ceil((band_m + _EVERY * KNOT_M) / CELL_M))
    left, right = np.full(rows, columns), np.zeros(rows, np.int64)  # the columns near knots, in each row
    for k in range(0, knots.shape[0], _EVERY):
        kx, ky = np.float32(knots[k, X] - x0), np.float32(knots[k, Y] - y0)
        column, row = int(kx / CELL_M), int(ky / CELL_M)
        first, last = max(0, column - reach), min(columns, column + reach + 2)
        for j in range(max(0, row - reach), min(rows, row + reach + 2)):
            left[j], right[j] = min(left[j], first), max(right[j], last)
            dy = np.float32(j * CELL_M) - ky
            d2s, knot_of = near_d2[j, first:last], nearest[j, first:last]
            for i in range(d2s.size):  # without a branch, so that it vectorises
                dx = np.float32((first + i) * CELL_M) - kx
                d2, before = dx * dx + dy * dy, d2s[i]
                d2s[i] = min(d2, before)
                knot_of[i] = k if d2 < before else knot_of[i]
    d_field = np.full((rows, columns), np.nan, np.float32)
    s_field = np.zeros((rows, columns), np.float32)
    end = (knots.shape[0] - 1) * KNOT_M
    cos, sin = np.cos(knots[:, HEADING]), np.sin(knots[:, HEADING])
    column_of, knot_of = np.empty(columns, np.int64), np.empty(columns, np.int64)
    feet = np.empty((7, columns))
    x, y, bend, before, after, u, d = feet[0], feet[1], feet[2], feet[3], feet[4], feet[5], feet[6]
    for j in range(rows):
        count = 0
        for i in range(left[j], right[j]):
            if near_d2[j, i] > (band_m + KNOT_M) ** 2:
                continue
            k, last = nearest[j, i], knots.shape[0] - 1
            east, north = x0 + i * CELL_M - knots[k, X], y0 + j * CELL_M - knots[k, Y]
            x[count], y[count] = cos[k] * east + sin[k] * north, cos[k] * north - sin[k] * east
            bend[count] = knots[k, CURVATURE]
            before[count] = (knots[k, CURVATURE] - knots[max(k - 1, 0), CURVATURE]) / KNOT_M
            after[count] = (knots[min(k + 1, last), CURVATURE] - knots[k, CURVATURE]) / KNOT_M
            column_of[count], knot_of[count] = i, k
            count += 1
        for n in range(count):
            u[n], d[n] = _foot(x[n], y[n], bend[n], before[n], after[n])
        for n in range(count):
            s = knot_of[n] * KNOT_M + u[n]
            if abs(d[n]) <= band_m and 0 <= s <= end:
                d_field[j, column_of[n]] = d[n]
                s_field[j, column_of[n]] = s
    return d_field, s_field


@njit(inline="always")
def _foot(x: float, y: float, curvature: float, before: float, after: float) -> tuple[float, float]:
    """Return how far ahead of a knot the foot of a point's perpendicular lies, and the point's distance left of it [m].

    `x`, `y`: the point in the knot's frame [m]; `curvature` there [1/m], and its slope before and after it [1/m^2].
    `geometry.project` for the cells beside a knot: the clothoid's power series, whose error is below 1e-6 m within 1 m.
    All points take as many steps, so that a loop over points vectorises.
    """
    u = d = 0.0
    for _ in range(4):
        slope = after if u > 0 else before
        heading = (curvature + 0.5 * slope * u) * u
        cos, sin = 1 - 0.5 * heading**2, heading - heading**3 / 6
        ahead = x - u * (1 - curvature * u * u * (curvature / 6 + slope * u / 8))
        left = y - u * u * (curvature / 2 + slope * u / 6 - curvature**3 * u * u / 24)
        along, d = ahead * cos + left * sin, left * cos - ahead * sin
        step = along / max(1 - (curvature + slope * u) * d, 0.1)
        u += 0.0 if abs(along) < 1e-6 else step
    return u, d
