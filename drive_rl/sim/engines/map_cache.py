"""Roads as arrays, slot after slot, for engines that drive many cars in one compiled loop. It knows no car's state.

A slot holds the episode of one road seed. Slots that nobody drives on keep their road until another needs the place, so
that a road asked for again costs nothing.
"""

from typing import Any, NamedTuple

import numpy as np

from drive_rl.config.world_spec import WorldSpec
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.renderer import WEAR, Scene
from drive_rl.sim.sensors.solids import car_solids
from drive_rl.sim.task.episode import draw_episode

Array = Any
"""A NumPy array, or one on a GPU."""

_SPARE = 1.25  # room for larger fields than those seen


class Roads(NamedTuple):
    """Episodes as arrays; the first axis is the slot. Units and layouts are those of the modules that are named."""

    knots: Array  # (R, K, 4) float64, road.Knots
    pace: Array  # (R, K) float64, the speed asked for [m/s]
    route: Array  # (R, 2) float64, s of its start and end [m]
    start: Array  # (R, 7) float64, vehicle.CarState
    d_cells: Array  # (R, cells) float32, field.Field.d_m flattened
    s_cells: Array  # (R, cells) float32, field.Field.s_m flattened
    size: Array  # (R, 2) int64, the field's rows and columns
    corner: Array  # (R, 2) float64, the field's origin [m]
    rays: Array  # (R, H, 8) float32, camera.Rays.rows
    origin: Array  # (R, 3) float64, camera.Rays.origin
    paint: Array  # (R, 11) float32, render.Scene.paint; all but the wear is the world's
    palette: Array  # (R, 4, C) float32, appearance.Appearance.palette
    parked: Array  # (R, P, 3) float64, x [m], y [m], yaw [rad] of parked cars
    solids: Array  # (R, 2) int64, how many cars are parked and how many solids they are
    shape: Array  # (R, solids, 9) float32, solids.Solids
    top_colour: Array  # (R, solids, 3) float32
    side_colour: Array  # (R, solids, 3) float32


class RoadRing:
    """Slots of roads, drawn as they are asked for.

    Args:
        world: The world.
        slots: How many, at least as many as roads are driven on at a time.
    """

    def __init__(self, world: WorldSpec, slots: int) -> None:
        self._world = world
        self.seeds = np.full(slots, -1, np.int64)
        self.tiers = [""] * slots
        self._users = np.zeros(slots, np.int64)
        self._slot_of: dict[int, int] = {}
        self._unused = dict.fromkeys(range(slots))  # in the order in which they were left
        self.roads = self._empty(slots)

    def take(self, seed: int) -> int:
        """Return the slot that holds the road of a seed, and keep it there until as many `leave`."""
        slot = self._slot_of.get(seed)
        if slot is None:
            slot = next(iter(self._unused))
            self._slot_of.pop(int(self.seeds[slot]), None)
            self._draw(slot, seed)
            self._slot_of[seed] = slot
        self._unused.pop(slot, None)
        self._users[slot] += 1
        return slot

    def leave(self, slot: int) -> None:
        """Give up what `take` returned."""
        self._users[slot] -= 1
        if not self._users[slot]:
            self._unused[slot] = None

    def _empty(self, slots: int) -> Roads:
        episode = draw_episode(self._world, 0)
        camera, knots = self._world.camera, len(episode.road.knots)
        road = self._world.road
        cars = max(1, road.parked_cars)  # a GPU takes no empty array
        solids = cars * car_solids(self._world.car, 0, 0, 0).size
        cells = int(episode.field.d_m.size * _SPARE)
        f4, f8, i8 = np.float32, np.float64, np.int64
        return Roads(
            knots=np.zeros((slots, knots, 4), f8),
            pace=np.zeros((slots, knots), f8),
            route=np.zeros((slots, 2), f8),
            start=np.zeros((slots, 7), f8),
            d_cells=np.zeros((slots, cells), f4),
            s_cells=np.zeros((slots, cells), f4),
            size=np.zeros((slots, 2), i8),
            corner=np.zeros((slots, 2), f8),
            rays=np.zeros((slots, camera.height_px, 8), f4),
            origin=np.zeros((slots, 3), f8),
            paint=np.tile(Scene(episode.field, road, episode.look).paint, (slots, 1)),
            palette=np.zeros((slots, 4, camera.planes), f4),
            parked=np.zeros((slots, cars, 3), f8),
            solids=np.zeros((slots, 2), i8),
            shape=np.zeros((slots, solids, 9), f4),
            top_colour=np.zeros((slots, solids, 3), f4),
            side_colour=np.zeros((slots, solids, 3), f4),
        )

    def _draw(self, slot: int, seed: int) -> None:
        episode = draw_episode(self._world, seed)
        look, field, road = episode.look, episode.field, episode.road
        rays = cast_rays(self._world.camera, look.camera_height_error_m, look.camera_pitch_error_rad)
        if field.d_m.size > self.roads.d_cells.shape[1]:
            self._grow(int(field.d_m.size * _SPARE))
        roads, start = self.roads, episode.start
        roads.knots[slot], roads.pace[slot] = road.knots, episode.pace_mps
        roads.route[slot] = road.start_s_m, road.end_s_m
        roads.start[slot] = start.x_m, start.y_m, start.yaw_rad, start.vx_mps, start.vy_mps, 0.0, start.steer_rad
        roads.d_cells[slot, : field.d_m.size] = field.d_m.reshape(-1)
        roads.s_cells[slot, : field.s_m.size] = field.s_m.reshape(-1)
        roads.size[slot] = field.d_m.shape
        roads.corner[slot] = field.origin_x_m, field.origin_y_m
        roads.rays[slot], roads.origin[slot] = rays.rows, rays.origin
        roads.paint[slot, WEAR], roads.palette[slot] = look.wear, look.palette(self._world.camera.planes)
        cars, solids = len(episode.parked), episode.parked_solids
        roads.solids[slot] = cars, solids.size
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
            wider.append(np.zeros((len(grid), cells), np.float32))  # memory that nobody writes costs nothing
            wider[-1][used, : grid.shape[1]] = grid[used]
        self.roads = self.roads._replace(d_cells=wider[0], s_cells=wider[1])


def slot_bytes(world: WorldSpec) -> int:
    """Return about how much memory a road needs; most of it is its field."""
    return int(8 * draw_episode(world, 0).field.d_m.size * _SPARE)
