"""The driver's camera over an episode: pictures, stacked into observations."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.sensors.motion import show_motion
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.renderer import Scene, render_view
from drive_rl.sim.sensors.view import View
from drive_rl.sim.task.episode import Drive, Episode
from drive_rl.sim.task.spaces import flat, stacks_of
from drive_rl.sim.vehicle import CarState

if TYPE_CHECKING:
    from drive_rl.sim.engines.bullet_camera import BulletCamera


class FrameStack:
    """The last pictures from one car, by the world's renderer.

    Raises:
        DriveRLError: the renderer cannot run on this machine.
    """

    def __init__(self, world: WorldSpec) -> None:
        camera = world.camera
        self.frames: NDArray[np.uint8] = np.zeros(
            (camera.depth, camera.planes, camera.height_px, camera.width_px), np.uint8
        )
        self._world = world
        self._bullet = _bullet_camera(world) if camera.renderer != "field" else None
        self._view: View | None = None

    def close(self) -> None:
        """Free what the renderer holds; safe to call twice."""
        if self._bullet:
            self._bullet.close()

    def start(self, episode: Drive, car: CarState) -> None:
        """Start an episode: the stack shows the start and, before it, the approach at the same speed."""
        self._lay(episode)
        way_m = car.vx_mps / self._world.task.control_hz  # between two pictures
        for back in range(len(self.frames) - 1, -1, -1):
            x_m, y_m = math.cos(car.yaw_rad) * way_m * back, math.sin(car.yaw_rad) * way_m * back
            self.append(car._replace(x_m=car.x_m - x_m, y_m=car.y_m - y_m))

    def append(self, car: CarState) -> None:
        """Take the next picture."""
        self.frames[:-1] = self.frames[1:]
        self._photograph(car, self.frames[-1])

    def _lay(self, episode: Drive) -> None:
        """Show another episode from now on."""
        assert isinstance(episode, Episode), "streets have a stack of their own"
        appearance, camera = episode.appearance, self._world.camera
        if self._bullet:
            self._bullet.lay(episode.road, appearance, episode.parked)
        rays = cast_rays(camera, appearance.camera_height_error_m, appearance.camera_pitch_error_rad)
        scene = Scene(episode.field, self._world.road, appearance, episode.parked_solids)
        self._view = scene.view(rays, camera.planes)

    def _photograph(self, car: CarState, image: NDArray[np.uint8]) -> None:
        assert self._view is not None, "start() comes first"
        if self._bullet:
            self._bullet.photograph(car.x_m, car.y_m, car.yaw_rad, image)
        else:
            render_view(self._view, car.x_m, car.y_m, car.yaw_rad, image)

    def observation(self, motion: bool) -> NDArray[np.uint8]:
        """Return the stack, (frame_stack x channels, H, W) uint8, oldest first, or its motion, twice as many planes."""
        stacks = stacks_of(self.frames[None], self._world.camera)
        return show_motion(stacks)[0] if motion else flat(stacks)[0].copy()


def _bullet_camera(world: WorldSpec) -> "BulletCamera":
    from drive_rl.sim.engines.bullet_camera import BulletCamera  # our own renderer needs no PyBullet

    return BulletCamera(world)
