"""Whether a junction may be entered: signals, signs, who holds what, who comes, and room behind it. Writes nothing."""

import math

from drive_rl.sim.compiled import njit_inline, njit_scalar
from drive_rl.sim.map.network import Control, Light, Priority
from drive_rl.sim.traffic.actors import (
    ASKS,
    AT_LINE,
    DRIVES,
    EGO,
    FIRST,
    HELD,
    HOLDS,
    NEXT_WANTED,
    SPEED,
    STOPPED,
    TO_START,
    WAITED,
    WANT,
    WANTED,
)
from drive_rl.sim.traffic.population import (
    ACCEPTED_GAP,
    BRAKING,
    LENGTH,
    MIN_GAP,
    MOST_ACCELERATION,
    PATIENCE,
    TOP_SPEED,
    WIDTH,
)
from drive_rl.sim.traffic.streets import (
    APPROACH,
    CONTROL,
    END_CONFLICT,
    FIRST_CONFLICT,
    FIRST_NEXT,
    FROM,
    GAP,
    JUNCTION,
    LANE_LENGTH,
    LANE_SPEED,
    MIRROR,
    NONE,
    OTHER,
    PRIORITY,
    TO,
    light_of,
    reach_of,
)

CLEARANCE_M = 2.0
"""Room behind a car that has passed a conflict, before the next may come [m]."""
ROOM_BESIDE_M = 0.3
"""Room between two bodies that pass each other in a bend, for drivers off their line [m] ..."""
ROOM_BESIDE_EGO_M = 0.8
"""... and where one of them is the ego car, which nothing keeps to its line."""
HARD_BRAKING_MPS2 = 4.0
"""Braking that an actor accepts for a signal that turned red [m/s^2]."""
WAITING_M = 20.0
"""Between junctions that are nearer to each other than this nobody waits [m]."""
LET_IN, NEEDS_ROOM = 2, 3
"""Values of `ASKS` while the right of way is given: stood for so long that it is let in as soon as others have left; or
as soon as there is room behind the junction, which nobody else takes meanwhile."""
_COMES_MPS = 1.0


@njit_scalar
def slot_of(i, traffic, lane):
    """Return the slot in which actor i holds a connection, or NONE; `lane` NONE: a free slot."""
    for h in range(HOLDS):
        if traffic.hold[i, h] == lane:
            return h
    return NONE


@njit_scalar
def is_governed(streets, lane, ahead):
    """Return whether it takes the right of way to go from a lane to the next."""
    meets = streets.tie[ahead, FIRST_CONFLICT] < streets.tie[ahead, END_CONFLICT]
    return meets or (streets.tie[ahead, JUNCTION] >= 0 and streets.tie[lane, CONTROL] != Control.NONE)


@njit_inline
def may_enter(i, traffic, want, start, step):
    """Return whether actor i may enter a connection that begins so far [m] ahead."""
    tie = traffic.streets.tie
    if not is_open(i, traffic, want, step):
        return False
    for c in range(tie[want, FIRST_CONFLICT], tie[want, END_CONFLICT]):
        if _is_held(i, traffic, want, c) or _is_coming(i, traffic, c, start, step) or is_let_in(i, traffic, want, c):
            return False
    return True


@njit_scalar
def is_open(i, traffic, want, step):
    """Return whether neither a signal nor a stop sign keeps actor i from a connection."""
    approach = traffic.streets.tie[want, APPROACH]
    control = traffic.streets.tie[approach, CONTROL]
    if control == Control.SIGNAL:
        return light_of(traffic.streets, approach, step * traffic.dt_s) == Light.GREEN
    return control != Control.STOP_SIGN or traffic.whole[i, STOPPED] & AT_LINE != 0


@njit_scalar
def is_let_in(i, traffic, want, c):
    """Return whether conflict c of a connection is kept free for another who is to be let in, or waits for room on the
    same lane behind it; not from those who wait between junctions, where they are in the way.
    """
    streets = traffic.streets
    other = streets.meets[c, OTHER]
    j = traffic.by_lane[other, WANTED]
    if j == NONE or is_between(streets, want):
        return False
    same = streets.next[streets.tie[want, FIRST_NEXT]] == streets.next[streets.tie[other, FIRST_NEXT]]
    while j != NONE:
        asks = traffic.whole[j, ASKS]
        keeps = asks == LET_IN or (asks == NEEDS_ROOM and same)
        if j != i and keeps and traffic.whole[j, WANT] == other:
            return True
        j = traffic.claim[j, NEXT_WANTED]
    return False


@njit_inline
def _is_held(i, traffic, want, c):
    """Return whether another actor is to pass conflict c of a connection, and both are wide enough to touch there."""
    streets, driver = traffic.streets, traffic.driver
    other, end = streets.meets[c, OTHER], streets.meets_m[streets.meets[c, MIRROR], TO]
    entry = traffic.by_lane[other, HELD]
    while entry != NONE:
        j, h = entry // HOLDS, entry % HOLDS
        entry = traffic.claim[j, h]
        if j != i and traffic.hold_s[j, h] - 0.5 * driver[j, LENGTH] < end + CLEARANCE_M:
            reach = reach_of(streets, want, driver[i, LENGTH], driver[i, WIDTH])
            reach += reach_of(streets, other, driver[j, LENGTH], driver[j, WIDTH])
            ego = (traffic.whole[i, DRIVES] | traffic.whole[j, DRIVES]) & EGO
            if reach + (ROOM_BESIDE_EGO_M if ego else ROOM_BESIDE_M) > streets.meets_m[c, GAP]:
                return True
    return False


