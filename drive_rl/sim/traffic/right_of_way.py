"""Who may enter a junction: signals, signs, priority, and nobody where another one is. Knows nothing of following.

An actor enters a connection only with the right of way on it (a *hold*), which it keeps until its rear has left. Two
connections that meet are never held at once, except where the one who holds has passed the place. So nobody who obeys
is ever in another's way, and a minor road waits for gaps alone. Who asks in the same step is served in a total order:
whoever lost patience first, then by sign, left turns last, then by waiting, then by id.
"""

from drive_rl.sim.compiled import njit_inline, njit_scalar
from drive_rl.sim.map.network import Control, Turn
from drive_rl.sim.traffic.actors import (
    ASKS,
    DRIVES,
    HELD,
    HOLDS,
    ID,
    LANE,
    NEXT_WANTED,
    ON_FOOT,
    QUEUE,
    SPEED,
    TO_LINE,
    TO_START,
    WAITED,
    WANT,
    WANT_GOALS,
    WANTED,
    S,
)
from drive_rl.sim.traffic.follow import idm_of, lane_ahead, next_on_way, to_bus_stop
from drive_rl.sim.traffic.idm import NO_LEADER_M, desired_gap
from drive_rl.sim.traffic.junction_rules import (
    CLEARANCE_M,
    HARD_BRAKING_MPS2,
    LET_IN,
    NEEDS_ROOM,
    WAITING_M,
    first_rear,
    is_between,
    is_governed,
    is_let_in,
    is_open,
    lost_patience,
    may_enter,
    room_needed,
    slot_of,
    stops_for_signal,
)
from drive_rl.sim.traffic.population import LENGTH, PATIENCE
from drive_rl.sim.traffic.streets import (
    APPROACH,
    CONTROL,
    END_CONFLICT,
    END_NEXT,
    FIRST_CONFLICT,
    FIRST_NEXT,
    LANE_LENGTH,
    NONE,
    OTHER,
    TAIL,
    TURN,
)

STUCK_S = 20.0
"""Who stands for so long before a junction gives its right of way back [s]."""
LET_IN_AFTER = 2.5
"""Who has stood before a main road for so many times its patience is let in: others no longer enter across its way."""
_MOST_AT_ONCE = 3


@njit_inline
def find_junction(i, traffic):
    """Find the next connection that actor i needs the right of way for, and whether it is near enough to ask for it."""
    whole, real, lanes = traffic.whole, traffic.real, traffic.streets.lane
    whole[i, WANT], whole[i, ASKS] = NONE, 0
    lane, speed, goals, passed = whole[i, LANE], real[i, SPEED], 0, 0
    if lane == NONE or whole[i, DRIVES] >= ON_FOOT:
        return
    half, start = 0.5 * traffic.driver[i, LENGTH], lanes[lane, LANE_LENGTH] - real[i, S]
    near = desired_gap(speed, speed, idm_of(i, traffic)) + 2.0
    while start - half - lanes[lane, TAIL] < 2.0 * near + 20.0:
        ahead, goals = next_on_way(i, traffic, lane, goals, passed)
        if ahead == NONE:
            break
        if is_governed(traffic.streets, lane, ahead) and slot_of(i, traffic, ahead) == NONE:
            line = start - half - lanes[lane, TAIL]
            asks = line < near and to_bus_stop(i, traffic) == NO_LEADER_M
            whole[i, WANT], whole[i, WANT_GOALS], whole[i, ASKS] = ahead, goals, 1 if asks else 0
            real[i, TO_START], real[i, TO_LINE] = start, line
            break
        start += lanes[ahead, LANE_LENGTH]
        lane = ahead
        passed += 1


@njit_scalar
def give_way(traffic, step):
    """Give the right of way to those who ask for it and may have it, in their order."""
    whole, claim, asking = traffic.whole, traffic.claim, 0
    list_claims(traffic)
    for i in range(whole.shape[0]):
        if whole[i, ASKS]:
            whole[i, ASKS] = 0
            if whole[i, DRIVES] and is_open(i, traffic, whole[i, WANT], step) and _is_first(i, traffic):
                claim[asking, QUEUE] = i
                asking += 1
    for first in range(asking):
        for k in range(first + 1, asking):
            if _goes_before(claim[k, QUEUE], claim[first, QUEUE], traffic):
                claim[first, QUEUE], claim[k, QUEUE] = claim[k, QUEUE], claim[first, QUEUE]
        best = claim[first, QUEUE]
        if take_way(best, traffic, way_free(best, traffic, step)):
            whole[best, WAITED] = 0
        else:
            whole[best, ASKS] = _is_next(best, traffic, step)
    for k in range(asking):
        whole[claim[k, QUEUE], ASKS] = 0


