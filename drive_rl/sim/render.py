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


# --- a picture on the CPU: band by band, in passes of little code each, which become vector instructions -----------
# A pass takes whole arrays and slices none of them: a slice costs a reference count.


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def paint_picture(
    rows, bearings, origin, d_cells, s_cells, size, x0, y0, solids, paint, palette, texels, x, y, cos, sin, image,
    classes, depth,
):  # fmt: skip
    """Fill image (C, H, W), and classes and depth (H, W) unless they are empty. `x0`, `y0`: the field's corner [m]."""
    cos, sin, x, y = np.float32(cos), np.float32(sin), np.float32(x - x0), np.float32(y - y0)
    channels, height, width = image.shape
    # what is known of a band's pixels: where they meet the ground, the grain there, d and its gradient, which part of
    # a cell they are in, the extent along the road where a dashed line is, what covers them, and their light
    seen = np.empty((12, _BAND, width), np.float32)
    wx, wy, grain, d, nx, ny = seen[0], seen[1], seen[2], seen[3], seen[4], seen[5]
    fu, fv, along, asphalt, marking, light = seen[6], seen[7], seen[8], seen[9], seen[10], seen[11]
    texel, cell = np.empty((_BAND, width), np.int32), np.empty((_BAND, width), np.int32)
    columns = np.uint32(size[1])
    last = 0
    while last < height:
        first, last, sky = last, last + 1, rows[last, 7] < 0
        while last < min(first + _BAND, height) and (rows[last, 7] < 0) == sky:
            last += 1
        if sky:
            asphalt[:], marking[:] = _NOTHING, _NOTHING
            for r in range(first, last):
                light[r - first] = sky_light(rows[r, 2])
        else:
            _meet(rows, first, last, bearings, x, y, cos, sin, wx, wy)
            _find(rows, first, last, size, wx, wy, texel, cell, fu, fv)
            _read(last - first, texels, texel, d_cells, columns, cell, fu, fv, grain, d, nx, ny)
            _cover(rows, first, last, bearings, cos, sin, paint, grain, d, nx, ny, along, asphalt, marking, light)
            _dash(last - first, s_cells, columns, paint, cell, fu, fv, along, marking)
            if solids.size > 0:
                for r in range(last - first):
                    for c in range(width):
                        light[r, c] *= shadow(solids, wx[r, c] + x0, wy[r, c] + y0)
        around = SKY if sky else VERGE
        for channel in range(channels):
            colours = palette[around, channel], palette[ASPHALT, channel], palette[MARKING, channel]
            _blend(first, last, asphalt, marking, light, colours, channel, image)
        if classes.size > 0:
            _tell(rows, first, last, s_cells, columns, paint, cell, fu, fv, d, classes, depth)
    if solids.size > 0:
        _add_solids(rows, bearings, origin, solids, x + x0, y + y0, cos, sin, image, classes, depth)