@njit_inline
def _is_coming(i, traffic, c, start, step):
    """Return whether somebody with priority would come to conflict c before actor i has left it, by their speeds."""
    streets, real, driver = traffic.streets, traffic.real, traffic.driver
    if streets.meets[c, PRIORITY] != Priority.YIELDS or lost_patience(i, traffic):
        return False
    other = streets.meets[c, OTHER]
    j = traffic.by_lane[other, WANTED]
    if j == NONE:
        return False
    approach = streets.tie[other, APPROACH]
    signal = streets.tie[approach, CONTROL] == Control.SIGNAL
    if signal and light_of(streets, approach, step * traffic.dt_s) != Light.GREEN:
        return False
    way = start + streets.meets_m[c, TO] + 0.5 * driver[i, LENGTH] + CLEARANCE_M
    gone_s = _time_for(i, traffic, way) + driver[i, ACCEPTED_GAP]
    starts = streets.meets_m[streets.meets[c, MIRROR], FROM]
    while j != NONE:
        comes = j != i and traffic.whole[j, WANT] == other and real[j, SPEED] > _COMES_MPS
        if comes and real[j, TO_START] + starts - 0.5 * driver[j, LENGTH] < gone_s * real[j, SPEED]:
            return True
        j = traffic.claim[j, NEXT_WANTED]
    return False


@njit_scalar
def _time_for(i, traffic, way):
    """Return the time [s] in which actor i drives a way [m], if it speeds up to what its connection allows."""
    speed, push = traffic.real[i, SPEED], 0.8 * traffic.driver[i, MOST_ACCELERATION]
    most = min(traffic.streets.lane[traffic.whole[i, WANT], LANE_SPEED], traffic.driver[i, TOP_SPEED])
    if speed >= most:
        return way / most
    gains = (most * most - speed * speed) / (2.0 * push)
    if gains >= way:
        return (math.sqrt(speed * speed + 2.0 * push * way) - speed) / push
    return (most - speed) / push + (way - gains) / most


@njit_scalar
def room_needed(i, traffic, want):
    """Return the room [m] that actor i needs behind a connection, for itself and those who go before it there."""
    driver = traffic.driver
    needs = driver[i, LENGTH] + driver[i, MIN_GAP] + 1.0
    if traffic.by_lane[want, HELD] == NONE:
        return needs
    for j in range(driver.shape[0]):
        h = slot_of(j, traffic, want) if j != i else NONE
        if h != NONE and traffic.hold_s[j, h] - 0.5 * driver[j, LENGTH] < traffic.streets.lane[want, LANE_LENGTH]:
            needs += driver[j, LENGTH] + driver[j, MIN_GAP]
    return needs


@njit_scalar
def first_rear(i, traffic, lane):
    """Return where the first rear on a lane would come to stand, those left out who may leave the lane [m]."""
    first, entry = 1e9, traffic.by_lane[lane, FIRST]
    while entry != NONE:
        j = entry % traffic.whole.shape[0]
        if j != i and not _may_go_on(j, traffic):
            rolls = traffic.real[j, SPEED] * traffic.real[j, SPEED] / (2.0 * HARD_BRAKING_MPS2)
            first = min(first, traffic.place[entry] - 0.5 * traffic.driver[j, LENGTH] + rolls)
        entry = traffic.link[entry]
    return first


@njit_scalar
def _may_go_on(j, traffic):
    """Return whether actor j holds a connection that it has not reached."""
    for h in range(HOLDS):  # noqa: SIM110 - a GPU has no generators
        if traffic.hold[j, h] != NONE and traffic.hold_s[j, h] < 0.0:
            return True
    return False


@njit_scalar
def is_between(streets, want):
    """Return whether the lane that leads to a connection is too short to wait there."""
    return streets.lane[streets.tie[want, APPROACH], LANE_LENGTH] <= WAITING_M


@njit_scalar
def lost_patience(i, traffic):
    """Return whether actor i has stood for longer than its patience."""
    return traffic.whole[i, WAITED] * traffic.dt_s > traffic.driver[i, PATIENCE]


@njit_scalar
def stops_for_signal(i, traffic, approach, braking, step):
    """Return whether the signal is yellow or red and actor i, which would brake so hard [m/s^2], stops for it."""
    if traffic.streets.tie[approach, CONTROL] != Control.SIGNAL:
        return False
    light = light_of(traffic.streets, approach, step * traffic.dt_s)
    most = HARD_BRAKING_MPS2 if light == Light.RED else traffic.driver[i, BRAKING]
    return light != Light.GREEN and braking < most