@njit_scalar
def list_claims(traffic):
    """List who holds and who wants each connection."""
    whole, hold, by_lane = traffic.whole, traffic.hold, traffic.by_lane
    for lane in range(by_lane.shape[0]):
        by_lane[lane, HELD], by_lane[lane, WANTED] = NONE, NONE
    for i in range(whole.shape[0]):
        want = whole[i, WANT]
        if want != NONE:
            traffic.claim[i, NEXT_WANTED] = by_lane[want, WANTED]
            by_lane[want, WANTED] = i
        for h in range(HOLDS):
            if hold[i, h] != NONE:
                _list_hold(i, h, traffic)


@njit_scalar
def _list_hold(i, h, traffic):
    lane = traffic.hold[i, h]
    traffic.claim[i, h] = traffic.by_lane[lane, HELD]
    traffic.by_lane[lane, HELD] = i * HOLDS + h


@njit_inline
def _is_first(i, traffic):
    """Return whether nobody without the right of way is between actor i and its stop line."""
    tie = traffic.streets.tie
    approach = tie[traffic.whole[i, WANT], APPROACH]
    for n in range(tie[approach, FIRST_NEXT], tie[approach, END_NEXT]):
        lane = traffic.streets.next[n]
        j = traffic.by_lane[lane, WANTED] if tie[lane, APPROACH] == approach else NONE
        while j != NONE:
            if j != i and traffic.real[j, TO_LINE] < traffic.real[i, TO_LINE]:
                return False
            j = traffic.claim[j, NEXT_WANTED]
    return True


@njit_inline
def _goes_before(i, j, traffic):
    """Return whether actor i is served before actor j."""
    one, other = _rank(i, traffic), _rank(j, traffic)
    if one != other:
        return one < other
    if traffic.whole[i, WAITED] != traffic.whole[j, WAITED]:
        return traffic.whole[i, WAITED] > traffic.whole[j, WAITED]
    return traffic.whole[i, ID] < traffic.whole[j, ID]


@njit_scalar
def _rank(i, traffic):
    tie, want = traffic.streets.tie, traffic.whole[i, WANT]
    if lost_patience(i, traffic):
        return 0
    control = tie[tie[want, APPROACH], CONTROL]
    sign = 2 if control == Control.STOP_SIGN else 1 if control == Control.GIVE_WAY else 0
    return 1 + 2 * sign + (1 if tie[want, TURN] == Turn.LEFT else 0)


@njit_inline
def way_free(i, traffic, step):
    """Return how many connections actor i may have from the one that it wants on; 0: it has to wait.

    It may have one if it finds room behind it. Where the next one is too near for that, as in a roundabout, it may have
    both or none, and of three all or none: nobody enters to wait where others cross. Who waits on such a short lane
    already moves on if it can, so that a full roundabout turns.
    """
    lanes, lane, goals = traffic.streets.lane, traffic.whole[i, WANT], traffic.whole[i, WANT_GOALS]
    start = traffic.real[i, TO_START]
    for count in range(1, _MOST_AT_ONCE + 1):
        if not may_enter(i, traffic, lane, start, step):
            return 0
        if count == _MOST_AT_ONCE or (count == 1 and is_between(traffic.streets, lane)):
            return count
        room, needs = 0.0, room_needed(i, traffic, lane)
        while room < needs:
            start += lanes[lane, LANE_LENGTH]
            ahead, goals = lane_ahead(i, traffic, lane, goals)
            if ahead == NONE:
                return count
            if is_governed(traffic.streets, lane, ahead):
                lane = ahead
                break
            if lanes[ahead, LANE_LENGTH] > WAITING_M:
                if room + first_rear(i, traffic, ahead) < needs:
                    return 0
                room += lanes[ahead, LANE_LENGTH] - lanes[ahead, TAIL]
            lane = ahead
        else:
            return count
    return 0


