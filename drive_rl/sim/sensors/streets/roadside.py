"""What stands beside streets as solids: a house, or a few boxes."""

import math

import numpy as np

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.map.roadside import (
    BLUE,
    BUILDING,
    GREEN,
    HALF_LENGTH,
    HALF_WIDTH,
    HEIGHT,
    KIND,
    LAMP_POST,
    RED,
    STOP_SIGN,
    TREE,
    YAW,
    X,
    Y,
)
from drive_rl.sim.sensors.solids import BOX, HOUSE
from drive_rl.sim.sensors.streets.solids import VIEW_M, is_aside

MOST_PARTS = 4
"""Solids of one, at most."""
_BARK = np.array((0.22, 0.16, 0.11), np.float32)
_METAL = np.array((0.42, 0.42, 0.42), np.float32)
_WHITE = np.array((0.95, 0.95, 0.95), np.float32)
_TRUNK_M, _PLATE_M = 0.16, 0.4  # half sizes


@njit_scalar
def shows_beside(beside, k, at, rays):
    """Return whether row k of a roadside can be in the picture of a camera at a `Viewpoint`."""
    x, y, reach = beside[k, X], beside[k, Y], beside[k, HALF_LENGTH] + beside[k, HALF_WIDTH]
    dx, dy = x - at.x, y - at.y
    behind = at.cos * dx + at.sin * dy < min(rays.origin[0], 0.0) - reach
    if behind or dx * dx + dy * dy > (VIEW_M + reach) * (VIEW_M + reach):
        return False
    return not is_aside(x, y, reach + beside[k, HEIGHT], at, rays)


@njit_scalar
def add_roadside(rows, n, beside, k, owner):
    """Add the solids of row k of a roadside from row n of `SolidRows` on; return the next free row."""
    x, y, yaw, high = beside[k, X], beside[k, Y], beside[k, YAW], beside[k, HEIGHT]
    kind, half = beside[k, KIND], (beside[k, HALF_LENGTH], beside[k, HALF_WIDTH])
    own = np.float32(beside[k, RED]), np.float32(beside[k, GREEN]), np.float32(beside[k, BLUE])
    at, first = (x, y, math.cos(yaw), math.sin(yaw)), n
    if kind == BUILDING:
        n = _add(rows, n, at, (0.0, 0.5 * high), (half[0], half[1], 0.5 * high), own)
        rows.shape[n - 1, 0] = HOUSE
    elif kind == TREE:
        n = _add_in(rows, n, at, (0.0, 0.25 * high), (_TRUNK_M, _TRUNK_M, 0.25 * high), _BARK)
        n = _add(rows, n, at, (0.0, 0.7 * high), (half[0], half[1], 0.3 * high), own)
    elif kind == LAMP_POST:
        n = _add(rows, n, at, (0.0, 0.5 * high), (half[0], half[1], 0.5 * high), own)
    else:
        middle, plate = high - _PLATE_M, (0.02, half[1], _PLATE_M)
        n = _add_in(rows, n, at, (0.0, 0.5 * middle), (0.04, 0.04, 0.5 * middle), _METAL)
        n = _add_in(rows, n, at, (-0.06, middle), plate, _METAL)  # its back
        n = _add(rows, n, at, (-0.10, middle), plate, own)
        inner = (0.02, 0.7 * half[1], 0.07) if kind == STOP_SIGN else (0.02, 0.6 * half[1], 0.22)
        n = _add_in(rows, n, at, (-0.13, middle), inner, _WHITE)
    for part in range(first, n):
        rows.owner[part] = owner
    return n


@njit_scalar
def _add_in(rows, n, at, place, half, colour):
    return _add(rows, n, at, place, half, (colour[0], colour[1], colour[2]))


@njit_scalar
def _add(rows, n, at, place, half, colour):
    """Add a box; `place`: how far ahead of the middle and how high its own is [m]."""
    x, y, cos, sin = at
    rows.shape[n, 0] = BOX
    rows.shape[n, 1], rows.shape[n, 2], rows.shape[n, 3] = x + cos * place[0], y + sin * place[0], place[1]
    rows.shape[n, 4], rows.shape[n, 5], rows.shape[n, 6] = half
    rows.shape[n, 7], rows.shape[n, 8] = cos, sin
    for channel in range(3):
        rows.top_colour[n, channel] = rows.side_colour[n, channel] = colour[channel]
    return n + 1
