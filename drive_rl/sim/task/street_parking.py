"""The ego car in a parking bay: how far beside its lane, and who is parked before and behind it, and who comes."""

import numpy as np

from drive_rl.config.specs.streets.hazard import ParkingExitSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.task.hazard_site import NO_STRIPS, ROOM_M, DrawnHazard, Site, drawn, end_of, new_plan
from drive_rl.sim.task.street_obstacle import BESIDE_M, park
from drive_rl.sim.traffic.actors import OWN, Scripted
from drive_rl.sim.traffic.hazards.hazard import PARKING_EXIT
from drive_rl.sim.traffic.population import BODIES, joined, one_of

_LENGTH_M = BODIES["car"].length_m
_SHARE = 0.8  # of the speed limit: how fast who comes begins
_AHEAD_M = 30.0
"""From the one before it to the stop line, at least [m]."""


def bay_m(network: RoadNetwork, route: StreetRoute, width_m: float) -> float:
    """Return where a car of some width [m] is in a bay, left-positive from the first lane's centre line [m]."""
    return -(float(network.width_m[route.lanes[0]]) + width_m) / 2 - BESIDE_M


def bay_room(spec: ParkingExitSpec, network: RoadNetwork, route: StreetRoute) -> bool:
    """Return whether a route begins in a rightmost lane that is long enough."""
    lane, s_m = int(route.lanes[0]), route.start_m - float(route.from_m[0])
    before_m, behind_m = spec.room_m[1], max(spec.room_m[1], spec.comes_m[1])
    half_m = 1.5 * _LENGTH_M
    fits = s_m >= half_m + behind_m and s_m + half_m + before_m + _AHEAD_M <= end_of(network, lane)
    return network.right[lane] < 0 and fits


def draw_bay(spec: ParkingExitSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    """Draw who is parked around the ego car, and who comes in the lane.

    Raises:
        DriveRLError: the route has no room for them.
    """
    route = site.route
    if not bay_room(spec, site.network, route):
        raise DriveRLError(
            f"streets.hazard.room_m = {list(spec.room_m)}: found no route that begins in a rightmost lane with so much"
            " room, and a car, before and behind its start; fix: a smaller streets.hazard.room_m or comes_m, longer"
            " blocks or another kind of streets.map, or, with a streets.junction, a larger approach_m there"
        )
    lane, s_m = int(route.lanes[0]), route.start_m - float(route.from_m[0])
    before_m, behind_m, comes_m = drawn((spec.room_m, spec.room_m, spec.comes_m), rng)
    half_m = _LENGTH_M / 2
    ahead, ahead_places = park(("car",), site, lane, s_m + half_m + before_m + _LENGTH_M)
    behind, behind_places = park(("car",), site, lane, s_m - half_m - behind_m)
    at_m = s_m - comes_m - _LENGTH_M
    free = np.array([(float(lane), at_m - half_m - ROOM_M, s_m)])
    comes = Scripted(lane, at_m, 0.0, _SHARE * float(site.network.speed_limit_mps[lane]), OWN, 0, free)
    actors = joined([one_of("car", BODIES["car"].top_speed_mps), *ahead, *behind])
    return DrawnHazard(new_plan(PARKING_EXIT, 0, 0.0), NO_STRIPS, actors, (comes, *ahead_places, *behind_places))
