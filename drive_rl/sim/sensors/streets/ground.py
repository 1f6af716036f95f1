"""One pixel of a map of streets: what covers its ground. Scalar functions that every engine calls, as in `shading`.

Pavement is read from a grid of distances to its edge, paint from strokes listed by tile; both cover a pixel as far as
its footprint on the ground reaches across and along them (box filter), so that they are crisp near by and do not alias
far away.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE, YELLOW, Appearance
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.network import Indices, RoadNetwork
from drive_rl.sim.map.paint_tiles import (
    COS,
    DASH,
    FROM,
    HALF_WIDTH,
    OWN_FROM,
    OWN_TO,
    PERIOD,
    SIN,
    TILE_M,
    TO,
    S,
    X,
    Y,
    build_paint_tiles,
)
from drive_rl.sim.map.paint_tiles import YELLOW as YELLOW_PAINT
from drive_rl.sim.map.paved_field import MOST_STEPS, PAVED_CELL_M, STEPS_A_METRE, build_paved_field
from drive_rl.sim.sensors.fma import fma
from drive_rl.sim.sensors.pinhole import ASIDE, BACK, DEPTH, DRIFT, ELEVATION, GROUND, LEVEL, Rays, Viewpoint
from drive_rl.sim.sensors.shading import (
    GRAIN_STEP,
    HALF,
    NOTHING,
    ONE,
    Footprint,
    cell_of,
    dashes_up_to,
    extent,
    grain_index,
    ground_light,
    meet,
    paint_left,
    paint_solid,
    sky_light,
    turned,
)
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids, shadow
from drive_rl.sim.sensors.view import TEXELS

_STEP_M, _FARTHEST_M = np.float32(1 / STEPS_A_METRE), np.float32(MOST_STEPS / STEPS_A_METRE)
_PER_TILE, _LEAST_M = np.float32(1 / TILE_M), np.float32(1e-3)
_ROUNDING_M = np.float32(0.01)
"""By far more than ground points round [m]."""


class StreetGround(NamedTuple):
    """A map's ground, which all cars on it share; points count from its corner."""

    corners: NDArray[np.int32]  # (rows x columns,), `corners_of` paved_field.PavedField.steps
    rows: int
    columns: int
    x0: float  # the corner [m]
    y0: float
    stroke: NDArray[np.float32]  # paint_tiles.PaintTiles
    first: Indices
    item: Indices
    tile_rows: int
    tile_columns: int


class GroundAppearance(NamedTuple):
    """How the ground and the sky appear."""

    wear: np.float32  # of the paint, in [0, 1]
    palette: NDArray[np.float32]  # (5, C), appearance.Appearance.street_palette
    texels: NDArray[np.int8]  # view.TEXELS


class StreetView(NamedTuple):
    """All that a camera can see on a map of streets."""

    rays: Rays
    ground: StreetGround
    appearance: GroundAppearance
    solids: Solids


class Paint(NamedTuple):
    """How much of a pixel is painted, in [0, 1], as if no paint were worn."""

    white: np.float32
    yellow: np.float32


def build_street_ground(network: RoadNetwork) -> StreetGround:
    """Return the ground of a map."""
    field = build_paved_field(network)
    rows, columns = field.steps.shape
    size_m = (columns - 1) * PAVED_CELL_M, (rows - 1) * PAVED_CELL_M
    tiles = build_paint_tiles(network, field.x0, field.y0, size_m)
    return StreetGround(
        corners_of(field.steps), rows, columns, field.x0, field.y0,
        tiles.stroke, tiles.first, tiles.item, tiles.rows, tiles.columns,
    )  # fmt: skip


