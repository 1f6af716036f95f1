"""Views for people: the chase view of an episode, and a window that shows frames."""

import os
import sys

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.bullet import CarState
from drive_rl.sim.camera import cast_rays
from drive_rl.sim.episode import Episode
from drive_rl.sim.render import Scene, render
from drive_rl.sim.solids import car_solids, join
from drive_rl.spec import CameraSpec, WorldSpec

CHASE = CameraSpec(
    width_px=640, height_px=400, channels="rgb", frame_stack=1, fov_rad=1.2, forward_m=-7.5, height_m=3, pitch_rad=0.2
)
"""The camera that follows the car."""


def chase_view(world: WorldSpec, episode: Episode, car: CarState, camera: CameraSpec = CHASE) -> NDArray[np.uint8]:
    """Return the car seen from behind, (H, W, 3) RGB uint8."""
    own = car_solids(world.car, car.x_m, car.y_m, car.yaw_rad, car.steer_rad)
    scene = Scene(episode.field, world.road, episode.look, join([episode.parked_solids, own]))
    image = np.empty((3, camera.height_px, camera.width_px), np.uint8)
    render(scene, cast_rays(camera), car.x_m, car.y_m, car.yaw_rad, image)
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def driver_view(world: WorldSpec, episode: Episode, car: CarState, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Return what the driver's camera sees, at another size, (H, W, 3) RGB uint8."""
    camera = world.camera.model_copy(update={"width_px": width_px, "height_px": height_px, "channels": "rgb"})
    scene = Scene(episode.field, world.road, episode.look, episode.parked_solids)
    image = np.empty((3, height_px, width_px), np.uint8)
    rays = cast_rays(camera, episode.look.camera_height_error_m, episode.look.camera_pitch_error_rad)
    render(scene, rays, car.x_m, car.y_m, car.yaw_rad, image)
    return np.ascontiguousarray(image.transpose(1, 2, 0))


class Window:
    """A window on the display.

    Raises:
        DriveRLError: there is no display.
    """

    def __init__(self, title: str) -> None:
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise DriveRLError(
                "render_mode = 'human': this machine has no display (DISPLAY is not set);"
                " mend: render_mode='rgb_array', or `drive-rl render` for a film"
            )
        self._title = title

    def show(self, frame: NDArray[np.uint8], hz: float) -> None:
        """Show a frame (H, W, 3) RGB and wait one control step."""
        import cv2

        cv2.imshow(self._title, frame[..., ::-1])
        cv2.waitKey(max(1, round(1000 / hz)))

    def close(self) -> None:
        """Close the window."""
        import cv2

        cv2.destroyWindow(self._title)
