"""What stands on a route: an obstacle in its first lane, where there is room to pass it, and what parks beside it."""

from collections.abc import Sequence

import numpy as np

from drive_rl.config.specs.streets.hazard import ObstacleBody, ObstacleSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.lane_geometry import may_change
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.task.hazard_site import NO_STRIPS, ROOM_M, DrawnHazard, Site, drawn, end_of, new_plan, stretch
from drive_rl.sim.traffic.actors import ASIDE, Scripted
from drive_rl.sim.traffic.hazards.hazard import (
    DOOR,
    DRIVEN,
    END_M,
    KIND,
    MEMBERS,
    OBSTACLE,
    RIDERS,
    SPEED_MPS,
    WAITS,
    WITHIN,
)
from drive_rl.sim.traffic.population import Vehicles, door, joined, one_of

_APART_M = 1.5
"""From one body to the next [m]."""
BESIDE_M = 0.3
"""From a lane to what is parked beside it [m]."""
_HINGE, _OPENS_MPS = 0.1, 2.0
"""Where a door has its hinges, before the car's middle, as a share of its length; how fast its edge comes out [m/s]."""
_BEHIND_M, _BEHIND_RIDERS_M = 30.0, 75.0
"""From where it begins to the stop line at least [m]: who passes is back in the lane before the junction."""


def obstacle_room(spec: ObstacleSpec, network: RoadNetwork, route: StreetRoute) -> bool:
    """Return whether an obstacle fits into the lane that a route begins in: the rightmost, with a lane to pass in on
    its left, and long enough.
    """
    lane = int(route.lanes[0])
    own = may_change(network, lane, True)
    beside = own if spec.beside == "own" else network.left[lane] < 0 <= network.opposite[lane]
    if network.right[lane] >= 0 or not beside:
        return False
    behind_m = _BEHIND_M if spec.rides_mps is None else _BEHIND_RIDERS_M
    begins_m = route.start_m - float(route.from_m[0]) + spec.distance_m[1]
    return begins_m + parked_m(spec.bodies) + behind_m <= end_of(network, lane)


def draw_obstacle(spec: ObstacleSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    """Draw what has to be passed.

    Raises:
        DriveRLError: the route has no room for it.
    """
    network, route = site.network, site.route
    if not obstacle_room(spec, network, route):
        raise DriveRLError(
            f"streets.hazard.distance_m = {list(spec.distance_m)}: found no route that begins in a lane with room for"
            f" an obstacle so far beyond its start and a lane beside it (beside = {spec.beside}); fix: a smaller"
            " streets.hazard.distance_m, longer blocks or another kind of streets.map, another streets.hazard.beside,"
            " or, with a streets.junction, a larger approach_m there"
        )
    lane, (distance_m,) = int(route.lanes[0]), drawn((spec.distance_m,), rng)
    speed_mps = 0.0 if spec.rides_mps is None else drawn((spec.rides_mps,), rng)[0]
    bodies = [one_of(body, speed_mps) for body in spec.bodies]
    kind = OBSTACLE if spec.rides_mps is None else RIDERS
    plan = new_plan(kind, 0, 0.0)
    plan[MEMBERS] = len(bodies)
    rear_m, places = route.start_m + distance_m, list[tuple[float, float]]()
    for body in bodies:
        into_m = float(rng.uniform(*spec.into_m))
        half_m = _length_m(body) / 2
        places.append((rear_m + half_m, into_m - float(network.width_m[lane]) / 2 - float(body.width_m[0]) / 2))
        rear_m += 2 * half_m + _APART_M
    free = stretch(site, route.start_m, rear_m + ROOM_M)
    drives, begins_m = int(DRIVEN[kind, WAITS]), float(route.from_m[0])
    if kind == RIDERS:  # drivers keep to an offset of their own
        bodies = [body._replace(offset_m=np.array([d_m])) for body, (_, d_m) in zip(bodies, places, strict=True)]
        places = [(at_m, 0.0) for at_m, _ in places]
    scripted = [Scripted(lane, at_m - begins_m, d_m, speed_mps, drives, 0, free) for at_m, d_m in places]
    if spec.opens_m is not None:
        plan[KIND], plan[MEMBERS], plan[SPEED_MPS] = DOOR, len(bodies) + 1, _OPENS_MPS
        (plan[WITHIN],) = drawn((spec.opens_m,), rng)
        car, leaf = bodies[-1], door()
        plan[END_M] = scripted[-1].shift_m + float(car.width_m[0] + leaf.width_m[0]) / 2
        s_m = scripted[-1].s_m + _HINGE * _length_m(car)
        scripted.append(scripted[-1]._replace(s_m=s_m, drives=int(DRIVEN[DOOR, WAITS])))
        bodies.append(leaf)
    return DrawnHazard(plan, NO_STRIPS, joined(bodies), tuple(scripted))


def parked_m(bodies: Sequence[ObstacleBody]) -> float:
    """Return how much of a street parked vehicles take [m]."""
    return sum(_length_m(one_of(body, 0.0)) + _APART_M for body in bodies)


def park(
    bodies: Sequence[ObstacleBody], site: Site, lane: int, front_m: float
) -> tuple[list[Vehicles], list[Scripted]]:
    """Return vehicles parked on the right of a lane, the first of which ends at `front_m` [m] of it, and their places.

    Nobody minds them.
    """
    parked, places = [one_of(body, 0.0) for body in bodies], list[Scripted]()
    for body in parked:
        aside_m = (float(site.network.width_m[lane]) + float(body.width_m[0])) / 2 + BESIDE_M
        at_m = front_m - _length_m(body) / 2
        places.append(Scripted(lane, at_m, -aside_m, 0.0, ASIDE, 0, np.zeros((0, 3))))
        front_m -= _length_m(body) + _APART_M
    return parked, places


def _length_m(body: Vehicles) -> float:
    return float(body.length_m[0])
