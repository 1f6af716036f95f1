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
_GRAIN_STEPS = 127
_FAR_TEXELS = 64 * _TEXELS  # farther than any ground point, so that indices are positive before they wrap


def _textures() -> NDArray[np.int8]:
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
    return np.round(levels / np.abs(levels[0]).max() * _GRAIN_STEPS).astype(np.int8)


TEXELS = _textures().reshape(-1)
"""The ground's grain, (levels x n x n) int8 in steps of 1 / 127: bytes stay in the cache."""

_FAST = {"contract", "arcp", "nsz", "reassoc"}
_HALF, _ONE, _NOTHING = np.float32(0.5), np.float32(1.0), np.float32(0.0)
_PER_STEP = np.float32(1 / _GRAIN_STEPS)


@dataclass(frozen=True)
class Scene:
    """What a camera can see: a road's field and paint, a look, and solids (parked cars; the own car from outside)."""

    field: Field
    road: RoadSpec
    appearance: Appearance
    solids: Solids = NO_SOLIDS

    @cached_property
    def paint(self) -> NDArray[np.float32]:
        """Lane and line width, dash and period, right and left edge, middle, half paved width [m], and wear; and the
        numbers of the first and the last line, counted in lanes from the reference line.
        """
        road = self.road
        right, left = -road.lanes_ahead * road.lane_width_m, road.lanes_oncoming * road.lane_width_m
        widths = road.lane_width_m, road.line_width_m, road.dash_length_m, road.dash_length_m + road.dash_gap_m
        across = right, left, (left + right) / 2, (left - right) / 2 + road.shoulder_m
        lines = -road.lanes_ahead, road.lanes_oncoming
        return np.array([*widths, *across, self.appearance.wear, *lines], np.float32)

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
    paint_picture(
        rays.rows,
        rays.bearings,
        rays.origin,
        field.d_m.reshape(-1),
        field.s_m.reshape(-1),
        field.d_m.shape,
        field.origin_x_m,
        field.origin_y_m,
        scene.solids,
        scene.paint,
        scene.palettes[image.shape[0]],
        TEXELS,
        x,
        y,
        math.cos(yaw),
        math.sin(yaw),
        image,
        classes,
        depth,
    )


# --- one pixel: what every engine computes -----------------------------------------------------------------------


@njit(cache=True, inline="always")
def floor(z):
    """Return the floor of a number, as float32; NumPy's does not exist on a GPU, and `math`'s is a 64-bit integer."""
    whole = np.float32(np.int32(z))
    return whole - np.float32(whole > z)


@njit(cache=True, inline="always")
def meet(forward, depth, bearing, x, y, cos, sin):
    """Return the ground point [m] that a ray of a camera at a pose meets, from the corner that x and y count from."""
    left = depth * bearing
    return x + cos * forward - sin * left, y + sin * forward + cos * left


@njit(cache=True, inline="always")
def grain_index(level, wx, wy):
    """Return where the flattened textures hold the grain of a ground point [m]."""
    per_texel, far = np.float32(1 / TEXEL_M), np.float32(_FAR_TEXELS)
    # the shift keeps truncation a floor
    i = np.int32(wx * per_texel + far) & (_TEXELS - 1)
    j = np.int32(wy * per_texel + far) & (_TEXELS - 1)
    return np.int32((np.int32(level) * _TEXELS + j) * _TEXELS + i)


@njit(cache=True, inline="always")
def cell_of(wx, wy, rows, columns):
    """Return the index of the cell around a point [m] in a flattened field, and where in the cell the point is.

    Beyond the field: its edge, which is far from any road.
    """
    u = min(max(wx * np.float32(1 / CELL_M), _NOTHING), np.float32(columns - 1.01))
    v = min(max(wy * np.float32(1 / CELL_M), _NOTHING), np.float32(rows - 1.01))
    i, j = np.int32(u), np.int32(v)
    return np.int32(j * np.int32(columns) + i), u - np.float32(i), v - np.float32(j)


