"""What is painted on a map's lanes, as lines and outlines on the ground. Knows nothing of pixels."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from drive_rl.sim.map.lane_geometry import opposite_s, pose_at
from drive_rl.sim.map.network import Control, Floats, Marking, RoadNetwork

LINE_M = 0.15
"""Width of painted lines."""
STOP_LINE_M = 0.4
"""Width of stop lines."""
BAY_LINE_M = 0.1
"""Width of the lines around parking bays."""
GIVE_WAY_PARTS, GIVE_WAY_SHARE = 5, 0.6
"""Pieces of the line at which cars give way, and their painted share."""
DASH_M, GAP_M = 3.0, 6.0
"""Painted and unpainted length of dashed lines."""


class PaintedLine(NamedTuple):
    """A line along a lane."""

    points: Floats  # (n, 2) [m]
    marking: Marking


class StopLine(NamedTuple):
    """A line across a lane; that of a lane which gives way is broken."""

    ends: Floats  # (2, 2) [m]
    control: Control


def side_line(network: RoadNetwork, lane: int, d_m: float, from_s_m: float = 0.0, to_s_m: float = math.inf) -> Floats:
    """Return points (n, 2) [m] of the line `d_m` left of a lane's centre line, between two places along it."""
    start, end = network.first_point[lane], network.first_point[lane + 1]
    s = np.arange(end - start) * network.step_m[lane]
    to_s_m = min(to_s_m, float(network.length_m[lane]))
    inner = slice(start + int(np.searchsorted(s, from_s_m, "right")), start + int(np.searchsorted(s, to_s_m, "left")))
    x, y, yaw = network.x_m[inner], network.y_m[inner], network.yaw_rad[inner]
    first, last = (np.array([pose_at(network, lane, at, d_m)[:2]]) for at in (from_s_m, to_s_m))
    return np.concatenate([first, np.stack([x - d_m * np.sin(yaw), y + d_m * np.cos(yaw)], axis=1), last])


def painted_lines(network: RoadNetwork) -> Iterator[PaintedLine]:
    """Yield the lines along lanes; one that two lanes share comes once."""
    for lane in range(network.length_m.size):
        half, span = float(network.width_m[lane]) / 2, _painted(network, lane)
        sides = [(-half, network.right_marking[lane], span)] if network.right[lane] < 0 else []
        other = int(network.opposite[lane])
        if other < 0:
            sides.append((half, network.left_marking[lane], span))
        elif lane < other:
            sides.append((half, network.left_marking[lane], _painted_on_both(network, lane, other)))
        for d, marking, (start, end) in sides:
            if marking != Marking.NONE and start < end:
                yield PaintedLine(side_line(network, lane, d, start, end), Marking(marking))


def _painted(network: RoadNetwork, lane: int) -> tuple[float, float]:
    return float(network.paint_from_s_m[lane]), float(network.paint_to_s_m[lane])


def _painted_on_both(network: RoadNetwork, lane: int, other: int) -> tuple[float, float]:
    """Return where along a lane both it and the oncoming lane have markings."""
    (start, end), (from_s, to_s) = _painted(network, lane), _painted(network, other)
    return max(start, opposite_s(network, other, to_s, lane)), min(end, opposite_s(network, other, from_s, lane))


def dashes(points: Floats) -> list[Floats]:
    """Return the painted pieces of a dashed line."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    pieces = []
    for start in np.arange(0, along[-1], DASH_M + GAP_M):
        end = min(start + DASH_M, along[-1])
        on = np.concatenate([[start], along[(along > start) & (along < end)], [end]])
        pieces.append(np.stack([np.interp(on, along, column) for column in points.T], axis=1))
    return pieces


def stop_lines(network: RoadNetwork) -> Iterator[StopLine]:
    """Yield the lines at which cars stop or give way."""
    for lane in np.flatnonzero(np.isfinite(network.stop_s_m)).tolist():
        half = float(network.width_m[lane]) / 2 - 0.1
        s = float(network.stop_s_m[lane])
        ends = np.array([pose_at(network, lane, s, d)[:2] for d in (half, -half)])
        yield StopLine(ends, Control(network.control[lane]))


def zebra_stripes(network: RoadNetwork) -> Iterator[Floats]:
    """Yield the outline (4, 2) [m] of each stripe of the zebra crossings."""
    for a, b, c, e in network.crossing_corners:
        count = max(round(float(np.hypot(*(c - b))) / 1.0), 1)
        edges = (np.arange(count)[:, None] + (0.25, 0.75)) / count
        for low, high in edges:
            yield np.array([a + low * (e - a), b + low * (c - b), b + high * (c - b), a + high * (e - a)])


def bay_outlines(network: RoadNetwork) -> Iterator[Floats]:
    """Yield the outline (4, 2) [m] of each parking bay."""
    for bay, lane in enumerate(network.bay_lane.tolist()):
        s, d = float(network.bay_s_m[bay]), float(network.bay_d_m[bay])
        long, wide = float(network.bay_length_m[bay]) / 2, float(network.bay_width_m[bay]) / 2
        corners = ((s - long, d - wide), (s + long, d - wide), (s + long, d + wide), (s - long, d + wide))
        yield np.array([pose_at(network, lane, *corner)[:2] for corner in corners])


def bay_lines(network: RoadNetwork) -> Iterator[Floats]:
    """Yield the ends (2, 2) [m] of the lines around parking bays: all but the one at the kerb."""
    for corners in bay_outlines(network):
        for i in (1, 2, 3):
            yield corners[[i, (i + 1) % 4]]


def paved_outlines(network: RoadNetwork) -> Iterator[Floats]:
    """Yield outlines (n, 2) [m] whose union is paved: lanes with their shoulders, junctions and parking bays."""
    for lane in range(network.length_m.size):
        half, shoulder = float(network.width_m[lane]) / 2, network.shoulder_m
        inside = network.junction[lane] >= 0  # with a shoulder only where an edge is painted
        left, right = (
            half + (shoulder if beside < 0 and not (inside and marking == Marking.NONE) else 0)
            for beside, marking in (
                (max(network.left[lane], network.opposite[lane]), network.left_marking[lane]),
                (network.right[lane], network.right_marking[lane]),
            )
        )
        yield np.concatenate([side_line(network, lane, left), side_line(network, lane, -right)[::-1]])
    for start, end in zip(network.first_corner[:-1], network.first_corner[1:], strict=True):
        if end > start:  # foreign maps have none
            yield network.corner[start:end]
    yield from bay_outlines(network)
