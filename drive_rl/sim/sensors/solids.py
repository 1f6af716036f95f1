"""Solids in front of a camera: boxes, wheels and houses, tested ray by ray. Knows nothing of roads.

`hit_solids` and `shadow` look at all of them, for those who have a thread a pixel. `renderer` calls what they are made
of, solid by solid.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CarSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.sensors.pinhole import Real, Viewpoint

BOX, WHEEL, HOUSE = 0.0, 1.0, 2.0
_STOREY_M, _SILL_M, _LINTEL_M = 3.4, 1.2, 2.6
"""Height of a house's storeys, and where in them their windows begin and end [m]."""
_PANE = 0.25
"""Light of a window, over that of its wall."""
SHADOW_M = 0.5
"""How far a shadow reaches beyond its box."""
Vector = tuple[Real, Real, Real]


class Solid(NamedTuple):
    """One solid. A wheel is a cylinder about its own y axis; its radius is its half height. A house is a box on the
    ground with a row of windows around each storey.
    """

    kind: np.float32  # BOX, WHEEL or HOUSE
    x: np.float32  # the centre [m]
    y: np.float32
    z: np.float32
    half_length: np.float32  # [m]
    half_width: np.float32
    half_height: np.float32
    cos: np.float32  # of the yaw
    sin: np.float32


class Solids(NamedTuple):
    """Solids as arrays."""

    size: int  # how many of the rows count
    shape: NDArray[np.float32]  # (n, 9), Solid
    top_colour: NDArray[np.float32]  # (n, 3), in [0, 1]
    side_colour: NDArray[np.float32]  # (n, 3)


NO_SOLIDS = Solids(0, np.zeros((0, 9), np.float32), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))

_GLASS = (0.10, 0.12, 0.15)
_TYRE = (0.06, 0.06, 0.06)
_BUMPER = (0.16, 0.16, 0.17)
_LAMP = (0.95, 0.2, 0.15)


class _Part(NamedTuple):
    """One solid of a car, in the car's frame [m]; `turn` is its yaw [rad] against the car's."""

    x: float
    y: float
    z: float
    half_length: float
    half_width: float
    half_height: float
    turn: float
    kind: float
    top: Vector
    side: Vector


def car_solids(
    car: CarSpec, x_m: float, y_m: float, yaw_rad: float, steer_rad: float = 0.0,
    colour: tuple[float, float, float] | None = None,
) -> Solids:  # fmt: skip
    """Return the solids of a car at a pose: body, cabin, lamps and four wheels, the front ones steered."""
    paint = colour or car.colour
    length, width, height = car.length_m, car.width_m, car.height_m
    radius = 0.23 * height
    parts = [
        _Part(0, 0, 0.4 * height, length / 2, width / 2, 0.2 * height, 0, BOX, paint, paint),
        _Part(-0.06 * length, 0, 0.79 * height, 0.26 * length, 0.43 * width, 0.19 * height, 0, BOX, paint, _GLASS),
        _Part(0, 0, 0.24 * height, 0.505 * length, 0.47 * width, 0.06 * height, 0, BOX, _BUMPER, _BUMPER),
        _Part(-0.5 * length, 0.36 * width, 0.5 * height, 0.02, 0.1 * width, 0.05 * height, 0, BOX, _LAMP, _LAMP),
        _Part(-0.5 * length, -0.36 * width, 0.5 * height, 0.02, 0.1 * width, 0.05 * height, 0, BOX, _LAMP, _LAMP),
    ]
    for along, turn in ((car.cg_to_front_m, steer_rad), (-car.cg_to_rear_m, 0.0)):
        for side in (-0.47, 0.47):
            parts.append(_Part(along, side * width, radius, radius, 0.08 * width, radius, turn, WHEEL, _TYRE, _TYRE))
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    shape = [
        (p.kind, x_m + cos * p.x - sin * p.y, y_m + sin * p.x + cos * p.y, p.z, p.half_length, p.half_width,
         p.half_height, math.cos(yaw_rad + p.turn), math.sin(yaw_rad + p.turn))
        for p in parts
    ]  # fmt: skip
    top, side = [part.top for part in parts], [part.side for part in parts]
    return Solids(len(parts), *(np.array(a, np.float32) for a in (shape, top, side)))


