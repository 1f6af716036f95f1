"""Roads as arrays, slot after slot, for engines that drive many cars in one compiled loop. It knows no car's state.

A slot holds the episode of one road seed. A slot that nobody drives on keeps its road until another needs the place, so
taking a road again soon costs nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.sensors.pinhole import Rays, cast_rays
from drive_rl.sim.sensors.solids import Solids, car_solids
from drive_rl.sim.sensors.view import Ground, View
from drive_rl.sim.task.episode import draw_episode

_ACTOR_BYTES = 2000  # with the solids that show it
_SPARE = 1.25  # room for larger fields than those seen so far


class Roads(NamedTuple):
    """Episodes as arrays; the first axis is the slot. Units and layouts are those of the named types."""

    knots: NDArray[np.float64]  # (R, K, 4), geometry.Knots
    speed_profile: NDArray[np.float64]  # (R, K), target speed [m/s]
    start_s: NDArray[np.float64]  # (R,), of the route [m]
    end_s: NDArray[np.float64]  # (R,), of the route [m]
    start: NDArray[np.float64]  # (R, 7), vehicle.CarState
    d_cells: NDArray[np.float32]  # (R, cells), view.Ground
    s_cells: NDArray[np.float32]  # (R, cells)
    rows: NDArray[np.int64]  # (R,)
    columns: NDArray[np.int64]  # (R,)
    x0: NDArray[np.float64]  # (R,)
    y0: NDArray[np.float64]  # (R,)
    wear: NDArray[np.float32]  # (R,)
    palette: NDArray[np.float32]  # (R, 4, C)
    rays: NDArray[np.float32]  # (R, H, 8), pinhole.Rays.rows
    origin: NDArray[np.float64]  # (R, 3), pinhole.Rays.origin
    parked: NDArray[np.float64]  # (R, P, 3), x [m], y [m], yaw [rad] of parked cars
    parked_count: NDArray[np.int64]  # (R,)
    solid_count: NDArray[np.int64]  # (R,), solids.Solids
    shape: NDArray[np.float32]  # (R, solids, 9)
    top_colour: NDArray[np.float32]  # (R, solids, 3)
    side_colour: NDArray[np.float32]  # (R, solids, 3)


class Lens(NamedTuple):
    """What all cameras of a world share."""

    bearings: NDArray[np.float32]  # (W,), pinhole.Rays.bearings
    texels: NDArray[np.int8]  # view.TEXELS
    markings: NDArray[np.float32]  # (9,), view.Markings


@njit(inline="always")
def view_of(slot, roads, lens):
    """Return what a camera sees on the road of a slot."""
    rays = Rays(roads.rays[slot], lens.bearings, roads.origin[slot])
    ground = Ground(
        roads.d_cells[slot],
        roads.s_cells[slot],
        roads.rows[slot],
        roads.columns[slot],
        roads.x0[slot],
        roads.y0[slot],
        lens.markings,
        roads.wear[slot],
        roads.palette[slot],
        lens.texels,
    )
    solids = Solids(roads.solid_count[slot], roads.shape[slot], roads.top_colour[slot], roads.side_colour[slot])
    return View(rays, ground, solids)


class MapCache:
    """Slots of roads, drawn on demand.

    Args:
        world: The world.
        slots: How many; at least one for each road in use at a time.
    """

    def __init__(self, world: WorldSpec, slots: int) -> None:
        self._world = world
        self.seeds = np.full(slots, -1, np.int64)
        self.tiers = [""] * slots
        self._users = np.zeros(slots, np.int64)
        self._slot_of: dict[int, int] = {}
        self._unused = dict.fromkeys(range(slots))  # in the order of their release
        self.roads = self._empty(slots)

    def take(self, seed: int) -> int:
        """Return the slot that holds the road of a seed, and keep it there until `release`."""
        slot = self._slot_of.get(seed)
        if slot is None:
            slot = next(iter(self._unused))
            self._slot_of.pop(int(self.seeds[slot]), None)
            self._draw(slot, seed)
            self._slot_of[seed] = slot
        self._unused.pop(slot, None)
        self._users[slot] += 1
        return slot

    def release(self, slot: int) -> None:
        """Undo one `take`."""
        self._users[slot] -= 1
        if not self._users[slot]:
            self._unused[slot] = None

    def _empty(self, slots: int) -> Roads:
        episode = draw_episode(self._world, 0)
        camera, knots = self._world.camera, len(episode.road.knots)
        cars = max(1, self._world.road.parked_cars)  # a GPU takes no empty array
        solids = cars * car_solids(self._world.car, 0, 0, 0).size
        cells = int(episode.field.d_m.size * _SPARE)
        f4, f8, i8 = np.float32, np.float64, np.int64
        return Roads(
            knots=np.zeros((slots, knots, 4), f8),
            speed_profile=np.zeros((slots, knots), f8),
            start_s=np.zeros(slots, f8),
            end_s=np.zeros(slots, f8),
            start=np.zeros((slots, 7), f8),
            d_cells=np.zeros((slots, cells), f4),
            s_cells=np.zeros((slots, cells), f4),
            rows=np.zeros(slots, i8),
            columns=np.zeros(slots, i8),
            x0=np.zeros(slots, f8),
            y0=np.zeros(slots, f8),
            wear=np.zeros(slots, f4),
            palette=np.zeros((slots, 4, camera.planes), f4),
            rays=np.zeros((slots, camera.height_px, 8), f4),
            origin=np.zeros((slots, 3), f8),
            parked=np.zeros((slots, cars, 3), f8),
            parked_count=np.zeros(slots, i8),
            solid_count=np.zeros(slots, i8),
            shape=np.zeros((slots, solids, 9), f4),
            top_colour=np.zeros((slots, solids, 3), f4),
            side_colour=np.zeros((slots, solids, 3), f4),
        )

    def _draw(self, slot: int, seed: int) -> None:
        episode = draw_episode(self._world, seed)
        appearance, field, road = episode.appearance, episode.field, episode.road
        camera = self._world.camera
        rays = cast_rays(camera, appearance.camera_height_error_m, appearance.camera_pitch_error_rad)
        if field.d_m.size > self.roads.d_cells.shape[1]:
            self._grow(int(field.d_m.size * _SPARE))
        roads = self.roads
        roads.knots[slot], roads.speed_profile[slot] = road.knots, episode.speed_profile_mps
        roads.start_s[slot], roads.end_s[slot], roads.start[slot] = road.start_s_m, road.end_s_m, episode.start
        roads.d_cells[slot, : field.d_m.size] = field.d_m.reshape(-1)
        roads.s_cells[slot, : field.s_m.size] = field.s_m.reshape(-1)
        roads.rows[slot], roads.columns[slot] = field.d_m.shape
        roads.x0[slot], roads.y0[slot] = field.origin_x_m, field.origin_y_m
        roads.rays[slot], roads.origin[slot] = rays.rows, rays.origin
        roads.wear[slot], roads.palette[slot] = appearance.wear, appearance.palette(camera.planes)
        cars, solids = len(episode.parked), episode.parked_solids
        roads.parked_count[slot], roads.solid_count[slot] = cars, solids.size
        if cars:
            roads.parked[slot, :cars] = episode.parked
            roads.shape[slot, : solids.size] = solids.shape
            roads.top_colour[slot, : solids.size] = solids.top_colour
            roads.side_colour[slot, : solids.size] = solids.side_colour
        self.seeds[slot], self.tiers[slot] = seed, road.tier

    def _grow(self, cells: int) -> None:
        used = np.flatnonzero(self.seeds >= 0)
        wider = []
        for grid in (self.roads.d_cells, self.roads.s_cells):
            wider.append(np.zeros((len(grid), cells), np.float32))  # memory that is never written costs nothing
            wider[-1][used, : grid.shape[1]] = grid[used]
        self.roads = self.roads._replace(d_cells=wider[0], s_cells=wider[1])


def slot_bytes(world: WorldSpec) -> int:
    """Return about how much memory a car's road needs [bytes], most of it its field, or in streets its traffic."""
    if world.streets is not None:
        return _ACTOR_BYTES * (1 + world.streets.traffic.actors + world.streets.traffic.pedestrians)
    return int(8 * draw_episode(world, 0).field.d_m.size * _SPARE)
