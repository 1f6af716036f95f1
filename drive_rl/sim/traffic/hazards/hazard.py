"""A hazard on the ego car's way: the last actor, which a script moves. Others meet it as they meet anybody.

An obstacle may be several, all of which only stand or ride on; `traffic.passing` says how to come past.
Who stands in the way is on the ego car's route. Who crosses it, or cuts in, begins so that both would meet: it
predicts when the ego car arrives from its present speed.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import (
    ASIDE,
    DRIVES,
    EGO,
    GOALS,
    LANE,
    ON_FOOT,
    ON_ROUTE,
    OTHERS_MOVE,
    OWN,
    PUSH,
    SPEED,
    TO_LINE,
    WANT,
    S,
    Traffic,
)
from drive_rl.sim.traffic.ego import QUEUE_GAP_M
from drive_rl.sim.traffic.follow import find_way, follow, list_by_lane
from drive_rl.sim.traffic.hazards.cut_in import cuts_in, drive_beside
from drive_rl.sim.traffic.hazards.emergency import rush
from drive_rl.sim.traffic.hazards.strips import place_on_strips
from drive_rl.sim.traffic.idm import HARDEST_BRAKING_MPS2, allowed_speed, bounded
from drive_rl.sim.traffic.junction_rules import slot_of
from drive_rl.sim.traffic.population import LENGTH
from drive_rl.sim.traffic.right_of_way import take_way
from drive_rl.sim.traffic.step import move
from drive_rl.sim.traffic.streets import (
    APPROACH,
    END_CONFLICT,
    FIRST_CONFLICT,
    JUNCTION,
    LANE_LENGTH,
    MIRROR,
    NONE,
    OTHER,
    TO,
)

HARD_BRAKE, BLOCKED_LANE, PULLS_OUT, CUTS_IN, CROSSING_VEHICLE, PEDESTRIAN, EMERGENCY, PARKING_EXIT = range(8)
OBSTACLE, RIDERS, DOOR, INVADERS = range(8, 12)
"""Values of `KIND`."""
WAITS, ACTS, GOES_ON, OVER = range(4)
"""Values of `PHASE`: nothing has happened yet; it brakes, cuts in, or crosses the ego car's way; it stands, or walks on
behind the ego car's lane; it drives on, or has left the street. A door is closed, opens, and is open. Invaders
have the first one only."""
DRIVEN = np.array(
    [
        [ON_ROUTE, EGO, EGO, ON_ROUTE],
        [EGO, NONE, EGO, ON_ROUTE],
        [ASIDE, ON_ROUTE, NONE, NONE],
        [OTHERS_MOVE, ON_ROUTE, NONE, OWN],
        [OTHERS_MOVE, OTHERS_MOVE, NONE, OWN],
        [ASIDE, ON_FOOT, ON_FOOT, ASIDE],
        [OTHERS_MOVE, NONE, NONE, NONE],
        [ASIDE, ASIDE, NONE, ASIDE],
        [EGO, NONE, NONE, NONE],
        [ON_ROUTE, NONE, NONE, NONE],
        [ASIDE, EGO, EGO, NONE],
        [OWN, NONE, NONE, NONE],
    ],
    np.int64,
)
"""The actor's `DRIVES` by kind and phase; NONE: there is no such phase."""

KIND, AT, AT_S, WITHIN, STANDS_S, SPEED_MPS, EARLY_S, CONNECTION, FROM_M, TO_M, END_M, MEMBERS = range(12)
"""Columns of `Hazard.plan`: what kind it is; a place on the route, as the place of a lane in it and s there [m], which
the ego car has to have reached, or where the actor comes into its way; how near it has to be to one that stands [m];
for how long that stands [s]; how fast one crosses, or drives before it cuts in [m/s], and how long before the ego car
it would be there [s]. Of a vehicle: its connection, and from where to where on it the ways cross [m]. Of a pedestrian,
walked from where it waits: to the middle of the ego car's lane, until it has left that, until it is across [m].
How many actors are an obstacle. Of a door: how fast it comes out, and its `SHIFT` when it is open."""
PHASE, STEPS = range(2)
"""Columns of `Hazard.now`: the phase, and how many steps it has lasted, or a pedestrian has walked."""
PLAN = 12
_FAST_MPS = 4.0
"""Who is slower does not brake hard [m/s]."""
_SPEEDS_UP_MPS2, _SLOWS_DOWN_MPS2, _GAIN_1PS = 1.4, 4.0, 2.0
_SOON_S, _NOTICE_S = 4.5, 2.2
"""Who crosses begins to when the ego car comes so soon [s], but not too late for that to stop [s]."""
_INTO_M, _SLOW_MPS = 2.0, 3.0
"""So little into a place where ways meet, and so slow, the ego car still stops."""
_LEAST_MPS, _USUAL_MPS = 1.0, 6.0
"""The ego car is expected no slower [m/s], by a vehicle if it drives."""


