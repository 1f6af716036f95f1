"""Pictures and ground truth on the CPU, band by band: the road from its distance field, solids by ray tests."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE
from drive_rl.sim.compiled import njit
from drive_rl.sim.sensors.culling import rectangle, screen_of, shadows_on
from drive_rl.sim.sensors.lane_labels import LanePolyline
from drive_rl.sim.sensors.pinhole import (
    ASIDE,
    BACK,
    DEPTH,
    DRIFT,
    ELEVATION,
    FORWARD,
    GROUND,
    LEVEL,
    UPWARD,
    Rays,
    Viewpoint,
)
from drive_rl.sim.sensors.shading import (
    GRAIN_STEP,
    HALF,
    NOTHING,
    Footprint,
    RoadSample,
    blend,
    cell_of,
    cover,
    dash_part,
    floor,
    grain_index,
    meet,
    nearest_line,
    road_at,
    sky_light,
    solid_value,
)
from drive_rl.sim.sensors.solids import hit, ray_from, shadow_of, solid_at
from drive_rl.sim.sensors.view import Scene, View, unpack_markings

CLASSES = ("background", "road", "ego_lane", "marking", "vehicle")
"""Names of the values in a segmentation."""
BACKGROUND, ROAD, EGO_LANE, LINE, VEHICLE = range(5)

_NO_CLASSES = np.empty((0, 0), np.uint8)
_NO_DEPTH = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Truth:
    """A picture and its ground truth."""

    image: NDArray[np.uint8]  # (C, H, W)
    classes: NDArray[np.uint8]  # (H, W), indices into CLASSES
    depth_m: NDArray[np.float32]  # (H, W), along the optical axis; inf in the sky
    lanes: tuple[LanePolyline, ...] = ()  # the painted lines in the picture; `LaneEnv.truth` fills them in


class Picture(NamedTuple):
    """The arrays to fill; without ground truth, `classes` and `depth` are empty."""

    image: NDArray[np.uint8]  # (C, H, W)
    classes: NDArray[np.uint8]  # (H, W)
    depth: NDArray[np.float32]  # (H, W)


def render(scene: Scene, rays: Rays, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> None:
    """Paint what the camera of a car at a pose sees into `image`, (C, H, W) uint8 with C = 1 (grey) or 3 (RGB)."""
    render_view(scene.view(rays, image.shape[0]), x_m, y_m, yaw_rad, image)


def render_view(view: View, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> None:
    """Do as `render`, with the `Scene.view` of rays and channels."""
    at = Viewpoint(x_m, y_m, math.cos(yaw_rad), math.sin(yaw_rad))
    paint_picture(view, at, Picture(image, _NO_CLASSES, _NO_DEPTH))


def render_truth(scene: Scene, rays: Rays, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> Truth:
    """Do as `render`, and return the ground truth of the same pass."""
    shape = image.shape[1:]
    truth = Truth(image, np.empty(shape, np.uint8), np.empty(shape, np.float32))
    at = Viewpoint(x_m, y_m, math.cos(yaw_rad), math.sin(yaw_rad))
    paint_picture(scene.view(rays, image.shape[0]), at, Picture(image, truth.classes, truth.depth_m))
    return truth


# --- band by band, in passes of little code each, which vectorise ---------------------------------------------------
# A pass takes whole arrays and slices none of them: a slice costs a reference count.

BAND = 8
"""Rows, all of the ground or all of the sky: the arrays of so few rows fit into the nearest cache."""


# Arrays of a band's pixels, (BAND, W). A pass takes the groups that it needs: one of all would cost more to pass on
# than a pass takes.


class Points(NamedTuple):
    """Where pixels meet the ground."""

    wx: NDArray[np.float32]  # where the pixels meet the ground, from the field's corner [m]
    wy: NDArray[np.float32]


class _Places(NamedTuple):
    texel: NDArray[np.int32]  # index of the grain
    cell: NDArray[np.int32]  # index of the field's cell
    fu: NDArray[np.float32]  # where in the cell, in [0, 1]
    fv: NDArray[np.float32]


class _Samples(NamedTuple):
    grain: NDArray[np.float32]
    d: NDArray[np.float32]  # [m]
    nx: NDArray[np.float32]  # gradient of d
    ny: NDArray[np.float32]


class _Covers(NamedTuple):
    along: NDArray[np.float32]  # shading.Cover
    asphalt: NDArray[np.float32]
    marking: NDArray[np.float32]
    light: NDArray[np.float32]


@njit(error_model="numpy", nogil=True)
def paint_picture(view, at, picture):
    """Fill a `Picture` with what the camera of a vehicle at a viewpoint sees."""
    rays, ground, solids = view.rays, view.ground, view.solids
    rows, palette, x0, y0 = rays.rows, ground.palette, ground.x0, ground.y0
    local = Viewpoint(np.float32(at.x - x0), np.float32(at.y - y0), np.float32(at.cos), np.float32(at.sin))
    seen_from = Viewpoint(local.x + x0, local.y + y0, local.cos, local.sin)
    screen = screen_of(rays, seen_from)
    shadows = shadows_on(screen, solids)
    channels, height, width = picture.image.shape
    real = np.empty((12, BAND, width), np.float32)
    whole = np.empty((2, BAND, width), np.int32)
    points, places = Points(real[0], real[1]), _Places(whole[0], whole[1], real[2], real[3])
    samples = _Samples(real[4], real[5], real[6], real[7])
    covers = _Covers(real[8], real[9], real[10], real[11])
    columns = np.uint32(ground.columns)
    last = 0
    while last < height:
        first, last, sky = last, last + 1, rows[last, LEVEL] < 0
        while last < min(first + BAND, height) and (rows[last, LEVEL] < 0) == sky:
            last += 1
        if sky:
            covers.asphalt[:], covers.marking[:] = NOTHING, NOTHING
            for r in range(first, last):
                covers.light[r - first] = sky_light(rows[r, ELEVATION])
        else:
            meet_ground(rays, first, last, local, points)
            _find(rows, first, last, (ground.rows, ground.columns), points, places)
            _read(last - first, ground.texels, ground.d_cells, columns, places, samples)
            _cover(rays, first, last, local, ground.markings, ground.wear, samples, covers)
            _dash(last - first, ground.s_cells, columns, ground.markings, places, covers)
            if shadows.size > 0:
                cast_shadows(first, last, (x0, y0), solids, shadows, points, covers.light)
        around = SKY if sky else VERGE
        for channel in range(channels):
            colours = palette[around, channel], palette[ASPHALT, channel], palette[MARKING, channel]
            _blend(first, last, covers, colours, channel, picture.image)
        if picture.classes.size > 0:
            _label(rows, first, last, ground, places, samples.d, picture)
    if solids.size > 0:
        add_solids(view, seen_from, screen, picture)


@njit(error_model="numpy", nogil=True)
def meet_ground(rays, first, last, at, points):
    """Find where a band's pixels meet the ground."""
    rows, bearings, wx, wy = rays.rows, rays.bearings, points.wx, points.wy
    for r in range(last - first):
        forward, depth = rows[first + r, GROUND], rows[first + r, DEPTH]
        for c in range(wx.shape[1]):
            wx[r, c], wy[r, c] = meet(forward, depth, bearings[c], at)


