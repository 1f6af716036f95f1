"""Oncoming cars that come around a bend partly in the ego car's lane, drawn. They drive by themselves."""

import numpy as np

from drive_rl.config.specs.streets.hazard import InvadingCarsSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.lane_geometry import curvature_at, opposite_s
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.task.hazard_site import NO_STRIPS, DrawnHazard, Site, drawn, new_plan, stretch
from drive_rl.sim.traffic.actors import Scripted
from drive_rl.sim.traffic.hazards.hazard import DRIVEN, INVADERS, WAITS
from drive_rl.sim.traffic.population import Vehicles, joined, one_of

_USUAL_SHARE = 0.9
"""How fast the ego car is expected, over its target speed."""
_STEP_M = 2.0


def invaders_room(spec: InvadingCarsSpec, network: RoadNetwork, route: StreetRoute) -> bool:
    """Return whether a route begins in a lane that has an oncoming one beside it, with a bend where it should be and
    room for those who come.
    """
    return _bend_m(spec, network, route) is not None


def _bend_m(spec: InvadingCarsSpec, network: RoadNetwork, route: StreetRoute) -> float | None:
    """Return how far beyond the start the lane bends most, if it does as a spec asks [m]."""
    lane = int(route.lanes[0])
    begins_s = route.start_m - float(route.from_m[0])
    most_m = spec.distance_m[1] * (1 + spec.speed_mps[1] / spec.speed_mps[0]) + spec.cars * (spec.apart_m[1] + 5)
    if network.left[lane] >= 0 or network.opposite[lane] < 0 or begins_s + most_m > network.length_m[lane]:
        return None
    ahead_m = np.arange(*spec.distance_m, _STEP_M)
    bends = [abs(curvature_at(network, lane, begins_s + at_m)) for at_m in ahead_m.tolist()]
    sharpest = int(np.argmax(bends)) if bends else 0
    return float(ahead_m[sharpest]) if bends and bends[sharpest] >= 1 / spec.radius_m else None


def draw_invaders(spec: InvadingCarsSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    """Draw who comes: the first meets the ego car where the lane bends most.

    Raises:
        DriveRLError: the route has no such bend.
    """
    network, route = site.network, site.route
    bend_m = _bend_m(spec, network, route)
    if bend_m is None:
        raise DriveRLError(
            f"streets.hazard.distance_m = {list(spec.distance_m)}: found no route that begins in a lane which bends"
            f" there with a radius of at most {spec.radius_m:g} m and has an oncoming one beside it; fix: streets.map ="
            " {kind: country}, a larger streets.hazard.radius_m, or a wider streets.hazard.distance_m"
        )
    lane = int(route.lanes[0])
    other, width_m = int(network.opposite[lane]), float(network.width_m[lane])
    (speed_mps,) = drawn((spec.speed_mps,), rng)
    away_m = bend_m * (1 + speed_mps / (_USUAL_SHARE * site.target_mps))
    from_s = opposite_s(network, lane, route.start_m - float(route.from_m[0]), other)
    free = np.concatenate([stretch(site, route.start_m, route.start_m + away_m), [[other, 0.0, from_s]]])
    cars, scripted = list[Vehicles](), list[Scripted]()
    for _ in range(spec.cars):
        overlap_m, apart_m = drawn((spec.overlap_m, spec.apart_m), rng)
        car = one_of("car", speed_mps)
        half_m = float(car.width_m[0]) / 2
        middle_m = (width_m + float(network.width_m[other])) / 2
        cars.append(car._replace(offset_m=np.array([middle_m - half_m - site.half_width_m + overlap_m])))
        place = other, from_s - away_m, 0.0, speed_mps
        scripted.append(Scripted(*place, int(DRIVEN[INVADERS, WAITS]), 0, free))
        away_m += float(car.length_m[0]) + apart_m
    return DrawnHazard(new_plan(INVADERS, 0, 0.0), NO_STRIPS, joined(cars), tuple(scripted))
