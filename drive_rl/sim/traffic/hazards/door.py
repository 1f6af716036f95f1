"""A car's door that opens before the ego car: the last actor of an obstacle. It comes out of the side of the car."""

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import DRIVES, GOALS, SHIFT, S, Traffic
from drive_rl.sim.traffic.hazards.hazard import (
    ACTS,
    DOOR,
    DRIVEN,
    END_M,
    GOES_ON,
    KIND,
    PHASE,
    SPEED_MPS,
    WAITS,
    WITHIN,
    Hazard,
    way_to,
)
from drive_rl.sim.traffic.population import LENGTH


@njit_scalar
def open_door(traffic: Traffic, hazard: Hazard) -> None:
    """Open the hazard's door by one step, if it has one and the ego car has come near."""
    if hazard.plan.size == 0 or hazard.plan[KIND] != DOOR or hazard.now[PHASE] == GOES_ON:
        return
    plan, now, i = hazard.plan, hazard.now, traffic.whole.shape[0] - 1
    if now[PHASE] == WAITS:
        halves = 0.5 * (traffic.driver[0, LENGTH] + traffic.driver[i, LENGTH])
        gap = way_to(traffic, traffic.whole[i, GOALS], traffic.real[i, S]) - halves
        if gap < 0.0 or gap > plan[WITHIN]:
            return
        now[PHASE] = ACTS
    traffic.real[i, SHIFT] = min(traffic.real[i, SHIFT] + plan[SPEED_MPS] * traffic.dt_s, plan[END_M])
    if traffic.real[i, SHIFT] == plan[END_M]:
        now[PHASE] = GOES_ON
    traffic.whole[i, DRIVES] = DRIVEN[DOOR, now[PHASE]]