class Hazard(NamedTuple):
    """The script of one hazard; all are empty: there is none."""

    plan: NDArray[np.float64]  # (12,), what was drawn
    strips: NDArray[np.float64]  # (strips.MOST_STRIPS, 5), in the order in which a pedestrian crosses them
    now: NDArray[np.int64]  # (2,), how far it has come


@njit_scalar
def act(traffic: Traffic, hazard: Hazard) -> None:
    """Move the hazard's actor by one step, before `step_traffic` moves all others."""
    if hazard.plan.size == 0 or hazard.plan[KIND] >= PARKING_EXIT:
        return
    i = traffic.whole.shape[0] - 1
    hazard.now[STEPS] += 1
    if hazard.plan[KIND] == CROSSING_VEHICLE:
        _cross(i, traffic, hazard)
    elif hazard.plan[KIND] == PEDESTRIAN:
        _walk(i, traffic, hazard)
    elif hazard.plan[KIND] == EMERGENCY:
        rush(i, traffic)
    elif hazard.plan[KIND] >= PULLS_OUT:
        _wait_beside(i, traffic, hazard)
    else:
        _stand(i, traffic, hazard)


@njit_scalar
def allowed_before(traffic: Traffic, hazard: Hazard) -> float:
    """Return the fastest speed [m/s] from which the ego car still stops before who is about to cross its way, or does;
    infinite: nobody is.
    """
    if hazard.plan.size == 0 or hazard.plan[KIND] < CROSSING_VEHICLE or hazard.now[PHASE] != ACTS:
        return math.inf
    gap = _gap_before(traffic, hazard.plan)
    if gap > 0.0:
        return allowed_speed(gap - QUEUE_GAP_M, 0.0)
    return 0.0 if gap > -_INTO_M and traffic.real[0, SPEED] < _SLOW_MPS else math.inf


@njit_scalar
def _begin(i, traffic, hazard, phase):
    hazard.now[PHASE], hazard.now[STEPS] = phase, 0
    traffic.whole[i, DRIVES] = DRIVEN[int(hazard.plan[KIND]), phase]


@njit_scalar
def _stand(i, traffic, hazard):
    """Stand in the ego car's way for a while, after braking for it if it drives."""
    plan, now = hazard.plan, hazard.now
    if now[PHASE] == WAITS and _is_due(i, traffic, plan):
        _begin(i, traffic, hazard, ACTS if plan[KIND] == HARD_BRAKE else GOES_ON)
    if now[PHASE] == ACTS:
        traffic.real[i, PUSH] = -HARDEST_BRAKING_MPS2
        move(i, traffic)
        if traffic.real[i, SPEED] == 0.0:
            _begin(i, traffic, hazard, GOES_ON)
    elif now[PHASE] == GOES_ON and now[STEPS] * traffic.dt_s >= plan[STANDS_S]:
        _begin(i, traffic, hazard, OVER)


@njit_scalar
def _is_due(i, traffic, plan):
    """Return whether the ego car has come so far, and so near to actor i on its route, that the hazard begins."""
    whole, real = traffic.whole, traffic.real
    halves = 0.5 * (traffic.driver[0, LENGTH] + traffic.driver[i, LENGTH])
    if way_to(traffic, whole[i, GOALS], real[i, S]) - halves > plan[WITHIN]:
        return False
    if way_to(traffic, int(plan[AT]), plan[AT_S]) > 0.0:
        return False
    drives = real[i, SPEED] > _FAST_MPS and traffic.streets.tie[whole[i, LANE], JUNCTION] == NONE
    return plan[KIND] != HARD_BRAKE or drives


@njit_scalar
def _wait_beside(i, traffic, hazard):
    """Stand or drive beside the ego car's lane until it comes near, then take it."""
    plan = hazard.plan
    if hazard.now[PHASE] != WAITS:
        return
    if cuts_in(i, traffic, int(plan[AT]), plan[EARLY_S]):
        _begin(i, traffic, hazard, ACTS)
    elif plan[SPEED_MPS] > 0.0 and not drive_beside(i, traffic, plan[SPEED_MPS]):
        _begin(i, traffic, hazard, OVER)


