"""What is around N cars in streets, as arrays that compiled functions take, and room for it. It moves nothing."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.engines.streets.maps import Maps
from drive_rl.sim.map.geometry import KNOT_M
from drive_rl.sim.map.street_route import RUN_IN_M, RUN_OUT_M
from drive_rl.sim.traffic.actors import HOLDS, WAY
from drive_rl.sim.traffic.hazards.hazard import PLAN
from drive_rl.sim.traffic.hazards.strips import MOST_STRIPS

NEVER = -1_000_000
"""A step that no episode has."""


class Routes(NamedTuple):
    """Episodes of N cars as arrays, as `map_cache.Roads` has those of roads; nobody parks."""

    knots: NDArray[np.float64]  # (N, K, 4), geometry.Knots
    speed_profile: NDArray[np.float64]  # (N, K), target speed on empty streets [m/s]
    start_s: NDArray[np.float64]  # (N,), of the route [m]
    end_s: NDArray[np.float64]  # (N,), of the route [m]
    start: NDArray[np.float64]  # (N, 7), vehicle.CarState
    wear: NDArray[np.float32]  # (N,)
    palette: NDArray[np.float32]  # (N, 5, C)
    rays: NDArray[np.float32]  # (N, H, 8), pinhole.Rays.rows
    origin: NDArray[np.float64]  # (N, 3), pinhole.Rays.origin
    parked: NDArray[np.float64]  # (N, 1, 3)
    parked_count: NDArray[np.int64]  # (N,), zeros


class StreetCars(NamedTuple):
    """The traffic around N cars: A actors each, of which the first is the car itself."""

    map: NDArray[np.int64]  # (N,), slot in `maps.Maps`
    seed: NDArray[np.int64]  # (N,), Traffic.seed
    first_step: NDArray[np.int64]  # (N,), of the signals' clock
    route: NDArray[np.int64]  # (N, R), Traffic.route
    route_m: NDArray[np.float64]  # (N, R, 3), Traffic.route_m
    kind: NDArray[np.int64]  # (N, A), of vehicles
    paint: NDArray[np.float32]  # (N, A, 3)
    driver: NDArray[np.float64]  # (N, A, 15)
    whole: NDArray[np.int64]  # (N, A, 11)
    real: NDArray[np.float64]  # (N, A, 9)
    hold: NDArray[np.int64]  # (N, A, HOLDS)
    hold_s: NDArray[np.float64]  # (N, A, HOLDS)
    held: NDArray[np.int64]  # (N,), the step of its episode at which the car last had to wait
    hazard_plan: NDArray[np.float64]  # (N, 12), Hazard.plan; (N, 0): there is none
    hazard_strips: NDArray[np.float64]  # (N, 8, 5)
    hazard: NDArray[np.int64]  # (N, 2), Hazard.now
    walk_plan: NDArray[np.float64]  # (N, P, 3), Walkers.plan
    walk_strips: NDArray[np.float64]  # (N, P, 2, 8, 5)
    walk: NDArray[np.int64]  # (N, P, 3), Walkers.now
    seen: NDArray[np.int64]  # (N, A + 2), visibility.LAMP; (N, 0): nobody asks for it
    by_id: NDArray[np.int64]  # (A,)
    way: NDArray[np.int64]  # (N, A, WAY)
    by_lane: NDArray[np.int64]  # (N, lanes, 3)
    claim: NDArray[np.int64]  # (N, A, HOLDS + 2)
    link: NDArray[np.int64]  # (N, 2 A)
    place: NDArray[np.float64]  # (N, 2 A)


class Around(NamedTuple):
    """All that is around N cars."""

    routes: Routes
    cars: StreetCars
    maps: Maps


def new_routes(world: WorldSpec, streets: StreetsSpec, n: int) -> Routes:
    """Return room for the routes of n cars."""
    camera, knots = world.camera, int((RUN_IN_M + streets.route_m + RUN_OUT_M) / KNOT_M) + 1
    f4, f8, i8 = np.float32, np.float64, np.int64
    return Routes(
        knots=np.zeros((n, knots, 4), f8),
        speed_profile=np.zeros((n, knots), f8),
        start_s=np.zeros(n, f8),
        end_s=np.ones(n, f8),
        start=np.zeros((n, 7), f8),
        wear=np.zeros(n, f4),
        palette=np.zeros((n, 5, camera.planes), f4),
        rays=np.zeros((n, camera.height_px, 8), f4),
        origin=np.zeros((n, 3), f8),
        parked=np.zeros((n, 1, 3), f8),
        parked_count=np.zeros(n, i8),
    )


def new_street_cars(n: int, spec: StreetsSpec) -> StreetCars:
    """Return room for the actors around n cars."""
    f4, f8, i8 = np.float32, np.float64, np.int64
    hazards = 1 if spec.hazard else 0
    people = spec.traffic.pedestrians
    actors = 1 + spec.traffic.actors + people + (spec.hazard.actors if spec.hazard else 0)
    return StreetCars(
        map=np.full(n, -1, i8),
        seed=np.zeros(n, i8),
        first_step=np.zeros(n, i8),
        route=np.zeros((n, 0), i8),
        route_m=np.zeros((n, 0, 3), f8),
        kind=np.zeros((n, actors), i8),
        paint=np.zeros((n, actors, 3), f4),
        driver=np.zeros((n, actors, 15), f8),
        whole=np.zeros((n, actors, 11), i8),
        real=np.zeros((n, actors, 9), f8),
        hold=np.full((n, actors, HOLDS), -1, i8),
        hold_s=np.zeros((n, actors, HOLDS), f8),
        held=np.full(n, NEVER, i8),
        hazard_plan=np.zeros((n, hazards * PLAN), f8),
        hazard_strips=np.zeros((n, hazards * MOST_STRIPS, 5), f8),
        hazard=np.zeros((n, hazards * 2), i8),
        walk_plan=np.zeros((n, people, 3), f8),
        walk_strips=np.zeros((n, people, 2, MOST_STRIPS, 5), f8),
        walk=np.zeros((n, people, 3), i8),
        seen=np.full((n, actors + 2 if spec.seen_within_s else 0), NEVER, i8),
        by_id=np.arange(actors),
        way=np.zeros((n, actors, WAY), i8),
        by_lane=np.zeros((n, 0, 3), i8),
        claim=np.zeros((n, actors, HOLDS + 2), i8),
        link=np.zeros((n, 2 * actors), i8),
        place=np.zeros((n, 2 * actors), f8),
    )
