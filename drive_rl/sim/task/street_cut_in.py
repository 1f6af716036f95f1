"""Who cuts in on a route: it parks beside the route's first lane, or stands or drives in the lane beside that."""

import numpy as np

from drive_rl.config.specs.streets.hazard import CutInSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.lane_geometry import may_change
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.task.hazard_site import NO_STRIPS, ROOM_M, DrawnHazard, Site, drawn, end_of, new_plan, stretch
from drive_rl.sim.task.street_obstacle import park, parked_m
from drive_rl.sim.traffic.hazards.cut_in import CHANGE_S
from drive_rl.sim.traffic.hazards.hazard import CUTS_IN, DRIVEN, EARLY_S, PULLS_OUT, SPEED_MPS, WAITS
from drive_rl.sim.traffic.population import BODIES, joined, one_of

_LENGTH_M = BODIES["car"].length_m
_AHEAD_M = 20.0
"""From its front to the stop line at least [m]: it is in the lane before the junction."""
_WAITS_S = 7.0
"""Who drives beside the ego car's lane can wait for so long [s]."""
_SLOWER = 0.75
"""Who drives beside the ego car's lane drives no faster, over the limit there: the ego car comes near."""


def cut_in_room(spec: CutInSpec, network: RoadNetwork, route: StreetRoute) -> bool:
    """Return whether the lane that a route begins in, and the one that it comes from, are there and long enough."""
    lane, begins_m = int(route.lanes[0]), route.start_m - float(route.from_m[0])
    beside = _comes_from(spec, network, lane)
    row_m = parked_m(("car", *spec.behind)) - _LENGTH_M
    if beside < 0 or begins_m + spec.distance_m[0] < row_m:
        return False
    ahead_m = _AHEAD_M if _stands(spec) else (_WAITS_S + CHANGE_S) * spec.speed_mps[1]
    slower = _stands(spec) or spec.speed_mps[1] <= _SLOWER * network.speed_limit_mps[lane]
    return bool(slower and begins_m + spec.distance_m[1] + _LENGTH_M + ahead_m <= end_of(network, lane))


def draw_cut_in(spec: CutInSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    """Draw who cuts in, and what stands behind it.

    Raises:
        DriveRLError: the route has no room for it.
    """
    network, route = site.network, site.route
    if not cut_in_room(spec, network, route):
        raise DriveRLError(
            f"streets.hazard.comes_from = {spec.comes_from}: found no route that begins in a lane that a car can come"
            f" into from there, {list(spec.distance_m)} m beyond its start; fix: another streets.hazard.comes_from, a"
            " smaller streets.hazard.distance_m or speed_mps, or longer blocks or another kind of streets.map"
        )
    distance_m, speed_mps, early_s = drawn((spec.distance_m, spec.speed_mps, spec.early_s), rng)
    lane = int(route.lanes[0])
    beside, front_m = _comes_from(spec, network, lane), route.start_m + distance_m + _LENGTH_M
    begins_mps = 0.0 if _stands(spec) else min(speed_mps, site.speed_mps)
    kind = PULLS_OUT if spec.comes_from == "parking" else CUTS_IN
    plan = new_plan(kind, 0, 0.0)
    plan[SPEED_MPS], plan[EARLY_S] = 0.0 if _stands(spec) else speed_mps, early_s
    ends_s = (front_m - float(route.from_m[0])) * float(network.length_m[beside] / network.length_m[lane])
    (_, *behind), places = park(("car", *spec.behind), site, beside, ends_s)
    drives, aside = int(DRIVEN[kind, WAITS]), kind == PULLS_OUT
    row = [[beside, ends_s - distance_m - parked_m(("car", *spec.behind)), ends_s + ROOM_M]]
    free = np.concatenate([stretch(site, route.start_m, front_m + ROOM_M), *([] if aside else [row])])
    places = [
        each._replace(shift_m=each.shift_m if aside else 0.0, drives=drives, speed_mps=begins_mps, free=free)
        for each in places
    ]
    return DrawnHazard(plan, NO_STRIPS, joined([*behind, one_of("car", speed_mps)]), (*places[1:], places[0]))


def _stands(spec: CutInSpec) -> bool:
    return spec.comes_from == "parking" or bool(spec.behind)


def _comes_from(spec: CutInSpec, network: RoadNetwork, lane: int) -> int:
    """Return the lane in whose frame it begins; -1: there is none."""
    if spec.comes_from == "parking":
        return -1 if network.right[lane] >= 0 else lane
    to_left = spec.comes_from == "left"
    return int((network.left if to_left else network.right)[lane]) if may_change(network, lane, to_left) else -1
