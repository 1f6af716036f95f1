"""The privileged state of cars in streets by what their cameras have shown of late, instead of by all there is."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.engines.car_step import body_of
from drive_rl.sim.engines.cpu_loop import SHARE
from drive_rl.sim.engines.streets.maps import POSTS, lines_of, streets_at
from drive_rl.sim.engines.streets.step import allowed_of, fill_solids, hazard_of, take_place, traffic_of
from drive_rl.sim.engines.work_queue import take
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.sensors.pinhole import Rays, Viewpoint
from drive_rl.sim.sensors.streets.solids import (
    SIGNAL_LAMP,
    SIGNAL_LANE,
    SIGNAL_X,
    SIGNAL_Y,
    SIGNAL_YAW,
    new_rows,
)
from drive_rl.sim.sensors.streets.visible import visible_solids
from drive_rl.sim.task.outcome import LANE_STATE, STATE_FIELDS, S, speed_at
from drive_rl.sim.traffic.passing import fill_passing
from drive_rl.sim.traffic.seen import seen_hazard, seen_traffic, signal_ahead, take_seen_way
from drive_rl.sim.traffic.streets import LANE_LENGTH, NONE, SIGNAL, TAIL

LAMP, POST = -2, -1
"""Columns of `StreetCars.seen` after those of actors, which hold the step of the episode at which the camera last
showed each: that of the lamp of a signal, and which signal of the map that is."""
_TARGET_SPEED = STATE_FIELDS.index("target_speed_mps")


class Visibility(NamedTuple):
    """What all cars share that see by their cameras alone."""

    bearings: NDArray[np.float32]  # (W,), pinhole.Rays.bearings
    within: int  # for so many steps counts what was seen
    control_hz: float


@njit(nogil=True)
def see_street_cars(counter, chosen, cars, around, visibility):
    """Fill the states of some cars by what they have seen.

    Args:
        counter: Work shared by threads.
        chosen: The cars.
        cars: `Cars`; each has come to where it is, and its state is filled by all there is.
        around: `Around`.
        visibility: `Visibility`.
    """
    first = take(counter, SHARE)
    while first < chosen.size:
        for i in chosen[first : first + SHARE]:
            car = body_of(i, cars.body)
            when = cars.steps[i], cars.metrics[i, S]
            see(i, (car.x_m, car.y_m, car.yaw_rad), when, around, visibility, cars.state[i])
        first = take(counter, SHARE)


@njit(nogil=True)
def see(i, pose, when, around, visibility, state):
    """Note what the camera of car i shows from a pose, and fill its state by what it has shown of late.

    Args:
        i: The car.
        pose: x, y [m], yaw [rad].
        when: How many steps its episode has lasted, and s of the car on its route [m].
        around: `Around`.
        visibility: `Visibility`.
        state: (F,), filled by all there is.
    """
    (steps, s), streets, maps, within = when, around.cars, around.maps, visibility.within
    clock, traffic = streets.first_step[i] + steps, traffic_of(i, streets, maps, 1.0 / visibility.control_hz)
    owner, shown = _shown_solids(i, pose, clock / visibility.control_hz, around, visibility.bearings)
    seen = streets.seen[i]
    for n in range(owner.size):
        if shown[n] and owner[n] >= 0:
            seen[owner[n]] = steps
    known = steps - seen[:LAMP] < within
    fair, hazard = seen_traffic(traffic, known), seen_hazard(hazard_of(i, streets), known)
    take_place(fair, hazard)
    post = _post_of(signal_ahead(fair), streets.map[i], maps)
    for n in range(SIGNAL_LAMP, owner.size):
        if shown[n] and owner[n] == owner[n - SIGNAL_LAMP] == -1 - post:
            seen[LAMP], seen[POST] = steps, post
    take_seen_way(fair, clock, seen[POST] == post and steps - seen[LAMP] < within)
    profile_mps = speed_at(around.routes.speed_profile[i], s)
    state[_TARGET_SPEED] = min(profile_mps, allowed_of(fair, hazard)[0])
    if state.size > LANE_STATE:
        fill_passing(fair, hazard, profile_mps, state[LANE_STATE:])


@njit(nogil=True)
def _shown_solids(i, pose, time_s, around, bearings):
    """Return whose the solids around a car are, `SolidRows.owner`, and which of them its picture shows."""
    at = Viewpoint(pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2]))
    rays = Rays(around.routes.rays[i], bearings, around.routes.origin[i])
    rows = new_rows()
    count = fill_solids(i, at, rays, around.cars, around.maps, time_s, rows)
    return rows.owner[:count], visible_solids(rays, at, rows.shape[:count])


@njit_scalar
def _post_of(lane, m, maps):
    """Return the signal, a row of `Maps.signal`, that who comes along a lane looks at: of those of its group that face
    it the one nearest to its stop line.
    """
    if lane == NONE:
        return NONE
    signal, streets = maps.signal[m], streets_at(m, maps)
    line_s = streets.lane[lane, LANE_LENGTH] - streets.lane[lane, TAIL]
    x, y, yaw = pose_at(lines_of(m, maps), lane, line_s, 0.0)
    best, least = NONE, math.inf
    for k in range(maps.sizes[m, POSTS]):
        apart = math.hypot(signal[k, SIGNAL_X] - x, signal[k, SIGNAL_Y] - y)
        same = streets.tie[int(signal[k, SIGNAL_LANE]), SIGNAL] == streets.tie[lane, SIGNAL]
        if same and apart < least and math.cos(signal[k, SIGNAL_YAW] - yaw) > 0.5:
            best, least = k, apart
    return best
