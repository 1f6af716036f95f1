"""Pixels and ground truth in one pass over the rays: the road from its distance field, solids by ray tests.

Markings are painted analytically: the coverage of a pixel is the box filter of the line's edges over the pixel's
footprint on the ground, so that lines stay crisp near by and do not alias far away. One numba function; no fallback.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE, Appearance
from drive_rl.sim.camera import TEXEL_M, TEXTURE_LEVELS, Rays
from drive_rl.sim.field import CELL_M, Field
from drive_rl.sim.lanes import LanePolyline
from drive_rl.sim.solids import NO_SOLIDS, Solids, hit_solids, shadow
from drive_rl.spec import RoadSpec

CLASSES = ("background", "road", "ego_lane", "marking", "vehicle")
"""Names of the values in a segmentation."""
BACKGROUND, ROAD, EGO_LANE, LINE, VEHICLE = range(5)

_NO_CLASSES = np.empty((0, 0), np.uint8)
_NO_DEPTH = np.empty((0, 0), np.float32)
_TEXELS = 256
_FAR_TEXELS = 64 * _TEXELS  # farther than any ground point, so that indices are positive before they wrap


def _textures() -> NDArray[np.float32]:
    """Return tileable noise (TEXTURE_LEVELS, n, n), the same in every process: octaves from 4 m down to a texel.

    Each level is the one before with its finest octave left out, for pixels that see too much ground to resolve it.
    """
    rng = np.random.default_rng(7)
    at = np.arange(_TEXELS)
    octaves = []
    for level in range(TEXTURE_LEVELS):
        cells = _TEXELS >> level
        coarse = rng.uniform(-1, 1, (cells, cells))
        low, part = at >> level, (at / 2**level) % 1
        high = (low + 1) % cells
        rows = coarse[low] * (1 - part)[:, None] + coarse[high] * part[:, None]
        octaves.append(rows[:, low] * (1 - part) + rows[:, high] * part)
    levels = np.cumsum(octaves[::-1], axis=0)[::-1]
    return (levels / np.abs(levels[0]).max()).astype(np.float32)


_TEXTURES = _textures()


@dataclass(frozen=True)
class Scene:
    """What a camera can see: a road's field and paint, a look, and solids (parked cars; the own car from outside)."""

    field: Field
    road: RoadSpec
    appearance: Appearance
    solids: Solids = NO_SOLIDS


@dataclass(frozen=True)
class Truth:
    """A picture and its ground truth."""

    image: NDArray[np.uint8]  # (C, H, W)
    classes: NDArray[np.uint8]  # (H, W), indices into CLASSES
    depth_m: NDArray[np.float32]  # (H, W), along the optical axis; inf in the sky
    lanes: tuple[LanePolyline, ...] = ()  # the painted lines in the picture; `LaneEnv.truth` fills them in


