"""The episode of a road seed in a world with streets: map, route, start, appearance and traffic."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.config.specs.streets.hazard import CrossingVehicleSpec, HazardSpec, ParkingExitSpec
from drive_rl.config.specs.streets.map import FileMapSpec, MapSpec
from drive_rl.config.specs.streets.roadside import RoadsideSpec
from drive_rl.config.specs.streets.streets import JunctionSpec, StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.appearance import draw_appearance
from drive_rl.sim.map.geometry import KNOT_M, Road, pose_at
from drive_rl.sim.map.lane_geometry import light_at
from drive_rl.sim.map.network import Control, Light, RoadNetwork, Turn
from drive_rl.sim.map.roadside import draw_roadside
from drive_rl.sim.map.speed_profile import limited_profile
from drive_rl.sim.map.street_route import (
    RUN_IN_M,
    StreetRoute,
    connections,
    draw_route,
    draw_route_through,
    stop_lines_m,
)
from drive_rl.sim.map.streets.generate import map_of_seed
from drive_rl.sim.sensors.streets.ground import StreetGround, build_street_ground
from drive_rl.sim.task.episode import Drive
from drive_rl.sim.task.hazard_site import DrawnHazard, Site
from drive_rl.sim.task.street_hazard import crossing_ways, draw_hazard, has_room
from drive_rl.sim.task.street_parking import bay_m
from drive_rl.sim.traffic.actors import EGO, EGO_ASIDE, Ego, Traffic, new_traffic
from drive_rl.sim.traffic.ego import LINE_GAP_M
from drive_rl.sim.traffic.hazards.walkers import DrawnWalkers, draw_walkers
from drive_rl.sim.traffic.idm import allowed_speed
from drive_rl.sim.traffic.population import Vehicles, draw_vehicles, joined, with_ego
from drive_rl.sim.traffic.streets import Streets, streets_of
from drive_rl.sim.vehicle import CarState

_MAPS_APART = 10_000
"""Road seeds of as many thousands share their maps."""
_ROUTE, _START, _APPEARANCE, _TRAFFIC, _HAZARD, _WALKERS = range(20, 26)
"""One random stream each: changing one leaves the others."""
_MAPS_KEPT = 2048  # of half a megabyte and less
_GROUNDS_KEPT = 16  # of up to 25 MB
_TRIES = 400  # for a route on which a hazard has room


@dataclass(frozen=True)
class BuiltMap:
    """A map of streets as its users want it."""

    network: RoadNetwork
    streets: Streets


@dataclass(frozen=True)
class StreetEpisode(Drive):
    """Everything that an episode in streets starts from; its road is the route's line."""

    map_seed: int
    route: StreetRoute
    vehicles: Vehicles  # the first is the ego car
    colours: NDArray[np.float32]  # (N, 3), of the vehicles, in [0, 1]
    traffic: Traffic
    first_step: int  # of the signals' clock
    walkers: DrawnWalkers | None
    hazard: DrawnHazard | None


def map_seed_of(streets: StreetsSpec, seed: int) -> int:
    """Return the seed of the map that a road seed's episode lies on; each split has maps of its own, a file is one.

    It is the next in turn that has the junction which `streets` asks for.

    Raises:
        DriveRLError: none has one.
    """
    within, count = seed % _MAPS_APART, streets.map_count
    first = 0 if isinstance(streets.map, FileMapSpec) else seed - within
    for turn in range(count):
        map_seed = first + (within + turn) % count
        if streets.junction is None or len(_connections(streets, map_seed, streets.junction)):
            return map_seed
    asked, hazard = streets.junction and streets.junction.model_dump(exclude_none=True), streets.hazard
    crossed = f" for streets.hazard.kind = {hazard.kind}" if isinstance(hazard, CrossingVehicleSpec) else ""
    changed, fewer = "", ""
    if changes := streets.lane_changes:
        changed, fewer = f" behind room for streets.lane_changes = {changes}", " fewer streets.lane_changes,"
    where, more = f"any of the split's {count} maps", " more streets.maps,"
    if isinstance(streets.map, FileMapSpec):
        where, more = streets.map.path, ""
    raise DriveRLError(
        f"streets.junction = {asked}: no such junction{crossed}{changed} on {where};"
        f" fix:{fewer} another streets.junction,{more} or another streets.map"
    )


def _connections(streets: StreetsSpec, map_seed: int, junction: JunctionSpec) -> NDArray[np.int64]:
    kept: Any = junction, streets.lane_changes, streets.hazard, streets.map  # frozen specs can be a key
    return _connections_of(map_seed, *kept)


