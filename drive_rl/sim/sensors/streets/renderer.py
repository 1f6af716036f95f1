"""Pictures of maps of streets on the CPU, band by band: `renderer` with the ground of `streets.ground`."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE, YELLOW
from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.map.paint_tiles import YELLOW as YELLOW_PAINT
from drive_rl.sim.sensors.culling import screen_of, shadows_on
from drive_rl.sim.sensors.pinhole import ASIDE, BACK, DRIFT, ELEVATION, LEVEL, Viewpoint
from drive_rl.sim.sensors.renderer import BAND, Picture, Points, add_solids, cast_shadows, meet_ground
from drive_rl.sim.sensors.shading import (
    GRAIN_STEP,
    NOTHING,
    ONE,
    Footprint,
    cell_of,
    grain_index,
    ground_light,
    paint_left,
    sky_light,
)
from drive_rl.sim.sensors.streets.ground import (
    StreetView,
    blend_street,
    edge_at,
    paved_part,
    reached,
    stroke_part,
    tile_of,
)

_NO_CLASSES = np.empty((0, 0), np.uint8)
_NO_DEPTH = np.empty((0, 0), np.float32)


# Arrays of a band's pixels, (BAND, W).


class _Places(NamedTuple):
    texel: NDArray[np.int32]  # index of the grain
    cell: NDArray[np.int32]  # index of the field's cell
    read: NDArray[np.int32]  # its corners
    tile: NDArray[np.int32]  # index of the paint's tile
    fu: NDArray[np.float32]  # where in the cell, in [0, 1]
    fv: NDArray[np.float32]


class _Samples(NamedTuple):
    grain: NDArray[np.float32]
    d: NDArray[np.float32]  # [m]
    nx: NDArray[np.float32]  # gradient of d
    ny: NDArray[np.float32]


class _Covers(NamedTuple):
    light: NDArray[np.float32]
    asphalt: NDArray[np.float32]
    white: NDArray[np.float32]
    yellow: NDArray[np.float32]


def render_street(view: StreetView, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> None:
    """Paint what the camera of a car at a pose sees into `image`, (C, H, W) uint8, with C those of the view."""
    at = Viewpoint(x_m, y_m, math.cos(yaw_rad), math.sin(yaw_rad))
    paint_street(view, at, Picture(image, _NO_CLASSES, _NO_DEPTH))


@njit(error_model="numpy", nogil=True)
def paint_street(view, at, picture):
    """Fill the image of a `Picture` with what the camera of a vehicle at a viewpoint sees."""
    rays, ground, appearance, solids = view.rays, view.ground, view.appearance, view.solids
    rows, palette, x0, y0 = rays.rows, appearance.palette, ground.x0, ground.y0
    local = Viewpoint(np.float32(at.x - x0), np.float32(at.y - y0), np.float32(at.cos), np.float32(at.sin))
    seen_from = Viewpoint(local.x + x0, local.y + y0, local.cos, local.sin)
    screen = screen_of(rays, seen_from)
    shadows = shadows_on(screen, solids)
    channels, height, width = picture.image.shape
    real = np.empty((12, BAND, width), np.float32)
    whole = np.empty((4, BAND, width), np.int32)
    points, places = Points(real[0], real[1]), _Places(whole[0], whole[1], whole[2], whole[3], real[2], real[3])
    samples = _Samples(real[4], real[5], real[6], real[7])
    covers = _Covers(real[8], real[9], real[10], real[11])
    size = (ground.rows, ground.columns), (ground.tile_rows, ground.tile_columns)
    last = 0
    while last < height:
        first, last, sky = last, last + 1, rows[last, LEVEL] < 0
        while last < min(first + BAND, height) and (rows[last, LEVEL] < 0) == sky:
            last += 1
        if sky:
            covers.asphalt[:], covers.white[:], covers.yellow[:] = NOTHING, NOTHING, NOTHING
            for r in range(first, last):
                covers.light[r - first] = sky_light(rows[r, ELEVATION])
        else:
            meet_ground(rays, first, last, local, points)
            _find(rows, first, last, size, points, places)
            _read(last - first, appearance.texels, ground.corners, places, samples)
            _pave(rays, first, last, local, appearance.wear, samples, covers)
            _paint(rays, first, last, local, ground, points, places.tile, covers)
            _wear_off(last - first, appearance.wear, samples.grain, covers)
            if shadows.size > 0:
                cast_shadows(first, last, (x0, y0), solids, shadows, points, covers.light)
        around = SKY if sky else VERGE
        for channel in range(channels):
            colours = (
                palette[around, channel], palette[ASPHALT, channel],
                palette[MARKING, channel], palette[YELLOW, channel],
            )  # fmt: skip
            _blend(first, last, covers, colours, channel, picture.image)
    if solids.size > 0:
        add_solids(view, seen_from, screen, picture)


@njit_scalar
def _find(rows, first, last, size, points, places):
    """Find the texels, cells and tiles of a band's pixels."""
    (height, width), (tall, wide), wx, wy = size[0], size[1], points.wx, points.wy
    texel, cell, tile, fu, fv = places.texel, places.cell, places.tile, places.fu, places.fv
    for r in range(last - first):
        level = rows[first + r, LEVEL]
        for c in range(wx.shape[1]):
            texel[r, c] = grain_index(level, wx[r, c], wy[r, c])
        for c in range(wx.shape[1]):
            cell[r, c], fu[r, c], fv[r, c] = cell_of(wx[r, c], wy[r, c], height, width)
        for c in range(wx.shape[1]):
            tile[r, c] = tile_of(wx[r, c], wy[r, c], tall, wide)


