"""How far a map's points are from the edge of its pavement, on a grid. Knows nothing of paint.

The edge is that of the union of all paved outlines. Lines across the map, closely spaced and in both directions, meet
it at points that are exact, with the edge's direction there; a cell's distance is that to the nearest short piece.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit
from drive_rl.sim.map.markings import paved_outlines
from drive_rl.sim.map.network import Floats, RoadNetwork

PAVED_CELL_M = 1.0
"""Size of the grid's cells [m]."""
STEPS_A_METRE = 32
"""Distances are whole numbers of these steps."""
MOST_STEPS = 127
"""Distances are cut off here, 4 m from the edge."""

_SCAN_M = 0.25  # between scan lines
_PIECE_M = 0.18  # half of a piece of the edge: as far as the next scan line where the edge runs at 45 degrees
_SLIVER_M = 0.05  # outlines that are no farther apart touch
_MARGIN_M = 6.0


class PavedField(NamedTuple):
    """Distances at the corners of grid cells; corner (row, column) is at `(x0, y0) + (column, row) * PAVED_CELL_M`."""

    steps: NDArray[np.int8]  # (rows, columns), positive on the pavement, in 1 / STEPS_A_METRE m
    x0: float  # the grid's corner [m]
    y0: float


class _Spans(NamedTuple):
    """Where scan lines are on the pavement: places [m], and the directions of the edge there as (along, across)."""

    line: NDArray[np.int64]  # (n,)
    ends: Floats  # (n, 2)
    edges: Floats  # (n, 2, 2), unit vectors


def build_paved_field(network: RoadNetwork, cell_m: float = PAVED_CELL_M) -> PavedField:
    """Return the distances of a map to the edge of its pavement."""
    outlines = list(paved_outlines(network))
    points = np.concatenate(outlines)
    low = np.floor(points.min(axis=0) - _MARGIN_M)
    columns, rows = (np.ceil((points.max(axis=0) + _MARGIN_M - low) / cell_m) + 1).astype(int).tolist()
    every = round(cell_m / _SCAN_M)
    across = _spans(_edges(outlines, low), rows * every)
    down = _spans(_edges([outline[:, ::-1] for outline in outlines], low[::-1]), columns * every)
    reach_m = MOST_STEPS / STEPS_A_METRE
    metres = np.full((rows, columns), reach_m, np.float32)
    _approach(metres, across, False, cell_m, reach_m)
    _approach(metres, down, True, cell_m, reach_m)
    _negate_outside(metres, across, every, cell_m)
    return PavedField(np.round(metres * STEPS_A_METRE).astype(np.int8), float(low[0]), float(low[1]))


def _edges(outlines: Sequence[Floats], low: Floats) -> Floats:
    """Return the outlines' edges (n, 4) as (x, y, x, y) from a corner, all outlines counter-clockwise."""
    edges = []
    for outline in outlines:
        after = np.roll(outline, -1, axis=0)
        area = (outline[:, 0] * after[:, 1] - after[:, 0] * outline[:, 1]).sum()
        edges.append(np.hstack([outline - low, after - low] if area > 0 else [after - low, outline - low]))
    return np.concatenate(edges)


@njit
def _spans(edges: Floats, count: int) -> _Spans:
    """Return where `count` scan lines at y = 0, `_SCAN_M`, ... are within any outline."""
    first = np.zeros(count + 1, np.int64)
    for e in range(edges.shape[0]):
        start, end = _lines_of(edges[e])
        for line in range(start, end):
            first[line + 1] += 1
    first = np.cumsum(first)
    at, x, edge_of = first[:-1].copy(), np.empty(first[-1]), np.empty(first[-1], np.int64)
    for e in range(edges.shape[0]):
        x0, y0, x1, y1 = edges[e]
        start, end = _lines_of(edges[e])
        for line in range(start, end):
            x[at[line]] = x0 + (line * _SCAN_M - y0) / (y1 - y0) * (x1 - x0)
            edge_of[at[line]] = e
            at[line] += 1
    size, found = 0, np.empty(first[-1], np.int64)
    ends, directions = np.empty((first[-1], 2)), np.empty((first[-1], 2, 2))
    for line in range(count):
        inside, begin = 0, size
        for k in np.argsort(x[first[line] : first[line + 1]]) + first[line]:
            x0, y0, x1, y1 = edges[edge_of[k]]
            before, inside = inside, inside + (1 if y1 < y0 else -1)
            if (before == 0) == (inside == 0):
                continue
            if inside != 0:
                if size > begin and x[k] - ends[size - 1, 1] < _SLIVER_M:
                    size -= 1  # the span before goes on
                    continue
                side = 0
            else:
                side = 1
            long = math.hypot(x1 - x0, y1 - y0)
            found[size], ends[size, side] = line, x[k]
            directions[size, side, 0], directions[size, side, 1] = (x1 - x0) / long, (y1 - y0) / long
            size += side
    return _Spans(found[:size], ends[:size], directions[:size])


@njit
def _lines_of(edge: Floats) -> tuple[int, int]:
    """Return the first scan line that an edge crosses, and the first one after it."""
    low, high = min(edge[1], edge[3]), max(edge[1], edge[3])
    return math.ceil(low / _SCAN_M), math.ceil(high / _SCAN_M)


@njit
def _approach(metres: NDArray[np.float32], spans: _Spans, down: bool, cell: float, reach: float) -> None:
    """Lower the distances around the ends of spans; `down`: their scan lines run along y."""
    rows, columns = metres.shape
    for n in range(spans.line.size):
        for side in range(2):
            x, y = spans.ends[n, side], spans.line[n] * _SCAN_M
            along, across = spans.edges[n, side]
            if down:
                x, y, along, across = y, x, across, along
            for j in range(max(math.ceil((y - reach) / cell), 0), min(int((y + reach) / cell) + 1, rows)):
                for i in range(max(math.ceil((x - reach) / cell), 0), min(int((x + reach) / cell) + 1, columns)):
                    dx, dy = i * cell - x, j * cell - y
                    beyond = max(abs(dx * along + dy * across) - _PIECE_M, 0.0)
                    beside = dx * across - dy * along
                    metres[j, i] = min(metres[j, i], math.sqrt(beyond * beyond + beside * beside))


@njit
def _negate_outside(metres: NDArray[np.float32], spans: _Spans, every: int, cell: float) -> None:
    """Give cells outside all spans negative distances."""
    inside = np.zeros(metres.shape, np.bool_)
    for n in range(spans.line.size):
        if spans.line[n] % every == 0:
            start, end = math.ceil(spans.ends[n, 0] / cell), math.floor(spans.ends[n, 1] / cell)
            inside[spans.line[n] // every, max(start, 0) : end + 1] = True
    for j in range(metres.shape[0]):
        for i in range(metres.shape[1]):
            if not inside[j, i]:
                metres[j, i] = -metres[j, i]