@njit_inline
def _is_next(i, traffic, step):
    """Return `LET_IN` or `NEEDS_ROOM` if actor i, which may not enter now, has stood before a main road, or before one
    like its own, for so long that it is let in, else 0. Among equal roads it gets the room behind the junction alone.
    """
    tie, meets, lane = traffic.streets.tie, traffic.streets.meets, traffic.whole[i, WANT]
    if traffic.whole[i, WAITED] * traffic.dt_s < LET_IN_AFTER * traffic.driver[i, PATIENCE]:
        return 0
    sign, main = tie[tie[lane, APPROACH], CONTROL], False
    for c in range(tie[lane, FIRST_CONFLICT], tie[lane, END_CONFLICT]):
        main = main or tie[tie[meets[c, OTHER], APPROACH], CONTROL] == Control.NONE
        if is_let_in(i, traffic, lane, c):
            return 0
    if not main or sign == Control.SIGNAL:
        return 0
    ahead, _ = lane_ahead(i, traffic, lane, traffic.whole[i, WANT_GOALS])
    has_room = ahead == NONE or first_rear(i, traffic, ahead) >= room_needed(i, traffic, lane)
    return LET_IN if has_room and sign != Control.NONE else NEEDS_ROOM


@njit_inline
def take_way(i, traffic, count):
    """Let actor i hold so many connections on its way; return whether it holds any more than before."""
    lane, goals = traffic.whole[i, WANT], traffic.whole[i, WANT_GOALS]
    start, taken, before = traffic.real[i, TO_START], 0, lane
    while taken < count:
        if taken == 0 or is_governed(traffic.streets, before, lane):
            slot = slot_of(i, traffic, NONE)
            if slot == NONE:
                break
            traffic.hold[i, slot], traffic.hold_s[i, slot] = lane, -start
            _list_hold(i, slot, traffic)
            taken += 1
        start += traffic.streets.lane[lane, LANE_LENGTH]
        before = lane
        lane, goals = lane_ahead(i, traffic, lane, goals)
    if taken > 0:
        traffic.whole[i, WANT], traffic.whole[i, ASKS] = NONE, 0
    return taken > 0


@njit_scalar
def give_back(i, traffic, step):
    """Take the right of way from actor i where it has left, has to stop for a signal, or stands in a queue."""
    streets, half, speed = traffic.streets, 0.5 * traffic.driver[i, LENGTH], traffic.real[i, SPEED]
    stuck = traffic.whole[i, WAITED] * traffic.dt_s > STUCK_S
    for h in range(HOLDS):
        stuck = stuck and (traffic.hold[i, h] == NONE or traffic.hold_s[i, h] + half < 0.0)
    for h in range(HOLDS):
        lane, s = traffic.hold[i, h], traffic.hold_s[i, h]
        if lane == NONE:
            continue
        approach = streets.tie[lane, APPROACH]
        line = -s - half - streets.lane[approach, TAIL]
        left = s - half > streets.lane[lane, LANE_LENGTH] + CLEARANCE_M
        if left or stuck or (line > 0.0 and stops_for_signal(i, traffic, approach, speed * speed / (2.0 * line), step)):
            traffic.hold[i, h] = NONE


@njit_scalar
def take_anyway(i, traffic):
    """Let an actor that others move hold what it is on, or can no longer stop before: the rest keep clear of it."""
    whole, lane, speed = traffic.whole, traffic.whole[i, LANE], traffic.real[i, SPEED]
    if lane == NONE or whole[i, DRIVES] >= ON_FOOT:
        return
    tie = traffic.streets.tie
    if tie[lane, FIRST_CONFLICT] < tie[lane, END_CONFLICT] and slot_of(i, traffic, lane) == NONE:
        slot = slot_of(i, traffic, NONE)
        if slot != NONE:
            traffic.hold[i, slot], traffic.hold_s[i, slot] = lane, traffic.real[i, S]
    if whole[i, WANT] != NONE and speed * speed > 2.0 * HARD_BRAKING_MPS2 * traffic.real[i, TO_LINE]:
        take_way(i, traffic, 1)
