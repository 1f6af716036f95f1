"""How an actor finds its way and follows: what is ahead on the lanes that it will take. Writes only what it finds."""

import math

import numpy as np

from drive_rl.sim.compiled import njit_inline, njit_scalar
from drive_rl.sim.map.street_route import CHANGES
from drive_rl.sim.traffic.actors import (
    AHEAD,
    ASIDE,
    AT_BUS_STOP,
    BEFORE,
    DRIVES,
    EGO,
    FIRST,
    GAP,
    GOALS,
    HOLDS,
    ID,
    LANE,
    LEAD_SPEED,
    LEAVING,
    ON_FOOT,
    SPEED,
    STOPPED,
    TO_START,
    S,
    draw,
)
from drive_rl.sim.traffic.idm import NO_LEADER_M, Idm, allowed_speed, idm_acceleration
from drive_rl.sim.traffic.population import (
    BRAKING,
    DWELL,
    LENGTH,
    MIN_GAP,
    MOST_ACCELERATION,
    SPEED_FACTOR,
    SPEED_SWING,
    TIME_GAP,
    TOP_SPEED,
)
from drive_rl.sim.traffic.streets import (
    BUS_STOP,
    END_NEXT,
    FIRST_NEXT,
    LANE_LENGTH,
    LANE_SPEED,
    LEFT,
    NONE,
    PARTS,
    RIGHT,
    abreast,
)

ANTICIPATION = 0.6
"""Share of the comfortable braking with which a driver slows down for a slower lane."""
_SWING_S = 25.0
_CALLING_MPS2, _BEYOND_M = 3.0, 0.5
"""Who calls at a bus stop brakes no harder for it [m/s^2], and may come to stand so far beyond it [m]."""


@njit_scalar
def idm_of(i, traffic):
    """Return actor i's parameters of IDM."""
    driver = traffic.driver
    return Idm(driver[i, TIME_GAP], driver[i, MIN_GAP], driver[i, MOST_ACCELERATION], driver[i, BRAKING])


@njit_scalar
def lane_ahead(i, traffic, lane, goals):
    """Return the lane that actor i takes after `lane` (NONE: there is none), and how many goals it has reached by then.

    Args:
        i: The actor.
        traffic: The traffic.
        lane: A lane on its way.
        goals: Goals that it reaches on the way to that lane, from where it is now.
    """
    if traffic.whole[i, DRIVES] & EGO:
        at = traffic.whole[i, GOALS] + goals + 1
        while at < traffic.route.size and traffic.route_m[at - 1, CHANGES] > 0.0:
            at += 1  # past the lanes that it changes to
        return (traffic.route[at] if at < traffic.route.size else NONE), at - traffic.whole[i, GOALS]
    tie, goal, to_goal = traffic.streets.tie, _goal(i, traffic, goals), traffic.streets.to_goal
    at = traffic.streets.goal[goal]
    if lane == at or tie[lane, LEFT] == at or tie[lane, RIGHT] == at:
        goals += 1
        goal = _goal(i, traffic, goals)
    best, least = NONE, np.inf
    for n in range(tie[lane, FIRST_NEXT], tie[lane, END_NEXT]):
        other = traffic.streets.next[n]
        away = to_goal[goal * tie.shape[0] + other]
        if best == NONE or away < least:
            best, least = other, away
    return best, goals


@njit_scalar
def find_way(i, traffic):
    """Note the lanes ahead of actor i, unless they are noted already."""
    whole, way = traffic.whole, traffic.way
    lane, goals, drives = whole[i, LANE], 0, whole[i, DRIVES]
    if lane == NONE or (way[i, 0] == lane and way[i, 1] == whole[i, GOALS] and way[i, 2] == drives):
        return
    way[i, 0], way[i, 1], way[i, 2] = lane, whole[i, GOALS], drives
    for k in range(AHEAD):
        if lane != NONE:
            lane, goals = lane_ahead(i, traffic, lane, goals)
        way[i, 3 + 2 * k], way[i, 4 + 2 * k] = lane, goals