@lru_cache(maxsize=_MAPS_KEPT)
def _connections_of(
    map_seed: int, junction: JunctionSpec, lane_changes: int, hazard: HazardSpec | None, spec: MapSpec
) -> NDArray[np.int64]:
    control = None if junction.control is None else Control[junction.control.upper()]
    turns = None if junction.turn is None else [Turn[turn.upper()] for turn in junction.turn.split("_or_")]
    town = built_map(spec, map_seed)
    through = connections(town.network, control, turns, junction.arms, lane_changes)
    if isinstance(hazard, CrossingVehicleSpec):
        crossed = [bool(crossing_ways(hazard, town.network, town.streets, lane)) for lane in through.tolist()]
        through = through[np.array(crossed, bool)]
    return through


def built_map(spec: MapSpec, map_seed: int) -> BuiltMap:
    """Return the map of a seed; the latest are kept, for an experiment may learn in many worlds at once."""
    kept: Any = spec  # a frozen spec can be a key
    return _built(kept, map_seed)


@lru_cache(maxsize=_MAPS_KEPT)
def _built(spec: MapSpec, map_seed: int) -> BuiltMap:
    network = map_of_seed(spec, map_seed).network
    return BuiltMap(network, streets_of(network))


def built_ground(spec: MapSpec, map_seed: int) -> StreetGround:
    """Return what a camera sees of a map: most of its memory, and of the time that it takes; few are kept."""
    kept: Any = spec
    return _built_ground(kept, map_seed)


@lru_cache(maxsize=_GROUNDS_KEPT)
def _built_ground(spec: MapSpec, map_seed: int) -> StreetGround:
    return build_street_ground(built_map(spec, map_seed).network)


def built_roadside(spec: MapSpec, roadside: RoadsideSpec, map_seed: int) -> NDArray[np.float64]:
    """Return what stands beside the streets of a map, as `draw_roadside` does; the latest are kept."""
    kept: Any = spec, roadside
    return _built_roadside(*kept, map_seed)


@lru_cache(maxsize=_MAPS_KEPT)
def _built_roadside(spec: MapSpec, roadside: RoadsideSpec, map_seed: int) -> NDArray[np.float64]:
    return draw_roadside(built_map(spec, map_seed).network, roadside, map_seed)


def draw_street_episode(world: WorldSpec, streets: StreetsSpec, seed: int) -> StreetEpisode:
    """Return the episode of a road seed in a world with streets.

    Raises:
        DriveRLError: its maps have no such route, or no room for all of its traffic; names the world.
    """
    try:
        return _draw(world, streets, seed)
    except DriveRLError as error:
        raise DriveRLError(f"{world.name}: {error}") from None


def _draw(world: WorldSpec, streets: StreetsSpec, seed: int) -> StreetEpisode:
    task, map_seed = world.task, map_seed_of(streets, seed)
    town = built_map(streets.map, map_seed)
    route = _draw_route(streets, town.network, map_seed, _stream(seed, _ROUTE))
    profile = limited_profile(route.knots, 0.0, np.minimum(route.limit_mps, task.target_speed_mps), task)
    parked = isinstance(streets.hazard, ParkingExitSpec)
    if parked:
        beside_m = bay_m(town.network, route, world.car.width_m)
        start = _standing(route, beside_m)
    else:
        beside_m, start = 0.0, _start(world, town.network, route, profile, _stream(seed, _START))
    random = _stream(seed, _TRAFFIC)
    vehicles = with_ego(draw_vehicles(streets.traffic, _split(seed), streets.traffic.actors, random), world.car)
    colours = _paints(random, len(vehicles.kind))
    s_m, drives = RUN_IN_M - float(route.from_m[0]), EGO_ASIDE if parked else EGO
    ego = Ego(route.lanes, route.spans, s_m, start.vx_mps, beside_m, drives)
    seeds = random.integers(0, 2**31, 2)
    walkers, hazard, scripted = None, None, ()
    if people := streets.traffic.pedestrians:
        random = _stream(seed, _WALKERS)
        walkers = draw_walkers(town.network, people, len(vehicles.kind), 1 / task.control_hz, random)
        vehicles, scripted = joined([vehicles, walkers.bodies]), walkers.scripted
        colours = np.concatenate([colours, _paints(random, people)])
    if streets.hazard:
        actor = int(seeds[0]), len(vehicles.kind)
        site = Site(
            town.network, town.streets, route, start.vx_mps, task.target_speed_mps, world.car.width_m / 2, actor
        )
        random = _stream(seed, _HAZARD)
        hazard = draw_hazard(streets.hazard, site, random)
        vehicles = joined([vehicles, hazard.actors])
        colours = np.concatenate([colours, _paints(random, len(hazard.scripted))])
        scripted = *scripted, *hazard.scripted
    return StreetEpisode(
        seed=seed,
        road=Road(route.knots, route.start_m, route.end_m, streets.map.kind),
        speed_profile_mps=profile,
        start=start,
        appearance=draw_appearance(world.appearance, _stream(seed, _APPEARANCE)),
        parked=[],
        map_seed=map_seed,
        route=route,
        vehicles=vehicles,
        colours=colours,
        traffic=new_traffic(town.streets, vehicles, int(seeds[0]), 1 / task.control_hz, ego, scripted),
        first_step=_first_step(world, streets, town.network, route, int(seeds[1])),
        walkers=walkers,
        hazard=hazard,
    )