@njit(cache=True, inline="always")
def road_at(cells, columns, k, fu, fv):
    """Return the bilinear value of a flattened field in the cell of index k, and its gradient [1 / cell]."""
    low, rise = cells[k], cells[k + columns] - cells[k]
    run = cells[k + 1] - cells[k]
    twist = cells[k + columns + 1] - cells[k + columns] - run
    return low + run * fu + (rise + twist * fu) * fv, run + twist * fv, rise + twist * fu


@njit(cache=True, inline="always")
def turned(nx, ny, cos, sin):
    """Return a vector of the world in the vehicle's frame."""
    return cos * nx + sin * ny, cos * ny - sin * nx


@njit(cache=True, inline="always")
def extent(nf, nl, back, drift, aside):
    """Return how far a pixel's footprint reaches along a direction (nf, nl) of the vehicle's frame [m]."""
    return abs(nf * back + nl * drift) + abs(nl) * aside


@njit(cache=True, inline="always")
def asphalt_part(d, across, middle, half_paved):
    """Return how much of a footprint `across` wide lies on the pavement, in [0, 1]; a NaN d is away from the road."""
    part = min(max((half_paved - abs(d - middle)) / across + _HALF, _NOTHING), _ONE)
    return part if d == d else _NOTHING


@njit(cache=True, inline="always")
def nearest_line(d, per_lane, first, last):
    """Return the number of the painted line nearest to d, counted in lanes from the reference line."""
    # the shift keeps truncation a floor
    number = np.float32(np.int32(d * per_lane + np.float32(1024.5))) - np.float32(1024.0)
    return min(max(number, first), last)


@njit(cache=True, inline="always")
def line_part(beside, across, line):
    """Return how much of a footprint `across` wide a line covers whose middle is `beside` away, in [0, 1]."""
    reach = _HALF * (across + line)
    return min(reach - beside, min(line, across)) / across if beside < reach else _NOTHING


@njit(cache=True, inline="always")
def dash_part(s, along, dash, period):
    """Return how much of a footprint `along` long the dashes of a dashed line cover, in [0, 1]."""
    start = s - _HALF * along
    return (_dashes_up_to(start + along, dash, period) - _dashes_up_to(start, dash, period)) / along


@njit(cache=True, inline="always")
def paint_left(grain, wear):
    """Return how much of a line's paint is left."""
    return _ONE - wear * (np.float32(0.35) + np.float32(0.65) * abs(grain))


@njit(cache=True, inline="always")
def ground_light(asphalt, grain, wear):
    """Return the light that a ground pixel of this grain throws back."""
    return _ONE + (np.float32(0.6) + (np.float32(0.3) * wear - np.float32(0.2)) * asphalt) * grain


@njit(cache=True, inline="always")
def sky_light(elevation):
    """Return the light of the sky at an elevation [rad]."""
    return _ONE - np.float32(0.35) * min(elevation, np.float32(0.8))


@njit(cache=True, inline="always")
def blend(light, asphalt, marking, around, road, line):
    """Return a pixel's value from its light, what covers it, and the colours."""
    value = around + asphalt * (road - around)
    value += marking * (line - value)
    return np.uint8(min(np.float32(255.0) * light * value, np.float32(255.0)))


@njit(cache=True, inline="always")
def _dashes_up_to(z, dash, period):
    """Return the painted length of a dashed line between 0 and z."""
    whole = floor(z / period)
    return whole * dash + min(z - whole * period, dash)


