"""Scenes for the tests of pictures: straight roads without worn paint, pictures at a pose, and IoU."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import RoadSpec, TierSpec
from drive_rl.sim.appearance import Appearance
from drive_rl.sim.map.distance_field import build_field
from drive_rl.sim.map.geometry import Road, integrate
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.renderer import Scene, Truth, render_truth
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids

ROAD = RoadSpec(tiers={"straight": TierSpec(min_radius_m=100, weight=1)})
SHADES = {"asphalt": 0.2, "verge": 0.3, "marking": 0.5, "sky": 0.8}  # with texture, still below white
PLAIN = Appearance(np.array([[shade] * 3 for shade in SHADES.values()], np.float32), 0.0, 0.0, 0.0)


def straight_road(yaw_rad: float = 0.0, length_m: int = 300) -> Road:
    """Return a straight road that starts at (0, 0)."""
    return Road(integrate(np.zeros(length_m + 1), 0.0, 0.0, yaw_rad), 0.0, float(length_m), "straight")


def straight_scene(solids: Solids = NO_SOLIDS, appearance: Appearance = PLAIN) -> Scene:
    """Return a straight two-lane road along x."""
    return Scene(build_field(straight_road(), ROAD), ROAD, appearance, solids)


def picture(scene: Scene, camera: CameraSpec, x_m: float, y_m: float, yaw_rad: float = 0.0) -> Truth:
    """Return the picture and its truth."""
    image = np.empty((camera.planes, camera.height_px, camera.width_px), np.uint8)
    return render_truth(scene, cast_rays(camera), x_m, y_m, yaw_rad, image)


def pinhole_row(camera: CameraSpec, ahead_m: float) -> float:
    """Return the continuous row of a ground point straight ahead, by hand: tan of the angle below the axis."""
    below = math.atan2(camera.height_m, ahead_m - camera.forward_m) - camera.pitch_rad
    return camera.height_px / 2 + camera.width_px / 2 / math.tan(camera.fov_rad / 2) * math.tan(below)


def opencv_pixels(camera: CameraSpec, points: np.ndarray) -> np.ndarray:
    """Project points (n, 3) [m] of the vehicle frame with OpenCV; its pixel centres are whole numbers, ours .5."""
    focal = camera.width_px / (2 * math.tan(camera.fov_rad / 2))
    cos, sin = math.cos(camera.pitch_rad), math.sin(camera.pitch_rad)
    # rows: the camera's right, down and forward axes in the vehicle frame (x forward, y left, z up)
    turn = np.array([[0, -1, 0], [-sin, 0, -cos], [cos, 0, -sin]])
    centre = np.array([camera.forward_m, 0, camera.height_m])
    matrix = np.array([[focal, 0, camera.width_px / 2], [0, focal, camera.height_px / 2], [0, 0, 1]])
    pixels, _ = cv2.projectPoints(points.astype(float), cv2.Rodrigues(turn)[0], -turn @ centre, matrix, np.zeros(5))
    return pixels.reshape(-1, 2)


class Overlap:
    """Intersection over union of two segmentations, pooled over many pictures."""

    def __init__(self, classes: int) -> None:
        self._both, self._either = np.zeros(classes), np.zeros(classes)

    def add(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
        """Count one pair of pictures."""
        for kind in range(len(self._both)):
            self._both[kind] += np.count_nonzero((a == kind) & (b == kind))
            self._either[kind] += np.count_nonzero((a == kind) | (b == kind))

    def iou(self) -> NDArray[np.float64]:
        """Return the IoU of each class; NaN for a class never seen."""
        return np.where(self._either > 0, self._both / np.maximum(self._either, 1), np.nan)
