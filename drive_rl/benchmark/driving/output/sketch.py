"""Small maps of drives as SVG: the streets, the route, where the car went and ended, and what it hit."""

from collections.abc import Iterator
from functools import lru_cache
from html import escape
from typing import Any

import cv2
import numpy as np

from drive_rl.benchmark.driving.boxes import corners
from drive_rl.benchmark.driving.record import Floats
from drive_rl.benchmark.driving.run import Drive, Trace
from drive_rl.config.specs.streets.map import MapSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.report.street_map.shapes import GRASS, Shape, shapes
from drive_rl.sim.map.geometry import KNOT_M
from drive_rl.sim.task.street_episode import built_map, draw_street_episode

SIDE_PX = 360
_LEAST_M, _MARGIN_M = 60.0, 12.0
_SMOOTH_M = 0.05
"""Outlines are drawn with as few points as stay so near them."""
ROUTE, WAY, OTHER, HIT = "#56aaff", "#ffb84c", "#d7dce3", "#ff5a5a"
"""Colours of the route, of the car and its way, of others, and of what was hit or run."""


class _Window:
    """The square of the map that is shown."""

    def __init__(self, points: Floats) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        self.side_m = max(float((high - low).max()) + 2 * _MARGIN_M, _LEAST_M)
        self._middle = (low + high) / 2
        self.px_per_m = SIDE_PX / self.side_m

    def has(self, points: Floats) -> bool:
        """Return whether the box around some points reaches into the window."""
        half = self.side_m / 2
        return bool(
            (points.min(axis=0) < self._middle + half).all() and (points.max(axis=0) > self._middle - half).all()
        )

    def px(self, points: Floats) -> str:
        """Return points (n, 2) [m] as an SVG list of columns and rows, north up."""
        px = (points - self._middle) * (self.px_per_m, -self.px_per_m) + SIDE_PX / 2
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in px.tolist())


def sketch(world: WorldSpec, drive: Drive) -> str:
    """Return a map of a drive, as wide as its way and a little more."""
    trace, seed = drive.trace, drive.scores.road_seed
    window = _Window(trace.pose[:, :2])
    words = escape(f"{drive.world}, road {seed}: {drive.failure or 'success'}")
    parts = [f'<svg viewBox="0 0 {SIDE_PX} {SIDE_PX}" role="img" aria-label="{words}"><title>{words}</title>']
    parts.append(f'<rect width="100%" height="100%" fill="{_hex(GRASS)}"/>')
    if world.streets is not None:
        episode = draw_street_episode(world, world.streets, seed)
        parts += [
            _shape(each, window) for each in _shapes(world.streets.map, episode.map_seed) if window.has(each.points)
        ]
        route = episode.route
        knots = slice(int(route.start_m / KNOT_M), int(route.end_m / KNOT_M) + 1)
        parts.append(_line(_simple(route.knots[knots, :2]), window, ROUTE, 1.2, ' stroke-dasharray="4 3"'))
    return "".join([*parts, *_drawn(trace, window), "</svg>"])


def _drawn(trace: Trace, window: _Window) -> Iterator[str]:
    yield _line(_simple(trace.pose[:, :2]), window, WAY, 0.7)
    for k, (x, y, yaw, half_length, half_width) in enumerate(trace.others.tolist()):
        yield _body((x, y, yaw), (half_length, half_width), window, HIT if k == trace.hit else OTHER)
    x, y, yaw = trace.pose[-1].tolist()
    yield _body((x, y, yaw), trace.half_m, window, WAY)
    for mark in (*trace.marks, *(trace.others[trace.hit : trace.hit + 1, :2] if trace.hit >= 0 else ())):
        column, row = window.px(mark[None]).split(",")
        yield f'<circle cx="{column}" cy="{row}" r="8" fill="none" stroke="{HIT}" stroke-width="3"/>'


def _body(pose: tuple[float, float, float], half_m: tuple[float, float], window: _Window, colour: str) -> str:
    outline = corners(np.array(pose), np.array(half_m))
    if not window.has(outline):
        return ""
    return f'<polygon points="{window.px(outline)}" fill="{colour}" stroke="#101318" stroke-width="0.7"/>'


def _shape(shape: Shape, window: _Window) -> str:
    points, colour = _simple(shape.points), _hex(shape.colour)
    if shape.width_m:
        return _line(points, window, colour, max(shape.width_m, 0.2))
    return f'<polygon points="{window.px(points)}" fill="{colour}"/>'


def _line(points: Floats, window: _Window, colour: str, width_m: float, more: str = "") -> str:
    width = f"{width_m * window.px_per_m:.2f}"
    return f'<polyline points="{window.px(points)}" fill="none" stroke="{colour}" stroke-width="{width}"{more}/>'


def _simple(points: Floats) -> Floats:
    """Return an open line with fewer points (Ramer 1972; Douglas and Peucker 1973)."""
    if len(points) < 3:
        return points
    offset = points[0]  # single precision is fine near 0
    return cv2.approxPolyDP((points - offset).astype(np.float32)[:, None], _SMOOTH_M, False)[:, 0] + offset


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _shapes(spec: MapSpec, map_seed: int) -> list[Shape]:
    kept: Any = spec  # a frozen spec can be a key
    return _kept(kept, map_seed)


@lru_cache(maxsize=16)
def _kept(spec: MapSpec, map_seed: int) -> list[Shape]:
    return list(shapes(built_map(spec, map_seed).network))
