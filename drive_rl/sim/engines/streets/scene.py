"""What drives around N cars of a world with streets: their routes, their actors, and the maps that they share.

Engines move the cars; this is the rest, as arrays that compiled functions take.
"""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.streets.around import NEVER, Around, new_routes, new_street_cars
from drive_rl.sim.engines.streets.maps import BESIDE, POSTS, Maps, StreetMaps, ground_at, streets_at
from drive_rl.sim.engines.streets.step import (
    ahead_of,
    bodies_near,
    enter_car,
    fill_beyond,
    fill_poses,
    fill_solids,
    step_actors,
    turn_of,
)
from drive_rl.sim.engines.streets.visibility import Visibility, see
from drive_rl.sim.map.network import Light
from drive_rl.sim.sensors.pinhole import Rays, Viewpoint, cast_rays
from drive_rl.sim.sensors.solids import Solids, join
from drive_rl.sim.sensors.streets.ground import StreetView, street_view
from drive_rl.sim.sensors.streets.route_sign import paint_sign
from drive_rl.sim.sensors.streets.solids import SIGNAL_LANE, new_rows
from drive_rl.sim.state import FARTHEST, Expected, State, check_array, check_state
from drive_rl.sim.task.episode import Pose
from drive_rl.sim.task.outcome import Ahead
from drive_rl.sim.task.street_episode import StreetEpisode, built_map, draw_street_episode, map_seed_of
from drive_rl.sim.traffic.actors import (
    ASIDE,
    ASKS,
    AT_BUS_STOP,
    AT_LINE,
    BEFORE,
    DRIVES,
    EGO,
    GOALS,
    ID,
    LANE,
    LEAVING,
    ON_FOOT,
    STOPPED,
    WAITED,
    WANT,
    WANT_GOALS,
)
from drive_rl.sim.traffic.hazards.hazard import DRIVEN, KIND, PARKING_EXIT, PHASE, WAITS
from drive_rl.sim.traffic.hazards.walkers import STEPS
from drive_rl.sim.traffic.streets import light_of
from drive_rl.sim.vehicle import CarState

_KEY = "traffic."
_SAVED = ("whole", "real", "hold", "hold_s", "held")
_FIX = "fix: use the world, the modes and num_envs that it was saved with"