_BAND = 8  # rows, all of the ground or all of the sky: what is known of their pixels fits into the nearest cache


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _meet(rows, first, last, bearings, x, y, cos, sin, wx, wy):
    """Say where a band's pixels meet the ground."""
    for r in range(last - first):
        forward, depth = rows[first + r, 2], rows[first + r, 3]
        for c in range(wx.shape[1]):
            wx[r, c], wy[r, c] = meet(forward, depth, bearings[c], x, y, cos, sin)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _find(rows, first, last, size, wx, wy, texel, cell, fu, fv):
    """Say where the grain and the road of a band's pixels are found."""
    height, width = size
    for r in range(last - first):
        level = rows[first + r, 7]
        for c in range(wx.shape[1]):
            texel[r, c] = grain_index(level, wx[r, c], wy[r, c])
        for c in range(wx.shape[1]):
            cell[r, c], fu[r, c], fv[r, c] = cell_of(wx[r, c], wy[r, c], height, width)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _read(count, texels, texel, d_cells, columns, cell, fu, fv, grain, d, nx, ny):
    """Read a band's grain, and the road's d and its gradient; unsigned indices need no test for negative ones."""
    for r in range(count):
        for c in range(d.shape[1]):
            grain[r, c] = texels[np.uint32(texel[r, c])] * _PER_STEP
    for r in range(count):
        for c in range(d.shape[1]):
            d[r, c], nx[r, c], ny[r, c] = road_at(d_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _cover(rows, first, last, bearings, cos, sin, paint, grain, d, nx, ny, along, asphalt, marking, light):
    """Say how much of a band's pixels is asphalt, and how much is a line, as if none were dashed; and their light."""
    lane, line, middle, half_paved, wear = paint[0], paint[1], paint[6], paint[7], paint[8]
    per_lane, lowest, highest = _ONE / lane, paint[9], paint[10]
    for r in range(last - first):
        back, drift, aside = rows[first + r, 4], rows[first + r, 5], rows[first + r, 6]
        for c in range(d.shape[1]):
            nf, nl = turned(nx[r, c], ny[r, c], cos, sin)
            drifted = drift * bearings[c]
            across = extent(nf, nl, back, drifted, aside)
            part = asphalt_part(d[r, c], across, middle, half_paved)
            nearest = nearest_line(d[r, c], per_lane, lowest, highest)
            covered = line_part(abs(d[r, c] - nearest * lane), across, line) * paint_left(grain[r, c], wear)
            dashed = (covered > 0) & (nearest > lowest) & (nearest < highest)
            along[r, c] = extent(nl, -nf, back, drifted, aside) if dashed else _NOTHING
            asphalt[r, c], marking[r, c] = part, covered
            light[r, c] = ground_light(part, grain[r, c], wear)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _dash(count, s_cells, columns, paint, cell, fu, fv, along, marking):
    """Take the gaps of dashed lines out of a band's markings."""
    dash, period = paint[2], paint[3]
    for r in range(count):
        for c in range(marking.shape[1]):
            if along[r, c] > 0:
                s = road_at(s_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])[0]
                marking[r, c] *= dash_part(s, along[r, c], dash, period)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _blend(first, last, asphalt, marking, light, colours, channel, image):
    """Fill a band of one channel."""
    around, road, line = colours
    for r in range(last - first):
        for c in range(image.shape[2]):
            image[channel, first + r, c] = blend(light[r, c], asphalt[r, c], marking[r, c], around, road, line)


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _tell(rows, first, last, s_cells, columns, paint, cell, fu, fv, d, classes, depth):
    """Fill a band of classes and depth, solids left out."""
    lane, line, dash, period, right, middle, half_paved, lowest, highest = (
        paint[0], paint[1], paint[2], paint[3], paint[4], paint[6], paint[7], paint[9], paint[10]
    )  # fmt: skip
    for r in range(first, last):
        for c in range(classes.shape[1]):
            classes[r, c] = BACKGROUND
            depth[r, c] = rows[r, 3]
            across = d[r - first, c]
            if rows[r, 7] < 0 or not abs(across - middle) <= half_paved:
                continue
            classes[r, c] = EGO_LANE if right <= across <= right + lane else ROAD
            nearest = nearest_line(across, _ONE / lane, lowest, highest)
            if abs(across - nearest * lane) <= _HALF * line:
                k = np.uint32(cell[r - first, c])
                s = road_at(s_cells, columns, k, fu[r - first, c], fv[r - first, c])[0]
                if not lowest < nearest < highest or s - floor(s / period) * period <= dash:
                    classes[r, c] = LINE


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def _add_solids(rows, bearings, origin, solids, x, y, cos, sin, image, classes, depth):
    """Paint the solids over a picture."""
    channels, height, width = image.shape
    for r in range(height):
        for c in range(width):
            direction = rows[r, 0], bearings[c], rows[r, 1]
            hit, part, lit, is_top = hit_solids(solids, x, y, cos, sin, origin, direction, rows[r, 3])
            if part >= 0:
                for channel in range(channels):
                    image[channel, r, c] = 255 * lit * colour_of(solids, part, is_top, channel, channels)
                if classes.size > 0:
                    classes[r, c], depth[r, c] = VEHICLE, hit
