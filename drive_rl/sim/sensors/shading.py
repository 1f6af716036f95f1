"""One pixel: what covers it, and its light. Scalar functions that every engine calls, on the CPU and on a GPU.

`paint_pixel` puts them together, for a thread a pixel; `renderer.paint_picture` calls the same ones in the same order,
each over a band of rows, because short loops vectorise.

Markings are painted analytically: the coverage of a pixel is the box filter of the line's edges over the pixel's
footprint on the ground, so that lines stay crisp near by and do not alias far away.
"""

from typing import NamedTuple

import numpy as np

from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.distance_field import CELL_M
from drive_rl.sim.sensors.fma import fma
from drive_rl.sim.sensors.pinhole import (
    ASIDE,
    BACK,
    DEPTH,
    DRIFT,
    ELEVATION,
    FORWARD,
    GROUND,
    LEVEL,
    TEXEL_M,
    UPWARD,
    Viewpoint,
)
from drive_rl.sim.sensors.solids import hit_solids, shadow
from drive_rl.sim.sensors.view import GRAIN_STEPS, TEXELS_A_SIDE, unpack_markings

_FAR_TEXELS = 64 * TEXELS_A_SIDE  # farther than any ground point, so that indices are positive before they wrap

HALF, ONE, NOTHING = np.float32(0.5), np.float32(1.0), np.float32(0.0)
GRAIN_STEP = np.float32(1 / GRAIN_STEPS)


class RoadSample(NamedTuple):
    """The distance field at a point: d [m], and its gradient along x and y."""

    d: np.float32
    nx: np.float32
    ny: np.float32


class Footprint(NamedTuple):
    """The part of the ground that a pixel covers, in the vehicle's frame [m]: one row's step and one column's."""

    back: np.float32  # forward, over a row
    drift: np.float32  # to the left, over a row
    aside: np.float32  # to the left, over a column


class Cover(NamedTuple):
    """What covers a ground pixel, before a dashed line loses its gaps."""

    asphalt: np.float32  # share, in [0, 1]
    marking: np.float32  # share, in [0, 1]
    along: np.float32  # how far the pixel reaches along the road [m] where its line is dashed, else 0
    light: np.float32


@njit(inline="always")
def floor(z):
    """Return the floor of a number, as float32; NumPy's does not exist on a GPU, and `math`'s is a 64-bit integer."""
    whole = np.float32(np.int32(z))
    return whole - np.float32(whole > z)


@njit(inline="always")
def meet(forward, depth, bearing, at):
    """Return the ground point [m] that a ray meets, from the corner that the viewpoint counts from."""
    left = depth * bearing
    x, y = fma(at.cos, forward, at.x), fma(at.sin, forward, at.y)  # the same all along a row
    return fma(-at.sin, left, x), fma(at.cos, left, y)


@njit(inline="always")
def grain_index(level, wx, wy):
    """Return where the flattened textures hold the grain of a ground point [m]."""
    per_texel, far = np.float32(1 / TEXEL_M), np.float32(_FAR_TEXELS)
    # the shift keeps truncation a floor
    i = np.int32(wx * per_texel + far) & (TEXELS_A_SIDE - 1)
    j = np.int32(wy * per_texel + far) & (TEXELS_A_SIDE - 1)
    return np.int32((np.int32(level) * TEXELS_A_SIDE + j) * TEXELS_A_SIDE + i)


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
    ny = fma(twist, fu, rise)
    return fma(ny, fv, fma(run, fu, low)), fma(twist, fv, run), ny


@njit(inline="always")
def turned(nx, ny, at):
    """Return a vector of the world in the vehicle's frame."""
    return fma(at.cos, nx, at.sin * ny), fma(at.cos, ny, -at.sin * nx)


@njit(inline="always")
def extent(nf, nl, footprint):
    """Return how far a pixel's footprint reaches along a direction (nf, nl) of the vehicle's frame [m]."""
    return fma(abs(nl), footprint.aside, abs(fma(nf, footprint.back, nl * footprint.drift)))


@njit(inline="always")
def asphalt_part(d, per_across, middle, half_paved):
    """Return how much of a footprint `across` wide lies on the pavement, in [0, 1]; a NaN d is away from the road."""
    part = min(max((half_paved - abs(d - middle)) * per_across + HALF, NOTHING), ONE)
    return part if d == d else NOTHING


@njit(inline="always")
def nearest_line(d, markings):
    """Return the number of the painted line nearest to d, counted in lanes from the reference line."""
    per_lane = ONE / markings.lane_width
    # the shift keeps truncation a floor
    number = np.float32(np.int32(d * per_lane + np.float32(1024.5))) - np.float32(1024.0)
    return min(max(number, markings.first_line), markings.last_line)


@njit(inline="always")
def line_part(beside, across, per_across, line):
    """Return how much of a footprint `across` wide a line covers whose middle is `beside` away, in [0, 1]."""
    reach = HALF * (across + line)
    return min(reach - beside, min(line, across)) * per_across if beside < reach else NOTHING