@njit(cache=True, error_model="numpy")
def paint_pixel(
    r, c, rows, bearings, origin, d_cells, s_cells, size, x0, y0, solids, paint, palette, texels, x, y, cos, sin, image
):  # fmt: skip
    """Fill one pixel of an image (C, H, W): `paint_picture` for those who have a thread a pixel."""
    cos, sin, x, y = np.float32(cos), np.float32(sin), np.float32(x - x0), np.float32(y - y0)
    row, bearing, channels = rows[r], bearings[c], image.shape[0]
    asphalt = marking = _NOTHING
    if row[7] < 0:
        light, around = sky_light(row[2]), SKY
    else:
        wx, wy = meet(row[2], row[3], bearing, x, y, cos, sin)
        grain, wear, around = texels[grain_index(row[7], wx, wy)] * _PER_STEP, paint[8], VERGE
        k, fu, fv = cell_of(wx, wy, size[0], size[1])
        d, nx, ny = road_at(d_cells, size[1], k, fu, fv)
        nf, nl = turned(nx, ny, cos, sin)
        drifted = row[5] * bearing
        across = extent(nf, nl, row[4], drifted, row[6])
        asphalt = asphalt_part(d, across, paint[6], paint[7])
        nearest = nearest_line(d, _ONE / paint[0], paint[9], paint[10])
        marking = line_part(abs(d - nearest * paint[0]), across, paint[1]) * paint_left(grain, wear)
        if marking > 0 and paint[9] < nearest < paint[10]:
            s = road_at(s_cells, size[1], k, fu, fv)[0]
            marking *= dash_part(s, extent(nl, -nf, row[4], drifted, row[6]), paint[2], paint[3])
        light = ground_light(asphalt, grain, wear)
        if solids.size > 0:
            light *= np.float32(shadow(solids, wx + x0, wy + y0))
    for channel in range(channels):
        image[channel, r, c] = blend(
            light, asphalt, marking, palette[around, channel], palette[ASPHALT, channel], palette[MARKING, channel]
        )
    if solids.size > 0:
        direction = row[0], bearing, row[1]
        _, part, lit, is_top = hit_solids(solids, x + x0, y + y0, cos, sin, origin, direction, row[3])
        if part >= 0:
            for channel in range(channels):
                image[channel, r, c] = 255 * lit * colour_of(solids, part, is_top, channel, channels)


@njit(cache=True)
def colour_of(solids, part, is_top, channel, channels):
    """Return one channel of a solid's colour in [0, 1]; grey is ITU-R BT.601 luma."""
    colour = solids.top_colour[part] if is_top else solids.side_colour[part]
    if channels == 3:
        return colour[channel]
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


# --- a picture on the CPU: row by row, in passes of little code each, which become vector instructions -------------


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def paint_picture(
    rows, bearings, origin, d_cells, s_cells, size, x0, y0, solids, paint, palette, texels, x, y, cos, sin, image,
    classes, depth,
):  # fmt: skip
    """Fill image (C, H, W), and classes and depth (H, W) unless they are empty. `x0`, `y0`: the field's corner [m]."""
    cos, sin, x, y = np.float32(cos), np.float32(sin), np.float32(x - x0), np.float32(y - y0)
    channels, height, width = image.shape
    seen = np.empty((_PLANES, width), np.float32)
    asphalt, marking, light = seen[_ASPHALT], seen[_MARKING], seen[_LIGHT]
    index = np.empty(width, np.int32)
    for r in range(height):
        row = rows[r]
        sky = row[7] < 0
        if sky:
            asphalt[:], marking[:], light[:] = _NOTHING, _NOTHING, sky_light(row[2])
        else:
            _look(row, bearings, x, y, cos, sin, d_cells, size, texels, seen, index)
            _cover(row, bearings, cos, sin, paint, seen)
            _dash(row, bearings, s_cells, size[1], paint, seen, index)
            if solids.size > 0:
                for c in range(width):
                    light[c] *= shadow(solids, seen[_X, c] + x0, seen[_Y, c] + y0)
        for channel in range(channels):
            around = palette[SKY if sky else VERGE, channel]
            _blend(seen, around, palette[ASPHALT, channel], palette[MARKING, channel], image[channel, r])
        if classes.size > 0:
            _tell(row, size[1], s_cells, paint, seen, index, classes[r], depth[r])
        if solids.size > 0:
            for c in range(width):
                direction = row[0], bearings[c], row[1]
                hit, part, lit, is_top = hit_solids(solids, x + x0, y + y0, cos, sin, origin, direction, row[3])
                if part >= 0:
                    for channel in range(channels):
                        image[channel, r, c] = 255 * lit * colour_of(solids, part, is_top, channel, channels)
                    if classes.size > 0:
                        classes[r, c], depth[r, c] = VEHICLE, hit


