"""What a batch engine does for one car in streets: its traffic, its step, and what stands in its picture."""

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.engines.car_step import body_of, drive_car, record, take_in
from drive_rl.sim.engines.streets.maps import BESIDE, LANES, POSTS, lines_of, streets_at
from drive_rl.sim.map.geometry import project
from drive_rl.sim.sensors.bodies import MOST_PARTS, rear_lamps, walking
from drive_rl.sim.sensors.streets.roadside import MOST_PARTS as MOST_BESIDE
from drive_rl.sim.sensors.streets.roadside import add_roadside, shows_beside
from drive_rl.sim.sensors.streets.solids import (
    MOST_MOVING,
    SIGNAL_LANE,
    SIGNAL_PARTS,
    SIGNAL_X,
    SIGNAL_Y,
    VIEW_M,
    add_signal,
    add_vehicle,
    is_aside,
    may_show,
)
from drive_rl.sim.task.outcome import LANE_STATE, Ahead, S, speed_at
from drive_rl.sim.traffic.actors import LANE, SHIFT, Traffic
from drive_rl.sim.traffic.actors import S as ACTOR_S
from drive_rl.sim.traffic.contacts import bodies_touch, pose_of
from drive_rl.sim.traffic.ego import allowed_ahead, move_ego, route_lanes, take_up, turn_ahead
from drive_rl.sim.traffic.hazards.door import open_door
from drive_rl.sim.traffic.hazards.hazard import Hazard, act, allowed_before
from drive_rl.sim.traffic.hazards.parking import is_parked, pull_out
from drive_rl.sim.traffic.hazards.walkers import Walkers, walk_across
from drive_rl.sim.traffic.lamps import brakes, signals
from drive_rl.sim.traffic.passing import allowed_past, fill_passing, is_obstacle, leeway, reach_over
from drive_rl.sim.traffic.population import LENGTH, WIDTH
from drive_rl.sim.traffic.step import step_traffic
from drive_rl.sim.traffic.streets import NONE, light_of

_NEAR_M = 20.0
"""Bodies that are farther apart never touch [m]."""
_BESIDE_M = 8.0
"""No actor is farther from the point of its lane that stands for it [m]."""
_SHADOW_M = 0.6
"""Nor reaches its shadow farther from its body [m]."""
_SIGNAL_M = 1.0
"""So far from its post does a signal reach, with its shadow [m]."""
WAITING_MPS = 2.0
"""A car that may not drive faster has to wait [m/s]."""


@njit(inline="always")
def traffic_of(i, streets, maps, dt):
    """Return the traffic around car i; dt: time step [s], where it matters."""
    m = streets.map[i]
    return Traffic(
        streets_at(m, maps),
        streets.driver[i],
        streets.whole[i],
        streets.real[i],
        streets.hold[i],
        streets.hold_s[i],
        streets.by_id,
        streets.route[i],
        streets.route_m[i],
        streets.way[i],
        streets.by_lane[i, : maps.sizes[m, LANES]],
        streets.claim[i],
        streets.link[i],
        streets.place[i],
        streets.seed[i],
        dt,
    )


@njit(inline="always")
def hazard_of(i, streets):
    """Return the hazard on the way of car i."""
    return Hazard(streets.hazard_plan[i], streets.hazard_strips[i], streets.hazard[i])


@njit
def step_street_car(i, cars, around, plan, command):
    """Drive car i one control step, and all around it."""
    roads, streets, maps = around.routes, around.cars, around.maps
    before, s_before = body_of(i, cars.body).vx_mps, cars.metrics[i, S]
    step_actors(i, streets, maps, cars.steps[i], plan.rules.control_hz)
    turned, touched = drive_car(i, cars, roads, plan, command)
    car = body_of(i, cars.body)
    s, d, _, _ = project(roads.knots[i], car.x_m, car.y_m, s_before)
    enter_car(i, (s - s_before, d, car.vx_mps), streets, maps)
    touched |= _touches(i, car, (plan.half_length, plan.half_width), streets, maps)
    ahead = ahead_of(i, touched, (cars.steps[i], plan.rules.blocked_steps), streets, maps)
    take_in(i, cars, roads, plan.rules, before, turned, ahead)
    fill_beyond(i, around, cars.metrics[i, S], cars.state[i])
    record(i, cars)


