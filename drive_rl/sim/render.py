"""Pixels and ground truth, row by row: the road from its distance field, solids by ray tests.

Markings are painted analytically: the coverage of a pixel is the box filter of the line's edges over the pixel's
footprint on the ground, so that lines stay crisp near by and do not alias far away.
"""

import math
from dataclasses import dataclass
from functools import cached_property

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

_FAST = {"contract", "arcp", "nsz", "reassoc"}
_HALF, _ONE, _NOTHING = np.float32(0.5), np.float32(1.0), np.float32(0.0)


@dataclass(frozen=True)
class Scene:
    """What a camera can see: a road's field and paint, a look, and solids (parked cars; the own car from outside)."""

    field: Field
    road: RoadSpec
    appearance: Appearance
    solids: Solids = NO_SOLIDS

    @cached_property
    def paint(self) -> NDArray[np.float32]:
        """Lane and line width, dash and period, right and left edge, middle, half paved width [m], and wear."""
        road = self.road
        right, left = -road.lanes_ahead * road.lane_width_m, road.lanes_oncoming * road.lane_width_m
        widths = road.lane_width_m, road.line_width_m, road.dash_length_m, road.dash_length_m + road.dash_gap_m
        across = right, left, (left + right) / 2, (left - right) / 2 + road.shoulder_m
        return np.array([*widths, *across, self.appearance.wear], np.float32)

    @cached_property
    def palettes(self) -> dict[int, NDArray[np.float32]]:
        """The look's colours by number of channels."""
        return {channels: self.appearance.palette(channels) for channels in (1, 3)}


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
    field = scene.field
    _paint(
        rays.ground,
        rays.directions,
        rays.origin,
        field.d_m,
        field.s_m,
        field.origin_x_m,
        field.origin_y_m,
        scene.solids,
        scene.paint,
        scene.palettes[image.shape[0]],
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
def _cell(x, y, columns):
    """Return the index of the cell around a point [m] in a flattened grid, and where in the cell the point is."""
    u, v = x * np.float32(1 / CELL_M), y * np.float32(1 / CELL_M)
    i, j = np.int64(u), np.int64(v)
    return j * columns + i, u - np.float32(i), v - np.float32(j)


@njit(cache=True, inline="always")
def _at(grid, columns, k, fu, fv):
    """Return the bilinear value in the cell of index k of a flattened grid."""
    low = grid[k] + (grid[k + 1] - grid[k]) * fu
    high = grid[k + columns] + (grid[k + columns + 1] - grid[k + columns]) * fu
    return low + (high - low) * fv


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _paint(
    ground, directions, origin, d_field, s_field, x0, y0, solids, paint, palette, textures, x, y, cos, sin, image,
    classes, depth,
):  # fmt: skip
    """Fill image (C, H, W), and classes and depth (H, W) unless they are empty. `x0`, `y0`: the field's corner [m].

    Row by row, in passes of little code each, which the compiler turns into vector instructions.
    """
    cos, sin, x, y = np.float32(cos), np.float32(sin), np.float32(x - x0), np.float32(y - y0)
    channels, height, width = image.shape
    columns, size = d_field.shape[1], d_field.shape
    d_cells, s_cells, texels = d_field.reshape(-1), s_field.reshape(-1), textures.reshape(-1)
    # of each pixel in a row: where it meets the ground, the grain there, its road coordinate, and what covers it
    wx, wy, grain, d, asphalt, marking = np.empty((6, width), np.float32)
    shade = np.empty(width, np.float32)
    for row in range(height):
        sky = ground[5, row, 0] < 0
        if sky:
            for c in range(width):
                shade[c] = _ONE - np.float32(0.35) * min(ground[0, row, c], np.float32(0.8))
                asphalt[c] = marking[c] = _NOTHING
        else:
            _look(ground, row, x, y, cos, sin, size, d_cells, texels, wx, wy, grain, d)
            _cover(ground, row, cos, sin, columns, d_cells, s_cells, paint, wx, wy, grain, d, asphalt, marking)
            for c in range(width):
                strength = np.float32(0.6) + (np.float32(0.3) * paint[8] - np.float32(0.2)) * asphalt[c]
                shade[c] = _ONE + strength * grain[c]
        if solids.size > 0 and not sky:
            for c in range(width):
                shade[c] *= shadow(solids, wx[c] + x0, wy[c] + y0)
        for channel in range(channels):
            around, road, line = (
                palette[SKY if sky else VERGE, channel],
                palette[ASPHALT, channel],
                palette[MARKING, channel],
            )
            for c in range(width):
                value = around + asphalt[c] * (road - around)
                value += marking[c] * (line - value)
                image[channel, row, c] = np.uint8(min(np.float32(255.0) * shade[c] * value, np.float32(255.0)))
        if classes.size > 0:
            _tell(row, sky, directions, origin, columns, s_cells, paint, wx, wy, d, classes, depth)
        if solids.size > 0:
            for c in range(width):
                farthest = np.inf if sky else -origin[2] / directions[row, c, 2]
                hit, part, light, is_top = hit_solids(
                    solids, x + x0, y + y0, cos, sin, origin, directions[row, c], farthest
                )
                if part >= 0:
                    for channel in range(channels):
                        image[channel, row, c] = 255 * light * _colour(solids, part, is_top, channel, channels)
                    if classes.size > 0:
                        classes[row, c], depth[row, c] = VEHICLE, hit


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _look(ground, row, x, y, cos, sin, size, d_cells, texels, wx, wy, grain, d):
    """Say where a row's pixels meet the ground (from the field's corner) [m], the grain there, and the road's d [m]."""
    rows, columns = size
    per_texel, far = np.float32(1 / TEXEL_M), np.float32(_FAR_TEXELS)
    last_x, last_y = np.float32((columns - 1.01) * CELL_M), np.float32((rows - 1.01) * CELL_M)
    for c in range(wx.size):
        wx[c] = x + cos * ground[0, row, c] - sin * ground[1, row, c]
        wy[c] = y + sin * ground[0, row, c] + cos * ground[1, row, c]
        # the shift keeps truncation a floor
        i = np.int64(wx[c] * per_texel + far) & (_TEXELS - 1)
        j = np.int64(wy[c] * per_texel + far) & (_TEXELS - 1)
        grain[c] = texels[(np.int64(ground[5, row, c]) * _TEXELS + j) * _TEXELS + i]
    for c in range(wx.size):
        # beyond the field: its edge, which is far from any road
        k, fu, fv = _cell(min(max(wx[c], _NOTHING), last_x), min(max(wy[c], _NOTHING), last_y), columns)
        d[c] = _at(d_cells, columns, k, fu, fv)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _cover(ground, row, cos, sin, columns, d_cells, s_cells, paint, wx, wy, grain, d, asphalt, marking):
    """Say how much of each pixel's footprint is asphalt, and how much is marking, in [0, 1]."""
    lane, line, dash, period, right, left, middle, half_paved, wear = (
        paint[0], paint[1], paint[2], paint[3], paint[4], paint[5], paint[6], paint[7], paint[8]
    )  # fmt: skip
    first, last = np.float32(round(right / lane)), np.float32(round(left / lane))
    per_lane = _ONE / lane
    for c in range(wx.size):
        asphalt[c] = marking[c] = _NOTHING
        if d[c] != d[c]:  # NaN: away from the road
            continue
        nearest = min(max(np.floor(d[c] * per_lane + _HALF), first), last)
        inside, beside = half_paved - abs(d[c] - middle), abs(d[c] - nearest * lane)
        r2, r3, r4 = ground[2, row, c], ground[3, row, c], ground[4, row, c]
        # no footprint is wider across the road than this: most pixels meet neither edge nor line
        reach = np.float32(0.55) * (abs(r2) + abs(r3) + r4)
        if abs(inside) > reach and beside > reach + _HALF * line:
            if inside > 0:
                asphalt[c] = _ONE
            continue
        k, fu, fv = _cell(wx[c], wy[c], columns)
        # gradient of d = the road's left normal, turned into the vehicle frame
        low, high = d_cells[k + 1] - d_cells[k], d_cells[k + columns + 1] - d_cells[k + columns]
        nx = low + (high - low) * fv
        ny = d_cells[k + columns] - d_cells[k] + (high - low) * fu
        nf, nl = cos * nx + sin * ny, cos * ny - sin * nx
        across = abs(nf * r2 + nl * r3) + abs(nl) * r4
        asphalt[c] = min(max(inside / across + _HALF, _NOTHING), _ONE)
        if beside < _HALF * (across + line):
            covered = min(_HALF * (across + line) - beside, min(line, across)) / across
            if first < nearest < last:  # dashed
                along = abs(nl * r2 - nf * r3) + abs(nf) * r4
                z = _at(s_cells, columns, k, fu, fv) - _HALF * along
                covered *= (_dashes_up_to(z + along, dash, period) - _dashes_up_to(z, dash, period)) / along
            marking[c] = covered * (_ONE - wear * (np.float32(0.35) + np.float32(0.65) * abs(grain[c])))


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _tell(row, sky, directions, origin, columns, s_cells, paint, wx, wy, d, classes, depth):
    """Fill a row of classes and depth, solids left out."""
    lane, line, dash, period, right, left, middle, half_paved = (
        paint[0], paint[1], paint[2], paint[3], paint[4], paint[5], paint[6], paint[7]
    )  # fmt: skip
    first, last = np.float32(round(right / lane)), np.float32(round(left / lane))
    for c in range(classes.shape[1]):
        classes[row, c] = BACKGROUND
        depth[row, c] = np.inf if sky else -origin[2] / directions[row, c, 2]
        if sky or not abs(d[c] - middle) <= half_paved:
            continue
        classes[row, c] = EGO_LANE if right <= d[c] <= right + lane else ROAD
        nearest = min(max(np.floor(d[c] / lane + _HALF), first), last)
        if abs(d[c] - nearest * lane) <= _HALF * line:
            k, fu, fv = _cell(wx[c], wy[c], columns)
            s = _at(s_cells, columns, k, fu, fv)
            if not first < nearest < last or s - math.floor(s / period) * period <= dash:
                classes[row, c] = LINE


@njit(cache=True)
def _colour(solids, part, is_top, channel, channels):
    """Return one channel of a solid's colour in [0, 1]; grey is ITU-R BT.601 luma."""
    colour = solids.top_colour[part] if is_top else solids.side_colour[part]
    if channels == 3:
        return colour[channel]
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
