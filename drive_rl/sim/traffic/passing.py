"""Passing what stands or rides slowly in the ego car's lane: how far it is, and who drives in the lane on its left.

The lane to pass in is the one on the left of the ego car's route, which goes the same way or is oncoming. Drivers that
go the same way mind the ego car while it is in their lane; those that come towards it do not.
"""

import math
from typing import NamedTuple

from numpy.typing import NDArray

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import ASIDE, DRIVES, GOALS, LANE, LEAVING, SHIFT, SPEED, S, Traffic
from drive_rl.sim.traffic.ego import QUEUE_GAP_M, allowed_ahead
from drive_rl.sim.traffic.follow import find_way
from drive_rl.sim.traffic.hazards.hazard import INVADERS, KIND, MEMBERS, OBSTACLE, Hazard, way_to
from drive_rl.sim.traffic.idm import allowed_speed
from drive_rl.sim.traffic.population import LENGTH, OFFSET, WIDTH
from drive_rl.sim.traffic.streets import (
    END_BEFORE,
    END_NEXT,
    FIRST_BEFORE,
    FIRST_NEXT,
    LANE_LENGTH,
    LANE_WIDTH,
    LEFT,
    NONE,
    OPPOSITE,
    abreast,
)

FAR_M = 200.0
"""What is farther away is nowhere [m]."""
_TOGETHER_M = 12.0
"""Bodies that are no farther apart are passed together [m]."""
_CLEAR_M = 0.1
_REACHES_M = 0.2
"""A car reaches into the next lane if it is in it so far [m]."""
_STANDS_M = 15.0
"""Who stands no farther before it waits for its way [m]."""
_BEFORE_M, _BEHIND_M = 70.0, 40.0
"""So far before and behind an obstacle the lane on the left may be used [m]."""
_COMES_M, _PASSES_M = 60.0, 8.0
"""Who comes towards the ego car takes from its lane so far ahead, and until it is so far behind [m]."""

PASSING_FIELDS = (
    "free_speed_mps",
    "obstacle_m",
    "obstacle_end_m",
    "obstacle_left_m",
    "obstacle_speed_mps",
    "lane_left_m",
    "beside_left_m",
    "beside_direction",
    "beside_ahead_m",
    "beside_ahead_mps",
    "beside_behind_m",
    "beside_behind_mps",
)
"""What the privileged observation has beside `outcome.STATE_FIELDS` in worlds with an obstacle, in SI units.

What speed would be asked for without it; from the car's front to the nearest one, from its rear to the end of the last
that has to be passed with it, how far they reach to the left of the lane's centre line, and how fast they are. Left
edges of the lane (or who reaches over it, of invading cars) and of the one beside it, from the same line, and its
direction along the route, 1 or -1; 0: there is none. Gaps to who is next ahead and behind in that one, and their speeds
along the route, negative: it comes towards the car. `FAR_M`: there is none."""


class Obstacle(NamedTuple):
    """What has to be passed; `FAR_M` away: nothing."""

    way_m: float  # PASSING_FIELDS
    end_m: float
    left_m: float
    speed_mps: float


class Next(NamedTuple):
    """Who is next ahead and behind in the lane beside; `FAR_M`: nobody."""

    ahead_m: float
    ahead_mps: float
    behind_m: float
    behind_mps: float


@njit_scalar
def is_obstacle(hazard: Hazard) -> bool:
    """Return whether the hazard is one to pass."""
    return hazard.plan.size > 0 and hazard.plan[KIND] >= OBSTACLE


