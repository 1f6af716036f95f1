"""When an actor changes lanes, and how it moves over. Knows nothing of junctions but to keep away from them."""

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import BEFORE, FIRST, HOLDS, LANE, LEAVING, SHIFT, SPEED, STOPPED, S
from drive_rl.sim.traffic.follow import desired_speed, follow, idm_of
from drive_rl.sim.traffic.idm import NO_LEADER_M, idm_acceleration
from drive_rl.sim.traffic.mobil import KEEP_RIGHT_MPS2, SAFE_BRAKING_MPS2, Change, incentive, is_safe
from drive_rl.sim.traffic.population import BRAKING, LENGTH, MIN_GAP, POLITENESS
from drive_rl.sim.traffic.streets import (
    END_BEFORE,
    FIRST_BEFORE,
    JUNCTION,
    LANE_LENGTH,
    LANE_SPEED,
    LANE_WIDTH,
    LEFT,
    NONE,
    RIGHT,
    TAIL,
    abreast,
)

DECIDES_EVERY_S = 1.0
SIDEWAYS_MPS = 1.2
"""Fastest sideways speed of a lane change [m/s]: about 3.5 s for a lane."""
SIDEWAYS_SHARE = 0.2
"""Most sideways speed over forward speed [-]."""
LEFT_THE_LANE_M = 0.4
"""A change counts as done for the lane that is left once so much of it is left to do [m]."""
_TAKES_S = 7.0
_TAKES_M = 25.0
_SEES_BACK_M = 80.0


@njit_scalar
def move_over(i, traffic):
    """Move actor i sideways for one step of its lane change, if it is in one."""
    shift, far = traffic.real[i, SHIFT], abs(traffic.real[i, SHIFT])
    if far == 0.0:
        return
    rate = min(min(SIDEWAYS_MPS, SIDEWAYS_SHARE * traffic.real[i, SPEED]), 0.8 * far + 0.15)
    far = max(far - rate * traffic.dt_s, 0.0)
    traffic.real[i, SHIFT] = far if shift > 0 else -far
    if far < LEFT_THE_LANE_M:
        traffic.whole[i, LEAVING] = NONE


@njit_scalar
def change_lane(i, traffic, step):
    """Let actor i begin to change to the lane beside that is worth most, if one is and it is safe (MOBIL).

    Returns whether it does.
    """
    whole, real, streets = traffic.whole, traffic.real, traffic.streets
    lane = whole[i, LANE]
    if streets.tie[lane, JUNCTION] >= 0 or real[i, SHIFT] != 0.0 or not _has_way(i, traffic, lane):
        return False
    left, right = streets.tie[lane, LEFT], streets.tie[lane, RIGHT]
    left_worth = _worth(i, traffic, left, -KEEP_RIGHT_MPS2, step) if left != NONE else 0.0
    right_worth = _worth(i, traffic, right, KEEP_RIGHT_MPS2, step) if right != NONE else 0.0
    if max(left_worth, right_worth) <= 0.0:
        return False
    begin_change(i, traffic, left if left_worth > right_worth else right)
    return True


@njit_scalar
def begin_change(i, traffic, to):
    """Have actor i be on the lane beside, as far off its middle as it still is."""
    whole, real, streets = traffic.whole, traffic.real, traffic.streets
    lane = whole[i, LANE]
    apart = 0.5 * (streets.lane[lane, LANE_WIDTH] + streets.lane[to, LANE_WIDTH])
    real[i, SHIFT] = -apart if to == streets.tie[lane, LEFT] else apart
    real[i, S] = abreast(streets, lane, real[i, S], to)
    whole[i, LEAVING], whole[i, LANE], whole[i, BEFORE], whole[i, STOPPED] = lane, to, NONE, 0


