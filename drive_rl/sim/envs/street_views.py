"""Pictures of streets for people: the view from behind a car, and its driver's at another size."""

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.engines.streets.scene import StreetScene
from drive_rl.sim.envs.views import Lens, driver_lens, frame_of, rays_of
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids, car_solids
from drive_rl.sim.sensors.streets.renderer import render_street
from drive_rl.sim.vehicle import CarState


def street_chase_view(
    world: WorldSpec, scene: StreetScene, car: int, state: CarState, steps: int, camera: CameraSpec
) -> NDArray[np.uint8]:
    """Return a car in streets seen from behind, (H, W, 3) RGB uint8.

    Args:
        world: The world.
        scene: What is around the cars.
        car: Which of them.
        state: Its state.
        steps: How many steps its episode has lasted.
        camera: What follows it.
    """
    own = car_solids(world.car, state.x_m, state.y_m, state.yaw_rad, state.steer_rad)
    return frame_of(_picture(scene, car, Lens(camera), (state, steps), own))


def street_driver_view(
    world: WorldSpec, scene: StreetScene, car: int, state: CarState, steps: int, size_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the picture of a driver's camera in streets at another size, width and height, (H, W, 3) RGB uint8."""
    lens = driver_lens(world, scene.episodes[car], *size_px)
    image = _picture(scene, car, lens, (state, steps), NO_SOLIDS)
    scene.sign(car, image)
    return frame_of(image)


def _picture(scene: StreetScene, car: int, lens: Lens, when: tuple[CarState, int], own: Solids) -> NDArray[np.uint8]:
    image = np.empty((3, lens.camera.height_px, lens.camera.width_px), np.uint8)
    pose = when[0].x_m, when[0].y_m, when[0].yaw_rad
    render_street(scene.view(car, rays_of(lens), 3, (pose, when[1]), own), *pose, image)
    return image