@njit_scalar
def obstacle_ahead(traffic: Traffic, hazard: Hazard) -> Obstacle:
    """Return what is next to be passed, or is being passed."""
    whole, real, driver, count = traffic.whole, traffic.real, traffic.driver, traffic.whole.shape[0]
    half, way_m, end_m, left_m, speed_mps = 0.5 * driver[0, LENGTH], FAR_M, FAR_M, 0.0, 0.0
    for i in range(count - int(hazard.plan[MEMBERS]), count):  # the nearest first
        way, reach = way_to(traffic, whole[i, GOALS], real[i, S]), half + 0.5 * driver[i, LENGTH]
        apart = way - reach - (end_m - 2.0 * half) if way_m < FAR_M else 0.0
        if whole[i, DRIVES] == ASIDE or way + reach <= 0.0 or way - reach >= FAR_M or apart > _TOGETHER_M:
            continue
        left = real[i, SHIFT] + driver[i, OFFSET] + 0.5 * driver[i, WIDTH]
        if way_m == FAR_M:
            way_m, end_m, left_m, speed_mps = way - reach, way + reach, left, real[i, SPEED]
        end_m, left_m, speed_mps = max(end_m, way + reach), max(left_m, left), min(speed_mps, real[i, SPEED])
    return Obstacle(way_m, end_m, left_m, speed_mps)


@njit_scalar
def lane_beside(traffic: Traffic) -> tuple[int, bool]:
    """Return the lane on the left of the ego car's (`NONE`: there is none), and whether it goes the same way."""
    tie, lane = traffic.streets.tie, traffic.whole[0, LANE]
    if tie[lane, LEFT] != NONE:
        return tie[lane, LEFT], True
    return tie[lane, OPPOSITE], False


@njit_scalar
def next_beside(traffic: Traffic, hazard: Hazard) -> Next:
    """Return who is next in the lane beside, and on the ways that lead to it; without one there is no gap."""
    whole, real, driver, lanes = traffic.whole, traffic.real, traffic.driver, traffic.streets.lane
    other, same = lane_beside(traffic)
    if other == NONE:
        return Next(0.0, 0.0, 0.0, 0.0)
    here = abreast(traffic.streets, whole[0, LANE], real[0, S], other)
    if not same:
        here = lanes[other, LANE_LENGTH] - here
    ahead_m, ahead_mps, behind_m, behind_mps = FAR_M, 0.0, FAR_M, 0.0
    for j in range(1, whole.shape[0] - int(hazard.plan[MEMBERS])):
        beyond = _beyond(j, traffic, other, here)
        way = beyond if same else -beyond
        gap = abs(way) - 0.5 * (driver[0, LENGTH] + driver[j, LENGTH])
        speed = real[j, SPEED] if same else -real[j, SPEED]
        if way >= 0.0 and gap < ahead_m:
            ahead_m, ahead_mps = gap, speed
        elif way < 0.0 and gap < behind_m:
            behind_m, behind_mps = gap, speed
    return Next(ahead_m, ahead_mps, behind_m, behind_mps)


@njit_scalar
def _beyond(j, traffic, other, here):
    """Return how far actor j is beyond a place on a lane [m], negative: it comes there; NaN: it does not."""
    streets, lane, s = traffic.streets, traffic.whole[j, LANE], traffic.real[j, S]
    tie, lanes = streets.tie, streets.lane
    if lane == NONE or traffic.whole[j, DRIVES] & ASIDE:
        return math.nan
    if lane == other:
        return s - here
    for a in range(tie[other, FIRST_NEXT], tie[other, END_NEXT]):
        if lane == streets.next[a]:
            return lanes[other, LANE_LENGTH] + s - here
    for b in range(tie[other, FIRST_BEFORE], tie[other, END_BEFORE]):
        one = streets.previous[b]
        start = -lanes[one, LANE_LENGTH] - here
        if lane == one:
            return start + s
        for c in range(tie[one, FIRST_BEFORE], tie[one, END_BEFORE]):
            if lane == streets.previous[c]:
                find_way(j, traffic)
                if traffic.way[j, 3] == one:
                    return start - lanes[lane, LANE_LENGTH] + s
    return math.nan


@njit_scalar
def allowed_without(traffic: Traffic, hazard: Hazard) -> float:
    """Return what `allowed_ahead` does if the obstacle were not there, and behind who is ahead in the lane beside as
    far as the ego car is in that.
    """
    whole, count = traffic.whole, traffic.whole.shape[0]
    first = count - int(hazard.plan[MEMBERS])
    drives, last = whole[min(first, count - 1), DRIVES], whole[count - 1, DRIVES]  # the last may be a door
    for i in range(first, count):
        whole[i, DRIVES] = ASIDE
    most = allowed_ahead(traffic)
    for i in range(first, count - 1):
        whole[i, DRIVES] = drives
    whole[count - 1, DRIVES] = last
    _, same = lane_beside(traffic)
    if same and _reaches_over(traffic):
        beside = next_beside(traffic, hazard)
        most = min(most, allowed_speed(beside.ahead_m - QUEUE_GAP_M, beside.ahead_mps))
    return most