@njit(error_model="numpy", nogil=True)
def _find(rows, first, last, size, points, places):
    """Find the texels and the field's cells of a band's pixels."""
    (height, width), wx, wy = size, points.wx, points.wy
    texel, cell, fu, fv = places.texel, places.cell, places.fu, places.fv
    for r in range(last - first):
        level = rows[first + r, LEVEL]
        for c in range(wx.shape[1]):
            texel[r, c] = grain_index(level, wx[r, c], wy[r, c])
        for c in range(wx.shape[1]):
            cell[r, c], fu[r, c], fv[r, c] = cell_of(wx[r, c], wy[r, c], height, width)


@njit(error_model="numpy", nogil=True)
def _read(count, texels, d_cells, columns, places, samples):
    """Read a band's grain, and the road's d and its gradient; unsigned indices need no test for negative ones."""
    texel, cell, fu, fv = places.texel, places.cell, places.fu, places.fv
    grain, d, nx, ny = samples.grain, samples.d, samples.nx, samples.ny
    for r in range(count):
        for c in range(d.shape[1]):
            grain[r, c] = texels[np.uint32(texel[r, c])] * GRAIN_STEP
    for r in range(count):
        for c in range(d.shape[1]):
            d[r, c], nx[r, c], ny[r, c] = road_at(d_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])


@njit(error_model="numpy", nogil=True)
def _cover(rays, first, last, at, packed, wear, samples, covers):
    """Find how much of a band's pixels is asphalt, how much is a line, as if none were dashed, and their light."""
    rows, bearings, markings = rays.rows, rays.bearings, unpack_markings(packed)
    grain, d, nx, ny = samples.grain, samples.d, samples.nx, samples.ny
    along, asphalt, marking, light = covers.along, covers.asphalt, covers.marking, covers.light
    for r in range(last - first):
        back, drift, aside = rows[first + r, BACK], rows[first + r, DRIFT], rows[first + r, ASIDE]
        for c in range(d.shape[1]):
            footprint = Footprint(back, drift * bearings[c], aside)
            sample = RoadSample(d[r, c], nx[r, c], ny[r, c])
            covered = cover(sample, grain[r, c], footprint, at, markings, wear)
            along[r, c], asphalt[r, c] = covered.along, covered.asphalt
            marking[r, c], light[r, c] = covered.marking, covered.light