def join(solids: list[Solids]) -> Solids:
    """Return several cars' solids as one."""
    if not solids:
        return NO_SOLIDS
    arrays = (np.concatenate([getattr(s, name) for s in solids]) for name in Solids._fields[1:])
    return Solids(sum(s.size for s in solids), *arrays)


class Ray(NamedTuple):
    """A ray in the world; its depth counts in lengths of its direction."""

    origin: Vector
    direction: Vector
    per_norm2: float  # 1 / the direction's squared length


@njit(inline="always")
def solid_at(shape, n):
    """Return a row of `Solids.shape` by name; numbers are read one by one, for a row is a slice."""
    return Solid(
        shape[n, 0], shape[n, 1], shape[n, 2], shape[n, 3], shape[n, 4],
        shape[n, 5], shape[n, 6], shape[n, 7], shape[n, 8],
    )  # fmt: skip


@njit(inline="always")
def casts_shadow(solid):
    """Return whether a solid darkens the ground: a box that is low enough."""
    return solid.kind == BOX and solid.z - solid.half_height <= 0.5


@njit(inline="always")
def shadow_of(solid, x, y):
    """Return the light in [0.35, 1] that a box which casts a shadow leaves to a ground point: 1 from SHADOW_M on."""
    dx, dy = x - solid.x, y - solid.y
    if abs(dx) > 8.0 or abs(dy) > 8.0:
        return 1.0
    ox = max(abs(solid.cos * dx + solid.sin * dy) - solid.half_length, 0.0)
    oy = max(abs(solid.cos * dy - solid.sin * dx) - solid.half_width, 0.0)
    return 0.35 + 0.65 * min(math.sqrt(ox * ox + oy * oy) / SHADOW_M, 1.0)


@njit
def shadow(solids: Solids, x: float, y: float) -> float:
    """Return the light in [0.35, 1] that reaches a ground point: a soft shadow under each box."""
    light = 1.0
    for n in range(solids.size):
        solid = solid_at(solids.shape, n)
        if casts_shadow(solid):
            light = min(light, shadow_of(solid, x, y))
    return light


@njit(inline="always")
def ray_from(at, origin, direction):
    """Return a ray of the frame of the vehicle `at` some place in the world."""
    x, y, cos, sin = at
    dx, dy = cos * direction[0] - sin * direction[1], sin * direction[0] + cos * direction[1]
    dz = direction[2]
    start = x + cos * origin[0] - sin * origin[1], y + sin * origin[0] + cos * origin[1], origin[2]
    return Ray(start, (dx, dy, dz), 1.0 / (dx * dx + dy * dy + dz * dz))


@njit(error_model="numpy")
def hit_solids(
    solids: Solids, at: Viewpoint, origin: Vector, direction: Vector, farthest: Real
) -> tuple[Real, int, float, bool | np.bool_]:
    """Return depth [m], index (-1: none), light and whether the top was hit, of the first solid along a ray.

    The ray starts at `origin` in the frame of the vehicle `at` some place and counts only up to depth `farthest`.
    """
    ray = ray_from(at, origin, direction)
    best, part, light, is_top = farthest, -1, 1.0, False
    for n in range(solids.size):
        t, face, upper = hit(solid_at(solids.shape, n), ray)
        if 0.0 < t < best:
            best, part, light, is_top = t, n, face, upper
    return best, part, light, is_top


