"""Bodies of vehicles and pedestrians as solids: tables of parts by kind, in shares of a body's size.

Knows nothing of who drives.
"""

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.streets.traffic import VehicleKind
from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.sensors.solids import BOX, WHEEL

PAINT, GLASS, TYRE, TRIM, RED, SKIN, WHITE, ORANGE, BLUE, DARK, AMBER, LEFT_LAMP, RIGHT_LAMP = range(13)
"""Colours of parts; `PAINT` is the vehicle's own, and lamps have those of `rear_lamps`."""
COLOURS = np.array(
    [
        (0, 0, 0),
        (0.10, 0.12, 0.15),
        (0.06, 0.06, 0.06),
        (0.16, 0.16, 0.17),
        (0.95, 0.2, 0.15),
        (0.75, 0.58, 0.46),
        (0.95, 0.95, 0.95),
        (1.0, 0.45, 0.05),
        (0.1, 0.25, 1.0),
        (0.4, 0.04, 0.04),
        (1.0, 0.7, 0.1),
    ],
    np.float32,
)
"""(colours before the lamps', 3) in [0, 1]."""

PX, PY, PZ, HALF_LENGTH, HALF_WIDTH, HALF_HEIGHT, KIND, TOP, SIDE = range(9)
"""Columns of a part: its centre and half sizes in shares of length, width and height; a wheel's radius (`HALF_HEIGHT`)
and half length are shares of the height; which solid; colours."""
MOST_PARTS = 11

_Part = tuple[float, float, float, float, float, float, float, int, int]


def _wheels(front: float, rear: float, radius: float, beside: float = 0.46, half: float = 0.07) -> list[_Part]:
    sides = (beside, -beside) if beside else (0.0,)
    return [(along, side, radius, radius, half, radius, WHEEL, TYRE, TYRE) for along in (front, rear) for side in sides]


def _lamps(z: float, along: float = -0.5, beside: float = 0.36) -> list[_Part]:
    return [(along, s, z, 0.004, 0.12, 0.06, BOX, c, c) for s, c in ((beside, LEFT_LAMP), (-beside, RIGHT_LAMP))]


_BODIES: dict[VehicleKind, list[_Part]] = {
    "car": [
        (0, 0, 0.40, 0.5, 0.5, 0.20, BOX, PAINT, PAINT),
        (-0.06, 0, 0.79, 0.26, 0.43, 0.19, BOX, PAINT, GLASS),
        (0, 0, 0.24, 0.505, 0.47, 0.06, BOX, TRIM, TRIM),
        *_lamps(0.5),
        *_wheels(0.29, -0.31, 0.23),
    ],
    "van": [
        (-0.08, 0, 0.56, 0.42, 0.5, 0.42, BOX, PAINT, PAINT),
        (0.40, 0, 0.34, 0.10, 0.48, 0.20, BOX, PAINT, PAINT),
        (0.30, 0, 0.72, 0.05, 0.46, 0.18, BOX, PAINT, GLASS),
        *_lamps(0.35),
        *_wheels(0.32, -0.30, 0.15),
    ],
    "lorry": [
        (-0.13, 0, 0.62, 0.37, 0.5, 0.38, BOX, PAINT, PAINT),
        (0.39, 0, 0.46, 0.11, 0.48, 0.34, BOX, PAINT, TRIM),
        (0.46, 0, 0.58, 0.042, 0.44, 0.14, BOX, GLASS, GLASS),
        (0, 0, 0.18, 0.48, 0.30, 0.05, BOX, TRIM, TRIM),
        *_lamps(0.22),
        *_wheels(0.36, -0.30, 0.15),
    ],
    "bus": [
        (0, 0, 0.54, 0.5, 0.5, 0.44, BOX, PAINT, PAINT),
        (0, 0, 0.70, 0.502, 0.505, 0.17, BOX, PAINT, GLASS),
        *_lamps(0.3),
        *_wheels(0.30, -0.28, 0.15),
    ],
    "motorcycle": [
        (0, 0, 0.42, 0.36, 0.16, 0.14, BOX, PAINT, PAINT),
        (-0.06, 0, 0.74, 0.10, 0.30, 0.18, BOX, TRIM, TRIM),
        (-0.04, 0, 0.95, 0.06, 0.14, 0.07, BOX, PAINT, PAINT),
        *_lamps(0.5, -0.37, 0.12),
        *_wheels(0.34, -0.34, 0.21, 0.0, 0.09),
    ],
    "cyclist": [
        (0, 0, 0.40, 0.30, 0.06, 0.05, BOX, PAINT, PAINT),
        (-0.05, 0, 0.56, 0.10, 0.30, 0.13, BOX, TRIM, TRIM),
        (0, 0, 0.76, 0.13, 0.36, 0.12, BOX, PAINT, PAINT),
        (0.06, 0, 0.94, 0.06, 0.16, 0.06, BOX, SKIN, SKIN),
        *_wheels(0.30, -0.30, 0.19, 0.0, 0.04),
    ],
}


