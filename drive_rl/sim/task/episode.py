"""The episode of a road seed: road, start, appearance and parked cars. The same in every engine and process."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import FREE_CAR_LENGTHS, RoadSpec, WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.appearance import Appearance, draw_appearance
from drive_rl.sim.map.distance_field import Field, build_field
from drive_rl.sim.map.generator import generate
from drive_rl.sim.map.geometry import Road
from drive_rl.sim.map.speed_profile import speed_profile
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids, car_solids, join
from drive_rl.sim.vehicle import CarState

Pose = tuple[float, float, float]
"""x [m], y [m], yaw [rad]."""

_ROAD, _START, _APPEARANCE, _PARKED = range(4)  # one random stream each: changing one leaves the others


@dataclass(frozen=True)
class Drive:
    """What every episode has: the line to follow, how fast, from where, and how the world looks."""

    seed: int
    road: Road
    speed_profile_mps: NDArray[np.float64]  # target speed at each knot
    start: CarState
    appearance: Appearance
    parked: list[Pose]


@dataclass(frozen=True)
class Episode(Drive):
    """Everything that an episode on a single road starts from."""

    field: Field
    parked_solids: Solids


def lane_centre_d_m(road: RoadSpec) -> float:
    """Return d [m] of the centre line of the rightmost lane, the ego lane."""
    return -(road.lanes_ahead - 0.5) * road.lane_width_m


def draw_episode(world: WorldSpec, seed: int) -> Episode:
    """Return the episode of a road seed.

    Raises:
        DriveRLError: the world has streets.
    """
    if world.streets is not None:
        raise DriveRLError(
            f"{world.name}: has streets, which this cannot show yet: expected a single road; fix: a world such as"
            " lane_follow, or drive in it: gymnasium.make, gymnasium.make_vec"
        )
    road = generate(world.road, _stream(seed, _ROAD))
    parked, solids = _parked(world, road, seed)
    return Episode(
        seed=seed,
        road=road,
        field=build_field(road, world.road),
        speed_profile_mps=speed_profile(road.knots, lane_centre_d_m(world.road), world.task),
        start=_start(world, road, _stream(seed, _START)),
        appearance=draw_appearance(world.appearance, _stream(seed, _APPEARANCE)),
        parked=parked,
        parked_solids=solids,
    )


def _stream(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])


def _start(world: WorldSpec, road: Road, rng: np.random.Generator) -> CarState:
    task = world.task
    offset = rng.uniform(-task.start_offset_m, task.start_offset_m)
    heading = rng.uniform(-task.start_heading_rad, task.start_heading_rad)
    speed = rng.uniform(*task.start_speed_mps)
    x, y, yaw = road.place(road.start_s_m, lane_centre_d_m(world.road) + offset, heading)
    return CarState(x, y, yaw, vx_mps=float(speed))


def _parked(world: WorldSpec, road: Road, seed: int) -> tuple[list[Pose], Solids]:
    """Draw cars along the right-hand edge, well apart, none at the start; return their poses and their solids."""
    spacing_m = 3 * world.car.length_m
    count = world.road.parked_cars
    if not count:
        return [], NO_SOLIDS
    rng = _stream(seed, _PARKED)
    d = -(world.road.lanes_ahead * world.road.lane_width_m + world.road.parked_gap_m + world.car.width_m / 2)
    places = np.sort(rng.uniform(road.start_s_m + FREE_CAR_LENGTHS * world.car.length_m, road.end_s_m, count))
    kept: list[float] = []
    for s in places:
        if not kept or s - kept[-1] >= spacing_m:
            kept.append(float(s))
    poses = [road.place(s, d, math.radians(float(rng.uniform(-2, 2)))) for s in kept]
    colours = rng.uniform(0.1, 0.9, (len(poses), 3)).tolist()
    cars = [car_solids(world.car, *pose, colour=(r, g, b)) for pose, (r, g, b) in zip(poses, colours, strict=True)]
    return poses, join(cars)
