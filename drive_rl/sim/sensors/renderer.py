"""Pictures and ground truth on the CPU, band by band: the road from its distance field, solids by ray tests."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.world_spec import RoadSpec
from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE, Appearance
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.distance_field import Field
from drive_rl.sim.sensors.lane_labels import LanePolyline
from drive_rl.sim.sensors.pinhole import (
    ASIDE,
    BACK,
    DEPTH,
    DRIFT,
    ELEVATION,
    GROUND,
    LEVEL,
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
    paint_solid,
    road_at,
    sky_light,
)
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids, shadow
from drive_rl.sim.sensors.view import TEXELS, Ground, Markings, View, markings_of

CLASSES = ("background", "road", "ego_lane", "marking", "vehicle")
"""Names of the values in a segmentation."""
BACKGROUND, ROAD, EGO_LANE, LINE, VEHICLE = range(5)

_NO_CLASSES = np.empty((0, 0), np.uint8)
_NO_DEPTH = np.empty((0, 0), np.float32)
_FAST = {"contract", "arcp", "nsz", "reassoc"}


@dataclass(frozen=True)
class Scene:
    """What a camera can see: a road's field and markings, an appearance, and solids (parked cars; the own car from
    outside).
    """

    field: Field
    road: RoadSpec
    appearance: Appearance
    solids: Solids = NO_SOLIDS

    @cached_property
    def markings(self) -> Markings:
        """The road's markings."""
        return markings_of(self.road)

    @cached_property
    def palettes(self) -> dict[int, NDArray[np.float32]]:
        """The appearance's colours by number of channels."""
        return {channels: self.appearance.palette(channels) for channels in (1, 3)}

    def view(self, rays: Rays, channels: int) -> View:
        """Return what a camera sees of it in grey (1 channel) or RGB (3)."""
        field = self.field
        ground = Ground(
            d_cells=field.d_m.reshape(-1),
            s_cells=field.s_m.reshape(-1),
            rows=field.d_m.shape[0],
            columns=field.d_m.shape[1],
            x0=field.origin_x_m,
            y0=field.origin_y_m,
            markings=self.markings,
            wear=np.float32(self.appearance.wear),
            palette=self.palettes[channels],
            texels=TEXELS,
        )
        return View(rays, ground, self.solids)


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
    at = Viewpoint(x_m, y_m, math.cos(yaw_rad), math.sin(yaw_rad))
    paint_picture(scene.view(rays, image.shape[0]), at, Picture(image, _NO_CLASSES, _NO_DEPTH))