_WORKS: list[_Part] = [
    *[(-0.485, side, 0.72, 0.015, 0.165, 0.16, BOX, c, c) for side, c in ((-0.33, RED), (0, WHITE), (0.33, RED))],
    (-0.485, 0, 0.3, 0.012, 0.5, 0.08, BOX, WHITE, WHITE),
    (0.485, 0, 0.72, 0.015, 0.5, 0.16, BOX, WHITE, RED),
    (0.05, -0.06, 0.2, 0.33, 0.36, 0.2, BOX, SKIN, SKIN),
    *[(along, 0.45, 0.32, 0.02, 0.05, 0.32, BOX, ORANGE, ORANGE) for along in (-0.24, 0.0, 0.24)],
]
"""Barriers and cones around a heap of earth."""


_OPEN_DOOR: list[_Part] = [
    (0, 0, 0.38, 0.5, 0.5, 0.3, BOX, TRIM, TRIM),
    (0, -0.08, 0.84, 0.3, 0.42, 0.16, BOX, GLASS, GLASS),
    (-0.2, 0.42, 0.4, 0.4, 0.07, 0.06, BOX, RED, RED),
]
"""From behind: its inner side, with a reflector at its edge."""
_EMERGENCY: list[_Part] = [
    (-0.08, 0, 0.56, 0.42, 0.5, 0.42, BOX, WHITE, WHITE),
    (0.40, 0, 0.34, 0.10, 0.48, 0.20, BOX, WHITE, WHITE),
    (0.30, 0, 0.72, 0.05, 0.46, 0.18, BOX, WHITE, GLASS),
    (-0.08, 0, 0.5, 0.421, 0.505, 0.07, BOX, BLUE, BLUE),
    (0.2, 0, 1.03, 0.06, 0.4, 0.06, BOX, BLUE, BLUE),
    *_lamps(0.35),
    *_wheels(0.32, -0.30, 0.15),
]
"""A white van with a blue stripe and blue lights."""


def _pedestrian(stride: float) -> list[_Part]:
    """Return who walks across the pose's heading, with one leg before the other."""
    legs = [(side, side * stride, 0.23, 0.14, 0.14, 0.23, BOX, TRIM, TRIM) for side in (0.22, -0.22)]
    body = (0, 0, 0.63, 0.44, 0.24, 0.19, BOX, PAINT, PAINT)
    return [*legs, body, (0, 0, 0.91, 0.2, 0.22, 0.08, BOX, TRIM, SKIN)]


WALKS = len(_BODIES)
"""The kind of a pedestrian, behind those of `VehicleKind`; the next one has the other leg before."""
CYCLIST = list(_BODIES).index("cyclist")
RIDES_ACROSS = WALKS + 5
"""The kind of a cyclist who faces across the pose's heading, the last: it has a cyclist's parts."""
HEIGHT_M: NDArray[np.float64] = np.array([1.45, 2.3, 3.3, 3.1, 1.5, 1.75, 1.75, 1.75, 1.1, 1.25, 2.3])
"""(kinds,), in the order of `VehicleKind`, of pedestrians, of works, an open door and an emergency vehicle."""
_STEP_M = 0.7


def _table() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    bodies = [*_BODIES.values(), _pedestrian(1.0), _pedestrian(-1.0), _WORKS, _OPEN_DOOR, _EMERGENCY]
    parts, count = np.zeros((len(bodies), MOST_PARTS, 9), np.float32), np.zeros(len(bodies), np.int64)
    for kind, rows in enumerate(bodies):
        parts[kind, : len(rows)], count[kind] = rows, len(rows)
    return parts, count


PARTS, PART_COUNT = _table()
"""Parts of each kind, (kinds, MOST_PARTS, 9), and how many of them count, (kinds,)."""


@njit_scalar
def walking(kind: int, shift_m: float) -> int:
    """Return the kind to draw: a pedestrian's legs change places with each step, so far beside the lane's middle."""
    return kind + int(abs(shift_m) / _STEP_M) % 2 if kind == WALKS else kind


@njit_scalar
def rear_lamps(brakes: bool, side: int) -> tuple[int, int]:
    """Return the colours of the left and of the right lamp: bright while it brakes, amber on the side that is signalled
    (1: left, -1: right).
    """
    lit = RED if brakes else DARK
    return AMBER if side > 0 else lit, AMBER if side < 0 else lit
