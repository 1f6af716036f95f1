"""Predictions over a picture: classes in colour, painted lines as dots, the lane's middle as a curve. No file."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.perception.data.samples import CURVATURES_AHEAD_M, LANE_FIELDS, anchor_rows
from drive_rl.report.film.canvas import TEXT, Colour, Picture, draw_lines, fill, write
from drive_rl.report.film.canvas import Box as Area
from drive_rl.sim.sensors.pinhole import project
from drive_rl.sim.sensors.renderer import CLASSES

CLASS_COLOURS: dict[str, Colour] = {
    "road": (90, 130, 255),
    "ego_lane": (40, 220, 120),
    "marking": (255, 230, 60),
    "vehicle": (255, 70, 90),
}
"""The overlay of each class; the background stays as it is."""
LINE_COLOURS: tuple[Colour, ...] = ((255, 80, 200), (255, 150, 40), (120, 220, 255), (220, 220, 220))
_PALETTE = np.array([CLASS_COLOURS.get(name, (0, 0, 0)) for name in CLASSES], np.uint8)
_STRENGTH = 0.45
_FAR_M, _STEP_M = 30.0, 0.5
_PANEL = (12, 15, 19)


def paint_classes(picture: Picture, classes: NDArray[np.integer]) -> Picture:
    """Return a picture (H, W, 3) with classes (H, W) in their colours over it."""
    painted = np.asarray(cv2.addWeighted(picture, 1 - _STRENGTH, _PALETTE[classes], _STRENGTH, 0), np.uint8)
    np.copyto(painted, picture, where=(classes == 0)[..., None])
    return painted


def dot_lines(picture: Picture, lines: NDArray[np.floating], radius_px: int = 2) -> None:
    """Draw lines (LINES, ROWS), column / width with NaN where there is none, as dots at the anchor rows."""
    height, width = picture.shape[:2]
    for columns, colour in zip(lines, LINE_COLOURS, strict=True):
        for column, row in zip(columns, anchor_rows(height), strict=True):
            if np.isfinite(column):
                cv2.circle(
                    picture, (round(float(column) * width), round(float(row))), radius_px, colour, -1, cv2.LINE_AA
                )


def draw_lane_middle(picture: Picture, lane: NDArray[np.floating], camera: CameraSpec) -> None:
    """Draw the middle of the lane as the lane state (6,) has it, on flat ground before a camera."""
    height, width = picture.shape[:2]
    pixels = project(camera, lane_middle(lane)) * [width / camera.width_px, height / camera.height_px]
    shown = np.isfinite(pixels).all(axis=1) & (np.abs(pixels) < 4 * max(width, height)).all(axis=1)
    if shown.sum() > 1:
        for colour, thickness in ((_PANEL, width // 120 + 2), (TEXT, width // 240 + 1)):
            draw_lines(picture, [pixels[shown]], colour, thickness)


def lane_middle(lane: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return points (n, 2) [m], x forward and y left of the car, of the lane's middle by its place and curvatures."""
    offset_m, heading, curvatures = float(lane[0]), float(lane[1]), lane[2:]
    along_m = np.arange(0.0, _FAR_M, _STEP_M)
    bend = np.interp(along_m, CURVATURES_AHEAD_M, curvatures)
    angle = -heading + np.concatenate([[0.0], np.cumsum((bend[1:] + bend[:-1]) / 2 * _STEP_M)])
    x = offset_m * math.sin(-heading) + np.cumsum(np.cos(angle) * _STEP_M)
    y = -offset_m * math.cos(heading) + np.cumsum(np.sin(angle) * _STEP_M)
    return np.stack([x, y], axis=1)


def write_lane(picture: Picture, lane: NDArray[np.floating]) -> None:
    """Write the lane state's first fields on a strip at the picture's top left."""
    values = dict(zip(LANE_FIELDS, map(float, lane), strict=True))
    text = (
        f"offset {values['offset_m']:+z.2f} m   heading {math.degrees(values['heading_error_rad']):+z.1f} deg"
        f"   curvature {values['curvature_0m']:+z.3f} 1/m"
    )
    fill(picture, Area(0, 0, min(picture.shape[1], 430), 28), _PANEL)
    write(picture, text, 10, 19)