@njit_scalar
def _cross(i, traffic, hazard):
    """Come to the junction as the ego car does, and drive through as if nobody else had the right of way."""
    whole, real, plan, now = traffic.whole, traffic.real, hazard.plan, hazard.now
    if now[PHASE] == OVER:
        return
    want, speed = int(plan[CONNECTION]), real[i, SPEED]
    tie, half = traffic.streets.tie, 0.5 * traffic.driver[i, LENGTH]
    s = real[i, S]
    if whole[i, LANE] == tie[want, APPROACH]:
        s -= traffic.streets.lane[whole[i, LANE], LANE_LENGTH]
    elif whole[i, LANE] != want:
        s = math.inf
    meets_s = _meets_in(traffic, plan)
    if s - half > plan[TO_M] or (now[PHASE] == WAITS and meets_s < 0.0):
        _begin(i, traffic, hazard, OVER)
        return
    list_by_lane(traffic)
    find_way(i, traffic)
    way = plan[FROM_M] - s - half
    push = _SPEEDS_UP_MPS2
    if now[PHASE] == WAITS:
        asks, holds = whole[i, WANT] == want, slot_of(i, traffic, want) != NONE
        takes_s = time_for(way, speed, plan[SPEED_MPS])
        due = asks and _NOTICE_S < meets_s < _SOON_S and takes_s >= meets_s
        if holds or (due and _is_free(i, traffic, want, takes_s)):
            if not holds:
                take_way(i, traffic, 1)
            _begin(i, traffic, hazard, ACTS)
        else:
            wanted = min(way / max(meets_s, traffic.dt_s), plan[SPEED_MPS])
            if asks:
                wanted = min(wanted, math.sqrt(2.0 * _SPEEDS_UP_MPS2 * max(real[i, TO_LINE] - 1.0, 0.0)))
            push = min(max(_GAIN_1PS * (wanted - speed), -_SLOWS_DOWN_MPS2), _SPEEDS_UP_MPS2)
    most = (plan[SPEED_MPS] - speed) / traffic.dt_s
    push = min(min(push, most), follow(i, traffic, whole[i, LANE], real[i, S], 2.0 * plan[SPEED_MPS]))
    real[i, PUSH] = bounded(push)
    move(i, traffic)


@njit_scalar
def _is_free(i, traffic, want, time_s):
    """Return whether nobody but the ego car would be in actor i's way on a connection after so many seconds."""
    streets = traffic.streets
    for c in range(streets.tie[want, FIRST_CONFLICT], streets.tie[want, END_CONFLICT]):
        other, end = streets.meets[c, OTHER], streets.meets_m[streets.meets[c, MIRROR], TO]
        for j in range(1, traffic.whole.shape[0]):
            h = slot_of(j, traffic, other) if j != i else NONE
            rear = traffic.real[j, SPEED] * time_s - 0.5 * traffic.driver[j, LENGTH]
            if h != NONE and traffic.hold_s[j, h] + rear < end:
                return False
    return True


@njit_scalar
def _walk(i, traffic, hazard):
    """Walk across the street when the ego car comes."""
    plan, now = hazard.plan, hazard.now
    if now[PHASE] == WAITS:
        meets_s = _meets_in(traffic, plan)
        if 0.0 <= meets_s <= plan[FROM_M] / plan[SPEED_MPS]:
            _begin(i, traffic, hazard, ACTS)
        return
    way = min(plan[SPEED_MPS] * now[STEPS] * traffic.dt_s, plan[END_M])
    now[PHASE] = ACTS if way < plan[TO_M] else GOES_ON if way < plan[END_M] else OVER
    traffic.whole[i, DRIVES] = DRIVEN[PEDESTRIAN, now[PHASE]]
    place_on_strips(i, traffic, hazard.strips, way)


@njit_scalar
def _gap_before(traffic, plan):
    """Return how far the ego car's front is before the place where somebody comes into its way [m]."""
    return way_to(traffic, int(plan[AT]), plan[AT_S]) - 0.5 * traffic.driver[0, LENGTH]


@njit_scalar
def _meets_in(traffic, plan):
    """Return the time [s] in which who crosses has to be there to meet the ego car; negative: that has passed."""
    gap = _gap_before(traffic, plan)
    if gap < 0.0:
        return -1.0
    speed = max(traffic.real[0, SPEED], _LEAST_MPS)
    if plan[KIND] == CROSSING_VEHICLE and speed > _LEAST_MPS:
        speed = max(speed, _USUAL_MPS)
    return max(gap / speed - plan[EARLY_S], 0.0)


@njit_scalar
def time_for(way, speed, most):
    """Return the time [s] for a way [m], from a speed up to `most` [m/s], with the acceleration of who crosses."""
    gains = (most * most - speed * speed) / (2.0 * _SPEEDS_UP_MPS2)
    if gains >= way:
        return (math.sqrt(speed * speed + 2.0 * _SPEEDS_UP_MPS2 * max(way, 0.0)) - speed) / _SPEEDS_UP_MPS2
    return (most - speed) / _SPEEDS_UP_MPS2 + (way - gains) / most


@njit_scalar
def way_to(traffic, at, s):
    """Return how far [m] a place on the ego car's route, s [m] on its lane `at`, is ahead of the car's middle."""
    here, way = traffic.whole[0, GOALS], s - traffic.real[0, S]
    for k in range(here, at):
        way += traffic.streets.lane[traffic.route[k], LANE_LENGTH]
    for k in range(at, here):
        way -= traffic.streets.lane[traffic.route[k], LANE_LENGTH]
    return way
