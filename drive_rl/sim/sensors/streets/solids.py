"""What stands and drives on streets, as solids around a camera: vehicles, and signals with their lamps."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.map.network import Control, Light, RoadNetwork
from drive_rl.sim.sensors.bodies import (
    COLOURS,
    CYCLIST,
    HALF_HEIGHT,
    HALF_LENGTH,
    HALF_WIDTH,
    HEIGHT_M,
    KIND,
    LEFT_LAMP,
    MOST_PARTS,
    PAINT,
    PART_COUNT,
    PARTS,
    PX,
    PY,
    PZ,
    RIDES_ACROSS,
    RIGHT_LAMP,
    SIDE,
    TOP,
)
from drive_rl.sim.sensors.solids import BOX, WHEEL

VIEW_M = 70.0
"""Farther things are not drawn [m]: in 64 columns a car is less than a pixel wide there."""
BEHIND_M = 12.0
"""Nor are things so far behind the camera [m]."""

SIGNAL_X, SIGNAL_Y, SIGNAL_YAW, SIGNAL_LANE = range(4)
"""Columns of signals: where the post stands, which way traffic drives that it faces, and its lane."""
SIGNAL_PARTS, SIGNAL_LAMP = 3, 2
"""How many solids a signal has, and which of them is the lamp."""
MOST_MOVING = 24 * MOST_PARTS + 12 * SIGNAL_PARTS
"""What a picture shows at most of those and signals: 24 vehicles and 12 signals ..."""
MOST_SOLIDS = MOST_MOVING + 160
"""... and with what stands beside the streets."""
_POST_M, _HEAD_M, _LAMP_M = 1.6, 1.2, 0.34  # height of the post, height of the head on it, size of a lamp
_HEAD_HALF_M = 0.3
_POST_COLOUR, _HEAD_COLOUR = np.float32(0.3), np.float32(0.05)
_LAMP_COLOURS = np.array([(1.0, 0.1, 0.05), (1.0, 0.75, 0.1), (0.2, 1.0, 0.45)], np.float32)  # by Light
_BEHIND_LINE_M = 4.0
_BEYOND_M, _BEYOND_LEFT_M = 3.0, 1.5
"""Cars that turn there come past a post so far beyond its lane's end [m]."""
_TALLEST_M = 4.0
_WIDER = 1.02  # than the picture: rays are rounded
_BESIDE_M = 0.9
"""From the edge of the lane to a post [m]."""


class SolidRows(NamedTuple):
    """Room for solids, `Solids` without their number, and whose they are."""

    shape: NDArray[np.float32]  # (n, 9)
    top_colour: NDArray[np.float32]  # (n, 3)
    side_colour: NDArray[np.float32]  # (n, 3)
    owner: NDArray[np.int32]  # (n,), an actor's number; -1 - s of row s of `signals_of`, and then of the roadside


@njit
def new_rows():
    """Return `SolidRows` with room for all that a picture may show, MOST_SOLIDS."""
    return SolidRows(
        np.empty((MOST_SOLIDS, 9), np.float32),
        np.empty((MOST_SOLIDS, 3), np.float32),
        np.empty((MOST_SOLIDS, 3), np.float32),
        np.empty(MOST_SOLIDS, np.int32),
    )


def signals_of(network: RoadNetwork) -> NDArray[np.float64]:
    """Return the signals of a map (n, 4): on the right of each approach and, of one with several lanes, also on the
    line on its left. So far behind the stop line the camera of a car that waits there sees the nearer one.
    """
    governed = network.control == Control.SIGNAL
    right, left = governed & (network.right < 0), governed & (network.left < 0) & (network.right >= 0)
    rows = []
    for side, lanes, beside_m, beyond_m in ((-1, right, _BESIDE_M, _BEYOND_M), (1, left, 0.0, _BEYOND_LEFT_M)):
        for lane in np.flatnonzero(lanes).tolist():
            s = min(float(network.stop_s_m[lane]) + _BEHIND_LINE_M, float(network.length_m[lane]) + beyond_m)
            d = side * (float(network.width_m[lane]) / 2 + beside_m)
            rows.append((*pose_at(network, lane, s, d), float(lane)))
    return np.array(rows, np.float64).reshape(-1, 4)


@njit_scalar
def may_show(x, y, at):
    """Return whether a thing at a place [m] can be in the picture of a camera at a `Viewpoint`."""
    dx, dy = x - at.x, y - at.y
    return dx * dx + dy * dy < VIEW_M * VIEW_M and at.cos * dx + at.sin * dy > -BEHIND_M


