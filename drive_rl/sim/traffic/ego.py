"""The ego car among actors: it is the first of them, and others move it along its route."""

import math

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.map.street_route import CHANGES, ENTERS, LEAVES, share_across
from drive_rl.sim.traffic.actors import (
    BEFORE,
    GAP,
    GOALS,
    HOLDS,
    LANE,
    LEAD_SPEED,
    LEAVING,
    SHIFT,
    SPEED,
    STOPPED,
    TO_LINE,
    WANT,
    S,
)
from drive_rl.sim.traffic.change_lane import is_free, next_behind
from drive_rl.sim.traffic.follow import find_way, follow, idm_of, list_by_lane
from drive_rl.sim.traffic.idm import NO_LEADER_M, allowed_speed, idm_acceleration
from drive_rl.sim.traffic.junction_rules import HARD_BRAKING_MPS2
from drive_rl.sim.traffic.mobil import SAFE_BRAKING_MPS2
from drive_rl.sim.traffic.population import WIDTH
from drive_rl.sim.traffic.right_of_way import find_junction
from drive_rl.sim.traffic.step import wait
from drive_rl.sim.traffic.streets import JUNCTION, LANE_SPEED, LANE_WIDTH, LEFT, NONE, TURN, abreast

QUEUE_GAP_M = 2.0
"""What the ego car should leave to whoever stands before it [m]."""
LINE_GAP_M = 1.0
"""How far before a stop line it should stand [m]."""
COMMAND_M = 40.0
"""How far before a junction the route's turn there is known [m] ..."""
COMMAND_S = 5.0
"""... and before a change of lanes at the speed limit, if that is further [s]."""
CHANGE_LEFT, CHANGE_RIGHT = 4, 5
"""What `turn_ahead` returns beside a `Turn`."""
_NEAR_M = 10.0
_CLOSE_S = 0.3
_STANDING_MPS = 1.0


@njit_scalar
def move_ego(traffic, way, shift, speed):
    """Enter where the ego car has come to: so many metres further along its route, so far beside it, with a speed."""
    whole, real, spans = traffic.whole, traffic.real, traffic.route_m
    real[0, S], real[0, SHIFT], real[0, SPEED] = real[0, S] + way, shift, max(speed, 0.0)
    for h in range(HOLDS):
        traffic.hold_s[0, h] += way
    wait(0, traffic)
    while real[0, S] >= spans[whole[0, GOALS], LEAVES]:
        at, lane = whole[0, GOALS] + 1, whole[0, LANE]
        if at >= traffic.route.size or traffic.route[at] == NONE:
            break
        beside = spans[at - 1, CHANGES] > 0.0
        real[0, S] += spans[at, ENTERS] - spans[at - 1, LEAVES]
        whole[0, LANE], whole[0, GOALS], whole[0, STOPPED] = traffic.route[at], at, 0
        whole[0, BEFORE], whole[0, LEAVING] = (NONE, lane) if beside else (lane, NONE)
    at = whole[0, GOALS]
    if (
        at > 0
        and whole[0, LEAVING] == traffic.route[at - 1]
        and real[0, S] >= spans[at, ENTERS] + spans[at - 1, CHANGES]
    ):
        whole[0, LEAVING] = NONE


@njit_scalar
def allowed_ahead(traffic):
    """Return the fastest speed [m/s] from which the ego car still stops behind whom it follows, before stop lines that
    it may not pass, and before a change of lanes that it may not begin; infinite with none of them.
    """
    list_by_lane(traffic)
    find_way(0, traffic)
    find_junction(0, traffic)
    lane, leaving = traffic.whole[0, LANE], traffic.whole[0, LEAVING]
    most = _allowed_behind(traffic, lane, traffic.real[0, S])
    if leaving != NONE:
        most = min(most, _allowed_behind(traffic, leaving, abreast(traffic.streets, lane, traffic.real[0, S], leaving)))
    elif traffic.route_m[traffic.whole[0, GOALS], CHANGES] > 0.0:
        most = min(most, _allowed_to_change(traffic))
    if traffic.whole[0, WANT] != NONE:
        most = min(most, allowed_speed(traffic.real[0, TO_LINE] - LINE_GAP_M, 0.0))
    return most


