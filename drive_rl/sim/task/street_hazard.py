"""What happens on a route beside the traffic: the hazard of a road seed, drawn. How it goes on: `traffic.hazards`."""

import numpy as np

from drive_rl.config.specs.streets.hazard import (
    BlockedLaneSpec,
    CrossingPedestrianSpec,
    CrossingVehicleSpec,
    CutInSpec,
    EmergencyVehicleSpec,
    HardBrakeSpec,
    HazardSpec,
    InvadingCarsSpec,
    ObstacleSpec,
    ParkingExitSpec,
)
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.geometry import wrap
from drive_rl.sim.map.network import Priority, RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.task.hazard_site import NO_STRIPS, ROOM_M, DrawnHazard, Site, drawn, new_plan, place_on, stretch
from drive_rl.sim.task.street_cut_in import cut_in_room, draw_cut_in
from drive_rl.sim.task.street_emergency import draw_emergency, emergency_room
from drive_rl.sim.task.street_invaders import draw_invaders, invaders_room
from drive_rl.sim.task.street_obstacle import draw_obstacle, obstacle_room, park, parked_m
from drive_rl.sim.task.street_parking import bay_room, draw_bay
from drive_rl.sim.traffic.actors import Scripted, draw
from drive_rl.sim.traffic.hazards.hazard import (
    BLOCKED_LANE,
    CONNECTION,
    CROSSING_VEHICLE,
    DRIVEN,
    EARLY_S,
    END_M,
    FROM_M,
    HARD_BRAKE,
    PEDESTRIAN,
    SPEED_MPS,
    STANDS_S,
    TO_M,
    WAITS,
    WITHIN,
)
from drive_rl.sim.traffic.hazards.strips import (
    MIDDLE,
    MOST_STRIPS,
    SIDE,
    STRIP_LANE,
    STRIP_S,
    UNTIL,
    strips_across,
)
from drive_rl.sim.traffic.population import BODIES, joined, one_of, who_crosses
from drive_rl.sim.traffic.streets import APPROACH, END_NEXT, FIRST_NEXT, LEFT, RIGHT, Streets

CAR = BODIES["car"]
"""What vehicles of hazards are."""
LEAD_SHARE = 0.8
"""How fast who brakes hard drives before, over the ego car's target speed: the ego car comes near."""
_USUAL_SHARE = 0.7  # of the target speed: how fast the ego car is expected before a junction, at least
_BEFORE_LINE_M = 2.0
_APPROACH_M = 35.0
"""Who crosses comes from a lane that is so long [m] ..."""
_BEFORE_THE_JUNCTION_M = 15.0
"""... and begins at least so far before the stop line [m]."""


