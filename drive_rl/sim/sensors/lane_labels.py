"""Painted lines as polylines in the picture: ground truth for lane detection. Knows nothing of colours.

A dashed line is one polyline through its gaps, and vehicles hide nothing, as lane-detection data sets label them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import RoadSpec
from drive_rl.sim.map.geometry import Road
from drive_rl.sim.map.markings import PaintedLine
from drive_rl.sim.sensors.pinhole import project, to_ground

_AHEAD_M = 200.0
_STREETS_AHEAD_M = 100.0
_STEP_M = 0.25

Points = NDArray[np.float64]
"""(n, 2): column and row [px], continuous, pixel centres at .5."""


@dataclass(frozen=True)
class LanePolyline:
    """The part of one painted line that the picture shows, nearest point first."""

    d_m: float  # the line's place on the road, left-positive from the reference line
    dashed: bool
    points: Points


@dataclass(frozen=True)
class StreetLine:
    """The part of one painted line along lanes of streets that the picture shows."""

    colour: Literal["white", "yellow"]
    dashed: bool
    points: Points
    ground_m: Points  # the same points on the ground in the vehicle frame: forward and left


def painted_lines_d_m(spec: RoadSpec) -> list[float]:
    """Return d [m] of the painted lines, right to left; the first and the last are solid, those between dashed."""
    return [spec.lane_width_m * k for k in range(-spec.lanes_ahead, spec.lanes_oncoming + 1)]


def lane_polylines(
    road: Road,
    spec: RoadSpec,
    camera: CameraSpec,
    x_m: float,
    y_m: float,
    yaw_rad: float,
    height_error_m: float = 0.0,
    pitch_error_rad: float = 0.0,
) -> list[LanePolyline]:
    """Return the painted lines that the camera of a car at a pose sees within 200 m of road, right to left.

    A line that leaves the picture and comes back gives one polyline for each part.
    """
    at_s_m = road.locate(x_m, y_m).s_m
    start_m = max(0.0, at_s_m + min(camera.forward_m, 0.0) - 20)
    end_m = min(road.length_m, at_s_m + _AHEAD_M)
    lines = painted_lines_d_m(spec)
    out: list[LanePolyline] = []
    for d_m in lines:
        ground = _in_vehicle_frame(road.line(d_m, start_m, end_m, _STEP_M), x_m, y_m, yaw_rad)
        pixels = project(camera, ground, height_error_m, pitch_error_rad)
        parts = _clipped(pixels, camera.width_px, camera.height_px)
        out += [LanePolyline(d_m, lines[0] < d_m < lines[-1], part) for part in parts]
    return out


def street_lines(
    lines: Iterable[PaintedLine],
    camera: CameraSpec,
    x_m: float,
    y_m: float,
    yaw_rad: float,
    height_error_m: float = 0.0,
    pitch_error_rad: float = 0.0,
) -> list[StreetLine]:
    """Return the lines along a map's lanes that the camera of a car at a pose sees within 100 m, in their order.

    A line that leaves the picture and comes back gives one polyline for each part.
    """
    errors, out = (height_error_m, pitch_error_rad), []
    for line in lines:
        ground = _in_vehicle_frame(line.points, x_m, y_m, yaw_rad)
        if np.hypot(*ground.T).min() > _STREETS_AHEAD_M:
            continue
        ground = _dense(ground)
        pixels = project(camera, ground, *errors)
        pixels[np.hypot(*ground.T) > _STREETS_AHEAD_M] = np.nan
        for part in _clipped(pixels, camera.width_px, camera.height_px):
            colour = "yellow" if line.marking.is_yellow else "white"
            out.append(StreetLine(colour, line.marking.is_dashed, part, to_ground(camera, part, *errors)))
    return out


def _in_vehicle_frame(points: Points, x_m: float, y_m: float, yaw_rad: float) -> Points:
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return (points - [x_m, y_m]) @ np.array([[cos, -sin], [sin, cos]])


def _dense(line: Points) -> Points:
    """Return a polyline [m] with points at most `_STEP_M` apart, its own among them."""
    pieces = [
        a + np.arange(count)[:, None] / count * (b - a)
        for a, b in pairwise(line)
        for count in [max(1, math.ceil(math.dist(a, b) / _STEP_M))]
    ]
    return np.concatenate([*pieces, line[-1:]])


def _clipped(pixels: Points, width: int, height: int) -> list[Points]:
    """Return the parts of a polyline inside the picture; a point that is NaN breaks it."""
    parts: list[list[NDArray[np.float64]]] = []
    joined = False
    for a, b in pairwise(pixels):
        inside = _clip(a, b, width, height)
        if inside is None:
            joined = False
            continue
        enter, leave = inside
        if not joined:
            parts.append([a + enter * (b - a)])
        parts[-1].append(a + leave * (b - a))
        joined = leave == 1
    return [np.clip(part, 0, [width, height]) for part in parts]  # rounding


def _clip(a: NDArray[np.float64], b: NDArray[np.float64], width: int, height: int) -> tuple[float, float] | None:
    """Return the part of a segment inside the picture as fractions of it (Liang and Barsky 1984), None if none."""
    if np.isnan(a).any() or np.isnan(b).any():
        return None
    enter, leave = 0.0, 1.0
    for start, change, size in zip(a, b - a, (width, height), strict=True):
        if change == 0:
            if not 0 <= start <= size:
                return None
            continue
        near, far = sorted(((0 - start) / change, (size - start) / change))
        enter, leave = max(enter, near), min(leave, far)
    return (enter, leave) if enter < leave else None