def corners_of(steps: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return what a grid (rows, columns) has at the four corners of each cell, as bytes of one number, cell by cell.

    The lowest is what it has at (row, column); the next ones are those at column + 1, at row + 1, and at both + 1.
    """
    beside, above = np.roll(steps, -1, axis=1), np.roll(steps, -1, axis=0)
    corners = np.stack([steps, beside, above, np.roll(beside, -1, axis=0)], axis=-1)
    return np.ascontiguousarray(corners).view("<i4").reshape(-1)


def street_view(
    rays: Rays, ground: StreetGround, appearance: Appearance, channels: int, solids: Solids = NO_SOLIDS
) -> StreetView:
    """Return what a camera sees of a map in grey (1 channel) or RGB (3)."""
    shades = GroundAppearance(np.float32(appearance.wear), appearance.street_palette(channels), TEXELS)
    return StreetView(rays, ground, shades, solids)


@njit(inline="always")
def edge_at(corners, fu, fv):
    """Return the distance to the pavement's edge [m] in a cell of such corners, positive on it, and its gradient."""
    low, right = np.float32(np.int8(corners)), np.float32(np.int8(corners >> 8))
    above, far = np.float32(np.int8(corners >> 16)), np.float32(np.int8(corners >> 24))
    run, rise = right - low, above - low
    twist = far - above - run
    ny = fma(twist, fu, rise)
    return fma(ny, fv, fma(run, fu, low)) * _STEP_M, fma(twist, fv, run) * _STEP_M, ny * _STEP_M


@njit(inline="always")
def paved_part(d, nx, ny, footprint, at):
    """Return how much of a footprint lies on the pavement, in [0, 1]."""
    nf, nl = turned(nx, ny, at)
    across = min(max(extent(nf, nl, footprint), _LEAST_M), np.float32(2) * _FARTHEST_M)
    return min(max(d / across + HALF, NOTHING), ONE)


@njit(inline="always")
def tile_of(wx, wy, rows, columns):
    """Return the index of the tile around a point [m]; beyond the map: one at its rim, which has no paint."""
    i = np.int32(min(max(wx * _PER_TILE, NOTHING), np.float32(columns - 1)))
    j = np.int32(min(max(wy * _PER_TILE, NOTHING), np.float32(rows - 1)))
    return np.int32(j * np.int32(columns) + i)


@njit(inline="always")
def _beside(stroke, n, wx, wy, footprint, at):
    """Return how far a point is to the left of stroke n [m], and how far a footprint reaches across that [m]."""
    cos, sin = stroke[n, COS], stroke[n, SIN]
    ahead, left = turned(cos, sin, at)
    return fma(cos, wy - stroke[n, Y], -sin * (wx - stroke[n, X])), extent(-left, ahead, footprint)


@njit(inline="always")
def reached(stroke, n, one, other, count, at):
    """Return which of so many pixels of a row stroke n may cover in part: from the first of them to before the last.

    The pixels' points lie on a line, evenly, and none reaches as far as the wider one of both ends. Those are given as
    x, y [m] and `Footprint`.
    """
    left, across = _beside(stroke, n, one[0], one[1], one[2], at)
    left_too, across_too = _beside(stroke, n, other[0], other[1], other[2], at)
    reach = fma(HALF, max(across, across_too), stroke[n, HALF_WIDTH]) + _ROUNDING_M
    low, high = min(left, left_too), max(left, left_too)
    if low >= reach or high <= -reach:
        return 0, 0
    if high - low <= reach:
        return 0, count
    apart = (high - low) / np.float32(count - 1)
    first, last = max(int((-reach - low) / apart), 0), min(int((reach - low) / apart) + 1, count)
    return (first, last) if left < left_too else (count - last, count - first)


@njit(inline="always")
def stroke_part(stroke, n, wx, wy, footprint, at):
    """Return how much of a footprint around a point stroke n covers, in [0, 1]."""
    dx, dy, cos, sin = wx - stroke[n, X], wy - stroke[n, Y], stroke[n, COS], stroke[n, SIN]
    ahead, left = turned(cos, sin, at)
    beside, across = _beside(stroke, n, wx, wy, footprint, at)
    beside, half = abs(beside), stroke[n, HALF_WIDTH]
    reach = fma(HALF, across, half)
    u = fma(cos, dx, sin * dy)
    if (beside >= reach) | (u < stroke[n, OWN_FROM]) | (u >= stroke[n, OWN_TO]):
        return NOTHING
    along, s, period = extent(ahead, left, footprint), stroke[n, S] + u, stroke[n, PERIOD]
    start, end = max(fma(-HALF, along, s), stroke[n, FROM]), min(fma(HALF, along, s), stroke[n, TO])
    if end <= start:
        return NOTHING
    covered = end - start
    if period > 0:
        covered = dashes_up_to(end, stroke[n, DASH], period) - dashes_up_to(start, stroke[n, DASH], period)
    return min(reach - beside, min(half + half, across)) * covered / (across * along)


@njit(inline="always")
def paint_of(ground, start, end, wx, wy, footprint, at):
    """Return the `Paint` of a footprint around a point [m], from entries `start` to `end` of its tile's list."""
    white = yellow = NOTHING
    for place in range(start, end):
        n = np.uint32(ground.item[np.uint32(place)])
        part = stroke_part(ground.stroke, n, wx, wy, footprint, at)
        if ground.stroke[n, YELLOW_PAINT] > 0:
            yellow += part
        else:
            white += part
    return Paint(min(white, ONE), min(yellow, ONE))


@njit(inline="always")
def blend_street(light, asphalt, white, yellow, colours):
    """Return a pixel's value from its light, what covers it, and the colours of surroundings, road and paints."""
    around, road, line, other = colours
    value = fma(asphalt, road - around, around)
    value = fma(white, line - value, value)
    value = fma(yellow, other - value, value)
    return np.uint8(min(np.float32(255.0) * light * value, np.float32(255.0)))


@njit(error_model="numpy")
def paint_street_pixel(r, c, view, at, image):
    """Fill one pixel of an image (C, H, W): `renderer.paint_street` for those who have a thread a pixel."""
    ground, appearance, solids = view.ground, view.appearance, view.solids
    row, bearing, x0, y0 = view.rays.rows[r], view.rays.bearings[c], ground.x0, ground.y0
    local = Viewpoint(np.float32(at.x - x0), np.float32(at.y - y0), np.float32(at.cos), np.float32(at.sin))
    asphalt = white = yellow = NOTHING
    if row[LEVEL] < 0:
        light, around = sky_light(row[ELEVATION]), SKY
    else:
        around = VERGE
        wx, wy = meet(row[GROUND], row[DEPTH], bearing, local)
        grain = appearance.texels[grain_index(row[LEVEL], wx, wy)] * GRAIN_STEP
        k, fu, fv = cell_of(wx, wy, ground.rows, ground.columns)
        footprint = Footprint(row[BACK], row[DRIFT] * bearing, row[ASIDE])
        d, nx, ny = edge_at(ground.corners[k], fu, fv)
        asphalt = paved_part(d, nx, ny, footprint, local)
        light = ground_light(asphalt, grain, appearance.wear)
        k, left = tile_of(wx, wy, ground.tile_rows, ground.tile_columns), paint_left(grain, appearance.wear)
        paint = paint_of(ground, ground.first[k], ground.first[k + 1], wx, wy, footprint, local)
        white, yellow = paint.white * left, paint.yellow * left
        if solids.size > 0:
            light *= np.float32(shadow(solids, wx + x0, wy + y0))
    palette = appearance.palette
    for channel in range(image.shape[0]):
        colours = (
            palette[around, channel],
            palette[ASPHALT, channel],
            palette[MARKING, channel],
            palette[YELLOW, channel],
        )
        image[channel, r, c] = blend_street(light, asphalt, white, yellow, colours)
    if solids.size > 0:
        paint_solid(r, c, view, Viewpoint(local.x + x0, local.y + y0, local.cos, local.sin), image)
