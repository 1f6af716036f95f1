"""Where connections of one junction meet, and who goes first there.

The rules, in this order: signals that are never green together need none; a lane without a sign goes before one that
gives way or stops; a left turn gives way to the oncoming traffic; the right comes before the left.
"""

import math
from typing import NamedTuple

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


class Entrant(NamedTuple):
    """What decides who goes first: how a connection begins, and the lane that leads to it."""

    yaw_rad: float
    turn: Turn
    control: Control
    signal: int
    lane: int

    @property
    def is_minor(self) -> bool:
        """Whether it must give way to those without a sign."""
        return self.control in (Control.STOP_SIGN, Control.GIVE_WAY)


def priority(one: Entrant, other: Entrant) -> Priority:
    """Return the `Priority` of a connection over another that it meets."""
    if one.control == other.control == Control.SIGNAL and one.signal != other.signal:
        return Priority.NEITHER
    if one.is_minor != other.is_minor:
        return _first(not one.is_minor)
    turned = wrap(other.yaw_rad - one.yaw_rad)
    oncoming = abs(turned) > math.radians(135)
    if oncoming and (one.turn == Turn.LEFT) != (other.turn == Turn.LEFT):
        return _first(one.turn != Turn.LEFT)
    if not oncoming and abs(turned) > math.radians(30):
        return _first(turned < 0)  # who heads further left comes from the right
    return _first(one.lane > other.lane)


def _first(goes_first: bool) -> Priority:
    return Priority.GOES_FIRST if goes_first else Priority.YIELDS