@njit_scalar
def next_on_way(i, traffic, lane, goals, passed):
    """Return what `lane_ahead` does, from what `find_way` noted where it did.

    Args:
        i: The actor.
        traffic: The traffic.
        lane: A lane on its way.
        goals: As in `lane_ahead`.
        passed: How many lanes that is after the one that it is on; `AHEAD`: it is not on its way from there.
    """
    if passed < AHEAD:
        return traffic.way[i, 3 + 2 * passed], traffic.way[i, 4 + 2 * passed]
    return lane_ahead(i, traffic, lane, goals)


@njit_scalar
def _goal(i, traffic, goals):
    """Return the place in `Streets.goal` of actor i's goal after `goals` more."""
    return draw(traffic.seed, traffic.whole[i, ID], traffic.whole[i, GOALS] + goals) % traffic.streets.goal.size


@njit_scalar
def list_by_lane(traffic):
    """List the actors by lane; one that changes lanes, or walks from one to the next, is listed on both."""
    whole, count = traffic.whole, traffic.whole.shape[0]
    for lane in range(traffic.by_lane.shape[0]):
        traffic.by_lane[lane, FIRST] = NONE
    for i in range(count):
        if whole[i, LANE] != NONE and not whole[i, DRIVES] & ASIDE:
            _enter(i, whole[i, LANE], traffic.real[i, S], traffic)
        if whole[i, LEAVING] != NONE:
            s = traffic.real[i, TO_START]
            if whole[i, DRIVES] != ON_FOOT:
                s = abreast(traffic.streets, whole[i, LANE], traffic.real[i, S], whole[i, LEAVING])
            _enter(count + i, whole[i, LEAVING], s, traffic)


@njit_scalar
def _enter(entry, lane, s, traffic):
    traffic.place[entry], traffic.link[entry], traffic.by_lane[lane, FIRST] = s, traffic.by_lane[lane, FIRST], entry


@njit_inline
def desired_speed(i, traffic, lane, s, step):
    """Return the speed [m/s] that actor i wants on a lane, with regard to slower lanes ahead."""
    lanes, driver = traffic.streets.lane, traffic.driver
    factor, speed = driver[i, SPEED_FACTOR], traffic.real[i, SPEED]
    if driver[i, SPEED_SWING] > 0:
        factor *= 1.0 + driver[i, SPEED_SWING] * _wave(i, traffic, step)
    most = min(factor * lanes[lane, LANE_SPEED], driver[i, TOP_SPEED])
    brakes = 2.0 * ANTICIPATION * driver[i, BRAKING]
    off, goals, passed = lanes[lane, LANE_LENGTH] - s, 0, _passed(i, traffic, lane)
    while off * brakes < speed * speed:
        lane, goals = next_on_way(i, traffic, lane, goals, passed)
        passed += 1
        if lane == NONE:
            break
        there = min(factor, 1.0) * lanes[lane, LANE_SPEED]
        most = min(most, math.sqrt(there * there + brakes * max(off, 0.0)))
        off += lanes[lane, LANE_LENGTH]
    return most


@njit_scalar
def _wave(i, traffic, step):
    """Return a wave between -1 and 1 that rises and falls evenly; each actor has its own phase."""
    into = (step * traffic.dt_s / _SWING_S + draw(traffic.seed, traffic.whole[i, ID], -1) / 2147483648.0) % 1.0
    return 4.0 * abs(into - 0.5) - 1.0


