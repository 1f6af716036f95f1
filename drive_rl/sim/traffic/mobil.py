"""MOBIL: when a driver changes lanes. Knows accelerations, not lanes.

Kesting, Treiber and Helbing, Transp. Res. Rec. 1999 (2007): a change must not force the new follower to brake harder
than `b_safe`, and what the driver gains, plus politeness times what both followers gain, must exceed a threshold. Its
asymmetric rule: a change to the right needs less by the keep-right bias, one to the left more.
"""

from typing import NamedTuple

from drive_rl.sim.compiled import njit_scalar

SAFE_BRAKING_MPS2 = 4.0
THRESHOLD_MPS2 = 0.2
KEEP_RIGHT_MPS2 = 0.2


class Change(NamedTuple):
    """Accelerations [m/s^2] of the three whom a lane change concerns, before and after it; SI units."""

    own: float
    own_after: float
    new_follower: float
    new_follower_after: float
    old_follower: float
    old_follower_after: float


@njit_scalar
def incentive(change: Change, politeness: float, bias: float) -> float:
    """Return what a change is worth [m/s^2]: worth it if positive, the more the better.

    Args:
        change: the accelerations.
        politeness: weight of what others gain or lose, 0 to 0.5.
        bias: added [m/s^2]; `+KEEP_RIGHT_MPS2` to the right, `-KEEP_RIGHT_MPS2` to the left, or 0.
    """
    others = change.new_follower_after - change.new_follower + change.old_follower_after - change.old_follower
    return change.own_after - change.own + politeness * others + bias - THRESHOLD_MPS2


@njit_scalar
def is_safe(change: Change, safe_braking: float) -> bool:
    """Return whether neither the new follower nor the driver must brake harder than `safe_braking` [m/s^2]."""
    return change.new_follower_after >= -safe_braking and change.own_after >= -safe_braking
