"""A map of streets as coloured shapes in metres: asphalt, markings, stop lines, crossings, signals and arrows."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from drive_rl.report.film.canvas import AMBER, GREEN, RED, Colour
from drive_rl.sim.map.lane_geometry import light_at, pose_at
from drive_rl.sim.map.markings import (
    BAY_LINE_M,
    GIVE_WAY_PARTS,
    GIVE_WAY_SHARE,
    LINE_M,
    STOP_LINE_M,
    bay_lines,
    dashes,
    painted_lines,
    paved_outlines,
    stop_lines,
    zebra_stripes,
)
from drive_rl.sim.map.network import Control, Floats, Light, RoadNetwork, Turn

GRASS: Colour = (196, 208, 184)
ASPHALT: Colour = (82, 86, 93)
_WHITE: Colour = (238, 240, 242)
_YELLOW: Colour = (255, 204, 64)
_FAINT: Colour = (128, 136, 148)
_LIGHTS: dict[Light, Colour] = {Light.RED: RED, Light.YELLOW: AMBER, Light.GREEN: GREEN}
_ARROW = np.array([(1.6, 0), (0.2, 0.75), (0.2, 0.2), (-1.6, 0.2), (-1.6, -0.2), (0.2, -0.2), (0.2, -0.75)])
_ARROWS_M = 45.0  # between arrows of a lane


class Shape(NamedTuple):
    """A filled outline, or an open line of some width."""

    points: Floats  # (n, 2) [m]
    colour: Colour
    width_m: float = 0.0  # 0: filled


def shapes(network: RoadNetwork) -> Iterator[Shape]:
    """Yield what a map shows, the lowest first."""
    for outline in paved_outlines(network):
        yield Shape(outline, ASPHALT)
    for ends in bay_lines(network):
        yield Shape(ends, _FAINT, BAY_LINE_M)
    yield from _connections(network)
    for points, marking in painted_lines(network):
        for piece in dashes(points) if marking.is_dashed else [points]:
            yield Shape(piece, _YELLOW if marking.is_yellow else _WHITE, LINE_M)
    for stripe in zebra_stripes(network):
        yield Shape(stripe, _WHITE)
    for ends, control in stop_lines(network):
        parts, painted = (GIVE_WAY_PARTS, GIVE_WAY_SHARE) if control == Control.GIVE_WAY else (1, 1.0)
        for i in range(parts):
            share = np.array([[i], [i + painted]]) / parts
            yield Shape(ends[0] + share * (ends[1] - ends[0]), _WHITE, STOP_LINE_M)
    yield from _arrows(network)
    yield from _signs(network)


def _connections(network: RoadNetwork) -> Iterator[Shape]:
    for lane in np.flatnonzero(network.turn != Turn.NONE).tolist():
        points = slice(network.first_point[lane], network.first_point[lane + 1])
        yield Shape(np.stack([network.x_m[points], network.y_m[points]], axis=1), _FAINT, 0.1)


def _arrows(network: RoadNetwork) -> Iterator[Shape]:
    for lane in np.flatnonzero(network.turn == Turn.NONE).tolist():
        length = float(network.length_m[lane])
        count = max(1, round(length / _ARROWS_M)) if length > 12 else 0
        for i in range(count):
            x, y, yaw = pose_at(network, lane, (i + 0.5) * length / count, 0.0)
            yield Shape(_placed(_ARROW, x, y, yaw), _WHITE)


def _signs(network: RoadNetwork) -> Iterator[Shape]:
    """Yield a disc in the light's colour, an octagon or a triangle beside the end of each governed road."""
    for lane in np.flatnonzero((network.control != Control.NONE) & (network.right < 0)).tolist():
        control, s = Control(network.control[lane]), network.stop_s_m[lane]
        at = float(network.length_m[lane] if math.isnan(s) else s)
        x, y, yaw = pose_at(network, lane, at, -float(network.width_m[lane]) / 2 - network.shoulder_m - 1.4)
        corners = {Control.SIGNAL: 24, Control.STOP_SIGN: 8, Control.GIVE_WAY: 3}[control]
        colour = _LIGHTS[Light(light_at(network, int(network.signal[lane]), 0.0))] if control == Control.SIGNAL else RED
        yield Shape(_placed(_regular(corners, 1.5), x, y, yaw), (30, 34, 40))
        yield Shape(_placed(_regular(corners, 1.1), x, y, yaw), colour)


def _regular(corners: int, radius_m: float) -> Floats:
    angle = np.arange(corners) * 2 * math.pi / corners + (math.pi / 8 if corners == 8 else math.pi)
    return radius_m * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _placed(points: Floats, x: float, y: float, yaw: float) -> Floats:
    cos, sin = math.cos(yaw), math.sin(yaw)
    return points @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
