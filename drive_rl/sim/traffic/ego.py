"""The ego car among actors: it is the first of them, and others move it along its route."""

import math

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import (
    BEFORE,
    GAP,
    GOALS,
    HOLDS,
    LANE,
    LEAD_SPEED,
    SHIFT,
    SPEED,
    STOPPED,
    TO_LINE,
    WANT,
    S,
)
from drive_rl.sim.traffic.follow import find_way, follow, list_by_lane
from drive_rl.sim.traffic.idm import NO_LEADER_M, allowed_speed
from drive_rl.sim.traffic.right_of_way import find_junction
from drive_rl.sim.traffic.step import wait
from drive_rl.sim.traffic.streets import JUNCTION, LANE_LENGTH, NONE, TURN

QUEUE_GAP_M = 2.0
"""What the ego car should leave to whoever stands before it [m]."""
LINE_GAP_M = 1.0
"""How far before a stop line it should stand [m]."""
COMMAND_M = 40.0
"""How far before a junction the route's turn there is known [m]."""


@njit_scalar
def move_ego(traffic, way, shift, speed):
    """Enter where the ego car has come to: so many metres further along its route, so far beside it, with a speed."""
    whole, real, lanes = traffic.whole, traffic.real, traffic.streets.lane
    real[0, S], real[0, SHIFT], real[0, SPEED] = real[0, S] + way, shift, max(speed, 0.0)
    for h in range(HOLDS):
        traffic.hold_s[0, h] += way
    wait(0, traffic)
    while real[0, S] >= lanes[whole[0, LANE], LANE_LENGTH]:
        at = whole[0, GOALS] + 1
        if at >= traffic.route.size or traffic.route[at] == NONE:
            break
        real[0, S] -= lanes[whole[0, LANE], LANE_LENGTH]
        whole[0, BEFORE], whole[0, LANE], whole[0, GOALS], whole[0, STOPPED] = whole[0, LANE], traffic.route[at], at, 0


@njit_scalar
def allowed_ahead(traffic):
    """Return the fastest speed [m/s] from which the ego car still stops behind whom it follows and before stop lines
    that it may not pass; infinite with neither.
    """
    list_by_lane(traffic)
    find_way(0, traffic)
    find_junction(0, traffic)
    follow(0, traffic, traffic.whole[0, LANE], traffic.real[0, S], traffic.real[0, SPEED])
    most = math.inf
    if traffic.real[0, GAP] < NO_LEADER_M:
        most = allowed_speed(traffic.real[0, GAP] - QUEUE_GAP_M, traffic.real[0, LEAD_SPEED])
    if traffic.whole[0, WANT] != NONE:
        most = min(most, allowed_speed(traffic.real[0, TO_LINE] - LINE_GAP_M, 0.0))
    return most


@njit_scalar
def turn_ahead(traffic):
    """Return the `Turn` of the ego car's route in the junction that it crosses or that begins within `COMMAND_M`."""
    streets, at = traffic.streets, traffic.whole[0, GOALS]
    lane, way_m = traffic.whole[0, LANE], -traffic.real[0, S]
    while streets.tie[lane, JUNCTION] == NONE:
        way_m += streets.lane[lane, LANE_LENGTH]
        at += 1
        if way_m > COMMAND_M or at >= traffic.route.size or traffic.route[at] == NONE:
            return 0  # Turn.NONE
        lane = traffic.route[at]
    return streets.tie[lane, TURN]
