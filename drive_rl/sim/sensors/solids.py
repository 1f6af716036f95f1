"""Solid bodies that a camera sees: cars made of boxes and wheels, tested ray by ray. Knows nothing of roads."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.car_spec import CarSpec
from drive_rl.sim.compiled import njit

BOX, WHEEL = 0.0, 1.0
Real = float | np.float32


class Solids(NamedTuple):
    """Bodies as arrays. `shape` (n, 9) float32: kind, centre x, y, z [m], half length, half width, half height [m],
    cos and sin of the yaw. A wheel is a cylinder about its own y axis, of radius `half height`. Colours are (n, 3).
    """

    size: int
    shape: NDArray[np.float32]
    top_colour: NDArray[np.float32]
    side_colour: NDArray[np.float32]


NO_SOLIDS = Solids(0, np.zeros((0, 9), np.float32), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))

_GLASS = (0.10, 0.12, 0.15)
_TYRE = (0.06, 0.06, 0.06)
_BUMPER = (0.16, 0.16, 0.17)
_LAMP = (0.95, 0.2, 0.15)


def car_solids(
    car: CarSpec, x_m: float, y_m: float, yaw_rad: float, steer_rad: float = 0.0,
    colour: tuple[float, float, float] | None = None,
) -> Solids:  # fmt: skip
    """Return the solids of a car at a pose: body, cabin, lamps and four wheels, the front ones steered."""
    paint = colour or car.colour
    length, width, height = car.length_m, car.width_m, car.height_m
    radius = 0.23 * height
    # local x, y, z, half length, half width, half height, yaw, kind, top colour, side colour
    parts: list[tuple[float, float, float, float, float, float, float, float, object, object]] = [
        (0, 0, 0.4 * height, length / 2, width / 2, 0.2 * height, 0, BOX, paint, paint),
        (-0.06 * length, 0, 0.79 * height, 0.26 * length, 0.43 * width, 0.19 * height, 0, BOX, paint, _GLASS),
        (0, 0, 0.24 * height, 0.505 * length, 0.47 * width, 0.06 * height, 0, BOX, _BUMPER, _BUMPER),
        (-0.5 * length, 0.36 * width, 0.5 * height, 0.02, 0.1 * width, 0.05 * height, 0, BOX, _LAMP, _LAMP),
        (-0.5 * length, -0.36 * width, 0.5 * height, 0.02, 0.1 * width, 0.05 * height, 0, BOX, _LAMP, _LAMP),
    ]
    for along, turn in ((car.cg_to_front_m, steer_rad), (-car.cg_to_rear_m, 0.0)):
        for side in (-0.47, 0.47):
            parts.append((along, side * width, radius, radius, 0.08 * width, radius, turn, WHEEL, _TYRE, _TYRE))
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    shape = [
        (kind, x_m + cos * px - sin * py, y_m + sin * px + cos * py, pz, hl, hw, hh,
         math.cos(yaw_rad + turn), math.sin(yaw_rad + turn))
        for px, py, pz, hl, hw, hh, turn, kind, _, _ in parts
    ]  # fmt: skip
    top, side = [part[8] for part in parts], [part[9] for part in parts]
    return Solids(len(parts), *(np.array(a, np.float32) for a in (shape, top, side)))


def join(solids: list[Solids]) -> Solids:
    """Return all solids as one."""
    if not solids:
        return NO_SOLIDS
    arrays = (np.concatenate([getattr(s, name) for s in solids]) for name in Solids._fields[1:])
    return Solids(sum(s.size for s in solids), *arrays)


@njit
def shadow(solids: Solids, x: float, y: float) -> float:
    """Return the light in [0.35, 1] that reaches a ground point: a soft shadow under each box."""
    light = 1.0
    for n in range(solids.size):
        if solids.shape[n, 0] != BOX or solids.shape[n, 3] - solids.shape[n, 6] > 0.5:
            continue
        dx, dy = x - solids.shape[n, 1], y - solids.shape[n, 2]
        if abs(dx) > 8.0 or abs(dy) > 8.0:
            continue
        c, s = solids.shape[n, 7], solids.shape[n, 8]
        ox = max(abs(c * dx + s * dy) - solids.shape[n, 4], 0.0)
        oy = max(abs(c * dy - s * dx) - solids.shape[n, 5], 0.0)
        light = min(light, 0.35 + 0.65 * min(math.sqrt(ox * ox + oy * oy) / 0.5, 1.0))
    return light


@njit
def hit_solids(
    solids: Solids, x: Real, y: Real, cos: Real, sin: Real, origin, direction, farthest: Real
) -> tuple[Real, int, float, bool]:
    """Return depth [m], index (-1: none), light and whether the top was hit, of the first solid along a ray.

    The ray starts at `origin` in the frame of a vehicle at (x, y, yaw) and counts only up to depth `farthest`.
    """
    ox, oy, oz = x + cos * origin[0] - sin * origin[1], y + sin * origin[0] + cos * origin[1], origin[2]
    dx, dy = cos * direction[0] - sin * direction[1], sin * direction[0] + cos * direction[1]
    dz = direction[2]
    best, part, light, is_top = farthest, -1, 1.0, False
    for n in range(solids.size):
        kind, cx, cy, cz, hl, hw, hh, c, s = solids.shape[n]
        rx, ry = ox - cx, oy - cy
        # a ball around the solid, to pass over most solids at once
        along = rx * dx + ry * dy + (oz - cz) * dz
        norm2 = dx * dx + dy * dy + dz * dz
        apart2 = rx * rx + ry * ry + (oz - cz) ** 2 - along * along / norm2
        if apart2 > hl * hl + hw * hw + hh * hh:
            continue
        # the ray in the solid's frame
        px, py, pz = c * rx + s * ry, c * ry - s * rx, oz - cz
        qx, qy, qz = c * dx + s * dy, c * dy - s * dx, dz
        if kind == BOX:
            t, axis = _slab(px, py, pz, qx, qy, qz, hl, hw, hh)
            face = (0.7, 0.85, 1.0)[axis] if axis >= 0 else 1.0
            upper = axis == 2 and qz < 0
        else:
            t, face, upper = _cylinder(px, py, pz, qx, qy, qz, hw, hh), 1.0, False
        if 0.0 < t < best:
            best, part, light, is_top = t, n, face, upper
    return best, part, light, is_top


@njit
def _slab(px, py, pz, qx, qy, qz, hl, hw, hh) -> tuple[float, int]:
    """Return where a ray enters a box, and through which axis (-1: it misses, or starts inside)."""
    enter, leave, axis = -np.inf, np.inf, -1
    for k in range(3):
        p, q, h = (px, qx, hl) if k == 0 else ((py, qy, hw) if k == 1 else (pz, qz, hh))
        if abs(q) < 1e-9:
            if abs(p) > h:
                return -1.0, -1
            continue
        a, b = (-h - p) / q, (h - p) / q
        if a > b:
            a, b = b, a
        if a > enter:
            enter, axis = a, k
        leave = min(leave, b)
    return (enter, axis) if enter <= leave and enter > 0 else (-1.0, -1)


@njit
def _cylinder(px, py, pz, qx, qy, qz, half_width, radius) -> float:
    """Return where a ray enters a cylinder about the y axis (-1: it misses)."""
    best = np.inf
    a = qx * qx + qz * qz
    b = px * qx + pz * qz
    disc = b * b - a * (px * px + pz * pz - radius * radius)
    if a > 1e-12 and disc >= 0:
        t = (-b - math.sqrt(disc)) / a
        if t > 0 and abs(py + t * qy) <= half_width:
            best = t
    if abs(qy) > 1e-9:
        for side in (-half_width, half_width):
            t = (side - py) / qy
            if 0 < t < best and (px + t * qx) ** 2 + (pz + t * qz) ** 2 <= radius * radius:
                best = t
    return best if best < np.inf else -1.0
