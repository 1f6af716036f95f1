"""The bird's-eye map of an episode: the whole road, north up, and the path driven so far, coloured by speed.

It knows the road and the car's poses; it does not know who drives.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.report.film.canvas import DIM, GREEN, GROUND, PANEL, TEXT, Colour, Picture, blank, draw_lines, draw_shape
from drive_rl.sim.task.episode import Drive
from drive_rl.sim.task.outcome import STREET_HALF_LANE_M
from drive_rl.sim.vehicle import CarState

_ASPHALT: Colour = (70, 76, 87)
_EDGE: Colour = (126, 134, 147)
_MARGIN_PX = 16
_RUN_OUT_M = 12.0  # road drawn before the start and after the finish
_MAX_PX_PER_M = 6.0
_ARROW = np.array([(12, 0), (-8, 7.5), (-4, 0), (-8, -7.5)], np.float64)  # [px], pointing east


def lane_lines_d_m(world: WorldSpec) -> list[float]:
    """Return d of the lines between the lanes of an episode's road, from right to left [m]; of a route: of its lane."""
    if world.streets is not None:
        return [-STREET_HALF_LANE_M, STREET_HALF_LANE_M]
    road = world.road
    return [lane * road.lane_width_m for lane in range(-road.lanes_ahead, road.lanes_oncoming + 1)]


def speed_colours() -> NDArray[np.uint8]:
    """Return colours (256, 3) from standing to the highest speed: magenta to yellow, light enough for asphalt."""
    ramp = np.linspace(110, 255, 256).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_PLASMA), np.uint8).reshape(-1, 3)[:, ::-1]


class RoadMap:
    """A map whose path grows as the car drives.

    Args:
        width_px: Width of the picture.
        height_px: Height of the picture.
        offsets_m: The lines between lanes, from right to left, d from the episode's line [m].
        episode: The episode on it.
        top_speed_mps: Speed at the end of the colour ramp [m/s].
    """

    def __init__(
        self, width_px: int, height_px: int, offsets_m: Sequence[float], episode: Drive, top_speed_mps: float
    ) -> None:
        start_m, end_m = episode.road.start_s_m, episode.road.end_s_m
        lines = [episode.road.line(d, start_m - _RUN_OUT_M, end_m + _RUN_OUT_M) for d in offsets_m]
        self._fit(width_px, height_px, np.concatenate(lines))
        self._picture = blank(width_px, height_px, PANEL)
        self._top_mps, self._colours = top_speed_mps, speed_colours()
        self._draw_road([self._px(line) for line in lines])
        for s, colour in ((start_m, GREEN), (end_m, TEXT)):
            ends = np.array([episode.road.place(s, d)[:2] for d in (offsets_m[0] - 2, offsets_m[-1] + 2)])
            draw_lines(self._picture, [self._px(ends)], colour, 3)
        self._last = np.array([(episode.start.x_m, episode.start.y_m)])

    @property
    def px_per_m(self) -> float:
        """Scale of the map."""
        return self._scale

    def drive(self, car: CarState) -> None:
        """Extend the path to the car's new place."""
        here = np.array([(car.x_m, car.y_m)])
        shade = round(255 * min(max(car.vx_mps / self._top_mps, 0.0), 1.0))
        red, green, blue = self._colours[shade].tolist()
        draw_lines(self._picture, [self._px(np.concatenate([self._last, here]))], (red, green, blue), 2)
        self._last = here

    def show(self, onto: Picture, car: CarState) -> None:
        """Copy the map onto a picture of its size, with the car as an arrow."""
        onto[:] = self._picture
        cos, sin = math.cos(car.yaw_rad), math.sin(car.yaw_rad)
        turned = _ARROW @ np.array([[cos, -sin], [-sin, -cos]])  # counter-clockwise, then rows count downwards
        arrow = turned + self._px(np.array([(car.x_m, car.y_m)]))
        draw_shape(onto, arrow, TEXT)
        draw_lines(onto, [np.concatenate([arrow, arrow[:1]])], GROUND, 2)

    def _fit(self, width_px: int, height_px: int, points: NDArray[np.float64]) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        room = np.array([width_px, height_px]) - 2 * _MARGIN_PX
        self._scale = float(min((room / np.maximum(high - low, 1.0)).min(), _MAX_PX_PER_M))
        self._middle_m = (low + high) / 2
        self._middle_px = np.array([width_px / 2, height_px / 2])

    def _px(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where world points (n, 2) [m] lie on the map [px]: east to the right, north up."""
        return self._middle_px + (points - self._middle_m) * (self._scale, -self._scale)

    def _draw_road(self, lines: list[NDArray[np.float64]]) -> None:
        """Draw the road between its lines [px], from the right edge to the left."""
        right, *inner, left = lines
        quads = [np.concatenate([right[i : i + 2], left[i : i + 2][::-1]]) for i in range(len(right) - 1)]
        for quad in quads:  # one by one, since the whole outline may wind over itself
            draw_shape(self._picture, quad, _ASPHALT)
        draw_lines(self._picture, [right, left], _EDGE)
        dash = max(2, round(5 / self._scale))
        for line in inner:
            draw_lines(self._picture, [line[i : i + dash] for i in range(0, len(line), 2 * dash)], DIM)