@njit(inline="always")
def dash_part(s, along, dash, period):
    """Return how much of a footprint `along` long the dashes of a dashed line cover, in [0, 1]."""
    start = s - HALF * along
    return (dashes_up_to(start + along, dash, period) - dashes_up_to(start, dash, period)) / along


@njit(inline="always")
def paint_left(grain, wear):
    """Return how much of a line's paint is left."""
    return ONE - wear * (np.float32(0.35) + np.float32(0.65) * abs(grain))


@njit(inline="always")
def ground_light(asphalt, grain, wear):
    """Return the light that a ground pixel of this grain reflects."""
    return ONE + (np.float32(0.6) + (np.float32(0.3) * wear - np.float32(0.2)) * asphalt) * grain


@njit(inline="always")
def sky_light(elevation):
    """Return the light of the sky at an elevation [rad]."""
    return ONE - np.float32(0.35) * min(elevation, np.float32(0.8))


@njit(inline="always")
def blend(light, asphalt, marking, colours):
    """Return a pixel's value from its light, what covers it, and the colours of surroundings, road and line."""
    around, road, line = colours
    value = fma(asphalt, road - around, around)
    value = fma(marking, line - value, value)
    return np.uint8(min(np.float32(255.0) * light * value, np.float32(255.0)))


@njit(inline="always")
def dashes_up_to(z, dash, period):
    """Return the painted length of a dashed line between 0 and z."""
    whole = floor(z / period)
    return whole * dash + min(z - whole * period, dash)


@njit(inline="always")
def cover(sample, grain, footprint, at, markings, wear):
    """Return the `Cover` of a ground pixel, from the distance field and the grain there."""
    nf, nl = turned(sample.nx, sample.ny, at)
    across = extent(nf, nl, footprint)
    per_across = ONE / across
    asphalt = asphalt_part(sample.d, per_across, markings.middle, markings.half_paved)
    nearest = nearest_line(sample.d, markings)
    beside = abs(sample.d - nearest * markings.lane_width)
    marking = line_part(beside, across, per_across, markings.line_width) * paint_left(grain, wear)
    dashed = (marking > 0) & (nearest > markings.first_line) & (nearest < markings.last_line)
    along = extent(nl, -nf, footprint) if dashed else NOTHING
    return Cover(asphalt, marking, along, ground_light(asphalt, grain, wear))


@njit(inline="always")
def paint_solid(r, c, view, at, image):
    """Paint the first solid along a pixel's ray over it."""
    rays, solids, channels = view.rays, view.solids, image.shape[0]
    direction = rays.rows[r, FORWARD], rays.bearings[c], rays.rows[r, UPWARD]
    _, part, lit, is_top = hit_solids(solids, at, rays.origin, direction, rays.rows[r, DEPTH])
    if part >= 0:
        for channel in range(channels):
            image[channel, r, c] = solid_value(solids, part, lit, is_top, channel, channels)


@njit(error_model="numpy")
def paint_pixel(r, c, view, at, image):
    """Fill one pixel of an image (C, H, W): `paint_picture` for those who have a thread a pixel."""
    ground, solids = view.ground, view.solids
    row, bearing, x0, y0 = view.rays.rows[r], view.rays.bearings[c], ground.x0, ground.y0
    local = Viewpoint(np.float32(at.x - x0), np.float32(at.y - y0), np.float32(at.cos), np.float32(at.sin))
    asphalt = marking = NOTHING
    if row[LEVEL] < 0:
        light, around = sky_light(row[ELEVATION]), SKY
    else:
        around = VERGE
        wx, wy = meet(row[GROUND], row[DEPTH], bearing, local)
        grain = ground.texels[grain_index(row[LEVEL], wx, wy)] * GRAIN_STEP
        k, fu, fv = cell_of(wx, wy, ground.rows, ground.columns)
        d, nx, ny = road_at(ground.d_cells, ground.columns, k, fu, fv)
        footprint = Footprint(row[BACK], row[DRIFT] * bearing, row[ASIDE])
        markings = unpack_markings(ground.markings)
        covered = cover(RoadSample(d, nx, ny), grain, footprint, local, markings, ground.wear)
        asphalt, marking, light = covered.asphalt, covered.marking, covered.light
        if covered.along > 0:
            s = road_at(ground.s_cells, ground.columns, k, fu, fv)[0]
            marking *= dash_part(s, covered.along, markings.dash, markings.period)
        if solids.size > 0:
            light *= np.float32(shadow(solids, wx + x0, wy + y0))
    for channel in range(image.shape[0]):
        colours = ground.palette[around, channel], ground.palette[ASPHALT, channel], ground.palette[MARKING, channel]
        image[channel, r, c] = blend(light, asphalt, marking, colours)
    if solids.size > 0:
        paint_solid(r, c, view, Viewpoint(local.x + x0, local.y + y0, local.cos, local.sin), image)


@njit
def solid_value(solids, part, lit, is_top, channel, channels):
    """Return one channel of a lit solid's value in [0, 255]; grey is ITU-R BT.601 luma."""
    colour = solids.top_colour[part] if is_top else solids.side_colour[part]
    if channels == 3:
        return 255 * lit * colour[channel]
    return 255 * lit * (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])