@njit_scalar
def _allowed_behind(traffic, lane, s):
    """Return the fastest speed [m/s] for whom the ego car would follow at `s` on a lane; infinite: it would nobody."""
    follow(0, traffic, lane, s, traffic.real[0, SPEED])
    if traffic.real[0, GAP] < NO_LEADER_M:
        return allowed_speed(traffic.real[0, GAP] - QUEUE_GAP_M, traffic.real[0, LEAD_SPEED])
    return math.inf


@njit_scalar
def _allowed_to_change(traffic):
    """Return the fastest speed [m/s] before the ego car's next change of lanes; infinite: it is not near.

    Near it the ego car keeps behind whoever is ahead on the other lane and, until there is a place for it, can stop
    before the change. It takes its place there by `LEAVING`: others make room for it from then on. Who can no longer
    stop before the change takes it anyway.
    """
    whole, real, at = traffic.whole, traffic.real, traffic.whole[0, GOALS]
    speed, way = real[0, SPEED], traffic.route_m[at, LEAVES] - traffic.route_m[at, CHANGES] - real[0, S]
    if allowed_speed(way - _NEAR_M, 0.0) > speed:
        return math.inf
    to = traffic.route[at + 1]
    s = abreast(traffic.streets, whole[0, LANE], real[0, S], to)
    most = _allowed_behind(traffic, to, s)
    if speed * speed > 2.0 * HARD_BRAKING_MPS2 * way or _has_place(traffic, to, s):
        whole[0, LEAVING] = to
        return most
    return min(most, allowed_speed(way, 0.0))


@njit_scalar
def _has_place(traffic, lane, s):
    """Return whether the ego car may come to `s` on the lane beside: it is not too fast for whoever is ahead there, and
    who is behind need not brake harder than for other drivers (MOBIL). If it stands, he need only be able to stop.
    """
    real, speed = traffic.real, traffic.real[0, SPEED]
    closing = max(speed - real[0, LEAD_SPEED], 0.0)
    if real[0, GAP] < QUEUE_GAP_M + _CLOSE_S * speed + closing * closing / SAFE_BRAKING_MPS2:
        return False
    if not is_free(0, traffic, lane, s):
        return False
    j, gap = next_behind(0, traffic, lane, s)
    if j == NONE:
        return True
    behind = real[j, SPEED]
    if speed < _STANDING_MPS:
        return gap > QUEUE_GAP_M + behind * behind / (2.0 * SAFE_BRAKING_MPS2)
    return idm_acceleration(behind, behind, gap, speed, idm_of(j, traffic)) > -SAFE_BRAKING_MPS2


@njit_scalar
def may_enter(traffic):
    """Return whether there is a place in its lane for the ego car, which nobody there minds yet."""
    list_by_lane(traffic)
    find_way(0, traffic)
    lane, s = traffic.whole[0, LANE], traffic.real[0, S]
    _allowed_behind(traffic, lane, s)
    return _has_place(traffic, lane, s)


@njit_scalar
def route_lanes(traffic):
    """Return from where to where the middles of the lanes reach that are the ego car's route here, left-positive from
    its line [m]: near a change of lanes both are.

    It is near from where the sign shows it, and as long after its end.
    """
    (own, next_m), (last_m, same) = _next_lanes(traffic), _last_lanes(traffic)
    return min(own, next_m, last_m, same), max(own, next_m, last_m, same)


@njit_scalar
def take_up(traffic):
    """Have those in the other lane of a change mind the ego car while it is in that, too."""
    at, (own, next_m), (last_m, same) = traffic.whole[0, GOALS], _next_lanes(traffic), _last_lanes(traffic)
    if _reaches(traffic, own, next_m):
        traffic.whole[0, LEAVING] = traffic.route[at + 1]
    elif _reaches(traffic, same, last_m):
        traffic.whole[0, LEAVING] = traffic.route[at - 1]