# what is known of a row's pixels: where they meet the ground, the grain there, d and its gradient, which part of a
# cell they are in, the extent along the road where a dashed line is, what covers them, and their light
_PLANES = 12
_X, _Y, _GRAIN, _D, _NX, _NY, _FU, _FV, _ALONG, _ASPHALT, _MARKING, _LIGHT = range(_PLANES)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _look(row, bearings, x, y, cos, sin, d_cells, size, texels, seen, index):
    """Say where a row's pixels meet the ground, the grain there, and the road's d and its gradient."""
    forward, depth, level = row[2], row[3], row[7]
    rows, columns = size
    wx, wy, grain = seen[_X], seen[_Y], seen[_GRAIN]
    for c in range(wx.size):
        wx[c], wy[c] = meet(forward, depth, bearings[c], x, y, cos, sin)
    for c in range(wx.size):
        index[c] = grain_index(level, wx[c], wy[c])
    for c in range(wx.size):
        grain[c] = texels[index[c]] * _PER_STEP
    d, nx, ny, fu, fv = seen[_D], seen[_NX], seen[_NY], seen[_FU], seen[_FV]
    for c in range(wx.size):
        index[c], fu[c], fv[c] = cell_of(wx[c], wy[c], rows, columns)
    for c in range(wx.size):
        d[c], nx[c], ny[c] = road_at(d_cells, columns, index[c], fu[c], fv[c])


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _cover(row, bearings, cos, sin, paint, seen):
    """Say how much of a row's pixels is asphalt, and how much is a line, as if none were dashed; and their light."""
    lane, line, middle, half_paved, wear = paint[0], paint[1], paint[6], paint[7], paint[8]
    per_lane, first, last = _ONE / lane, paint[9], paint[10]
    back, drift, aside = row[4], row[5], row[6]
    d, nx, ny, grain = seen[_D], seen[_NX], seen[_NY], seen[_GRAIN]
    along, asphalt, marking, light = seen[_ALONG], seen[_ASPHALT], seen[_MARKING], seen[_LIGHT]
    for c in range(d.size):
        nf, nl = turned(nx[c], ny[c], cos, sin)
        drifted = drift * bearings[c]
        across = extent(nf, nl, back, drifted, aside)
        part = asphalt_part(d[c], across, middle, half_paved)
        nearest = nearest_line(d[c], per_lane, first, last)
        covered = line_part(abs(d[c] - nearest * lane), across, line) * paint_left(grain[c], wear)
        dashed = (covered > 0) & (nearest > first) & (nearest < last)
        along[c] = extent(nl, -nf, back, drifted, aside) if dashed else _NOTHING
        asphalt[c], marking[c] = part, covered
        light[c] = ground_light(part, grain[c], wear)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _dash(row, bearings, s_cells, columns, paint, seen, index):
    """Take the gaps of dashed lines out of a row's markings."""
    dash, period = paint[2], paint[3]
    along, marking, fu, fv = seen[_ALONG], seen[_MARKING], seen[_FU], seen[_FV]
    for c in range(marking.size):
        if along[c] > 0:
            s = road_at(s_cells, columns, index[c], fu[c], fv[c])[0]
            marking[c] *= dash_part(s, along[c], dash, period)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _blend(seen, around, road, line, out):
    """Fill a row of one channel."""
    asphalt, marking, light = seen[_ASPHALT], seen[_MARKING], seen[_LIGHT]
    for c in range(out.size):
        out[c] = blend(light[c], asphalt[c], marking[c], around, road, line)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _tell(row, columns, s_cells, paint, seen, index, classes, depth):
    """Fill a row of classes and depth, solids left out."""
    lane, line, dash, period, right, middle, half_paved, first, last = (
        paint[0], paint[1], paint[2], paint[3], paint[4], paint[6], paint[7], paint[9], paint[10]
    )  # fmt: skip
    for c in range(classes.size):
        classes[c] = BACKGROUND
        depth[c] = row[3]
        d = seen[_D, c]
        if row[7] < 0 or not abs(d - middle) <= half_paved:
            continue
        classes[c] = EGO_LANE if right <= d <= right + lane else ROAD
        nearest = nearest_line(d, _ONE / lane, first, last)
        if abs(d - nearest * lane) <= _HALF * line:
            s = road_at(s_cells, columns, index[c], seen[_FU, c], seen[_FV, c])[0]
            if not first < nearest < last or s - floor(s / period) * period <= dash:
                classes[c] = LINE
