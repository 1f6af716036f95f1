"""One step of all actors of a map. Decisions first, from the state before the step; then everybody moves."""

from drive_rl.sim.compiled import njit_inline, njit_scalar
from drive_rl.sim.traffic.actors import (
    ACCELERATION,
    AT_BUS_STOP,
    AT_LINE,
    BEFORE,
    DRIVES,
    GOALS,
    HOLDS,
    ID,
    LANE,
    LEAVING,
    OWN,
    PUSH,
    SPEED,
    STOPPED,
    TO_LINE,
    WAITED,
    WANT,
    S,
    Traffic,
    draw,
)
from drive_rl.sim.traffic.change_lane import DECIDES_EVERY_S, change_lane, move_over
from drive_rl.sim.traffic.follow import (
    desired_speed,
    find_way,
    follow,
    idm_of,
    lane_ahead,
    list_by_lane,
    to_bus_stop,
)
from drive_rl.sim.traffic.idm import NO_LEADER_M, advance, bounded, idm_acceleration
from drive_rl.sim.traffic.population import DWELL, INATTENTION, MIN_GAP
from drive_rl.sim.traffic.right_of_way import find_junction, give_back, give_way, take_anyway
from drive_rl.sim.traffic.streets import LANE_LENGTH, NONE, abreast

STANDING_MPS = 0.3
"""Slower than this counts as a stop at a stop sign [m/s] ..."""
AT_THE_LINE_M = 3.0
"""... so near to its line [m]."""
_STOPS_BEFORE_M = 0.3
_STARTLED_MPS2 = -3.0
_INATTENTIVE_EVERY_S = 10.0


@njit_scalar
def step_traffic(traffic: Traffic, step: int) -> None:
    """Move the actors of a map by one step; `step` counts them, and is the clock of the signals.

    Actors that do not drive are moved by the caller before the step: `LANE`, `S`, `SPEED`, and `SHIFT` for how far they
    are off the lane's centre line.
    """
    whole, count = traffic.whole, traffic.whole.shape[0]
    list_by_lane(traffic)
    for i in range(count):
        find_way(i, traffic)
        give_back(i, traffic, step)
        find_junction(i, traffic)
        if whole[i, DRIVES] != OWN:
            take_anyway(i, traffic)
    give_way(traffic, step)
    _change_lanes(traffic, step)
    for i in range(count):
        if whole[i, DRIVES] & OWN:
            traffic.real[i, PUSH] = acceleration_of(i, traffic, step)
    for i in range(count):
        if whole[i, DRIVES] & OWN:
            move(i, traffic)


@njit_scalar
def _change_lanes(traffic, step):
    """Let those decide whose turn it is; each sees what those before it decided."""
    every = max(1, int(DECIDES_EVERY_S / traffic.dt_s))
    for k in range(traffic.by_id.size):
        i = traffic.by_id[k]
        turn = (step + draw(traffic.seed, traffic.whole[i, ID], -2)) % every == 0
        if turn and traffic.whole[i, DRIVES] == OWN and change_lane(i, traffic, step):
            list_by_lane(traffic)
            find_way(i, traffic)
            find_junction(i, traffic)


@njit_inline
def acceleration_of(i, traffic, step):
    """Return the acceleration [m/s^2] of actor i: behind all ahead, and before stop lines that it may not pass."""
    lane, s, leaving = traffic.whole[i, LANE], traffic.real[i, S], traffic.whole[i, LEAVING]
    wanted = desired_speed(i, traffic, lane, s, step)
    least = follow(i, traffic, lane, s, wanted)
    if leaving != NONE:
        least = min(least, follow(i, traffic, leaving, abreast(traffic.streets, lane, s, leaving), wanted))
    stop = to_bus_stop(i, traffic)
    if traffic.whole[i, WANT] != NONE:
        stop = min(stop, traffic.real[i, TO_LINE])
    if stop < NO_LEADER_M:
        gap = stop + traffic.driver[i, MIN_GAP] - _STOPS_BEFORE_M
        least = min(least, idm_acceleration(traffic.real[i, SPEED], wanted, gap, 0.0, idm_of(i, traffic)))
    if traffic.driver[i, INATTENTION] > 0 and least > _STARTLED_MPS2 and _is_inattentive(i, traffic, step):
        least = traffic.real[i, ACCELERATION]
    return bounded(least)


@njit_scalar
def _is_inattentive(i, traffic, step):
    """Return whether actor i does not look up just now."""
    every = int(_INATTENTIVE_EVERY_S / traffic.dt_s)
    into = (step + draw(traffic.seed, traffic.whole[i, ID], -3)) % every
    return 0 < into * traffic.dt_s < traffic.driver[i, INATTENTION]


@njit_inline
def move(i, traffic):
    """Move actor i by one step, with the acceleration `PUSH`, on to the next lanes where its own ends."""
    whole, real, lanes = traffic.whole, traffic.real, traffic.streets.lane
    way, real[i, SPEED] = advance(real[i, SPEED], real[i, PUSH], traffic.dt_s)
    real[i, ACCELERATION] = real[i, PUSH]
    for h in range(HOLDS):
        traffic.hold_s[i, h] += way
    move_over(i, traffic)
    wait(i, traffic)
    s = real[i, S] + way
    while s >= lanes[whole[i, LANE], LANE_LENGTH]:
        ahead, goals = lane_ahead(i, traffic, whole[i, LANE], 0)
        if ahead == NONE:
            s = lanes[whole[i, LANE], LANE_LENGTH]
            break
        s -= lanes[whole[i, LANE], LANE_LENGTH]
        whole[i, BEFORE], whole[i, LANE], whole[i, LEAVING], whole[i, STOPPED] = whole[i, LANE], ahead, NONE, 0
        whole[i, GOALS] += goals
    real[i, S] = s


@njit_scalar
def wait(i, traffic):
    """Count how long actor i stands, and note where it has stood."""
    whole, speed = traffic.whole, traffic.real[i, SPEED]
    whole[i, WAITED] = whole[i, WAITED] + 1 if speed < 1.0 else 0
    if speed >= STANDING_MPS:
        return
    if whole[i, WANT] != NONE and traffic.real[i, TO_LINE] < AT_THE_LINE_M:
        whole[i, STOPPED] |= AT_LINE
    if to_bus_stop(i, traffic) < AT_THE_LINE_M and whole[i, WAITED] * traffic.dt_s > _dwell_s(i, traffic):
        whole[i, STOPPED] |= AT_BUS_STOP


@njit_scalar
def _dwell_s(i, traffic):
    """Return how long actor i stands at the bus stop of its lane [s]: 0.5 to 1.5 times as long as on average."""
    share = draw(traffic.seed, traffic.whole[i, ID], -4 - traffic.whole[i, LANE]) / 2147483648.0
    return (0.5 + share) * traffic.driver[i, DWELL]
