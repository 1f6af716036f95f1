"""An emergency vehicle on a route: where it begins behind the ego car, in a lane that the route leaves to the right."""

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.streets.hazard import EmergencyVehicleSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.task.hazard_site import NO_STRIPS, ROOM_M, DrawnHazard, Site, drawn, new_plan
from drive_rl.sim.traffic.actors import Scripted
from drive_rl.sim.traffic.hazards.hazard import DRIVEN, EMERGENCY, WAITS
from drive_rl.sim.traffic.population import BODIES, emergency_vehicle

_LENGTH_M = BODIES["van"].length_m
_FREE_M = 150.0
"""Nobody begins in its lane so near before the ego car [m]: it is not held up by others."""


def emergency_room(spec: EmergencyVehicleSpec, network: RoadNetwork, route: StreetRoute) -> bool:
    """Return whether a route leaves its first lane, one of the fastest, to the right, and the vehicle has a way of its
    own behind it.
    """
    lane, limit = route.lanes[0], network.speed_limit_mps
    leaves_right = network.right[lane] == route.lanes[1] and limit[lane] == limit.max()
    return bool(leaves_right) and len(_way(network, route, spec.behind_m[1])) > 0


def draw_emergency(spec: EmergencyVehicleSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    """Draw the vehicle.

    Raises:
        DriveRLError: the route has no room for it.
    """
    network, route = site.network, site.route
    if not emergency_room(spec, network, route):
        raise DriveRLError(
            f"streets.hazard.behind_m = {list(spec.behind_m)}: found no route that begins in one of the fastest"
            " lanes, leaves it to the right, and has so much of it behind its start; fix: a smaller"
            " streets.hazard.behind_m, or a streets.map with longer lanes side by side, such as {kind: motorway}"
        )
    behind_m, speed_factor = drawn((spec.behind_m, spec.speed_factor), rng)
    way = _way(network, route, behind_m)
    lane, s_m = _along(way, ROOM_M + _LENGTH_M / 2)
    limit_mps = float(network.speed_limit_mps[lane])
    vehicle = emergency_vehicle(speed_factor)
    speed_mps = min(speed_factor * limit_mps, float(vehicle.top_speed_mps[0]))
    scripted = Scripted(lane, s_m, 0.0, speed_mps, int(DRIVEN[EMERGENCY, WAITS]), 0, way)
    return DrawnHazard(new_plan(EMERGENCY, 0, 0.0), NO_STRIPS, vehicle, (scripted,))


def _way(network: RoadNetwork, route: StreetRoute, behind_m: float) -> NDArray[np.float64]:
    """Return the way from behind a vehicle that begins so far behind the ego car to before that, along its first lane,
    as rows of `Scripted.free`; empty: another way joins or leaves it behind that car, or the speed limit changes there.
    """
    lane, start_m = int(route.lanes[0]), route.start_m - float(route.from_m[0])
    rear_m, front_m = start_m - behind_m - 1.5 * _LENGTH_M - ROOM_M, start_m + _FREE_M
    rows = [(float(lane), max(rear_m, 0.0), min(front_m, float(network.length_m[lane])))]
    while rear_m < 0.0:
        lanes = network.predecessor[network.first_predecessor[lane] : network.first_predecessor[lane + 1]]
        as_fast = network.speed_limit_mps[lanes[0]] == network.speed_limit_mps[lane]
        if len(lanes) != 1 or not as_fast or np.diff(network.first_successor[lanes[0] : lanes[0] + 2]) != 1:
            return np.zeros((0, 3))
        lane = int(lanes[0])
        rear_m += float(network.length_m[lane])
        rows.insert(0, (float(lane), max(rear_m, 0.0), float(network.length_m[lane])))
    return np.array(rows)


def _along(way: NDArray[np.float64], far_m: float) -> tuple[int, float]:
    """Return a lane, and s [m] of the middle of a vehicle so far along a way, whose rear is on that lane, too."""
    passed_m = np.cumsum(way[:, 2] - way[:, 1])
    row = int(np.searchsorted(passed_m, far_m, side="right"))
    s_m = float(way[row, 2] - passed_m[row]) + far_m
    return int(way[row, 0]), max(s_m, _LENGTH_M / 2)
