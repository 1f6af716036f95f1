"""The Intelligent Driver Model: how a driver follows. Knows speeds and a gap, not lanes.

Treiber, Hennecke and Helbing, Phys. Rev. E 62 (2000): `a = a_max [1 - (v/v0)^4 - (s*/s)^2]` with the desired gap
`s* = s0 + max(0, v T + v dv / (2 sqrt(a_max b)))`. No power but a square and no root but one, so that a CPU and a GPU
agree on every operation.
"""

import math
from typing import NamedTuple

from drive_rl.sim.compiled import njit_scalar

NO_LEADER_M = 1e6
"""The gap of a driver who follows nobody [m]."""
HARDEST_BRAKING_MPS2 = 8.0
"""What tyres can do on a dry road: no driver brakes harder [m/s^2]."""
_ALLOWED_BRAKING_MPS2 = 2.0
_REACTION_S = 1.0
_LEAST_GAP_M = 0.01
_LEAST_SPEED_MPS = 0.1


class Idm(NamedTuple):
    """A driver's parameters of the model; SI units."""

    time_gap_s: float  # T
    min_gap_m: float  # s0
    acceleration_mps2: float  # a_max
    braking_mps2: float  # b


@njit_scalar
def desired_gap(speed: float, closing: float, idm: Idm) -> float:
    """Return the gap s* [m] that a driver wants at a speed [m/s], closing in at so many [m/s] (> 0: nearer)."""
    twice_root = 2.0 * math.sqrt(idm.acceleration_mps2 * idm.braking_mps2)
    return idm.min_gap_m + max(0.0, speed * idm.time_gap_s + speed * closing / twice_root)


@njit_scalar
def idm_acceleration(speed: float, desired_speed: float, gap: float, lead_speed: float, idm: Idm) -> float:
    """Return a driver's acceleration [m/s^2], without any bound.

    Args:
        speed: of the driver, v >= 0 [m/s].
        desired_speed: on a free road, v0 [m/s].
        gap: bumper to bumper to the leader, s [m]; `NO_LEADER_M` without one.
        lead_speed: of the leader [m/s].
        idm: the driver's parameters.
    """
    free = speed / max(desired_speed, _LEAST_SPEED_MPS)
    free *= free
    near = desired_gap(speed, speed - lead_speed, idm) / max(gap, _LEAST_GAP_M)
    return idm.acceleration_mps2 * (1.0 - free * free - near * near)


@njit_scalar
def allowed_speed(gap: float, lead_speed: float) -> float:
    """Return the fastest speed [m/s] from which a car still stops behind its leader, who brakes as hard (Gipps 1981).

    `v = -b T + sqrt((b T)^2 + v_lead^2 + 2 b gap)`, with T = 1 s and b = 2 m/s^2.

    Args:
        gap: bumper to bumper, less what should be left of it in a queue [m].
        lead_speed: of the leader [m/s].
    """
    reach = _ALLOWED_BRAKING_MPS2 * _REACTION_S
    return math.sqrt(reach * reach + lead_speed * lead_speed + 2.0 * _ALLOWED_BRAKING_MPS2 * max(gap, 0.0)) - reach


@njit_scalar
def bounded(acceleration: float) -> float:
    """Return an acceleration [m/s^2] that tyres can do."""
    return max(acceleration, -HARDEST_BRAKING_MPS2)


@njit_scalar
def advance(speed: float, acceleration: float, dt: float) -> tuple[float, float]:
    """Return the way [m] and the speed [m/s] after `dt` [s] of constant acceleration; nobody drives backwards.

    The ballistic scheme (Treiber and Kanagaraj, Physica A 419, 2015): a car that stops within the step stands then.
    """
    after = speed + acceleration * dt
    if after >= 0.0:
        return 0.5 * (speed + after) * dt, after
    return -0.5 * speed * speed / acceleration, 0.0
