"""Seeded roads: bends and straights drawn one after another; no road crosses itself. Knows nothing of the car.

A bend is a clothoid in, an arc, a clothoid out; its radius is at least the tier's. The heading stays within 120 degrees
of the first, and a stretch too close to an earlier one is drawn again.
"""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import RoadSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import CURVATURE, HEADING, KNOT_M, Knots, Road, X, Y, integrate

RUN_IN_M = 30.0
"""Road before the route starts [m]."""
RUN_OUT_M = 100.0
"""Road after the route ends, so that the camera never sees an edge of the world [m]."""

_STRAIGHT_M = (5, 45)
_CLOTHOID_M = (8, 20)
_ANGLE_RAD = (0.25, 1.7)
_MAX_HEADING_RAD = math.radians(120)
_TRIES = 200
_BACK_M = 60


def paved_half_width_m(spec: RoadSpec) -> float:
    """Return the distance from the reference line to the farther edge of the pavement [m]."""
    return max(spec.lanes_ahead, spec.lanes_oncoming) * spec.lane_width_m + spec.shoulder_m


def generate(spec: RoadSpec, rng: np.random.Generator) -> Road:
    """Draw a road.

    Raises:
        DriveRLError: found no road of this length that does not cross itself.
    """
    names = sorted(spec.tiers)
    parts = np.cumsum([spec.tiers[name].weight for name in names])
    tier = names[int(parts.searchsorted(rng.random() * parts[-1], side="right"))]  # faster than `rng.choice`
    yaw = float(rng.uniform(-math.pi, math.pi))
    total = math.ceil((RUN_IN_M + spec.length_m + RUN_OUT_M) / KNOT_M) + 1
    clearance_m = 2 * paved_half_width_m(spec) + 10
    tries = _TRIES * max(1, total // 400)
    knots = _lay(total, yaw, float(spec.tiers[tier].min_radius_m), clearance_m, tries, rng)
    if len(knots) < total:
        raise DriveRLError(
            f"road.length_m = {spec.length_m:g}: found no road of tier {tier!r} that does not cross itself; fix: a"
            f" shorter road, a larger min_radius_m (now {spec.tiers[tier].min_radius_m:g}) or a narrower road"
        )
    return Road(knots, RUN_IN_M, RUN_IN_M + spec.length_m, tier)


@njit
def _lay(
    total: int, yaw: float, min_radius_m: float, clearance_m: float, tries: int, rng: np.random.Generator
) -> Knots:
    """Return the knots of a road, or none if `tries` attempts do not suffice."""
    run_in, back = int(RUN_IN_M / KNOT_M), int(_BACK_M / KNOT_M)
    knots = integrate(np.zeros(run_in), 0.0, 0.0, yaw)
    for _ in range(tries):
        size = knots.shape[0]
        if size >= total:
            return knots[:total].copy()
        stretch = _stretch(min_radius_m, knots[-1, HEADING] - yaw, rng)
        curvature = np.concatenate((knots[-1:, CURVATURE], stretch))
        further = integrate(curvature, knots[-1, X], knots[-1, Y], knots[-1, HEADING])
        longer = np.concatenate((knots, further[1:]))
        if _clear(longer, size, clearance_m):
            knots = longer
        elif rng.random() < 0.2:
            curvature = knots[: max(run_in, size - back), CURVATURE].copy()
            for i in range(max(0, curvature.size - 9), curvature.size):
                curvature[i] *= (curvature.size - i) / 10
            knots = integrate(curvature, 0.0, 0.0, yaw)
    return knots[:0]


@njit
def _stretch(min_radius_m: float, heading: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a straight and a bend: curvature at each knot [1/m], from and to 0."""
    straight = int(rng.integers(_STRAIGHT_M[0], _STRAIGHT_M[1]))
    clothoid = int(rng.integers(_CLOTHOID_M[0], _CLOTHOID_M[1]))
    peak = rng.uniform(0.35, 1.0) / min_radius_m
    angle = rng.uniform(_ANGLE_RAD[0], _ANGLE_RAD[1])
    left = rng.random() < 0.5
    if abs(heading + (angle if left else -angle)) > _MAX_HEADING_RAD:
        left = heading < 0
    arc = max(0, round((angle / peak - clothoid * KNOT_M) / KNOT_M))
    curvature = np.full(straight + 2 * (clothoid + 1) + arc, peak if left else -peak)
    curvature[:straight] = 0.0
    for i in range(clothoid):
        curvature[straight + i] = curvature[curvature.size - 1 - i] = i * (curvature[straight + clothoid] / clothoid)
    return curvature


@njit
def _clear(knots: Knots, first_new: int, clearance_m: float) -> bool:
    """Return whether the new stretch keeps its distance from everything farther back than a tight bend."""
    skip = int(1.6 * clearance_m / KNOT_M)
    for i in range(first_new, knots.shape[0], 2):
        for j in range(0, i - skip, 2):
            if (knots[i, X] - knots[j, X]) ** 2 + (knots[i, Y] - knots[j, Y]) ** 2 < clearance_m**2:
                return False
    return True
