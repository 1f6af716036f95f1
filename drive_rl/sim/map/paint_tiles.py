"""A map's paint as strokes, listed by the tiles that they reach. Knows nothing of pixels.

A stroke is a straight piece of something painted: of a line along a lane, a stop line, a zebra crossing, the outline of
a parking bay. All of them are lines of some width, solid or broken; a bend is made of pieces that stray by millimetres.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit
from drive_rl.sim.map.markings import (
    BAY_LINE_M,
    DASH_M,
    GAP_M,
    GIVE_WAY_PARTS,
    GIVE_WAY_SHARE,
    LINE_M,
    STOP_LINE_M,
    bay_lines,
    painted_lines,
    stop_lines,
)
from drive_rl.sim.map.network import Control, Floats, Indices, RoadNetwork

TILE_M = 1.0
"""Size of tiles [m]."""
PAINT_REACH_M = 0.4
"""How far from its paint a stroke is listed [m]: pixels near it that it covers in part."""

X, Y, COS, SIN, OWN_FROM, OWN_TO, HALF_WIDTH, S, FROM, TO, DASH, PERIOD, YELLOW = range(13)
"""Columns of `PaintTiles.stroke`: its start and direction; from where to where along it points belong to it and not to
the next piece of its line, which is beyond all bounds at the line's ends; half its width [m]; `s` [m] along the whole
line at its start; where the whole line begins and ends; if it is broken, the lengths of a dash and of dash and gap
(else 0); and whether it is yellow (1), not white (0)."""

_STRAY_M = 0.005
_LONGEST_M = 60.0
_BEYOND_M = 1e6
_STRIPE = 0.5  # painted share of a zebra crossing


class PaintTiles(NamedTuple):
    """The strokes of a map by tile; those of tile (row, column) are `item[first[k] : first[k + 1]]` with
    k = row * columns + column.
    """

    stroke: NDArray[np.float32]  # (n, 13)
    first: Indices  # (rows * columns + 1,)
    item: Indices
    rows: int
    columns: int


class _Line(NamedTuple):
    """A painted line: broken if its period is not 0, with a dash that begins at `s` = 0; its start is at `from_s_m`."""

    points: Floats  # (n, 2) [m]
    width_m: float
    dash_m: float = 0.0
    period_m: float = 0.0
    from_s_m: float = 0.0
    yellow: bool = False


def build_paint_tiles(
    network: RoadNetwork, x0: float, y0: float, size_m: tuple[float, float], tile_m: float = TILE_M
) -> PaintTiles:
    """Return the paint of a map.

    Args:
        network: The map.
        x0: Corner of the tiles [m].
        y0: The same.
        size_m: How far the map reaches from there, along x and y.
        tile_m: Size of a tile.
    """
    strokes = np.array([row for line in _lines(network) for row in _strokes(line, (x0, y0))], np.float32)
    strokes = strokes.reshape(-1, 13)
    columns, rows = (math.ceil(size / tile_m) for size in size_m)
    first, item = _listed(strokes, rows, columns, tile_m)
    return PaintTiles(strokes, first, item, rows, columns)


def _lines(network: RoadNetwork) -> Iterator[_Line]:
    """Yield all that is painted."""
    for points, marking in painted_lines(network):
        dash, period = (DASH_M, DASH_M + GAP_M) if marking.is_dashed else (0.0, 0.0)
        yield _Line(points, LINE_M, dash, period, yellow=marking.is_yellow)
    for ends, control in stop_lines(network):
        period = math.dist(*ends) / GIVE_WAY_PARTS if control == Control.GIVE_WAY else 0.0
        yield _Line(ends, STOP_LINE_M, GIVE_WAY_SHARE * period, period)
    for a, b, c, e in network.crossing_corners:
        across = np.array([(a + b) / 2, (e + c) / 2])
        long = math.dist(*across)
        period = long / max(round(long), 1)
        yield _Line(across, math.dist(a, b), _STRIPE * period, period, -_STRIPE / 2 * period)
    for ends in bay_lines(network):
        yield _Line(ends, BAY_LINE_M)


def _strokes(line: _Line, corner: tuple[float, float]) -> Iterable[tuple[float, ...]]:
    """Return the rows of a line's strokes."""
    points = line.points - corner
    step = np.hypot(*np.diff(points, axis=0).T)
    keep = np.concatenate([[True], step > 1e-6])
    points, s = points[keep], np.concatenate([[0.0], np.cumsum(step[keep[1:]])]) + line.from_s_m
    ends = _chords(points)
    for i, j in pairwise(ends):
        (x, y), (dx, dy) = points[i], points[j] - points[i]
        long = math.hypot(dx, dy)
        own = 0.0 if i > 0 else -_BEYOND_M, long if j < len(points) - 1 else _BEYOND_M
        yield (
            x, y, dx / long, dy / long, *own, line.width_m / 2,
            s[i], s[0], s[-1], line.dash_m, line.period_m, line.yellow,
        )  # fmt: skip


@njit
def _chords(points: Floats) -> list[int]:
    """Return the indices of points between which a polyline strays from straight pieces by `_STRAY_M` at most."""
    ends, start = [0], 0
    for end in range(2, points.shape[0]):
        dx, dy = points[end, 0] - points[start, 0], points[end, 1] - points[start, 1]
        long, strays = math.hypot(dx, dy), False
        for k in range(start + 1, end):
            beside = (points[k, 0] - points[start, 0]) * dy - (points[k, 1] - points[start, 1]) * dx
            strays = strays or abs(beside) > _STRAY_M * long
        if strays or long > _LONGEST_M:
            ends.append(end - 1)
            start = end - 1
    ends.append(points.shape[0] - 1)
    return ends


@njit
def _listed(strokes: NDArray[np.float32], rows: int, columns: int, tile: float) -> tuple[Indices, Indices]:
    """Return `first` and `item` of `PaintTiles`."""
    first = np.zeros(rows * columns + 1, np.int32)
    item, at = np.empty(0, np.int32), first
    for filling in (False, True):
        if filling:
            first[1:] = np.cumsum(first[1:])
            item, at = np.empty(first[-1], np.int32), first[:-1].copy()
        for n in range(strokes.shape[0]):
            x, y, cos, sin = strokes[n, :4]
            start = max(strokes[n, OWN_FROM], strokes[n, FROM] - strokes[n, S]) - PAINT_REACH_M
            end = min(strokes[n, OWN_TO], strokes[n, TO] - strokes[n, S]) + PAINT_REACH_M
            long, half = (end - start) / 2, strokes[n, HALF_WIDTH] + PAINT_REACH_M
            x, y = x + cos * (start + long), y + sin * (start + long)
            wide, tall = long * abs(cos) + half * abs(sin), long * abs(sin) + half * abs(cos)
            slack = (abs(cos) + abs(sin)) * tile / 2
            for j in range(max(int((y - tall) / tile), 0), min(int((y + tall) / tile) + 1, rows)):
                for i in range(max(int((x - wide) / tile), 0), min(int((x + wide) / tile) + 1, columns)):
                    dx, dy = (i + 0.5) * tile - x, (j + 0.5) * tile - y
                    if abs(cos * dx + sin * dy) > long + slack or abs(cos * dy - sin * dx) > half + slack:
                        continue
                    k = j * columns + i
                    if filling:
                        item[at[k]] = n
                        at[k] += 1
                    else:
                        first[k + 1] += 1
    return first, item