@njit
def find_allowed(i, cars, around, plan):
    """Work out what car i may do where it begins."""
    roads, streets, maps = around.routes, around.cars, around.maps
    ahead = ahead_of(i, False, (0, plan.rules.blocked_steps), streets, maps)
    take_in(i, cars, roads, plan.rules, body_of(i, cars.body).vx_mps, 0.0, ahead)
    fill_beyond(i, around, cars.metrics[i, S], cars.state[i])


@njit_scalar
def step_actors(i, streets, maps, steps, control_hz):
    """Move all around car i, which is still where it was."""
    traffic = traffic_of(i, streets, maps, 1.0 / control_hz)
    clock = streets.first_step[i] + steps
    walk_across(traffic, Walkers(streets.walk_plan[i], streets.walk_strips[i], streets.walk[i]), clock)
    act(traffic, hazard_of(i, streets))
    open_door(traffic, hazard_of(i, streets))
    step_traffic(traffic, clock)


@njit_scalar
def enter_car(i, moved, streets, maps):
    """Enter where car i has come to: so far along its route [m], so far beside it [m], and its speed [m/s]."""
    traffic = traffic_of(i, streets, maps, 0.0)
    move_ego(traffic, moved[0], moved[1], moved[2])
    take_place(traffic, hazard_of(i, streets))


@njit_scalar
def take_place(traffic, hazard):
    """Have those in the lane that the ego car reaches into mind it there, too."""
    if is_obstacle(hazard):
        reach_over(traffic)
    else:
        take_up(traffic)


@njit_scalar
def ahead_of(i, touched, since, streets, maps):
    """Return what is `Ahead` of car i; `since`: how many steps it has driven, and within how many it waits if it had
    to.
    """
    (steps, within), traffic = since, traffic_of(i, streets, maps, 0.0)
    allowed, stands, free = allowed_of(traffic, hazard_of(i, streets))
    if allowed < WAITING_MPS or stands:
        streets.held[i] = steps
    return Ahead(touched, allowed, steps - streets.held[i] < within, free, *route_lanes(traffic))


@njit_scalar
def allowed_of(traffic, hazard):
    """Return the fastest speed [m/s] that the ego car may drive, whether it has to wait, and its leeway [m]."""
    if is_obstacle(hazard):
        allowed, stands = allowed_past(traffic, hazard)
        return allowed, stands, leeway(traffic, hazard)
    if is_parked(hazard):
        return pull_out(traffic, hazard)
    return min(allowed_ahead(traffic), allowed_before(traffic, hazard)), False, 0.0


@njit_scalar
def fill_beyond(i, around, s, state):
    """Fill what the state of car i, at `s` [m] of its route, has beyond that of a lane."""
    if state.size > LANE_STATE:
        streets = around.cars
        traffic, profile_mps = traffic_of(i, streets, around.maps, 0.0), speed_at(around.routes.speed_profile[i], s)
        fill_passing(traffic, hazard_of(i, streets), profile_mps, state[LANE_STATE:])


@njit_scalar
def turn_of(i, streets, maps):
    """Return what `turn_ahead` does, for car i."""
    return turn_ahead(traffic_of(i, streets, maps, 0.0))


@njit_scalar
def _touches(i, car, half, streets, maps):
    """Return whether an actor touches car i, as rectangles on the ground."""
    traffic, lines = traffic_of(i, streets, maps, 0.0), lines_of(streets.map[i], maps)
    own = car.x_m, car.y_m, car.yaw_rad
    for j in range(1, traffic.whole.shape[0]):
        if _is_within(j, car.x_m, car.y_m, _NEAR_M, lines, traffic):
            other = 0.5 * traffic.driver[j, LENGTH], 0.5 * traffic.driver[j, WIDTH]
            if bodies_touch(own, half, pose_of(j, traffic, lines), other):
                return True
    return False