class StreetScene:
    """Routes, actors and maps of N cars.

    Args:
        world: The world.
        count: N.

    Raises:
        DriveRLError: the world has no streets.
    """

    def __init__(self, world: WorldSpec, count: int) -> None:
        if world.streets is None:
            raise DriveRLError(f"{world.name}: has no streets; fix: a world that has, such as town")
        self._world, self._spec, streets = world, world.streets, world.streets
        self.commands = streets.navigation == "command"
        """Whether drivers are shown the turn ahead."""
        self.routes = new_routes(world, streets, count)
        self._maps = StreetMaps(streets.map, min(count, streets.map_count), streets.map_count, streets.roadside)
        self.cars = new_street_cars(count, streets)
        beside = {"hazard": streets.hazard, "walk": streets.traffic.pedestrians, "seen": streets.seen_within_s}
        self._saved = (*_SAVED, *(name for name, there in beside.items() if there))
        self.visibility: Visibility | None = None
        """What cars see by whose states hold nothing else of others; None: they hold all there is."""
        if streets.seen_within_s:
            hz = world.task.control_hz
            self.visibility = Visibility(
                cast_rays(world.camera).bearings, max(round(streets.seen_within_s * hz), 1), float(hz)
            )
        self.episodes: dict[int, StreetEpisode] = {}
        """The episode of each car that was placed."""

    @property
    def maps(self) -> Maps:
        """The maps as arrays; they change when a car is placed."""
        return self._maps.maps

    @property
    def around(self) -> Around:
        """All of it, as compiled loops take it; it changes when a car is placed."""
        return Around(self.routes, self.cars, self.maps)

    def place(self, car: int, seed: int) -> StreetEpisode:
        """Put what is around a car where it is at the start of a road seed's episode, which is returned."""
        episode = draw_street_episode(self._world, self._spec, seed)
        self.cars.map[car] = self._maps.take(episode.map_seed)
        self.episodes[car] = episode
        self._enter_route(car, episode)
        self._enter_traffic(car, episode)
        return episode

    def release(self, car: int) -> None:
        """Let another use a car's map; undoes one `place`."""
        self._maps.release(int(self.cars.map[car]))

    def step_actors(self, car: int, steps: int) -> None:
        """Move all around a car, which has driven so many steps and is still where it was."""
        step_actors(car, self.cars, self.maps, steps, float(self._world.task.control_hz))

    def enter_car(self, car: int, moved: tuple[float, float, float]) -> None:
        """Enter where a car has come to: so far along its route [m], so far beside it [m], and its speed [m/s]."""
        enter_car(car, moved, self.cars, self.maps)

    def ahead_of(self, car: int, touched: bool, steps: int, within: int) -> Ahead:
        """Return what is around a car that has driven so many steps; `within` so many it waits if it had to wait."""
        return ahead_of(car, touched, (steps, within), self.cars, self.maps)

    def fill_beyond(self, car: int, s_m: float, when: tuple[Pose, int], state: NDArray[np.float32]) -> None:
        """Fill what a car's state, at a place of its route, has beyond that of a lane; `when` as `view` has it."""
        fill_beyond(car, self.around, s_m, state)
        if self.visibility is not None:
            pose, steps = when
            see(car, pose, (steps, s_m), self.around, self.visibility, state)

    def bodies_near(self, car: int, state: CarState) -> NDArray[np.float64]:
        """Return the actors near a car, (n, 5): x, y [m], yaw [rad], half length, half width [m]."""
        bodies = np.zeros((self.cars.whole.shape[1], 5))
        return bodies[: bodies_near(car, state, self.cars, self.maps, bodies)]

    def actors(self, car: int) -> NDArray[np.float64]:
        """Return x, y [m] and yaw [rad] of the actors around a car, (actors, 3)."""
        poses = np.zeros((self.cars.whole.shape[1], 3))
        fill_poses(car, self.cars, self.maps, poses)
        return poses[1:]

    def sign(self, car: int, image: NDArray[np.uint8]) -> None:
        """Paint what a car's driver is given of the route into its picture, (C, H, W)."""
        if self.commands:
            paint_sign(*turn_of(car, self.cars, self.maps), image)

    def view(self, car: int, rays: Rays, channels: int, when: tuple[Pose, int], own: Solids) -> StreetView:
        """Return what a camera sees around a car.

        Args:
            car: The car.
            rays: The camera's.
            channels: 1 for grey, 3 for RGB.
            when: The pose that the camera is mounted at, and how many steps the episode has lasted.
            own: More solids, such as the car's own.
        """
        around, _ = self.solids(car, rays, when)
        solids = join([around, own]) if own.size else around
        ground, appearance = ground_at(int(self.cars.map[car]), self.maps), self.episodes[car].appearance
        return street_view(rays, ground, appearance, channels, solids)

    def solids(self, car: int, rays: Rays, when: tuple[Pose, int]) -> tuple[Solids, NDArray[np.int32]]:
        """Return the solids of what a camera may see around a car, and whose each is, `SolidRows.owner`; see `view`."""
        (x, y, yaw), steps = when
        at = Viewpoint(x, y, math.cos(yaw), math.sin(yaw))
        rows = new_rows()
        count = fill_solids(car, at, rays, self.cars, self.maps, self.time_s(car, steps), rows)
        shape, top, side = (part[:count] for part in rows[:3])
        return Solids(count, shape, top, side), rows.owner[:count]

    def signals(self, car: int) -> int:
        """Return how many signals a car's map has."""
        return int(self.maps.sizes[self.cars.map[car], POSTS])

    def beside(self, car: int) -> NDArray[np.float64]:
        """Return what stands beside the streets of a car's map, rows of `draw_roadside`."""
        slot = self.cars.map[car]
        return self.maps.beside[slot, : self.maps.sizes[slot, BESIDE]]

    def light(self, car: int, signal: int, steps: int) -> Light:
        """Return what a signal of a car's map, a row of `signals_of`, shows once its episode has lasted some steps."""
        slot = self.cars.map[car]
        lane = int(self.maps.signal[slot, signal, SIGNAL_LANE])
        return Light(light_of(streets_at(slot, self.maps), lane, self.time_s(car, steps)))

    def time_s(self, car: int, steps: int) -> float:
        """Return the signals' time once a car's episode has lasted some steps [s]."""
        return float(self.cars.first_step[car] + steps) / self._world.task.control_hz

    def get_state(self) -> State:
        """Return what `place` alone does not bring back."""
        return {_KEY + name: getattr(self.cars, name).copy() for name in self._saved}

    def without(self, state: State) -> State:
        """Return a state but what `get_state` returned of it."""
        return {name: array for name, array in state.items() if not name.startswith(_KEY)}

    def set_state(self, state: State) -> None:
        """Go on where `get_state` was called; every car has been placed, and the state checked."""
        for name in self._saved:
            getattr(self.cars, name)[:] = state[_KEY + name]

    def check_state(self, state: State, seeds: NDArray[np.int64]) -> None:
        """Refuse a state of other streets, or one that cars on the roads of `seeds` (N,), -1: none, cannot be in.

        Raises:
            DriveRLError: names the array, what was found and what was expected.
        """
        cars, most = self.cars, 2.0**31
        expected = {
            "whole": Expected(cars.whole.shape, np.int64, -1, most),
            "real": Expected(cars.real.shape, np.float64, -FARTHEST, FARTHEST),
            "hold": Expected(cars.hold.shape, np.int64, -1, most),
            "hold_s": Expected(cars.hold_s.shape, np.float64, -FARTHEST, FARTHEST),
            "held": Expected(cars.held.shape, np.int64, NEVER, most),
            "hazard": Expected(cars.hazard.shape, np.int64, 0, most),
            "walk": Expected(cars.walk.shape, np.int64, 0, most),
            "seen": Expected(cars.seen.shape, np.int64, NEVER, most),
        }
        check_state(
            {name: array for name, array in state.items() if name.startswith(_KEY)},
            {_KEY + name: expected[name] for name in self._saved},
        )
        for car in np.flatnonzero(seeds >= 0).tolist():
            self._check_car(state, car, int(seeds[car]))

    def _check_car(self, state: State, car: int, seed: int) -> None:
        lanes = len(built_map(self._spec.map, map_seed_of(self._spec, seed)).network.length_m)
        whole, hold = state[_KEY + "whole"][car], state[_KEY + "hold"][car]
        bounds = (-1, lanes - 1), (0, 2**31), (0, 1), (0, AT_LINE | AT_BUS_STOP)
        lane, count, flag, stopped = (Expected((None,), np.int64, low, high) for low, high in bounds)
        forms = {
            LANE: lane, BEFORE: lane, LEAVING: lane, WANT: lane, GOALS: count, WAITED: count, WANT_GOALS: count,
            STOPPED: stopped, ASKS: flag,
        }  # fmt: skip
        for column, form in forms.items():
            check_array(f"state: {_KEY}whole of car {car}, column {column}", whole[:, column], form, _FIX)
        check_array(f"state: {_KEY}hold of car {car}", hold.reshape(-1), lane, _FIX)
        episode = draw_street_episode(self._world, self._spec, seed)
        drives = episode.traffic.whole[:, DRIVES].tolist()
        if episode.hazard:
            kind, phase = int(episode.hazard.plan[KIND]), int(state[_KEY + "hazard"][car, PHASE])
            phases = DRIVEN[kind]
            drives[0] = EGO if kind == PARKING_EXIT and phase != WAITS else drives[0]
            drives[-1] = int(phases[phase]) if phase < len(phases) else -1
        if people := self._spec.traffic.pedestrians:
            first, walks = 1 + self._spec.traffic.actors, state[_KEY + "walk"][car, :, STEPS] > 0
            drives[first : first + people] = np.where(walks, ON_FOOT, ASIDE).tolist()
        route, expected = episode.route.lanes, {ID: range(len(whole)), DRIVES: drives}
        if any(whole[:, column].tolist() != list(values) for column, values in expected.items()) or any(
            at >= len(route) or lane != route[at] for at, lane in whole[whole[:, DRIVES] & EGO > 0][:, [GOALS, LANE]]
        ):
            raise DriveRLError(f"state: {_KEY}whole of car {car}: expected the actors of road {seed}; {_FIX}")

    def _enter_route(self, car: int, episode: StreetEpisode) -> None:
        routes, route, appearance, camera = self.routes, episode.route, episode.appearance, self._world.camera
        rays = cast_rays(camera, appearance.camera_height_error_m, appearance.camera_pitch_error_rad)
        routes.knots[car], routes.speed_profile[car] = route.knots, episode.speed_profile_mps
        routes.start_s[car], routes.end_s[car], routes.start[car] = route.start_m, route.end_m, episode.start
        routes.rays[car], routes.origin[car] = rays.rows, rays.origin
        routes.wear[car], routes.palette[car] = appearance.wear, appearance.street_palette(camera.planes)

    def _enter_traffic(self, car: int, episode: StreetEpisode) -> None:
        traffic, route = episode.traffic, episode.route
        self._widen("by_lane", self.maps.lane.shape[1])
        self._widen("route", len(route.lanes))
        self._widen("route_m", len(route.lanes))
        cars = self.cars
        cars.seed[car], cars.first_step[car] = traffic.seed, episode.first_step
        cars.route[car] = -1
        cars.route[car, : len(route.lanes)], cars.route_m[car, : len(route.lanes)] = route.lanes, route.spans
        cars.kind[car], cars.paint[car] = episode.vehicles.kind, episode.colours
        cars.held[car], cars.seen[car] = NEVER, NEVER
        if episode.walkers:
            cars.walk_plan[car], cars.walk_strips[car], cars.walk[car] = episode.walkers.walkers
        if episode.hazard:
            cars.hazard_plan[car], cars.hazard_strips[car] = episode.hazard.plan, episode.hazard.strips
            cars.hazard[car] = 0
        for name in ("driver", "whole", "real", "hold", "hold_s", "way"):
            getattr(cars, name)[car] = getattr(traffic, name)

    def _widen(self, name: str, columns: int) -> None:
        """Give an array of lanes, a row a car, room for so many."""
        array = getattr(self.cars, name)
        if array.shape[1] < columns:
            wider = np.full((len(array), columns, *array.shape[2:]), -1, array.dtype)
            wider[:, : array.shape[1]] = array
            self.cars = self.cars._replace(**{name: wider})
