"""The Gymnasium environment of a world with streets: drive a route in traffic. The car is Bullet's, as on a road."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.streets.scene import StreetScene
from drive_rl.sim.engines.streets.truth import StreetTruth, street_truth
from drive_rl.sim.envs.frame_stack import FrameStack
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.street_views import street_chase_view, street_driver_view
from drive_rl.sim.envs.views import CHASE, Lens, rays_of
from drive_rl.sim.map.geometry import project
from drive_rl.sim.map.markings import painted_lines
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.sensors.lane_labels import street_lines
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.solids import NO_SOLIDS
from drive_rl.sim.sensors.streets.renderer import render_street
from drive_rl.sim.state import State
from drive_rl.sim.task.episode import Drive
from drive_rl.sim.task.outcome import Ahead, S
from drive_rl.sim.task.street_episode import StreetEpisode, built_map
from drive_rl.sim.vehicle import CarState


class StreetEnv(LaneEnv):
    """Drive a route on a map of streets, in traffic; otherwise a `LaneEnv`.

    Raises:
        DriveRLError: the world has no streets, or a renderer of Bullet's.
    """

    def __init__(self, world: WorldSpec, *args: Any, **kwargs: Any) -> None:
        if world.camera.renderer != "field":
            raise DriveRLError(
                f"world.camera.renderer = {world.camera.renderer}: cannot show streets;"
                " fix: world.camera.renderer=field"
            )
        self._scene, self._placed = StreetScene(world, 1), False
        super().__init__(world, *args, **kwargs)

    @property
    def actors(self) -> NDArray[np.float64]:
        """x, y [m] and yaw [rad] of the actors around the car, (actors, 3)."""
        return self._scene.actors(0)

    def chase_view(self, camera: CameraSpec = CHASE) -> NDArray[np.uint8]:
        """Return the car seen from behind, (H, W, 3) RGB uint8."""
        return street_chase_view(self.world, self._scene, 0, self._car, self._steps, camera)

    def driver_view(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Return the driver's camera's picture at another size, (H, W, 3) RGB uint8."""
        return street_driver_view(self.world, self._scene, 0, self._car, self._steps, (width_px, height_px))

    def truth(self) -> StreetTruth:
        """Return the driver's picture and its ground truth, in any observation mode."""
        camera, appearance, car = self.world.camera, self.episode.appearance, self._car
        errors = appearance.camera_height_error_m, appearance.camera_pitch_error_rad
        truth = street_truth(self._scene, 0, car, self._steps, rays_of(Lens(camera, *errors)), camera.planes)
        lines = street_lines(painted_lines(self._network), camera, car.x_m, car.y_m, car.yaw_rad, *errors)
        return replace(truth, lines=tuple(lines))

    @property
    def _network(self) -> RoadNetwork:
        assert self.world.streets is not None
        assert isinstance(self.episode, StreetEpisode), "reset() comes first"
        return built_map(self.world.streets.map, self.episode.map_seed).network

    def get_state(self) -> State:
        """Return arrays from which `set_state` resumes exactly, in this or another process."""
        return {**super().get_state(), **self._scene.get_state()}

    def set_state(self, state: State) -> None:
        """Resume where `get_state` was called, on an environment of the same world and modes.

        Raises:
            DriveRLError: it is of another one, or a car cannot be in it; nothing has changed.
        """
        self._need_open("set_state")
        rest = self._scene.without(state)
        self._check_state(rest)
        self._scene.check_state(state, rest["seed"].reshape(1))
        self._begin(int(state["seed"]))
        self._scene.set_state(state)
        self._restore(rest)

    def _draw(self, seed: int) -> Drive:
        if self._placed:
            self._scene.release(0)
        self._placed = False  # until there is such a route
        episode = self._scene.place(0, seed)
        self._placed = True
        return episode

    def _new_frame_stack(self) -> FrameStack:
        return _StreetFrames(self.world, self._scene)

    def _drive(self, steer: float, pedal: float) -> bool:
        """Drive one control step, after the actors around; return whether the car touches one of them then."""
        scene, s_before = self._scene, float(self._row[S])
        scene.step_actors(0, self._steps)
        if isinstance(self._frame_stack, _StreetFrames):
            self._frame_stack.steps = self._steps + 1
        super()._drive(steer, pedal)
        car = self._bullet.state()
        s, d, _, _ = project(self.episode.road.knots, car.x_m, car.y_m, s_before)
        scene.enter_car(0, (s - s_before, d, car.vx_mps))
        return self._bullet.touches(scene.bodies_near(0, car))

    def _ahead(self, touched: bool) -> Ahead:
        return self._scene.ahead_of(0, touched, self._steps, self._rules.blocked_steps)

    def _state(self) -> NDArray[np.float32]:
        state, car = super()._state(), self._car
        self._scene.fill_beyond(0, float(self._row[S]), ((car.x_m, car.y_m, car.yaw_rad), self._steps), state)
        return state


class _StreetFrames(FrameStack):
    """The last pictures from a car in streets."""

    steps = 0
    """How many steps the episode has lasted at the next picture."""

    def __init__(self, world: WorldSpec, scene: StreetScene) -> None:
        super().__init__(world)
        self._scene = scene

    def _lay(self, episode: Drive) -> None:
        self.steps = 0
        appearance = episode.appearance
        errors = appearance.camera_height_error_m, appearance.camera_pitch_error_rad
        self._rays = cast_rays(self._world.camera, *errors)

    def _photograph(self, car: CarState, image: NDArray[np.uint8]) -> None:
        pose = car.x_m, car.y_m, car.yaw_rad
        view = self._scene.view(0, self._rays, image.shape[0], (pose, self.steps), NO_SOLIDS)
        render_street(view, *pose, image)
        self._scene.sign(0, image)