@njit_scalar
def bodies_near(i, car, streets, maps, bodies):
    """Fill rows of `bodies` (A, 5) with x, y [m], yaw [rad], half length and half width [m] of the actors near car i;
    return how many there are.
    """
    traffic, lines = traffic_of(i, streets, maps, 0.0), lines_of(streets.map[i], maps)
    count = 0
    for j in range(1, traffic.whole.shape[0]):
        if _is_within(j, car.x_m, car.y_m, _NEAR_M, lines, traffic):
            bodies[count, 0], bodies[count, 1], bodies[count, 2] = pose_of(j, traffic, lines)
            bodies[count, 3], bodies[count, 4] = 0.5 * traffic.driver[j, LENGTH], 0.5 * traffic.driver[j, WIDTH]
            count += 1
    return count


@njit_scalar
def fill_poses(i, streets, maps, poses):
    """Fill rows of `poses` (A, 3) with x, y [m] and yaw [rad] of the actors around car i; the first stays."""
    traffic, lines = traffic_of(i, streets, maps, 0.0), lines_of(streets.map[i], maps)
    for j in range(1, traffic.whole.shape[0]):
        poses[j, 0], poses[j, 1], poses[j, 2] = pose_of(j, traffic, lines)


@njit_scalar
def _is_within(j, x, y, metres, lines, traffic):
    """Return whether actor j may be within some metres of a point, by the nearest point of its lane."""
    if traffic.whole[j, LANE] == NONE:
        return False
    near_x, near_y = _point_near(j, lines, traffic)
    dx, dy = near_x - x, near_y - y
    return dx * dx + dy * dy < (metres + _BESIDE_M) * (metres + _BESIDE_M)


@njit_scalar
def _point_near(j, lines, traffic):
    """Return x, y [m] of the point of actor j's lane that stands for it."""
    lane = traffic.whole[j, LANE]
    first, last = lines.first_point[lane], lines.first_point[lane + 1] - 1
    point = min(first + max(int(traffic.real[j, ACTOR_S] / lines.step_m[lane]), 0), last)
    return lines.x_m[point], lines.y_m[point]


@njit_scalar
def fill_solids(i, at, rays, streets, maps, time_s, rows):
    """Enter the solids that a camera of car i, at a `Viewpoint` and with such `Rays`, may see at a time into
    `SolidRows`; return how many there are.
    """
    m = streets.map[i]
    traffic, lines = traffic_of(i, streets, maps, 0.0), lines_of(m, maps)
    room, n = MOST_MOVING, 0
    for j in range(1, traffic.whole.shape[0]):
        if n + MOST_PARTS > room or not _is_within(j, at.x, at.y, VIEW_M, lines, traffic):
            continue
        size = traffic.driver[j, LENGTH], traffic.driver[j, WIDTH]
        reach, (near_x, near_y) = 0.5 * (size[0] + size[1]) + _SHADOW_M, _point_near(j, lines, traffic)
        if is_aside(near_x, near_y, reach + _BESIDE_M, at, rays):
            continue
        pose = pose_of(j, traffic, lines)
        if may_show(pose[0], pose[1], at) and not is_aside(pose[0], pose[1], reach, at, rays):
            kind = walking(streets.kind[i, j], traffic.real[j, SHIFT])
            lamps = rear_lamps(brakes(j, traffic), signals(j, traffic, time_s))
            n = add_vehicle(rows, n, kind, size, pose, (streets.paint[i], j), lamps)
    signal = maps.signal[m]
    for k in range(maps.sizes[m, POSTS]):
        x, y = signal[k, SIGNAL_X], signal[k, SIGNAL_Y]
        if n + SIGNAL_PARTS <= room and may_show(x, y, at) and not is_aside(x, y, _SIGNAL_M, at, rays):
            light = light_of(traffic.streets, int(signal[k, SIGNAL_LANE]), time_s)
            n = add_signal(rows, n, signal, k, light)
    beside, posts = maps.beside[m], maps.sizes[m, POSTS]
    for k in range(maps.sizes[m, BESIDE]):
        if n + MOST_BESIDE <= rows.shape.shape[0] and shows_beside(beside, k, at, rays):
            n = add_roadside(rows, n, beside, k, -1 - posts - k)
    return n
