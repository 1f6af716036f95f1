"""Views for people: the chase view of an episode, and a window that shows frames."""

import os
import sys
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.sensors.lane_labels import lane_polylines
from drive_rl.sim.sensors.pinhole import Rays, cast_rays
from drive_rl.sim.sensors.renderer import Scene, Truth, render, render_truth
from drive_rl.sim.sensors.solids import Solids, car_solids, join
from drive_rl.sim.task.episode import Drive, Episode
from drive_rl.sim.vehicle import CarState

CHASE = CameraSpec(
    width_px=640, height_px=400, channels="rgb", frame_stack=1, fov_rad=1.2, forward_m=-7.5, height_m=3, pitch_rad=0.2
)
"""The camera that follows the car."""


def chase_view(world: WorldSpec, episode: Episode, car: CarState, camera: CameraSpec = CHASE) -> NDArray[np.uint8]:
    """Return the car seen from behind, (H, W, 3) RGB uint8."""
    own = car_solids(world.car, car.x_m, car.y_m, car.yaw_rad, car.steer_rad)
    return _photograph(world, episode, car, Lens(camera), join([episode.parked_solids, own]))


def driver_view(world: WorldSpec, episode: Episode, car: CarState, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Return the driver's camera's picture at another size, (H, W, 3) RGB uint8."""
    return _photograph(world, episode, car, driver_lens(world, episode, width_px, height_px), episode.parked_solids)


def driver_lens(world: WorldSpec, episode: Drive, width_px: int, height_px: int) -> "Lens":
    """Return the driver's camera at another size, in colour."""
    camera = world.camera.model_copy(update={"width_px": width_px, "height_px": height_px, "channels": "rgb"})
    return Lens(camera, episode.appearance.camera_height_error_m, episode.appearance.camera_pitch_error_rad)


def road_truth(world: WorldSpec, episode: Episode, car: CarState) -> Truth:
    """Return the driver's current picture, by the `field` renderer, its ground truth and the painted lines in it."""
    camera, appearance = world.camera, episode.appearance
    errors = appearance.camera_height_error_m, appearance.camera_pitch_error_rad
    scene = Scene(episode.field, world.road, appearance, episode.parked_solids)
    image = np.empty((camera.planes, camera.height_px, camera.width_px), np.uint8)
    truth = render_truth(scene, cast_rays(camera, *errors), car.x_m, car.y_m, car.yaw_rad, image)
    lanes = lane_polylines(episode.road, world.road, camera, car.x_m, car.y_m, car.yaw_rad, *errors)
    return replace(truth, lanes=tuple(lanes))


class Lens(NamedTuple):
    """A camera and its mount's error; its rays are cached: casting them costs more than a picture."""

    camera: CameraSpec
    height_error_m: float = 0.0
    pitch_error_rad: float = 0.0


@lru_cache(maxsize=2)
def rays_of(lens: Lens) -> Rays:
    """Return the rays of a camera."""
    return cast_rays(*lens)


def _photograph(world: WorldSpec, episode: Episode, car: CarState, lens: Lens, solids: Solids) -> NDArray[np.uint8]:
    image = np.empty((3, lens.camera.height_px, lens.camera.width_px), np.uint8)
    scene = Scene(episode.field, world.road, episode.appearance, solids)
    render(scene, rays_of(lens), car.x_m, car.y_m, car.yaw_rad, image)
    return frame_of(image)


def frame_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (3, H, W) as a frame (H, W, 3)."""
    return np.asarray(cv2.merge(list(image)), np.uint8)  # much faster than a transposed copy


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