def draw_hazard(spec: HazardSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    """Draw the hazard of an episode.

    Raises:
        DriveRLError: the route has no place for it.
    """
    if isinstance(spec, HardBrakeSpec):
        return _draw_hard_brake(spec, site, rng)
    if isinstance(spec, BlockedLaneSpec):
        return _draw_blocked_lane(spec, site, rng)
    if isinstance(spec, CrossingVehicleSpec):
        return _draw_crossing_vehicle(spec, site, rng)
    if isinstance(spec, ObstacleSpec):
        return draw_obstacle(spec, site, rng)
    if isinstance(spec, CutInSpec):
        return draw_cut_in(spec, site, rng)
    if isinstance(spec, EmergencyVehicleSpec):
        return draw_emergency(spec, site, rng)
    if isinstance(spec, ParkingExitSpec):
        return draw_bay(spec, site, rng)
    if isinstance(spec, InvadingCarsSpec):
        return draw_invaders(spec, site, rng)
    return _draw_pedestrian(spec, site, rng)


def _draw_hard_brake(spec: HardBrakeSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    gap_m, after_m, stands_s = drawn((spec.gap_m, spec.after_m, spec.stands_s), rng)
    route = site.route
    at_m = route.start_m + gap_m + CAR.length_m
    lead, s_m = place_on(route, at_m)
    at, at_s = place_on(route, route.start_m + after_m)
    plan = new_plan(HARD_BRAKE, at, at_s)
    plan[WITHIN], plan[STANDS_S] = spec.within_m, stands_s
    free, top_mps = stretch(site, route.start_m, at_m + ROOM_M), LEAD_SHARE * site.target_mps
    place = int(route.lanes[lead]), s_m, 0.0, min(site.speed_mps, top_mps)
    scripted = Scripted(*place, int(DRIVEN[HARD_BRAKE, WAITS]), lead, free)
    return DrawnHazard(plan, NO_STRIPS, one_of("car", top_mps), (scripted,))


def _draw_blocked_lane(spec: BlockedLaneSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    distance_m, stands_s = drawn((spec.distance_m, spec.stands_s), rng)
    half_m = CAR.length_m / 2
    at, s_m = _place(spec, distance_m + half_m, half_m, site)
    plan = new_plan(BLOCKED_LANE, 0, 0.0)
    plan[WITHIN], plan[STANDS_S] = spec.within_m, stands_s
    free = stretch(site, site.route.start_m, float(site.route.from_m[at]) + s_m + half_m + ROOM_M)
    place = int(site.route.lanes[at]), s_m, 0.0, 0.0
    scripted = Scripted(*place, int(DRIVEN[BLOCKED_LANE, WAITS]), at, free)
    return DrawnHazard(plan, NO_STRIPS, one_of("car", CAR.top_speed_mps), (scripted,))


def _draw_crossing_vehicle(spec: CrossingVehicleSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    speed_mps, early_s = drawn((spec.speed_mps, spec.early_s), rng)
    network, route, half_m = site.network, site.route, CAR.length_m / 2
    own = int(route.lanes[1])
    ways = crossing_ways(spec, network, site.streets, own)
    other = ways[int(rng.integers(len(ways)))]
    approach = int(site.streets.tie[other, APPROACH])
    (own_m, _), (from_m, to_m) = _meeting(network, own, other), _meeting(network, other, own)
    plan = new_plan(CROSSING_VEHICLE, 1, own_m)
    plan[SPEED_MPS], plan[EARLY_S], plan[CONNECTION], plan[FROM_M], plan[TO_M] = (
        speed_mps, early_s, other, from_m, to_m,
    )  # fmt: skip
    way_m = float(route.from_m[1]) + own_m - route.start_m
    time_s = way_m / max(site.speed_mps, _USUAL_SHARE * site.target_mps)
    length_m = float(network.length_m[approach])
    last_m = float(network.stop_s_m[approach]) - half_m - _BEFORE_THE_JUNCTION_M
    s_m = min(max(length_m + from_m - half_m - speed_mps * time_s, half_m + 1.0), last_m)
    goals = leading_goals(site.streets, approach, other)
    count = next(g for g in range(100_000) if draw(*site.actor, g) % len(site.streets.goal) in goals)
    free = np.concatenate([
        stretch(site, route.start_m, float(route.from_m[1])), [[approach, s_m - half_m - ROOM_M, length_m]]
    ])  # fmt: skip
    place = approach, s_m, 0.0, min((length_m + from_m - half_m - s_m) / time_s, speed_mps)
    scripted = Scripted(*place, int(DRIVEN[CROSSING_VEHICLE, WAITS]), count, free)
    return DrawnHazard(plan, NO_STRIPS, one_of("car", CAR.top_speed_mps), (scripted,))


def _draw_pedestrian(spec: CrossingPedestrianSpec, site: Site, rng: np.random.Generator) -> DrawnHazard:
    distance_m, beside_m, speed_mps, early_s, side = drawn(
        (spec.distance_m, spec.beside_m, spec.speed_mps, spec.early_s, (-1.0, 1.0)), rng
    )
    from_left = side > 0 if spec.side is None else spec.side == "left"
    body = who_crosses(spec.who)
    half_m, reach_m = float(body.length_m[0]) / 2, float(body.width_m[0]) / 2
    at, s_m = _place(spec, distance_m, half_m + parked_m(spec.behind), site)
    lane = int(site.route.lanes[at])
    strips, end_m = strips_across(site.network, lane, s_m, (beside_m, reach_m), from_left)
    own = int(np.flatnonzero(strips[:, STRIP_LANE] == lane)[0])
    plan = new_plan(PEDESTRIAN, at, s_m - half_m)
    plan[SPEED_MPS], plan[EARLY_S], plan[FROM_M] = speed_mps, early_s, strips[own, MIDDLE]
    plan[TO_M], plan[END_M] = strips[own, UNTIL], end_m
    free = stretch(site, site.route.start_m, float(site.route.from_m[at]) + s_m + ROOM_M)
    shift_m = float(-strips[0, SIDE] * strips[0, MIDDLE])
    place = int(strips[0, STRIP_LANE]), float(strips[0, STRIP_S]), shift_m, 0.0
    padded = np.zeros((MOST_STRIPS, 5))
    padded[: len(strips)] = strips
    scripted = Scripted(*place, int(DRIVEN[PEDESTRIAN, WAITS]), 0, free)
    parked, places = park(spec.behind, site, place[0], place[1] - 2 * half_m)
    return DrawnHazard(plan, padded, joined([*parked, body]), (*places, scripted))


def crossing_ways(spec: CrossingVehicleSpec, network: RoadNetwork, streets: Streets, connection: int) -> list[int]:
    """Return the connections on which a hazard's vehicle crosses a connection of the ego car's, in order."""
    found, asked = list[int](), Priority.NEITHER if spec.kind == "runs_red_light" else Priority.GOES_FIRST
    for c in range(network.first_conflict[connection], network.first_conflict[connection + 1]):
        other = int(network.conflict_lane[c])
        approach = int(streets.tie[other, APPROACH])
        if network.conflict_priority[c] != asked or network.length_m[approach] < _APPROACH_M:
            continue
        turned = wrap(_yaw(network, other) - _yaw(network, connection))
        side = "ahead" if abs(turned) > 3 * np.pi / 4 else "left" if turned < 0 else "right"
        fits = spec.comes_from in (None, side) and not np.isnan(network.stop_s_m[approach])
        if fits and network.junction[approach] < 0 and leading_goals(streets, approach, other):
            found.append(other)
    return found


def leading_goals(streets: Streets, lane: int, connection: int) -> set[int]:
    """Return the goals, as places in `Streets.goal`, to which drivers on a lane take a connection."""
    ways = streets.next[streets.tie[lane, FIRST_NEXT] : streets.tie[lane, END_NEXT]]
    to_goal = streets.to_goal.reshape(len(streets.goal), -1)[:, ways]
    here = {lane, int(streets.tie[lane, LEFT]), int(streets.tie[lane, RIGHT])}
    return {
        goal
        for goal, first in enumerate(np.argmin(to_goal, 1).tolist())
        if ways[first] == connection and int(streets.goal[goal]) not in here
    }


def _meeting(network: RoadNetwork, connection: int, other: int) -> tuple[float, float]:
    """Return from where to where [m] on a connection cars touch those on another one."""
    rows = range(network.first_conflict[connection], network.first_conflict[connection + 1])
    c = next(c for c in rows if network.conflict_lane[c] == other)
    return float(network.conflict_s_m[c]), float(network.conflict_end_s_m[c])


def _yaw(network: RoadNetwork, lane: int) -> float:
    return float(network.yaw_rad[network.first_point[lane]])


def has_room(spec: HazardSpec, network: RoadNetwork, route: StreetRoute) -> bool:
    """Return whether a route has a place for a hazard that begins at a place of its own, wherever that is drawn."""
    if isinstance(spec, ObstacleSpec):
        return obstacle_room(spec, network, route)
    if isinstance(spec, CutInSpec):
        return cut_in_room(spec, network, route)
    if isinstance(spec, EmergencyVehicleSpec):
        return emergency_room(spec, network, route)
    if isinstance(spec, ParkingExitSpec):
        return bay_room(spec, network, route)
    if isinstance(spec, InvadingCarsSpec):
        return invaders_room(spec, network, route)
    if not isinstance(spec, BlockedLaneSpec | CrossingPedestrianSpec):
        return True
    half_m = CAR.length_m / 2 + (parked_m(spec.behind) if isinstance(spec, CrossingPedestrianSpec) else 0.0)
    return _beyond(spec.beyond, spec.distance_m[1] + CAR.length_m / 2, half_m, network, route) is not None


def _place(
    spec: BlockedLaneSpec | CrossingPedestrianSpec, distance_m: float, half_m: float, site: Site
) -> tuple[int, float]:
    """Return `_beyond` of a spec, or refuse that there is none."""
    found = _beyond(spec.beyond, distance_m, half_m, site.network, site.route)
    if found is None:
        fewer = "fewer in streets.hazard.behind, " if isinstance(spec, CrossingPedestrianSpec) and spec.behind else ""
        raise DriveRLError(
            f"streets.hazard.distance_m: found no place {distance_m:.0f} m beyond the {spec.beyond} on a route of"
            f" {site.route.end_m - site.route.start_m:.0f} m; fix: {fewer}a smaller streets.hazard.distance_m, a larger"
            " streets.route_m, or another streets.hazard.beyond"
        )
    return found


def _beyond(
    beyond: str, distance_m: float, half_m: float, network: RoadNetwork, route: StreetRoute
) -> tuple[int, float] | None:
    """Return the first place so far beyond the start or the first junction of the route where an actor of this half
    length stands clear of junctions and stop lines: the place of a lane in the route, and s on it [m].
    """
    inside, length_m = network.junction[route.lanes] >= 0, network.length_m[route.lanes]
    from_m = route.start_m
    if beyond == "junction":
        if not inside.any():
            return None
        first = int(np.argmax(inside))
        from_m = float(route.from_m[first] + length_m[first])
    ends_s = np.where(np.isnan(network.stop_s_m), network.length_m, network.stop_s_m)[route.lanes]
    for at in np.flatnonzero(~inside).tolist():
        s_m = max(from_m + distance_m - float(route.from_m[at]), half_m + 1.0)
        if s_m <= float(ends_s[at]) - half_m - _BEFORE_LINE_M:
            return (at, s_m) if float(route.from_m[at]) + s_m < route.end_m else None
    return None