@njit(error_model="numpy", nogil=True)
def _dash(count, s_cells, columns, packed, places, covers):
    """Take the gaps of dashed lines out of a band's markings."""
    markings, along, marking = unpack_markings(packed), covers.along, covers.marking
    cell, fu, fv = places.cell, places.fu, places.fv
    for r in range(count):
        for c in range(marking.shape[1]):
            if along[r, c] > 0:
                s = road_at(s_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])[0]
                marking[r, c] *= dash_part(s, along[r, c], markings.dash, markings.period)


@njit(error_model="numpy", nogil=True)
def cast_shadows(first, last, corner, solids, shadows, points, light):
    """Cast the solids' shadows on a band; the darkest counts."""
    falls = False
    for k in range(shadows.shape[0]):
        falls |= shadows[k, 1] < last and shadows[k, 2] > first
    if not falls:
        return
    (x0, y0), wx, wy = corner, points.wx, points.wy
    shade = np.ones(light.shape, np.float64)
    for k in range(shadows.shape[0]):
        solid = solid_at(solids.shape, shadows[k, 0])
        for r in range(max(first, shadows[k, 1]) - first, min(last, shadows[k, 2]) - first):
            for c in range(shadows[k, 3], shadows[k, 4]):
                shade[r, c] = min(shade[r, c], shadow_of(solid, wx[r, c] + x0, wy[r, c] + y0))
    for r in range(last - first):
        for c in range(light.shape[1]):
            light[r, c] *= shade[r, c]


@njit(error_model="numpy", nogil=True)
def _blend(first, last, covers, colours, channel, image):
    """Fill a band of one channel."""
    asphalt, marking, light = covers.asphalt, covers.marking, covers.light
    for r in range(last - first):
        for c in range(image.shape[2]):
            image[channel, first + r, c] = blend(light[r, c], asphalt[r, c], marking[r, c], colours)


@njit(error_model="numpy", nogil=True)
def _label(rows, first, last, ground, places, d, picture):
    """Fill a band of classes and depth, solids left out."""
    markings, classes, depth = unpack_markings(ground.markings), picture.classes, picture.depth
    s_cells, columns, lane = ground.s_cells, np.uint32(ground.columns), markings.lane_width
    cell, fu, fv = places.cell, places.fu, places.fv
    for r in range(first, last):
        for c in range(classes.shape[1]):
            classes[r, c] = BACKGROUND
            depth[r, c] = rows[r, DEPTH]
            across = d[r - first, c]
            if rows[r, LEVEL] < 0 or not abs(across - markings.middle) <= markings.half_paved:
                continue
            classes[r, c] = EGO_LANE if markings.right <= across <= markings.right + lane else ROAD
            nearest = nearest_line(across, markings)
            if abs(across - nearest * lane) <= HALF * markings.line_width:
                k = np.uint32(cell[r - first, c])
                s = road_at(s_cells, columns, k, fu[r - first, c], fv[r - first, c])[0]
                dashed = markings.first_line < nearest < markings.last_line
                if not dashed or s - floor(s / markings.period) * markings.period <= markings.dash:
                    classes[r, c] = LINE


@njit(error_model="numpy", nogil=True)
def add_solids(view, at, screen, picture):
    """Paint the solids over a picture, one by one; of two at the same depth the first stays."""
    rays, solids, image, labelled = view.rays, view.solids, picture.image, picture.classes.size > 0
    rows, bearings, channels = rays.rows, rays.bearings, image.shape[0]
    nearest = np.empty((screen.height, screen.width), np.float64)
    for r in range(screen.height):
        nearest[r] = rows[r, DEPTH]
    for n in range(solids.size):
        solid = solid_at(solids.shape, n)
        box = rectangle(screen, solid)
        for r in range(box.top, box.bottom):
            for c in range(box.left, box.right):
                if nearest[r, c] <= box.depth:
                    continue
                ray = ray_from(at, rays.origin, (rows[r, FORWARD], bearings[c], rows[r, UPWARD]))
                depth, lit, is_top = hit(solid, ray)
                if not 0.0 < depth < nearest[r, c]:
                    continue
                nearest[r, c] = depth
                for channel in range(channels):
                    image[channel, r, c] = solid_value(solids, n, lit, is_top, channel, channels)
                if labelled:
                    picture.classes[r, c], picture.depth[r, c] = VEHICLE, depth
