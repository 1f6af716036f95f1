"""Views for people: the chase view of an episode, and a window that shows frames."""

import math
import os
import sys
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec, CarSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.sensors.pinhole import Rays, cast_rays, project
from drive_rl.sim.sensors.renderer import Scene, render
from drive_rl.sim.sensors.solids import Solids, car_solids, join
from drive_rl.sim.task.episode import Episode, Pose
from drive_rl.sim.vehicle import CarState

CHASE = CameraSpec(
    width_px=640, height_px=400, channels="rgb", frame_stack=1, fov_rad=1.2, forward_m=-7.5, height_m=3, pitch_rad=0.2
)
"""The camera that follows the car."""

_SHADOW_M = 0.6  # how far a shadow reaches beyond its car


def chase_view(world: WorldSpec, episode: Episode, car: CarState, camera: CameraSpec = CHASE) -> NDArray[np.uint8]:
    """Return the car seen from behind, (H, W, 3) RGB uint8."""
    own = car_solids(world.car, car.x_m, car.y_m, car.yaw_rad, car.steer_rad)
    poses: list[Pose] = [*episode.parked, (car.x_m, car.y_m, car.yaw_rad)]
    return _photograph(world, episode, car, _Lens(camera), poses, join([episode.parked_solids, own]))


def driver_view(world: WorldSpec, episode: Episode, car: CarState, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Return the driver's camera's picture at another size, (H, W, 3) RGB uint8."""
    camera = world.camera.model_copy(update={"width_px": width_px, "height_px": height_px, "channels": "rgb"})
    lens = _Lens(camera, episode.appearance.camera_height_error_m, episode.appearance.camera_pitch_error_rad)
    return _photograph(world, episode, car, lens, episode.parked, episode.parked_solids)


class _Lens(NamedTuple):
    """A camera and its mount's error; its rays are cached: casting them costs more than a picture."""

    camera: CameraSpec
    height_error_m: float = 0.0
    pitch_error_rad: float = 0.0


@lru_cache(maxsize=2)
def _rays(lens: _Lens) -> Rays:
    return cast_rays(*lens)


def _photograph(
    world: WorldSpec, episode: Episode, car: CarState, lens: _Lens, poses: list[Pose], solids: Solids
) -> NDArray[np.uint8]:
    """Render the road everywhere, then again with the solids where they are: they make a pixel five times slower."""
    rays = _rays(lens)
    image = np.empty((3, lens.camera.height_px, lens.camera.width_px), np.uint8)
    scene = Scene(episode.field, world.road, episode.appearance)
    render(scene, rays, car.x_m, car.y_m, car.yaw_rad, image)
    boxes = [box for pose in poses if (box := _box(world.car, pose, car, lens)) is not None]
    if boxes:
        top, left = np.min(boxes, axis=0)[:2]
        bottom, right = np.max(boxes, axis=0)[2:]
        patch = np.empty((3, bottom - top, right - left), np.uint8)
        scene = replace(scene, solids=solids)
        seen = Rays(rays.rows[top:bottom], rays.bearings[left:right], rays.origin)
        render(scene, seen, car.x_m, car.y_m, car.yaw_rad, patch)
        image[:, top:bottom, left:right] = patch
    return np.asarray(cv2.merge(list(image)), np.uint8)  # much faster than a transposed copy


def _box(spec: CarSpec, pose: Pose, viewer: CarState, lens: _Lens) -> tuple[int, int, int, int] | None:
    """Return the pixels (top, left, bottom, right) that a car at a pose and its shadow may cover, or None."""
    height_px, width_px = lens.camera.height_px, lens.camera.width_px
    points = _footprint(spec, pose, viewer)
    low = project(lens.camera, points, lens.height_error_m, lens.pitch_error_rad)
    high = project(lens.camera, points, lens.height_error_m - spec.height_m, lens.pitch_error_rad)
    pixels = np.concatenate([low, high])
    behind = np.isnan(pixels).any(axis=1)
    if behind.all():
        return None
    if behind.any():
        return 0, 0, height_px, width_px
    left, top = np.clip(np.floor(pixels.min(axis=0)).astype(int), 0, (width_px, height_px))
    right, bottom = np.clip(np.ceil(pixels.max(axis=0)).astype(int), 0, (width_px, height_px))
    return (top, left, bottom, right) if bottom > top and right > left else None


def _footprint(spec: CarSpec, pose: Pose, viewer: CarState) -> NDArray[np.float64]:
    """Return the corners (4, 2) [m] of a car and its shadow in the vehicle frame of `viewer`."""
    half = np.array([spec.length_m / 2 + _SHADOW_M, spec.width_m / 2 + _SHADOW_M])
    corners = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) * half
    x_m, y_m, yaw_rad = pose
    world = corners @ _turn(yaw_rad).T + (x_m - viewer.x_m, y_m - viewer.y_m)
    return world @ _turn(viewer.yaw_rad)


def _turn(yaw_rad: float) -> NDArray[np.float64]:
    """Return the matrix (2, 2) that turns column vectors counter-clockwise."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return np.array([[cos, -sin], [sin, cos]])


class Window:
    """A window on the display.

    Raises:
        DriveRLError: there is no display.
    """

    def __init__(self, title: str) -> None:
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise DriveRLError(
                "render_mode = 'human': this machine has no display (DISPLAY is not set);"
                " fix: render_mode='rgb_array', or `drive-rl render` for a film"
            )
        self._title = title

    def show(self, frame: NDArray[np.uint8], hz: float) -> None:
        """Show a frame (H, W, 3) RGB and wait one control step."""
        cv2.imshow(self._title, frame[..., ::-1])
        cv2.waitKey(max(1, round(1000 / hz)))

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)