def render(scene: Scene, rays: Rays, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> None:
    """Paint what the camera of a car at a pose sees into `image`, (C, H, W) uint8 with C = 1 (grey) or 3 (RGB)."""
    _run(scene, rays, x_m, y_m, yaw_rad, image, _NO_CLASSES, _NO_DEPTH)


def render_truth(scene: Scene, rays: Rays, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> Truth:
    """Do as `render`, and return the ground truth of the same pass."""
    shape = image.shape[1:]
    truth = Truth(image, np.empty(shape, np.uint8), np.empty(shape, np.float32))
    _run(scene, rays, x_m, y_m, yaw_rad, image, truth.classes, truth.depth_m)
    return truth


def _run(
    scene: Scene,
    rays: Rays,
    x: float,
    y: float,
    yaw: float,
    image: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    depth: NDArray[np.float32],
) -> None:
    road, field, look = scene.road, scene.field, scene.appearance
    right, left = -road.lanes_ahead * road.lane_width_m, road.lanes_oncoming * road.lane_width_m
    paint = np.array(
        [
            road.lane_width_m,
            road.line_width_m,
            road.dash_length_m,
            road.dash_length_m + road.dash_gap_m,
            right,
            left,
            (left + right) / 2,
            (left - right) / 2 + road.shoulder_m,
            look.wear,
        ],
        np.float32,
    )
    _paint(
        rays.ground,
        rays.directions,
        rays.origin,
        field.d_m,
        field.s_m,
        field.origin_x_m,
        field.origin_y_m,
        scene.solids,
        paint,
        look.palette(image.shape[0]),
        _TEXTURES,
        x,
        y,
        math.cos(yaw),
        math.sin(yaw),
        image,
        classes,
        depth,
    )


@njit(cache=True, inline="always")
def _dashes_up_to(z, dash, period):
    """Return the painted length of a dashed line between 0 and z."""
    whole = math.floor(z / period)
    return whole * dash + min(z - whole * period, dash)


@njit(cache=True, inline="always")
def _index(z):
    """Return a non-negative float's integer part, unsigned: numba then spares the check for negative indices."""
    return np.uint64(np.uint32(z))


@njit(cache=True, inline="always")
def _at(grid, i, j, fu, fv):
    """Return the bilinear value in cell (row j, column i) of a grid."""
    right, below = i + np.uint64(1), j + np.uint64(1)
    low = grid[j, i] + (grid[j, right] - grid[j, i]) * fu
    high = grid[below, i] + (grid[below, right] - grid[below, i]) * fu
    return low + (high - low) * fv


@njit(cache=True, inline="always")
def _texel(textures, level, x, y):
    """Return a texture's value at a world point [m]; the shift keeps truncation a floor."""
    i = _index(x * np.float32(1 / TEXEL_M) + np.float32(_FAR_TEXELS)) & np.uint64(_TEXELS - 1)
    j = _index(y * np.float32(1 / TEXEL_M) + np.float32(_FAR_TEXELS)) & np.uint64(_TEXELS - 1)
    return textures[_index(level), j, i]


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz", "reassoc"}, nogil=True)
def _paint(
    ground, directions, origin, d_field, s_field, x0, y0, solids, paint, palette, textures, x, y, cos, sin, image,
    classes, depth,
):  # fmt: skip
    """Fill image (C, H, W), and classes and depth (H, W) unless they are empty. `x0`, `y0`: the field's corner [m]."""
    lane, line, dash, period, right, left, middle, half_paved, wear = (
        paint[0], paint[1], paint[2], paint[3], paint[4], paint[5], paint[6], paint[7], paint[8]
    )  # fmt: skip
    cos, sin, x, y = np.float32(cos), np.float32(sin), np.float32(x - x0), np.float32(y - y0)
    first, last = round(right / lane), round(left / lane)
    rows, columns = d_field.shape
    channels, height, width = image.shape
    half, one = np.float32(0.5), np.float32(1.0)
    per_cell, per_lane = np.float32(1.0 / CELL_M), one / lane
    want_truth = classes.size > 0
    for row in range(height):
        for column in range(width):
            r0, r1, r2 = ground[row, column, 0], ground[row, column, 1], ground[row, column, 2]
            r3, r4, level = ground[row, column, 3], ground[row, column, 4], ground[row, column, 5]
            sky = level < 0
            seen = BACKGROUND
            asphalt = marking = wx = wy = np.float32(0.0)
            if sky:
                shade = one - np.float32(0.35) * min(r0, np.float32(0.8))
            else:
                wx, wy = x + cos * r0 - sin * r1, y + sin * r0 + cos * r1
                grain = _texel(textures, level, wx, wy)
                strength = np.float32(0.6)
                u, v = wx * per_cell, wy * per_cell
                if u >= 0 and v >= 0 and u < columns - 1 and v < rows - 1:
                    i, j = _index(u), _index(v)
                    fu, fv = u - np.float32(i), v - np.float32(j)
                    d = _at(d_field, i, j, fu, fv)
                    if d == d:  # not NaN: near the road
                        k = min(max(int(d * per_lane + np.float32(64.5)) - 64, first), last)
                        inside, beside = half_paved - abs(d - middle), abs(d - np.float32(k) * lane)
                        solid = not first < k < last
                        # no footprint is wider across the road than this: most pixels meet neither edge nor line
                        reach = np.float32(0.55) * (abs(r2) + abs(r3) + r4)
                        if abs(inside) > reach and beside > reach + half * line:
                            asphalt = one if inside > 0 else np.float32(0.0)
                        else:
                            # gradient of d = the road's left normal, turned into the vehicle frame
                            right_, below = i + np.uint64(1), j + np.uint64(1)
                            low = d_field[j, right_] - d_field[j, i]
                            high = d_field[below, right_] - d_field[below, i]
                            nx = low + (high - low) * fv
                            ny = d_field[below, i] - d_field[j, i] + (high - low) * fu
                            nf, nl = cos * nx + sin * ny, cos * ny - sin * nx
                            across = abs(nf * r2 + nl * r3) + abs(nl) * r4
                            per_across = one / across
                            asphalt = min(max(inside * per_across + half, np.float32(0.0)), one)
                            if beside < half * (across + line):
                                covered = min(half * (across + line) - beside, min(line, across)) * per_across
                                if not solid:
                                    s = _at(s_field, i, j, fu, fv)
                                    along = abs(nl * r2 - nf * r3) + abs(nf) * r4
                                    z = s - half * along
                                    covered *= (
                                        _dashes_up_to(z + along, dash, period) - _dashes_up_to(z, dash, period)
                                    ) / along
                                marking = covered * (one - wear * (np.float32(0.35) + np.float32(0.65) * abs(grain)))
                        strength += (np.float32(0.3) * wear - np.float32(0.2)) * asphalt
                        if want_truth and inside >= 0:
                            seen = EGO_LANE if right <= d <= right + lane else ROAD
                            if beside <= half * line:
                                s = _at(s_field, i, j, fu, fv)
                                if solid or s - math.floor(s / period) * period <= dash:
                                    seen = LINE
                shade = one + strength * grain
            if want_truth:
                classes[row, column] = seen
                depth[row, column] = np.inf if sky else -origin[2] / directions[row, column, 2]
            if solids.size > 0:
                farthest = np.inf
                if not sky:
                    farthest = -origin[2] / directions[row, column, 2]
                    shade *= shadow(solids, wx + x0, wy + y0)
                hit, part, light, is_top = hit_solids(
                    solids, x + x0, y + y0, cos, sin, origin, directions[row, column], farthest
                )
                if part >= 0:
                    for c in range(channels):
                        image[c, row, column] = 255 * light * _colour(solids, part, is_top, c, channels)
                    if want_truth:
                        classes[row, column], depth[row, column] = VEHICLE, hit
                    continue
            for c in range(channels):
                if sky:
                    value = palette[SKY, c]
                else:
                    value = palette[VERGE, c] + asphalt * (palette[ASPHALT, c] - palette[VERGE, c])
                    value += marking * (palette[MARKING, c] - value)
                image[c, row, column] = int(min(np.float32(255.0) * shade * value, np.float32(255.0)))


@njit(cache=True)
def _colour(solids, part, is_top, channel, channels):
    """Return one channel of a solid's colour in [0, 1]; grey is ITU-R BT.601 luma."""
    colour = solids.top_colour[part] if is_top else solids.side_colour[part]
    if channels == 3:
        return colour[channel]
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
