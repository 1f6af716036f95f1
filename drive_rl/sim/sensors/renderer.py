"""Pictures and ground truth on the CPU, band by band: the road from its distance field, solids by ray tests."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.world_spec import RoadSpec
from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE, Appearance
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.distance_field import Field
from drive_rl.sim.sensors.lane_labels import LanePolyline
from drive_rl.sim.sensors.pinhole import Rays
from drive_rl.sim.sensors.shading import (
    GRAIN_STEP,
    HALF,
    NOTHING,
    ONE,
    TEXELS,
    asphalt_part,
    blend,
    cell_of,
    colour_of,
    dash_part,
    extent,
    floor,
    grain_index,
    ground_light,
    line_part,
    meet,
    nearest_line,
    paint_left,
    road_at,
    sky_light,
    turned,
)
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids, hit_solids, shadow

CLASSES = ("background", "road", "ego_lane", "marking", "vehicle")
"""Names of the values in a segmentation."""
BACKGROUND, ROAD, EGO_LANE, LINE, VEHICLE = range(5)

WEAR = 8
"""Where in `Scene.paint` the wear is."""

_NO_CLASSES = np.empty((0, 0), np.uint8)
_NO_DEPTH = np.empty((0, 0), np.float32)
_FAST = {"contract", "arcp", "nsz", "reassoc"}


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


# --- band by band, in passes of little code each, which become vector instructions -----------
# A pass takes whole arrays and slices none of them: a slice costs a reference count.


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
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
            asphalt[:], marking[:] = NOTHING, NOTHING
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


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _meet(rows, first, last, bearings, x, y, cos, sin, wx, wy):
    """Say where a band's pixels meet the ground."""
    for r in range(last - first):
        forward, depth = rows[first + r, 2], rows[first + r, 3]
        for c in range(wx.shape[1]):
            wx[r, c], wy[r, c] = meet(forward, depth, bearings[c], x, y, cos, sin)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _find(rows, first, last, size, wx, wy, texel, cell, fu, fv):
    """Say where the grain and the road of a band's pixels are found."""
    height, width = size
    for r in range(last - first):
        level = rows[first + r, 7]
        for c in range(wx.shape[1]):
            texel[r, c] = grain_index(level, wx[r, c], wy[r, c])
        for c in range(wx.shape[1]):
            cell[r, c], fu[r, c], fv[r, c] = cell_of(wx[r, c], wy[r, c], height, width)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _read(count, texels, texel, d_cells, columns, cell, fu, fv, grain, d, nx, ny):
    """Read a band's grain, and the road's d and its gradient; unsigned indices need no test for negative ones."""
    for r in range(count):
        for c in range(d.shape[1]):
            grain[r, c] = texels[np.uint32(texel[r, c])] * GRAIN_STEP
    for r in range(count):
        for c in range(d.shape[1]):
            d[r, c], nx[r, c], ny[r, c] = road_at(d_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _cover(rows, first, last, bearings, cos, sin, paint, grain, d, nx, ny, along, asphalt, marking, light):
    """Say how much of a band's pixels is asphalt, and how much is a line, as if none were dashed; and their light."""
    lane, line, middle, half_paved, wear = paint[0], paint[1], paint[6], paint[7], paint[8]
    per_lane, lowest, highest = ONE / lane, paint[9], paint[10]
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
            along[r, c] = extent(nl, -nf, back, drifted, aside) if dashed else NOTHING
            asphalt[r, c], marking[r, c] = part, covered
            light[r, c] = ground_light(part, grain[r, c], wear)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _dash(count, s_cells, columns, paint, cell, fu, fv, along, marking):
    """Take the gaps of dashed lines out of a band's markings."""
    dash, period = paint[2], paint[3]
    for r in range(count):
        for c in range(marking.shape[1]):
            if along[r, c] > 0:
                s = road_at(s_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])[0]
                marking[r, c] *= dash_part(s, along[r, c], dash, period)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _blend(first, last, asphalt, marking, light, colours, channel, image):
    """Fill a band of one channel."""
    around, road, line = colours
    for r in range(last - first):
        for c in range(image.shape[2]):
            image[channel, first + r, c] = blend(light[r, c], asphalt[r, c], marking[r, c], around, road, line)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
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
            nearest = nearest_line(across, ONE / lane, lowest, highest)
            if abs(across - nearest * lane) <= HALF * line:
                k = np.uint32(cell[r - first, c])
                s = road_at(s_cells, columns, k, fu[r - first, c], fv[r - first, c])[0]
                if not lowest < nearest < highest or s - floor(s / period) * period <= dash:
                    classes[r, c] = LINE


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
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
