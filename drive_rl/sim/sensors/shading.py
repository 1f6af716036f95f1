"""One pixel: what covers it, and its light. Scalar functions that every engine calls, on the CPU and on a GPU.

Markings are painted analytically: the coverage of a pixel is the box filter of the line's edges over the pixel's
footprint on the ground, so that lines stay crisp near by and do not alias far away.
"""

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.distance_field import CELL_M
from drive_rl.sim.sensors.pinhole import TEXEL_M, TEXTURE_LEVELS
from drive_rl.sim.sensors.solids import hit_solids, shadow

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

HALF, ONE, NOTHING = np.float32(0.5), np.float32(1.0), np.float32(0.0)
GRAIN_STEP = np.float32(1 / _GRAIN_STEPS)


@njit(inline="always")
def floor(z):
    """Return the floor of a number, as float32; NumPy's does not exist on a GPU, and `math`'s is a 64-bit integer."""
    whole = np.float32(np.int32(z))
    return whole - np.float32(whole > z)


@njit(inline="always")
def meet(forward, depth, bearing, x, y, cos, sin):
    """Return the ground point [m] that a ray of a camera at a pose meets, from the corner that x and y count from."""
    left = depth * bearing
    return x + cos * forward - sin * left, y + sin * forward + cos * left


@njit(inline="always")
def grain_index(level, wx, wy):
    """Return where the flattened textures hold the grain of a ground point [m]."""
    per_texel, far = np.float32(1 / TEXEL_M), np.float32(_FAR_TEXELS)
    # the shift keeps truncation a floor
    i = np.int32(wx * per_texel + far) & (_TEXELS - 1)
    j = np.int32(wy * per_texel + far) & (_TEXELS - 1)
    return np.int32((np.int32(level) * _TEXELS + j) * _TEXELS + i)


@njit(inline="always")
def cell_of(wx, wy, rows, columns):
    """Return the index of the cell around a point [m] in a flattened field, and where in the cell the point is.

    Beyond the field: its edge, which is far from any road.
    """
    u = min(max(wx * np.float32(1 / CELL_M), NOTHING), np.float32(columns - 1.01))
    v = min(max(wy * np.float32(1 / CELL_M), NOTHING), np.float32(rows - 1.01))
    i, j = np.int32(u), np.int32(v)
    return np.int32(j * np.int32(columns) + i), u - np.float32(i), v - np.float32(j)


@njit(inline="always")
def road_at(cells, columns, k, fu, fv):
    """Return the bilinear value of a flattened field in the cell of index k, and its gradient [1 / cell]."""
    low, rise = cells[k], cells[k + columns] - cells[k]
    run = cells[k + 1] - cells[k]
    twist = cells[k + columns + 1] - cells[k + columns] - run
    return low + run * fu + (rise + twist * fu) * fv, run + twist * fv, rise + twist * fu


@njit(inline="always")
def turned(nx, ny, cos, sin):
    """Return a vector of the world in the vehicle's frame."""
    return cos * nx + sin * ny, cos * ny - sin * nx


@njit(inline="always")
def extent(nf, nl, back, drift, aside):
    """Return how far a pixel's footprint reaches along a direction (nf, nl) of the vehicle's frame [m]."""
    return abs(nf * back + nl * drift) + abs(nl) * aside


@njit(inline="always")
def asphalt_part(d, across, middle, half_paved):
    """Return how much of a footprint `across` wide lies on the pavement, in [0, 1]; a NaN d is away from the road."""
    part = min(max((half_paved - abs(d - middle)) / across + HALF, NOTHING), ONE)
    return part if d == d else NOTHING


@njit(inline="always")
def nearest_line(d, per_lane, first, last):
    """Return the number of the painted line nearest to d, counted in lanes from the reference line."""
    # the shift keeps truncation a floor
    number = np.float32(np.int32(d * per_lane + np.float32(1024.5))) - np.float32(1024.0)
    return min(max(number, first), last)


@njit(inline="always")
def line_part(beside, across, line):
    """Return how much of a footprint `across` wide a line covers whose middle is `beside` away, in [0, 1]."""
    reach = HALF * (across + line)
    return min(reach - beside, min(line, across)) / across if beside < reach else NOTHING


@njit(inline="always")
def dash_part(s, along, dash, period):
    """Return how much of a footprint `along` long the dashes of a dashed line cover, in [0, 1]."""
    start = s - HALF * along
    return (_dashes_up_to(start + along, dash, period) - _dashes_up_to(start, dash, period)) / along


@njit(inline="always")
def paint_left(grain, wear):
    """Return how much of a line's paint is left."""
    return ONE - wear * (np.float32(0.35) + np.float32(0.65) * abs(grain))


@njit(inline="always")
def ground_light(asphalt, grain, wear):
    """Return the light that a ground pixel of this grain throws back."""
    return ONE + (np.float32(0.6) + (np.float32(0.3) * wear - np.float32(0.2)) * asphalt) * grain


@njit(inline="always")
def sky_light(elevation):
    """Return the light of the sky at an elevation [rad]."""
    return ONE - np.float32(0.35) * min(elevation, np.float32(0.8))


@njit(inline="always")
def blend(light, asphalt, marking, around, road, line):
    """Return a pixel's value from its light, what covers it, and the colours."""
    value = around + asphalt * (road - around)
    value += marking * (line - value)
    return np.uint8(min(np.float32(255.0) * light * value, np.float32(255.0)))


@njit(inline="always")
def _dashes_up_to(z, dash, period):
    """Return the painted length of a dashed line between 0 and z."""
    whole = floor(z / period)
    return whole * dash + min(z - whole * period, dash)


@njit(error_model="numpy")
def paint_pixel(
    r, c, rows, bearings, origin, d_cells, s_cells, size, x0, y0, solids, paint, palette, texels, x, y, cos, sin, image
):  # fmt: skip
    """Fill one pixel of an image (C, H, W): `paint_picture` for those who have a thread a pixel."""
    cos, sin, x, y = np.float32(cos), np.float32(sin), np.float32(x - x0), np.float32(y - y0)
    row, bearing, channels = rows[r], bearings[c], image.shape[0]
    asphalt = marking = NOTHING
    if row[7] < 0:
        light, around = sky_light(row[2]), SKY
    else:
        wx, wy = meet(row[2], row[3], bearing, x, y, cos, sin)
        grain, wear, around = texels[grain_index(row[7], wx, wy)] * GRAIN_STEP, paint[8], VERGE
        k, fu, fv = cell_of(wx, wy, size[0], size[1])
        d, nx, ny = road_at(d_cells, size[1], k, fu, fv)
        nf, nl = turned(nx, ny, cos, sin)
        drifted = row[5] * bearing
        across = extent(nf, nl, row[4], drifted, row[6])
        asphalt = asphalt_part(d, across, paint[6], paint[7])
        nearest = nearest_line(d, ONE / paint[0], paint[9], paint[10])
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


@njit
def colour_of(solids, part, is_top, channel, channels):
    """Return one channel of a solid's colour in [0, 1]; grey is ITU-R BT.601 luma."""
    colour = solids.top_colour[part] if is_top else solids.side_colour[part]
    if channels == 3:
        return colour[channel]
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
