"""Where connections of one junction meet, and who goes first there.

The rules, in this order: signals that are never green together need none; a lane without a sign goes before one that
gives way or stops; a left turn gives way to the oncoming traffic; the right comes before the left.
"""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import wrap
from drive_rl.sim.map.network import Control, Floats, Priority, Turn

CLEAR_M = 2.3
"""Centre lines closer than this meet: the width of a car and some room."""


@njit
def zone(first: Floats, other: Floats) -> tuple[int, int]:
    """Return the first and last point (n, 2) of a line that is too close to another; the first is -1 if none is."""
    start, end = -1, -1
    for i in range(first.shape[0]):
        for j in range(other.shape[0]):
            if (first[i, 0] - other[j, 0]) ** 2 + (first[i, 1] - other[j, 1]) ** 2 < CLEAR_M**2:
                start, end = (i if start < 0 else start), i
                break
    return start, end


@njit
def priority(one: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """Return the `Priority` of a connection over another that it meets.

    Args:
        one: Its yaw at the start [rad], `Turn`, and of the lane that leads to it `Control`, signal group and index.
        other: The other's.
    """
    yaw, turn, control, signal, lane = one
    other_yaw, other_turn, other_control, other_signal, other_lane = other
    if control == Control.SIGNAL and other_control == Control.SIGNAL and signal != other_signal:
        return Priority.NEITHER
    minor = control in (Control.STOP_SIGN, Control.GIVE_WAY)
    other_minor = other_control in (Control.STOP_SIGN, Control.GIVE_WAY)
    if minor != other_minor:
        return Priority.YIELDS if minor else Priority.GOES_FIRST
    from_right = wrap(other_yaw - yaw)
    oncoming = abs(from_right) > math.radians(135)
    if oncoming and (turn == Turn.LEFT) != (other_turn == Turn.LEFT):
        return Priority.YIELDS if turn == Turn.LEFT else Priority.GOES_FIRST
    if not oncoming and abs(from_right) > math.radians(30):
        return Priority.YIELDS if from_right > 0 else Priority.GOES_FIRST
    return Priority.GOES_FIRST if lane > other_lane else Priority.YIELDS