@njit(inline="always")
def hit(solid, ray):
    """Return the depth at which a ray enters a solid (-1: it misses), the face's light, and whether it is the top.

    No ray counts that misses the ball around the solid.
    """
    rx, ry, rz = ray.origin[0] - solid.x, ray.origin[1] - solid.y, ray.origin[2] - solid.z
    dx, dy, dz = ray.direction
    c, s = solid.cos, solid.sin
    half = solid.half_length, solid.half_width, solid.half_height
    # the ray in the solid's frame
    start, along_it = (c * rx + s * ry, c * ry - s * rx, rz), (c * dx + s * dy, c * dy - s * dx, dz)
    t, axis = -1.0, -1
    if solid.kind != WHEEL:
        t, axis = _box(start, along_it, half)
        if t > 0 and _misses_ball((rx, ry, rz), ray, half):
            t, axis = -1.0, -1
    elif not _misses_ball((rx, ry, rz), ray, half):
        t = _cylinder(start, along_it, solid.half_width, solid.half_height)
    light = 1.0 if axis < 0 or axis == 2 else 0.7 if axis == 0 else 0.85
    if solid.kind == HOUSE and (axis == 0 or axis == 1) and _is_window(ray.origin[2] + t * dz, 2 * half[2]):
        light *= _PANE
    return t, light, axis == 2 and dz < 0


@njit(inline="always")
def _is_window(z, height):
    """Return whether there is glass so high up a wall [m]: all around each storey that is whole."""
    storey = math.floor(z * (1 / _STOREY_M)) * _STOREY_M
    return _SILL_M < z - storey < _LINTEL_M and storey + _STOREY_M <= height


@njit(inline="always")
def _misses_ball(start, ray, half):
    """Return whether a ray misses the ball around a solid, which it starts from so far away."""
    (rx, ry, rz), (dx, dy, dz), (hl, hw, hh) = start, ray.direction, half
    along = rx * dx + ry * dy + rz * dz
    return rx * rx + ry * ry + rz * rz - along * along * ray.per_norm2 > hl * hl + hw * hw + hh * hh


@njit(inline="always")
def _slab(p, q, h):
    """Return how far a ray from `p` is before the slab between -h and h, how far before its end, and the speed `|q|`
    at which it gets there; of a ray along the slab such numbers that it is in the slab for ever, or never.
    """
    if abs(q) < 1e-9:
        return -1.0, (-1.0 if abs(p) > h else 1.0), 0.0
    p = p if q > 0 else -p
    return -h - p, h - p, float(abs(q))


_ROUNDING = 1e-12
"""By far more than products and quotients of numbers round, relative to them."""


@njit(inline="always")
def _box(start, direction, half):
    """Return the depth at which a ray enters a box, and through which axis (-1: it misses, or starts inside).

    It enters the last of three slabs before it leaves the first one. Where products of the numbers that make up those
    depths decide, depths that nobody needs are not divided out.
    """
    nx, fx, qx = _slab(start[0], direction[0], half[0])
    ny, fy, qy = _slab(start[1], direction[1], half[1])
    nz, fz, qz = _slab(start[2], direction[2], half[2])
    t, axis = 0.0, -1
    if fx > 0 and fy > 0 and fz > 0:
        xy, xz, yx, yz, zx, zy = nx * qy, nx * qz, ny * qx, ny * qz, nz * qx, nz * qy
        yx_end, zx_end, xy_end, zy_end, xz_end, yz_end = fy * qx, fz * qx, fx * qy, fz * qy, fx * qz, fy * qz
        more, less = 1 + _ROUNDING, 1 - _ROUNDING
        late = (xy > yx_end * more) | (xz > zx_end * more) | (yx > xy_end * more)
        late |= (yz > zy_end * more) | (zx > xz_end * more) | (zy > yz_end * more)
        if not late:
            if nx > 0:
                t, axis = nx / qx, 0
            if ny > 0 and ny / qy > t:
                t, axis = ny / qy, 1
            if nz > 0 and nz / qz > t:
                t, axis = nz / qz, 2
            near = (xy > yx_end * less) | (xz > zx_end * less) | (yx > xy_end * less)
            near |= (yz > zy_end * less) | (zx > xz_end * less) | (zy > yz_end * less)
            if near and t > min(min(fx / qx, fy / qy), fz / qz):
                axis = -1
    return (t, axis) if axis >= 0 else (-1.0, -1)


@njit(inline="always")
def _cylinder(start, direction, half_width, radius):
    """Return the depth at which a ray enters a cylinder about the y axis (-1: it misses)."""
    (px, py, pz), (qx, qy, qz) = start, direction
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