def render_truth(scene: Scene, rays: Rays, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> Truth:
    """Do as `render`, and return the ground truth of the same pass."""
    shape = image.shape[1:]
    truth = Truth(image, np.empty(shape, np.uint8), np.empty(shape, np.float32))
    at = Viewpoint(x_m, y_m, math.cos(yaw_rad), math.sin(yaw_rad))
    paint_picture(scene.view(rays, image.shape[0]), at, Picture(image, truth.classes, truth.depth_m))
    return truth


# --- band by band, in passes of little code each, which vectorise ---------------------------------------------------
# A pass takes whole arrays and slices none of them: a slice costs a reference count.

_BAND = 8  # rows, all of the ground or all of the sky: the arrays of so few rows fit into the nearest cache


class _Band(NamedTuple):
    """The pixels of a band, (_BAND, W) float32 and int32."""

    wx: NDArray[np.float32]  # where they meet the ground, from the field's corner [m]
    wy: NDArray[np.float32]
    grain: NDArray[np.float32]
    d: NDArray[np.float32]  # [m], and its gradient
    nx: NDArray[np.float32]
    ny: NDArray[np.float32]
    fu: NDArray[np.float32]  # which part of their cell they are in
    fv: NDArray[np.float32]
    along: NDArray[np.float32]  # how far they reach along the road where a dashed line is [m], else 0
    asphalt: NDArray[np.float32]  # what covers them
    marking: NDArray[np.float32]
    light: NDArray[np.float32]
    texel: NDArray[np.int32]  # where their grain and their cell are
    cell: NDArray[np.int32]


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def paint_picture(view, at, picture):
    """Fill a `Picture` with what the camera of a vehicle at a viewpoint sees."""
    rays, ground, solids = view.rays, view.ground, view.solids
    rows, palette, x0, y0 = rays.rows, ground.palette, ground.x0, ground.y0
    local = Viewpoint(np.float32(at.x - x0), np.float32(at.y - y0), np.float32(at.cos), np.float32(at.sin))
    channels, height, width = picture.image.shape
    real = np.empty((12, _BAND, width), np.float32)
    whole = np.empty((2, _BAND, width), np.int32)
    band = _Band(
        real[0], real[1], real[2], real[3], real[4], real[5], real[6], real[7], real[8], real[9], real[10], real[11],
        whole[0], whole[1],
    )  # fmt: skip
    last = 0
    while last < height:
        first, last, sky = last, last + 1, rows[last, LEVEL] < 0
        while last < min(first + _BAND, height) and (rows[last, LEVEL] < 0) == sky:
            last += 1
        if sky:
            band.asphalt[:], band.marking[:] = NOTHING, NOTHING
            for r in range(first, last):
                band.light[r - first] = sky_light(rows[r, ELEVATION])
        else:
            _meet(rays, first, last, local, band)
            _find(rays, first, last, ground, band)
            _read(last - first, ground, band)
            _cover(rays, first, last, local, ground, band)
            _dash(last - first, ground, band)
            if solids.size > 0:
                _shade(last - first, ground, solids, band)
        around = SKY if sky else VERGE
        for channel in range(channels):
            colours = palette[around, channel], palette[ASPHALT, channel], palette[MARKING, channel]
            _blend(first, last, band, colours, channel, picture.image)
        if picture.classes.size > 0:
            _label(rays, first, last, ground, band, picture)
    if solids.size > 0:
        _add_solids(view, Viewpoint(local.x + x0, local.y + y0, local.cos, local.sin), picture)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _meet(rays, first, last, at, band):
    """Find where a band's pixels meet the ground."""
    rows, bearings, wx, wy = rays.rows, rays.bearings, band.wx, band.wy
    for r in range(last - first):
        forward, depth = rows[first + r, GROUND], rows[first + r, DEPTH]
        for c in range(wx.shape[1]):
            wx[r, c], wy[r, c] = meet(forward, depth, bearings[c], at)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _find(rays, first, last, ground, band):
    """Find the texels and the field's cells of a band's pixels."""
    rows, wx, wy, texel, cell, fu, fv = rays.rows, band.wx, band.wy, band.texel, band.cell, band.fu, band.fv
    height, width = ground.rows, ground.columns
    for r in range(last - first):
        level = rows[first + r, LEVEL]
        for c in range(wx.shape[1]):
            texel[r, c] = grain_index(level, wx[r, c], wy[r, c])
        for c in range(wx.shape[1]):
            cell[r, c], fu[r, c], fv[r, c] = cell_of(wx[r, c], wy[r, c], height, width)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _read(count, ground, band):
    """Read a band's grain, and the road's d and its gradient; unsigned indices need no test for negative ones."""
    texels, d_cells, columns = ground.texels, ground.d_cells, np.uint32(ground.columns)
    texel, grain, cell, fu, fv = band.texel, band.grain, band.cell, band.fu, band.fv
    d, nx, ny = band.d, band.nx, band.ny
    for r in range(count):
        for c in range(d.shape[1]):
            grain[r, c] = texels[np.uint32(texel[r, c])] * GRAIN_STEP
    for r in range(count):
        for c in range(d.shape[1]):
            d[r, c], nx[r, c], ny[r, c] = road_at(d_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _cover(rays, first, last, at, ground, band):
    """Find how much of a band's pixels is asphalt, how much is a line, as if none were dashed, and their light."""
    rows, bearings, markings, wear = rays.rows, rays.bearings, ground.markings, ground.wear
    d, nx, ny, grain = band.d, band.nx, band.ny, band.grain
    along, asphalt, marking, light = band.along, band.asphalt, band.marking, band.light
    for r in range(last - first):
        back, drift, aside = rows[first + r, BACK], rows[first + r, DRIFT], rows[first + r, ASIDE]
        for c in range(d.shape[1]):
            footprint = Footprint(back, drift * bearings[c], aside)
            sample = RoadSample(d[r, c], nx[r, c], ny[r, c])
            covered = cover(sample, grain[r, c], footprint, at, markings, wear)
            along[r, c], asphalt[r, c] = covered.along, covered.asphalt
            marking[r, c], light[r, c] = covered.marking, covered.light


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _dash(count, ground, band):
    """Take the gaps of dashed lines out of a band's markings."""
    s_cells, columns, markings = ground.s_cells, np.uint32(ground.columns), ground.markings
    cell, fu, fv, along, marking = band.cell, band.fu, band.fv, band.along, band.marking
    for r in range(count):
        for c in range(marking.shape[1]):
            if along[r, c] > 0:
                s = road_at(s_cells, columns, np.uint32(cell[r, c]), fu[r, c], fv[r, c])[0]
                marking[r, c] *= dash_part(s, along[r, c], markings.dash, markings.period)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _shade(count, ground, solids, band):
    """Cast the solids' shadows on a band."""
    x0, y0, wx, wy, light = ground.x0, ground.y0, band.wx, band.wy, band.light
    for r in range(count):
        for c in range(light.shape[1]):
            light[r, c] *= shadow(solids, wx[r, c] + x0, wy[r, c] + y0)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _blend(first, last, band, colours, channel, image):
    """Fill a band of one channel."""
    asphalt, marking, light = band.asphalt, band.marking, band.light
    for r in range(last - first):
        for c in range(image.shape[2]):
            image[channel, first + r, c] = blend(light[r, c], asphalt[r, c], marking[r, c], colours)


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _label(rays, first, last, ground, band, picture):
    """Fill a band of classes and depth, solids left out."""
    rows, markings, classes, depth = rays.rows, ground.markings, picture.classes, picture.depth
    s_cells, columns, lane = ground.s_cells, np.uint32(ground.columns), ground.markings.lane_width
    d, cell, fu, fv = band.d, band.cell, band.fu, band.fv
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


@njit(error_model="numpy", fastmath=_FAST, nogil=True)
def _add_solids(view, at, picture):
    """Paint the solids over a picture."""
    _, height, width = picture.image.shape
    for r in range(height):
        for c in range(width):
            is_solid, depth = paint_solid(r, c, view, at, picture.image)
            if is_solid and picture.classes.size > 0:
                picture.classes[r, c], picture.depth[r, c] = VEHICLE, depth
