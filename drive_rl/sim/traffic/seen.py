"""Traffic as the ego car's camera has shown it, and what the ego car may do by that alone.

What it knows of the map stays: lanes, signs, priorities and where signals stand.
"""

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.map.network import Control, Light
from drive_rl.sim.traffic.actors import (
    HOLDS,
    LANE,
    LEAVING,
    SPEED,
    TO_LINE,
    WANT,
    S,
    Traffic,
)
from drive_rl.sim.traffic.follow import find_way, list_by_lane
from drive_rl.sim.traffic.hazards.hazard import ACTS, KIND, OBSTACLE, OVER, PARKING_EXIT, PHASE, WAITS, Hazard
from drive_rl.sim.traffic.junction_rules import HARD_BRAKING_MPS2, is_between, stops_for_signal
from drive_rl.sim.traffic.population import LENGTH
from drive_rl.sim.traffic.right_of_way import find_junction, list_claims, take_way, way_free
from drive_rl.sim.traffic.streets import APPROACH, CONTROL, NONE, TAIL, light_of

_NOWHERE_M = 1e9


@njit(nogil=True)
def seen_traffic(traffic: Traffic, seen: NDArray[np.bool_]) -> Traffic:
    """Return a copy of the traffic without the actors that are not `seen` (N,); the ego car is in it in any case.

    There the ego car has no right of way that it could still give back, and no place in another lane.
    """
    whole, real, hold = traffic.whole.copy(), traffic.real.copy(), traffic.hold.copy()
    for j in range(1, whole.shape[0]):
        if not seen[j]:
            whole[j, LANE], whole[j, LEAVING], whole[j, WANT] = NONE, NONE, NONE
            real[j, S], hold[j] = _NOWHERE_M, NONE
    whole[0, LEAVING] = NONE
    copy = Traffic(
        traffic.streets,
        traffic.driver,
        whole,
        real,
        hold,
        traffic.hold_s.copy(),
        traffic.by_id,
        traffic.route,
        traffic.route_m,
        traffic.way.copy(),
        traffic.by_lane.copy(),
        traffic.claim.copy(),
        traffic.link.copy(),
        traffic.place.copy(),
        traffic.seed,
        traffic.dt_s,
    )
    _give_back(copy)
    list_by_lane(copy)
    find_way(0, copy)
    find_junction(0, copy)
    return copy


@njit(nogil=True)
def seen_hazard(hazard: Hazard, seen: NDArray[np.bool_]) -> Hazard:
    """Return a copy of the hazard as who does not see its actor would think of it: nothing happens.

    Who parks decides anew whether it may pull out.
    """
    now = hazard.now.copy()
    if hazard.plan.size > 0 and hazard.plan[KIND] < OBSTACLE:
        if hazard.plan[KIND] == PARKING_EXIT:
            now[PHASE] = OVER if now[PHASE] == OVER else WAITS
        elif now[PHASE] == ACTS and not seen[-1]:
            now[PHASE] = WAITS
    return Hazard(hazard.plan, hazard.strips, now)


@njit_scalar
def signal_ahead(traffic: Traffic) -> int:
    """Return the lane whose signal the ego car needs the right of way from; NONE: it needs none."""
    want = traffic.whole[0, WANT]
    approach = traffic.streets.tie[want, APPROACH] if want != NONE else NONE
    return approach if approach != NONE and traffic.streets.tie[approach, CONTROL] == Control.SIGNAL else NONE


@njit_scalar
def take_seen_way(traffic: Traffic, step: int, shown: bool) -> None:
    """Have the ego car take the right of way that it may have by a `seen_traffic`, or can no longer do without.

    Args:
        traffic: The traffic.
        step: The signals' clock.
        shown: Whether it knows what the signal ahead shows; if not, it takes it for red.
    """
    want, signal = traffic.whole[0, WANT], signal_ahead(traffic)
    if want == NONE:
        return
    list_claims(traffic)
    count, speed, line = 0, traffic.real[0, SPEED], traffic.real[0, TO_LINE]
    if signal == NONE or shown:
        count = way_free(0, traffic, step)
        if count == 0 and signal != NONE and line > 0.0:
            yellow = light_of(traffic.streets, signal, step * traffic.dt_s) == Light.YELLOW
            if yellow and not stops_for_signal(0, traffic, signal, speed * speed / (2.0 * line), step):
                count = 1
    if speed * speed > 2.0 * HARD_BRAKING_MPS2 * max(line, 0.0):
        count = max(count, 1)
    take_way(0, traffic, count)


@njit_scalar
def _give_back(traffic):
    """Take the right of way from the ego car on connections that it can stop before; one that is too near behind
    another to wait between them it keeps once it is in that.
    """
    half, speed, streets = 0.5 * traffic.driver[0, LENGTH], traffic.real[0, SPEED], traffic.streets
    within = False
    for h in range(HOLDS):
        within = within or (traffic.hold[0, h] != NONE and _to_line(traffic, h, half) < 0.0)
    for h in range(HOLDS):
        lane = traffic.hold[0, h]
        if lane == NONE or (within and is_between(streets, lane)):
            continue
        if speed * speed <= 2.0 * HARD_BRAKING_MPS2 * _to_line(traffic, h, half):
            traffic.hold[0, h] = NONE


@njit_scalar
def _to_line(traffic, h, half):
    """Return how far the ego car's front is before the line of the connection in slot h [m]."""
    approach = traffic.streets.tie[traffic.hold[0, h], APPROACH]
    return -traffic.hold_s[0, h] - half - traffic.streets.lane[approach, TAIL]