@njit_scalar
def _read(count, texels, corners, places, samples):
    """Read a band's grain, and the distance to the pavement's edge and its gradient."""
    texel, cell, read, fu, fv = places.texel, places.cell, places.read, places.fu, places.fv
    grain, d, nx, ny = samples.grain, samples.d, samples.nx, samples.ny
    for r in range(count):
        for c in range(d.shape[1]):
            grain[r, c] = texels[np.uint32(texel[r, c])] * GRAIN_STEP
    for r in range(count):
        for c in range(d.shape[1]):
            read[r, c] = corners[np.uint32(cell[r, c])]
    for r in range(count):
        for c in range(d.shape[1]):
            d[r, c], nx[r, c], ny[r, c] = edge_at(read[r, c], fu[r, c], fv[r, c])


@njit_scalar
def _pave(rays, first, last, at, wear, samples, covers):
    """Find how much of a band's pixels is asphalt, and their light."""
    rows, bearings = rays.rows, rays.bearings
    grain, d, nx, ny = samples.grain, samples.d, samples.nx, samples.ny
    asphalt, light = covers.asphalt, covers.light
    for r in range(last - first):
        back, drift, aside = rows[first + r, BACK], rows[first + r, DRIFT], rows[first + r, ASIDE]
        for c in range(d.shape[1]):
            footprint = Footprint(back, drift * bearings[c], aside)
            paved = paved_part(d[r, c], nx[r, c], ny[r, c], footprint, at)
            asphalt[r, c], light[r, c] = paved, ground_light(paved, grain[r, c], wear)


@njit_scalar
def _paint(rays, first, last, at, ground, points, tile, covers):
    """Add up the strokes on a band's pixels, as if no paint were worn: run after run of pixels on the same tile, of
    which most have no stroke in reach.
    """
    rows, bearings, wx, wy, stroke = rays.rows, rays.bearings, points.wx, points.wy, ground.stroke
    width, white, yellow = tile.shape[1], covers.white, covers.yellow
    for r in range(last - first):
        back, drift, aside = rows[first + r, BACK], rows[first + r, DRIFT], rows[first + r, ASIDE]
        for c in range(width):
            white[r, c] = yellow[r, c] = NOTHING
        begin, end = 0, 0
        while end < width:
            begin, end, k = end, end + 1, np.uint32(tile[r, end])
            start, stop = ground.first[k], ground.first[k + np.uint32(1)]
            if start == stop:
                continue
            while end < width and tile[r, end] == tile[r, begin]:
                end += 1
            for place in range(start, stop):
                n = np.uint32(ground.item[np.uint32(place)])
                one = wx[r, begin], wy[r, begin], Footprint(back, drift * bearings[begin], aside)
                other = wx[r, end - 1], wy[r, end - 1], Footprint(back, drift * bearings[end - 1], aside)
                from_c, to_c = reached(stroke, n, one, other, end - begin, at)
                for c in range(begin + from_c, begin + to_c):
                    footprint = Footprint(back, drift * bearings[c], aside)
                    part = stroke_part(stroke, n, wx[r, c], wy[r, c], footprint, at)
                    if stroke[n, YELLOW_PAINT] > 0:
                        yellow[r, c] += part
                    else:
                        white[r, c] += part


@njit_scalar
def _wear_off(count, wear, grain, covers):
    """Take away what has worn off a band's paint, counting it once where strokes meet."""
    white, yellow = covers.white, covers.yellow
    for r in range(count):
        for c in range(white.shape[1]):
            left = paint_left(grain[r, c], wear)
            white[r, c], yellow[r, c] = min(white[r, c], ONE) * left, min(yellow[r, c], ONE) * left


@njit_scalar
def _blend(first, last, covers, colours, channel, image):
    """Fill a band of one channel."""
    light, asphalt, white, yellow = covers.light, covers.asphalt, covers.white, covers.yellow
    for r in range(last - first):
        for c in range(image.shape[2]):
            image[channel, first + r, c] = blend_street(light[r, c], asphalt[r, c], white[r, c], yellow[r, c], colours)
