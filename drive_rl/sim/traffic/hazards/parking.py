"""Pulling out of a parking bay: the ego car begins beside its lane, where nobody minds it, and waits for its place."""

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import DRIVES, EGO, LANE, SHIFT, Traffic
from drive_rl.sim.traffic.ego import allowed_ahead, may_enter
from drive_rl.sim.traffic.hazards.hazard import ACTS, KIND, OVER, PARKING_EXIT, PHASE, WAITS, Hazard
from drive_rl.sim.traffic.population import WIDTH
from drive_rl.sim.traffic.streets import LANE_WIDTH

_BESIDE_M = 1.5
"""So much farther to the right may the ego car be until it is in the lane [m]."""
_IN_THE_LANE_M = 0.5
"""It is once it is so near to its middle [m]."""


@njit_scalar
def is_parked(hazard: Hazard) -> bool:
    """Return whether the ego car began in a bay, and has not come into its lane yet."""
    return hazard.plan.size > 0 and hazard.plan[KIND] == PARKING_EXIT and hazard.now[PHASE] != OVER


@njit_scalar
def pull_out(traffic: Traffic, hazard: Hazard) -> tuple[float, bool, float]:
    """Return the fastest speed [m/s] that is allowed there, whether the ego car has to wait, and its leeway [m].

    It takes its place in the lane by `DRIVES`: from then on others mind it.
    """
    whole, now = traffic.whole, hazard.now
    if now[PHASE] == WAITS and (_reaches_in(traffic) or may_enter(traffic)):
        now[PHASE], whole[0, DRIVES] = ACTS, EGO
    if now[PHASE] == WAITS:
        return 0.0, True, -_BESIDE_M
    if traffic.real[0, SHIFT] > -_IN_THE_LANE_M:
        now[PHASE] = OVER
    return allowed_ahead(traffic), False, -_BESIDE_M if now[PHASE] == ACTS else 0.0


@njit_scalar
def _reaches_in(traffic):
    half = 0.5 * traffic.streets.lane[traffic.whole[0, LANE], LANE_WIDTH]
    return traffic.real[0, SHIFT] + 0.5 * traffic.driver[0, WIDTH] > -half