@njit_inline
def follow(i, traffic, lane, s, wanted):
    """Return actor i's acceleration [m/s^2] if it were at `s` on a lane, wanting a speed [m/s], behind all ahead."""
    idm, speed, count = idm_of(i, traffic), traffic.real[i, SPEED], traffic.whole.shape[0]
    least = idm_acceleration(speed, wanted, NO_LEADER_M, 0.0, idm)
    traffic.real[i, GAP], traffic.real[i, LEAD_SPEED] = NO_LEADER_M, 0.0
    front = s + 0.5 * traffic.driver[i, LENGTH]
    far = front + 20.0 + speed * (2.0 * idm.time_gap_s + speed / idm.braking_mps2)
    came_from = traffic.whole[i, BEFORE] if lane == traffic.whole[i, LANE] else NONE
    start, goals, passed, found = 0.0, 0, _passed(i, traffic, lane), False
    while lane != NONE and start < far and not found:
        entry = traffic.by_lane[lane, FIRST]
        while entry != NONE:
            j = entry % count
            place = start + traffic.place[entry]
            if _is_ahead(i, j, s, place, traffic):
                gap = place - 0.5 * traffic.driver[j, LENGTH] - front
                least = min(least, _behind(i, j, gap, wanted, traffic))
                found = True
            entry = traffic.link[entry]
        if came_from != NONE and traffic.streets.lane[lane, PARTS] > 0:
            least = min(least, _follow_parting(i, traffic, lane, came_from, start, s, wanted))
        start, came_from = start + traffic.streets.lane[lane, LANE_LENGTH], lane
        lane, goals = next_on_way(i, traffic, lane, goals, passed)
        passed += 1
    return least


@njit_scalar
def to_bus_stop(i, traffic):
    """Return how far the front of actor i is from the stop on its lane where it has to call [m]; `NO_LEADER_M`: from
    none. Who comes too fast, or is on its way into a junction, does not call.
    """
    if traffic.driver[i, DWELL] == 0.0 or traffic.whole[i, STOPPED] & AT_BUS_STOP:
        return NO_LEADER_M
    stop = traffic.streets.lane[traffic.whole[i, LANE], BUS_STOP]
    if stop < 0.0:
        return NO_LEADER_M
    left, speed = stop - traffic.real[i, S] - 0.5 * traffic.driver[i, LENGTH], traffic.real[i, SPEED]
    if left < -_BEYOND_M or speed * speed > 2.0 * _CALLING_MPS2 * max(left, _BEYOND_M):
        return NO_LEADER_M
    for h in range(HOLDS):
        if traffic.hold[i, h] != NONE and traffic.hold_s[i, h] < 0.0:
            return NO_LEADER_M
    return left


@njit_scalar
def _passed(i, traffic, lane):
    return 0 if lane == traffic.whole[i, LANE] else AHEAD


@njit_scalar
def _behind(i, j, gap, wanted, traffic):
    """Return actor i's acceleration [m/s^2] behind actor j, and note j if it is the one to mind most."""
    real = traffic.real
    if allowed_speed(gap, real[j, SPEED]) < allowed_speed(real[i, GAP], real[i, LEAD_SPEED]):
        real[i, GAP], real[i, LEAD_SPEED] = gap, real[j, SPEED]
    return idm_acceleration(real[i, SPEED], wanted, gap, real[j, SPEED], idm_of(i, traffic))


@njit_scalar
def _is_ahead(i, j, s, place, traffic):
    return j != i and (place > s or (place == s and traffic.whole[j, ID] > traffic.whole[i, ID]))


@njit_scalar
def _follow_parting(i, traffic, lane, came_from, start, s, wanted):
    """Return actor i's acceleration behind those that leave the same lane for another, while they are in its way."""
    streets, least = traffic.streets, 1e9
    front = s + 0.5 * traffic.driver[i, LENGTH]
    for at in range(streets.tie[came_from, FIRST_NEXT], streets.tie[came_from, END_NEXT]):
        other = streets.next[at]
        entry = traffic.by_lane[other, FIRST] if other != lane else NONE
        while entry != NONE:
            j = entry % traffic.whole.shape[0]
            rear = traffic.place[entry] - 0.5 * traffic.driver[j, LENGTH]
            if rear < streets.lane[other, PARTS] + 1.0 and _is_ahead(i, j, s, start + traffic.place[entry], traffic):
                gap = start + rear - front
                least = min(least, _behind(i, j, gap, wanted, traffic))
            entry = traffic.link[entry]
    return least