@njit_scalar
def is_aside(x, y, reach, at, rays):
    """Return whether a camera at a `Viewpoint` surely sees nothing that is within some metres of a place [m]: all of it
    is too far to one side.
    """
    dx, dy = x - at.x, y - at.y
    ahead, left = at.cos * dx + at.sin * dy - rays.origin[0], at.cos * dy - at.sin * dx
    depth = max(ahead + reach, 0.0) + rays.origin[2] + _TALLEST_M  # no point is deeper, however the camera is pitched
    return abs(left) - reach > (_WIDER * rays.bearings[0] + _WIDER - 1) * depth


@njit_scalar
def add_vehicle(rows, n, kind, size, pose, painted, lamps):
    """Add the solids of a vehicle from row n on; return the next free row.

    Args:
        rows: `SolidRows`.
        n: The first free row.
        kind: Place in `PARTS`, or `RIDES_ACROSS`.
        size: Length and width [m].
        pose: x, y [m], yaw [rad].
        painted: Colours of actors (N, 3), and which of the actors it is.
        lamps: Colours of its left and right lamp, in `COLOURS`.
    """
    length, width = size
    (x, y, yaw), (paint, who) = pose, painted
    if kind == RIDES_ACROSS:  # front and back look alike
        kind, length, width, yaw = CYCLIST, width, length, yaw + 0.5 * math.pi
    height, cos, sin = HEIGHT_M[kind], math.cos(yaw), math.sin(yaw)
    for k in range(PART_COUNT[kind]):
        ahead, left, wheel = PARTS[kind, k, PX] * length, PARTS[kind, k, PY] * width, PARTS[kind, k, KIND] == WHEEL
        rows.shape[n, 0] = PARTS[kind, k, KIND]
        rows.shape[n, 1], rows.shape[n, 2] = x + cos * ahead - sin * left, y + sin * ahead + cos * left
        rows.shape[n, 3] = PARTS[kind, k, PZ] * height
        rows.shape[n, 4] = PARTS[kind, k, HALF_LENGTH] * (height if wheel else length)
        rows.shape[n, 5] = PARTS[kind, k, HALF_WIDTH] * width
        rows.shape[n, 6], rows.shape[n, 7], rows.shape[n, 8] = PARTS[kind, k, HALF_HEIGHT] * height, cos, sin
        rows.owner[n] = who
        top, side = int(PARTS[kind, k, TOP]), int(PARTS[kind, k, SIDE])
        for channel in range(3):
            own = paint[who, channel]
            rows.top_colour[n, channel] = own if top == PAINT else COLOURS[_lit(top, lamps), channel]
            rows.side_colour[n, channel] = own if side == PAINT else COLOURS[_lit(side, lamps), channel]
        n += 1
    return n


@njit_scalar
def _lit(colour, lamps):
    return lamps[0] if colour == LEFT_LAMP else lamps[1] if colour == RIGHT_LAMP else colour


@njit_scalar
def add_signal(rows, n, signal, s, light):
    """Add the solids of signal s from row n on: a post, a head and the lamp that is lit; return the next free row."""
    x, y, yaw = signal[s, SIGNAL_X], signal[s, SIGNAL_Y], signal[s, SIGNAL_YAW]
    cos, sin = math.cos(yaw), math.sin(yaw)
    _box(rows, n, (x, y, 0.5 * _POST_M), (0.06, 0.06, 0.5 * _POST_M), (cos, sin))
    _box(rows, n + 1, (x, y, _POST_M + 0.5 * _HEAD_M), (0.12, _HEAD_HALF_M, 0.5 * _HEAD_M), (cos, sin))
    up = 0.78 if light == Light.RED else 0.5 if light == Light.YELLOW else 0.22
    face = x - 0.14 * cos, y - 0.14 * sin, _POST_M + up * _HEAD_M
    _box(rows, n + 2, face, (0.05, 0.5 * _LAMP_M, 0.5 * _LAMP_M), (cos, sin))
    rows.owner[n] = rows.owner[n + 1] = rows.owner[n + 2] = -1 - s
    for channel in range(3):
        rows.top_colour[n, channel] = rows.side_colour[n, channel] = _POST_COLOUR
        rows.top_colour[n + 1, channel] = rows.side_colour[n + 1, channel] = _HEAD_COLOUR
        rows.top_colour[n + 2, channel] = rows.side_colour[n + 2, channel] = _LAMP_COLOURS[light, channel]
    return n + SIGNAL_PARTS


@njit_scalar
def _box(rows, n, centre, half, along):
    rows.shape[n, 0] = BOX
    rows.shape[n, 1], rows.shape[n, 2], rows.shape[n, 3] = centre
    rows.shape[n, 4], rows.shape[n, 5], rows.shape[n, 6] = half
    rows.shape[n, 7], rows.shape[n, 8] = along
