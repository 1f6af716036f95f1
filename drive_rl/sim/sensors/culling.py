"""Which pixels a solid or its shadow may cover: rectangles that err on the large side. Knows nothing of roads.

Within them, pixels decide as they would if they looked at every solid, so that pictures are the same in every bit.
"""

import math
from typing import NamedTuple

import numpy as np

from drive_rl.sim.compiled import njit
from drive_rl.sim.sensors.pinhole import FORWARD, UPWARD
from drive_rl.sim.sensors.solids import SHADOW_M, Solid, casts_shadow, solid_at

_SLACK = 5e-4
"""How far beside a solid a ray may hit it, over their distance: a wheel's discriminant rounds to float32."""
_NEAR_M = 1e-6
_SHADOW_REACH_M = np.float32(SHADOW_M + 0.01)  # ground points far from a field's corner round to millimetres
_FLAT = np.float32(0.0)
_SHARE = 1 - 1e-4
"""How much of a box's least depth is sure to be before all hits: rays are rounded to float32."""


class Screen(NamedTuple):
    """Where a camera is, and its picture on the plane at depth 1, which `Rays` describes ray by ray."""

    x: float  # in the world [m]
    y: float
    z: float
    cos: float  # of the yaw
    sin: float
    pitch_cos: float
    pitch_sin: float
    top: float  # the first row, upwards from the optical axis
    left: float  # the first column, to the left
    rows_a_unit: float
    columns_a_unit: float
    slack: float  # _SLACK where the plane is farthest from the camera
    height: int  # [px]
    width: int


class Rectangle(NamedTuple):
    """Rows from `top` to before `bottom`, columns from `left` to before `right`."""

    top: int
    bottom: int
    left: int
    right: int
    depth: float  # no hit is so near [m]


@njit(error_model="numpy")
def screen_of(rays, at):
    """Return the `Screen` of the camera of a vehicle at a viewpoint, from its first and last rays."""
    rows, bearings = rays.rows, rays.bearings
    height, width = rows.shape[0], bearings.size
    forward, upward, left = float(rows[0, FORWARD]), float(rows[0, UPWARD]), float(bearings[0])
    tilt, rise = forward - rows[height - 1, FORWARD], upward - rows[height - 1, UPWARD]
    tall, wide = math.sqrt(tilt * tilt + rise * rise), left - bearings[width - 1]
    pitch_cos, pitch_sin = rise / tall, tilt / tall
    top = forward * pitch_sin + upward * pitch_cos
    up = max(abs(top), abs(top - tall))
    return Screen(
        x=at.x + at.cos * rays.origin[0] - at.sin * rays.origin[1],
        y=at.y + at.sin * rays.origin[0] + at.cos * rays.origin[1],
        z=rays.origin[2],
        cos=at.cos,
        sin=at.sin,
        pitch_cos=pitch_cos,
        pitch_sin=pitch_sin,
        top=top,
        left=left,
        rows_a_unit=(height - 1) / tall,
        columns_a_unit=(width - 1) / wide,
        slack=_SLACK * (1 + left * left + up * up),
        height=height,
        width=width,
    )


@njit(error_model="numpy")
def rectangle(screen, solid):
    """Return the pixels that the upright box around a solid may cover."""
    dx, dy, dz = solid.x - screen.x, solid.y - screen.y, solid.z - screen.z
    forward, leftward = screen.cos * dx + screen.sin * dy, screen.cos * dy - screen.sin * dx
    c = abs(screen.cos * solid.cos + screen.sin * solid.sin)
    s = abs(screen.cos * solid.sin - screen.sin * solid.cos)
    ahead, aside = c * solid.half_length + s * solid.half_width, s * solid.half_length + c * solid.half_width
    # the box's four edges across, as points of the camera's vertical plane
    nearest, farthest, low, high = np.inf, 0.0, np.inf, -np.inf
    for f in (forward - ahead, forward + ahead):
        for z in (dz - solid.half_height, dz + solid.half_height):
            depth = f * screen.pitch_cos - z * screen.pitch_sin
            up = (f * screen.pitch_sin + z * screen.pitch_cos) / depth
            nearest, farthest, low, high = min(nearest, depth), max(farthest, depth), min(low, up), max(high, up)
    if farthest <= 0:  # all of it is behind the camera
        return Rectangle(0, 0, 0, 0, 0.0)
    if nearest < _NEAR_M:  # it reaches behind the camera
        nearest, low, high = _NEAR_M, -np.inf, np.inf
    right, left = leftward - aside, leftward + aside
    right, left = right / (farthest if right > 0 else nearest), left / (nearest if left > 0 else farthest)
    top, bottom = _span(screen.top - high, screen.top - low, screen.slack, screen.rows_a_unit, screen.height)
    first, last = _span(screen.left - left, screen.left - right, screen.slack, screen.columns_a_unit, screen.width)
    return Rectangle(top, bottom, first, last, _SHARE * nearest)


@njit(error_model="numpy")
def _span(start, end, slack, a_unit, count):
    """Return the first pixel whose centre is not before `start`, and the first one after `end`."""
    first = math.ceil(min(max((start - slack) * a_unit, 0.0), float(count)))
    return first, math.floor(min(max((end + slack) * a_unit, -1.0), count - 1.0)) + 1


@njit(error_model="numpy")
def shadows_on(screen, solids):
    """Return the solids whose shadows a picture may show, as rows (solid, top, bottom, left, right)."""
    found, count = np.empty((solids.size, 5), np.int64), 0
    for n in range(solids.size):
        solid = solid_at(solids.shape, n)
        if not casts_shadow(solid):
            continue
        long, wide = solid.half_length + _SHADOW_REACH_M, solid.half_width + _SHADOW_REACH_M
        ground = Solid(solid.kind, solid.x, solid.y, _FLAT, long, wide, _FLAT, solid.cos, solid.sin)
        seen = rectangle(screen, ground)
        if seen.bottom > seen.top and seen.right > seen.left:
            found[count, 0], found[count, 1], found[count, 2] = n, seen.top, seen.bottom
            found[count, 3], found[count, 4] = seen.left, seen.right
            count += 1
    return found[:count]
