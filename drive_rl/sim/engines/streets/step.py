"""What a batch engine does for one car in streets: its traffic, its step, and what stands in its picture."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.engines.car_step import Ahead, body_of, drive_car, record, take_in
from drive_rl.sim.engines.streets.maps import LANES, POSTS, Maps, lines_of, streets_at
from drive_rl.sim.map.geometry import project
from drive_rl.sim.sensors.bodies import MOST_PARTS, walking
from drive_rl.sim.sensors.street_solids import (
    SIGNAL_LANE,
    SIGNAL_PARTS,
    SIGNAL_X,
    SIGNAL_Y,
    VIEW_M,
    add_signal,
    add_vehicle,
    may_show,
)
from drive_rl.sim.task.outcome import S
from drive_rl.sim.traffic.actors import LANE, SHIFT, Traffic
from drive_rl.sim.traffic.actors import S as ACTOR_S
from drive_rl.sim.traffic.contacts import bodies_touch, pose_of
from drive_rl.sim.traffic.ego import allowed_ahead, move_ego, turn_ahead
from drive_rl.sim.traffic.hazard import Hazard, act, allowed_before
from drive_rl.sim.traffic.population import LENGTH, WIDTH
from drive_rl.sim.traffic.step import step_traffic
from drive_rl.sim.traffic.streets import NONE, light_of

_NEAR_M = 20.0
"""Bodies that are farther apart never touch [m]."""
_BESIDE_M = 8.0
"""No actor is farther from the point of its lane that stands for it [m]."""
WAITING_MPS = 2.0
"""A car that may not drive faster has to wait [m/s]."""


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
    kind: NDArray[np.int64]  # (N, A), of vehicles
    paint: NDArray[np.float32]  # (N, A, 3)
    driver: NDArray[np.float64]  # (N, A, 14)
    whole: NDArray[np.int64]  # (N, A, 11)
    real: NDArray[np.float64]  # (N, A, 9)
    hold: NDArray[np.int64]  # (N, A, HOLDS)
    hold_s: NDArray[np.float64]  # (N, A, HOLDS)
    held: NDArray[np.int64]  # (N,), the step of its episode at which the car last had to wait
    hazard_plan: NDArray[np.float64]  # (N, 11), Hazard.plan; (N, 0): there is none
    hazard_strips: NDArray[np.float64]  # (N, 8, 5)
    hazard: NDArray[np.int64]  # (N, 2), Hazard.now
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
    allowed, waits = ahead_of(i, cars.steps[i], plan.rules.blocked_steps, streets, maps)
    take_in(i, cars, roads, plan.rules, before, turned, Ahead(touched, allowed, waits))
    record(i, cars)


@njit
def find_allowed(i, cars, around, plan):
    """Work out what car i may do where it begins."""
    roads, streets, maps = around.routes, around.cars, around.maps
    allowed, waits = ahead_of(i, 0, plan.rules.blocked_steps, streets, maps)
    take_in(i, cars, roads, plan.rules, body_of(i, cars.body).vx_mps, 0.0, Ahead(False, allowed, waits))


@njit_scalar
def step_actors(i, streets, maps, steps, control_hz):
    """Move all around car i, which is still where it was."""
    traffic = traffic_of(i, streets, maps, 1.0 / control_hz)
    act(traffic, hazard_of(i, streets))
    step_traffic(traffic, streets.first_step[i] + steps)


@njit_scalar
def enter_car(i, moved, streets, maps):
    """Enter where car i has come to: so far along its route [m], so far beside it [m], and its speed [m/s]."""
    move_ego(traffic_of(i, streets, maps, 0.0), moved[0], moved[1], moved[2])


@njit_scalar
def ahead_of(i, steps, within, streets, maps):
    """Return the fastest speed [m/s] that what is ahead of car i allows, and whether it had to wait some steps ago."""
    traffic = traffic_of(i, streets, maps, 0.0)
    allowed = min(allowed_ahead(traffic), allowed_before(traffic, hazard_of(i, streets)))
    if allowed < WAITING_MPS:
        streets.held[i] = steps
    return allowed, steps - streets.held[i] < within


@njit_scalar
def turn_of(i, streets, maps):
    """Return the `Turn` that the route of car i takes in the junction that it is near to or in."""
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
    lane = traffic.whole[j, LANE]
    if lane == NONE:
        return False
    first, last = lines.first_point[lane], lines.first_point[lane + 1] - 1
    point = min(first + max(int(traffic.real[j, ACTOR_S] / lines.step_m[lane]), 0), last)
    dx, dy = lines.x_m[point] - x, lines.y_m[point] - y
    return dx * dx + dy * dy < (metres + _BESIDE_M) * (metres + _BESIDE_M)


@njit_scalar
def fill_solids(i, at, streets, maps, time_s, rows):
    """Enter the solids that the camera of car i, at a `Viewpoint`, may see at a time into `SolidRows`; return how many
    there are.
    """
    m = streets.map[i]
    traffic, lines = traffic_of(i, streets, maps, 0.0), lines_of(m, maps)
    room, n = rows.shape.shape[0], 0
    for j in range(1, traffic.whole.shape[0]):
        if n + MOST_PARTS > room or not _is_within(j, at.x, at.y, VIEW_M, lines, traffic):
            continue
        pose = pose_of(j, traffic, lines)
        if may_show(pose[0], pose[1], at):
            size = traffic.driver[j, LENGTH], traffic.driver[j, WIDTH]
            kind = walking(streets.kind[i, j], traffic.real[j, SHIFT])
            n = add_vehicle(rows, n, kind, size, pose, (streets.paint[i], j))
    signal = maps.signal[m]
    for k in range(maps.sizes[m, POSTS]):
        if n + SIGNAL_PARTS <= room and may_show(signal[k, SIGNAL_X], signal[k, SIGNAL_Y], at):
            light = light_of(traffic.streets, int(signal[k, SIGNAL_LANE]), time_s)
            n = add_signal(rows, n, signal, k, light)
    return n