def _paints(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return colours of so many vehicles or people, (count, 3), in [0, 1]."""
    return random.uniform(0.08, 0.9, (count, 3)).astype(np.float32)


def _draw_route(streets: StreetsSpec, network: RoadNetwork, map_seed: int, rng: np.random.Generator) -> StreetRoute:
    route = _any_route(streets, network, map_seed, rng)
    for _ in range(_TRIES):
        if streets.hazard is None or has_room(streets.hazard, network, route):
            break
        route = _any_route(streets, network, map_seed, rng)
    return route


def _any_route(streets: StreetsSpec, network: RoadNetwork, map_seed: int, rng: np.random.Generator) -> StreetRoute:
    if (junction := streets.junction) is None:
        return draw_route(network, streets.route_m, rng, streets.lane_changes)
    through = _connections(streets, map_seed, junction)
    return draw_route_through(network, through, junction.approach_m, streets.route_m, rng, streets.lane_changes)


def _first_step(world: WorldSpec, streets: StreetsSpec, network: RoadNetwork, route: StreetRoute, drawn: int) -> int:
    """Return where the signals' clock begins: as drawn, or the first whole second after it from which the light that
    the junction asks for is lit on arrival.
    """
    hz, light = world.task.control_hz, streets.junction and streets.junction.light
    if light is None:
        return drawn % (3600 * hz)
    lane, asked = int(route.lanes[streets.lane_changes]), Light[light.upper()]
    to_line_m = float(network.stop_s_m[lane]) + float(route.from_m[streets.lane_changes]) - RUN_IN_M
    arrives_s = to_line_m / min(float(network.speed_limit_mps[lane]), world.task.target_speed_mps)
    group = int(network.signal[lane])
    waits_s = next(s for s in range(3600) if light_at(network, group, drawn % 3600 + s + arrives_s) == asked)
    return (drawn % 3600 + waits_s) * hz


def _stream(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])


def _split(seed: int) -> Split:
    return "test" if seed in SPLITS["test"] else "train"


def _start(
    world: WorldSpec, network: RoadNetwork, route: StreetRoute, profile: NDArray[np.float64], rng: np.random.Generator
) -> CarState:
    task = world.task
    offset = rng.uniform(-task.start_offset_m, task.start_offset_m)
    heading = rng.uniform(-task.start_heading_rad, task.start_heading_rad)
    most = min(float(profile[int(route.start_m / KNOT_M)]), _stops_from(network, route, world.car.length_m / 2))
    speed = min(rng.uniform(*task.start_speed_mps), most)
    x, y, yaw, _ = pose_at(route.knots, route.start_m)
    pose = x - offset * np.sin(yaw), y + offset * np.cos(yaw), yaw + heading
    return CarState(*map(float, pose), vx_mps=float(speed))


def _stops_from(network: RoadNetwork, route: StreetRoute, front_m: float) -> float:
    """Return the fastest speed [m/s] from which a car, its front so far ahead of it, still stops at the first line."""
    lines_m = stop_lines_m(network, route)[1]
    return allowed_speed(float(lines_m[0]) - LINE_GAP_M - front_m - route.start_m, 0.0) if len(lines_m) else np.inf


def _standing(route: StreetRoute, beside_m: float) -> CarState:
    """Return a car that stands so far left of the route's start."""
    x, y, yaw, _ = pose_at(route.knots, route.start_m)
    return CarState(*map(float, (x - beside_m * np.sin(yaw), y + beside_m * np.cos(yaw), yaw)))
