"""What the lamps at the back of a vehicle say of its driver: that it brakes, and where it is about to go."""

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.map.network import Turn
from drive_rl.sim.traffic.actors import (
    ACCELERATION,
    DRIVES,
    ID,
    LANE,
    OWN,
    SHIFT,
    SPEED,
    TO_LINE,
    WANT,
    Traffic,
)
from drive_rl.sim.traffic.streets import JUNCTION, NONE, TURN

BRAKES_MPS2 = -0.7
"""Who slows down more than this has a foot on the brake [m/s^2]; less is the engine's drag."""
_STANDS_MPS = 0.1
SIGNALS_M = 30.0
"""So far before the stop line do drivers signal a turn [m]."""
FLASHES_HZ = 1.5
_ASIDE_M = 0.3
"""So far beside its lane's middle is who still changes lanes [m]."""
_APART = 0.37  # of a period, from one actor to the next


@njit_scalar
def brakes(i: int, traffic: Traffic) -> bool:
    """Return whether the brake lamps of actor i are lit: it slows down, or stands and is not parked."""
    stands = traffic.real[i, SPEED] < _STANDS_MPS and traffic.whole[i, DRIVES] & OWN != 0
    return stands or traffic.real[i, ACCELERATION] < BRAKES_MPS2


@njit_scalar
def signals(i: int, traffic: Traffic, time_s: float) -> int:
    """Return on which side the indicators of actor i are lit at a time: 1 left, -1 right, 0 on none.

    They flash before a turn and in it, and while it changes lanes or pulls out.
    """
    whole, tie = traffic.whole, traffic.streets.tie
    lane, want = whole[i, LANE], whole[i, WANT]
    if (time_s * FLASHES_HZ + _APART * whole[i, ID]) % 1.0 >= 0.5:
        return 0
    if whole[i, DRIVES] & OWN and abs(traffic.real[i, SHIFT]) > _ASIDE_M:
        return 1 if traffic.real[i, SHIFT] < 0.0 else -1
    turn = tie[lane, TURN]
    if tie[lane, JUNCTION] == NONE and want != NONE and traffic.real[i, TO_LINE] < SIGNALS_M:
        turn = tie[want, TURN]
    return 1 if turn == Turn.LEFT else -1 if turn == Turn.RIGHT else 0