@njit_scalar
def _next_lanes(traffic):
    """Return the middles of the ego car's lane and of the one that its route changes to next, as `_middles` does."""
    at = traffic.whole[0, GOALS]
    return _middles(traffic, at, traffic.real[0, S] - traffic.route_m[at, LEAVES])


@njit_scalar
def _last_lanes(traffic):
    """Return the middles of the lane that the ego car's route changed from last and of its own, as `_middles` does."""
    at = traffic.whole[0, GOALS]
    return _middles(traffic, at - 1, traffic.real[0, S] - traffic.route_m[at, ENTERS]) if at > 0 else (0.0, 0.0)


@njit_scalar
def _middles(traffic, at, beyond_m):
    """Return the middles of a lane of the route and of the next, left-positive from the line of the route so far beyond
    the middle of the change between them [m], to some centimetres; both 0: no such change is near.
    """
    streets, half_m, lane = traffic.streets, traffic.route_m[at, CHANGES], traffic.route[at]
    if half_m == 0.0 or abs(beyond_m) > half_m + _known_m(streets, lane):
        return 0.0, 0.0
    to = traffic.route[at + 1]
    apart = 0.5 * (streets.lane[lane, LANE_WIDTH] + streets.lane[to, LANE_WIDTH])
    if streets.tie[lane, LEFT] != to:
        apart = -apart
    share = share_across(min(max(0.5 + 0.5 * beyond_m / half_m, 0.0), 1.0))
    return -share * apart, (1.0 - share) * apart


@njit_scalar
def _reaches(traffic, own, other):
    """Return whether the ego car reaches out of its lane, whose middle is at `own`, towards the one at `other` [m]."""
    real, half = traffic.real, 0.5 * traffic.streets.lane[traffic.whole[0, LANE], LANE_WIDTH]
    towards = real[0, SHIFT] - own if other > own else own - real[0, SHIFT]
    return own != other and towards + 0.5 * traffic.driver[0, WIDTH] > half


@njit_scalar
def _known_m(streets, lane):
    """Return how far before a change from a lane it is known [m]."""
    return max(COMMAND_M, COMMAND_S * streets.lane[lane, LANE_SPEED])


@njit_scalar
def turn_ahead(traffic):
    """Return the `Turn` of the ego car's route in the junction that it crosses or that begins within `COMMAND_M`, or
    `CHANGE_LEFT` or `CHANGE_RIGHT` before a change of lanes and until it has ended; and the part of the way to where it
    begins that is left, of the way from where it is known, 0 once it has begun.
    """
    streets, spans, at = traffic.streets, traffic.route_m, traffic.whole[0, GOALS]
    after_m = spans[at - 1, CHANGES] if at > 0 else 0.0
    if after_m > 0.0 and traffic.real[0, S] < spans[at, ENTERS] + after_m:
        left = streets.tie[traffic.route[at - 1], LEFT] == traffic.route[at]
        return (CHANGE_LEFT, 0.0) if left else (CHANGE_RIGHT, 0.0)
    lane, way_m = traffic.whole[0, LANE], spans[at, ENTERS] - traffic.real[0, S]
    while streets.tie[lane, JUNCTION] == NONE:
        way_m += spans[at, LEAVES] - spans[at, ENTERS]
        if spans[at, CHANGES] > 0.0:
            known_m = _known_m(streets, lane)
            way_m -= spans[at, CHANGES]
            if way_m > known_m:
                return 0, 0.0  # Turn.NONE
            side = CHANGE_LEFT if streets.tie[lane, LEFT] == traffic.route[at + 1] else CHANGE_RIGHT
            return side, max(way_m / known_m, 0.0)
        at += 1
        if way_m > COMMAND_M or at >= traffic.route.size or traffic.route[at] == NONE:
            return 0, 0.0  # Turn.NONE
        lane = traffic.route[at]
    return streets.tie[lane, TURN], max(way_m / COMMAND_M, 0.0)