@njit_scalar
def _has_way(i, traffic, lane):
    """Return whether actor i is far enough from both ends of its lane, and free to choose another."""
    for h in range(HOLDS):
        if traffic.hold[i, h] != NONE:
            return False
    lanes, s, speed = traffic.streets.lane, traffic.real[i, S], traffic.real[i, SPEED]
    half = 0.5 * traffic.driver[i, LENGTH]
    takes = max(_TAKES_M, _TAKES_S * max(speed, 0.5 * lanes[lane, LANE_SPEED]))
    return speed > 1.0 and s > half and lanes[lane, LANE_LENGTH] - lanes[lane, TAIL] - s - half > takes


@njit_scalar
def _worth(i, traffic, other, bias, step):
    """Return what a change to another lane is worth to actor i [m/s^2]; negative if it is not safe."""
    lane, s = traffic.whole[i, LANE], traffic.real[i, S]
    there = abreast(traffic.streets, lane, s, other)
    if not is_free(i, traffic, other, there):
        return -1.0
    wanted, wanted_there = desired_speed(i, traffic, lane, s, step), desired_speed(i, traffic, other, there, step)
    own, own_after = follow(i, traffic, lane, s, wanted), follow(i, traffic, other, there, wanted_there)
    new_now, new_after = _follower_of(i, traffic, other, there, step, True)
    old_now, old_after = _follower_of(i, traffic, lane, s, step, False)
    change = Change(own, own_after, new_now, new_after, old_now, old_after)
    if not is_safe(change, min(SAFE_BRAKING_MPS2, 1.5 * traffic.driver[i, BRAKING])):
        return -1.0
    return incentive(change, traffic.driver[i, POLITENESS], bias)


@njit_scalar
def is_free(i, traffic, lane, s):
    """Return whether nobody is beside actor i at `s` on another lane."""
    entry = traffic.by_lane[lane, FIRST]
    while entry != NONE:
        j = entry % traffic.whole.shape[0]
        room = 0.5 * (traffic.driver[i, LENGTH] + traffic.driver[j, LENGTH]) + traffic.driver[i, MIN_GAP]
        if j != i and abs(traffic.place[entry] - s) < room:
            return False
        entry = traffic.link[entry]
    return True


@njit_scalar
def _follower_of(i, traffic, lane, s, step, comes):
    """Return the acceleration of who is next behind `s` on a lane, and what it would be if actor i came there or left.

    Both are 0 if nobody is.
    """
    j, gap = next_behind(i, traffic, lane, s)
    if j == NONE:
        return 0.0, 0.0
    speed = traffic.real[j, SPEED]
    wanted = desired_speed(j, traffic, traffic.whole[j, LANE], traffic.real[j, S], step)
    now = follow(j, traffic, traffic.whole[j, LANE], traffic.real[j, S], wanted)
    if not comes:
        return now, idm_acceleration(speed, wanted, NO_LEADER_M, 0.0, idm_of(j, traffic))
    return now, min(now, idm_acceleration(speed, wanted, gap, traffic.real[i, SPEED], idm_of(j, traffic)))


@njit_scalar
def next_behind(i, traffic, lane, s):
    """Return who is next behind actor i at `s` on a lane or on one that leads to it, and the gap between them [m]."""
    streets = traffic.streets
    best, least = _next_behind_on(i, traffic, lane, s)
    if best == NONE and s < _SEES_BACK_M:
        for at in range(streets.tie[lane, FIRST_BEFORE], streets.tie[lane, END_BEFORE]):
            before = streets.previous[at]
            j, gap = _next_behind_on(i, traffic, before, s + streets.lane[before, LANE_LENGTH])
            if j != NONE and gap < least:
                best, least = j, gap
    return best, least


@njit_scalar
def _next_behind_on(i, traffic, lane, s):
    best, least, entry = NONE, _SEES_BACK_M, traffic.by_lane[lane, FIRST]
    while entry != NONE:
        j = entry % traffic.whole.shape[0]
        apart = s - traffic.place[entry]
        gap = apart - 0.5 * (traffic.driver[i, LENGTH] + traffic.driver[j, LENGTH])
        if j != i and apart > 0.0 and gap < least:
            best, least = j, gap
        entry = traffic.link[entry]
    return best, least