@njit_scalar
def allowed_past(traffic: Traffic, hazard: Hazard) -> tuple[float, bool]:
    """Return the fastest speed [m/s] from which the ego car still stops before all that it would touch, the obstacle,
    too; and whether it is so near before that that it may wait for its way.
    """
    most, near = allowed_without(traffic, hazard), obstacle_ahead(traffic, hazard)
    right_m = traffic.real[0, SHIFT] - 0.5 * traffic.driver[0, WIDTH]
    if near.way_m < FAR_M and right_m < near.left_m + _CLEAR_M:
        most = min(most, allowed_speed(near.way_m - QUEUE_GAP_M, near.speed_mps))
    return most, near.way_m < _STANDS_M


@njit_scalar
def leeway(traffic: Traffic, hazard: Hazard) -> float:
    """Return how much farther to the left the ego car may be to pass [m]."""
    other, _ = lane_beside(traffic)
    if other == NONE:
        return 0.0
    count = traffic.whole.shape[0]
    for i in range(count - int(hazard.plan[MEMBERS]), count):
        way = way_to(traffic, traffic.whole[i, GOALS], traffic.real[i, S])
        if -_BEHIND_M < way < _BEFORE_M:
            return traffic.streets.lane[other, LANE_WIDTH]
    return 0.0


@njit_scalar
def reach_over(traffic: Traffic) -> None:
    """Have those in the lane on the left that goes the same way mind the ego car while it is in that, too."""
    other, same = lane_beside(traffic)
    traffic.whole[0, LEAVING] = other if same and _reaches_over(traffic) else NONE


@njit_scalar
def _reaches_over(traffic):
    half = 0.5 * traffic.streets.lane[traffic.whole[0, LANE], LANE_WIDTH]
    return traffic.real[0, SHIFT] + 0.5 * traffic.driver[0, WIDTH] > half + _REACHES_M


@njit_scalar
def _least_left(traffic, other):
    """Return how far [m] who comes near in the lane beside is from the line between that and the ego car's; negative:
    it reaches over that.
    """
    real, driver, lanes = traffic.real, traffic.driver, traffic.streets.lane
    here = lanes[other, LANE_LENGTH] - abreast(traffic.streets, traffic.whole[0, LANE], real[0, S], other)
    least = FAR_M
    for j in range(1, traffic.whole.shape[0]):
        way = -_beyond(j, traffic, other, here)
        if -_PASSES_M < way < _COMES_M:
            reach = real[j, SHIFT] + driver[j, OFFSET] + 0.5 * driver[j, WIDTH]
            least = min(least, 0.5 * lanes[other, LANE_WIDTH] - reach)
    return least


@njit_scalar
def fill_passing(traffic: Traffic, hazard: Hazard, profile_mps: float, state: NDArray) -> None:
    """Fill `PASSING_FIELDS`; `profile_mps` is the target speed on empty streets."""
    near, beside = obstacle_ahead(traffic, hazard), next_beside(traffic, hazard)
    lanes, lane, (other, same) = traffic.streets.lane, traffic.whole[0, LANE], lane_beside(traffic)
    left = 0.5 * lanes[lane, LANE_WIDTH]
    if hazard.plan[KIND] == INVADERS and other != NONE:
        left = min(left, left + _least_left(traffic, other))
    state[0] = min(profile_mps, allowed_without(traffic, hazard))
    for k in range(4):
        state[1 + k], state[8 + k] = near[k], beside[k]
    state[5], state[6] = left, left + (lanes[other, LANE_WIDTH] if other != NONE else 0.0)
    state[7] = 0.0 if other == NONE else 1.0 if same else -1.0
