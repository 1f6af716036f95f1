"""How well an episode was driven, and how well many were: metrics and scores.

It reads the metrics in the environment's `info`. It knows nothing of rewards, learning or runs: changing a reward
never changes a score.

Sources:
    Driving score: CARLA leaderboard 2.1, `leaderboard/utils/statistics_manager.py` of its branch
    `leaderboard-2.1`, and https://leaderboard.carla.org/evaluation_v2_1/.
    Success, collision, off-road and timeout rates: MetaDrive (Li et al. 2022, arXiv 2109.12674).
    Medians of survival time and lateral deviation: AI Driving Olympics (Zilly et al. 2019, arXiv 1903.02503).
    Steering reversals: SAE J2944 (2015), as Markkula and Engstrom 2006 count them, with a gap of 1 degree at the front
    wheels (about 15 at a steering wheel) and no filter.
    Comfort bounds: nuPlan (Caesar et al. 2021, arXiv 2106.11810; `ego_is_comfortable` of its devkit).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit
from drive_rl.stats import Estimate, bootstrap_mean, bootstrap_median, bootstrap_picks, bounded_mean, wilson

Info = dict[str, Any]
"""Gymnasium's `info` and `options`, whose values are of any type."""

EndReason = Literal["arrived", "off_road", "wrong_way", "collision", "timeout", "blocked"]

COLLISION_COEFFICIENT = 0.7
"""Leaderboard 2.1, collision with a vehicle: here there is nothing but parked cars to hit."""

MAX_LATERAL_ACCEL_MPS2 = 4.89
MIN_LONGITUDINAL_ACCEL_MPS2 = -4.05
MAX_LONGITUDINAL_ACCEL_MPS2 = 2.40
MAX_YAW_RATE_RADPS = 0.95
"""nuPlan's comfort bounds. Its jerks and its yaw acceleration need a smoothed trajectory and are left out."""

STEERING_GAP_RAD = math.radians(1)
"""How far the front wheels turn back for a steering reversal: at 12 m/s, 0.9 m/s^2 of lateral acceleration."""


@dataclass(frozen=True)
class EpisodeMetrics:
    """One driven episode."""

    success: bool
    """Arrived, stayed in the lane, touched nothing, and was fast enough (`task.min_mean_speed_mps`)."""
    end_reason: EndReason
    """How it ended."""
    route_completion: float
    """Part of the route driven, in [0, 1]."""
    time_s: float
    """How long the episode lasted [s]."""
    mean_speed_mps: float
    """Mean speed [m/s]."""
    max_offset_m: float
    """Largest distance of the car's centre from its lane's centre line; near a change of lanes from the nearer of both,
    0 between them [m]."""
    median_abs_offset_m: float
    """Median distance from it [m]."""
    outside_lane: float
    """Part of the distance driven with the car's centre outside its lane, in [0, 1]."""
    collisions: int
    """1 where a car was touched, else 0."""
    comfort: float
    """Part of the steps within nuPlan's bounds, in [0, 1]."""
    steering_reversals_hz: float
    """How often a second the front wheels turn back by 1 degree or more [Hz]."""
    road_seed: int
    """The road's seed."""
    tier: str
    """The road's tier."""

    @property
    def driving_score(self) -> float:
        """Route completion times infraction penalty, in [0, 1] (CARLA leaderboard 2.1).

        Leaderboard 2.1 replaced the product of coefficients (2.0: 0.6 per collision) by
        `(1 - outside) / (1 + sum of coefficient x count)`. Of its infractions, collisions and leaving the
        route's lanes exist here; lights, stop signs, pedestrians and other traffic do not.
        """
        penalty = (1 - self.outside_lane) / (1 + COLLISION_COEFFICIENT * self.collisions)
        return self.route_completion * penalty

    def to_dict(self) -> dict[str, Any]:  # JSON
        """Return the fields and the driving score as plain values, ready for JSON."""
        return {**asdict(self), "driving_score": self.driving_score}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Undo `to_dict`."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


TRACE = (
    "time_s",
    "route_completion",
    "speed_mps",
    "lane_offset_m",
    "lateral_accel_mps2",
    "longitudinal_accel_mps2",
    "yaw_rad",
    "steer_rad",
)
"""The metrics of each step that a score needs, in the order of a row of an episode's trace."""


def summarise(
    trace: NDArray[np.float64],
    half_lane_m: float,
    min_mean_speed_mps: float,
    end_reason: EndReason,
    road_seed: int,
    tier: str,
) -> EpisodeMetrics:
    """Return the metrics of an episode.

    Args:
        trace: (steps, 8), a row of `TRACE` after each step.
        half_lane_m: Offset at which the car's centre leaves its lane [m].
        min_mean_speed_mps: Mean speed that success requires [m/s].
        end_reason: How it ended.
        road_seed: Its road's seed.
        tier: Its road's tier.
    """
    if not len(trace):
        return EpisodeMetrics(False, end_reason, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 1.0, 0.0, int(road_seed), tier)
    time_s, completion, speed_mps, offset_m, lateral, longitudinal, yaw_rad, steer_rad = trace.T
    step_s = np.diff(time_s, prepend=0.0)
    offset_m = np.abs(offset_m)
    driven_m = speed_mps * step_s
    turned_rad = np.abs(np.remainder(np.diff(yaw_rad, prepend=yaw_rad[0]) + math.pi, 2 * math.pi) - math.pi)
    comfortable = (
        (np.abs(lateral) <= MAX_LATERAL_ACCEL_MPS2)
        & (longitudinal >= MIN_LONGITUDINAL_ACCEL_MPS2)
        & (longitudinal <= MAX_LONGITUDINAL_ACCEL_MPS2)
        & (turned_rad <= MAX_YAW_RATE_RADPS * step_s)
    )
    whole_m, mean_speed_mps, max_offset_m = driven_m.sum(), float(speed_mps.mean()), float(offset_m.max())
    in_lane, fast = max_offset_m <= half_lane_m, mean_speed_mps >= min_mean_speed_mps
    return EpisodeMetrics(
        success=end_reason == "arrived" and in_lane and fast,
        end_reason=end_reason,
        route_completion=float(completion[-1]),
        time_s=float(time_s[-1]),
        mean_speed_mps=mean_speed_mps,
        max_offset_m=max_offset_m,
        median_abs_offset_m=float(np.median(offset_m)),
        outside_lane=float(driven_m[offset_m > half_lane_m].sum() / whole_m) if whole_m > 0 else 0.0,
        collisions=int(end_reason == "collision"),
        comfort=float(comfortable.mean()),
        steering_reversals_hz=steering_reversals(steer_rad, STEERING_GAP_RAD) / float(time_s[-1]),
        road_seed=int(road_seed),
        tier=tier,
    )


@njit
def steering_reversals(steer_rad: NDArray[np.float64], gap_rad: float) -> int:
    """Return how often steering (steps,) turns back by `gap_rad` or more, after it has moved as far the other way."""
    count, direction = 0, 0
    lowest = highest = steer_rad[0]
    for angle in steer_rad:
        lowest, highest = min(lowest, angle), max(highest, angle)
        if direction >= 0 and highest - angle >= gap_rad:
            count, direction, lowest = count + direction, -1, angle
        elif direction <= 0 and angle - lowest >= gap_rad:
            count, direction, highest = count - direction, 1, angle
    return count


@dataclass(frozen=True)
class Score:
    """How well many episodes were driven.

    Rates carry Wilson intervals, means of shares those of `bounded_mean`, the others percentile bootstraps.
    """

    episodes: int
    success: Estimate
    """Rate of success."""
    driving_score: Estimate
    """Mean driving score (CARLA leaderboard 2.1), in [0, 1]."""
    route_completion: Estimate
    """Mean part of the route driven, in [0, 1]."""
    collision: Estimate
    """Rate of episodes that ended in a collision."""
    off_road: Estimate
    """Rate of episodes that ended beside the road."""
    wrong_way: Estimate
    """Rate of episodes that ended against the driving direction."""
    timeout: Estimate
    """Rate of episodes that ran out of time."""
    blocked: Estimate
    """Rate of episodes that ended because the car stood."""
    survival_s: Estimate
    """Median duration of an episode [s]: for drivers that fail, longer is better."""
    lateral_deviation_m: Estimate
    """Median over episodes of the median distance from the lane's centre line [m]."""
    mean_speed_mps: Estimate
    """Mean over episodes of the mean speed [m/s]."""
    comfort: Estimate
    """Mean part of the steps within nuPlan's comfort bounds, in [0, 1]."""
    steering_reversals_hz: Estimate
    """Mean rate of steering reversals [Hz]."""

    def to_dict(self) -> dict[str, Any]:  # JSON
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Undo `to_dict`."""
        rest = {name: Estimate(**value) for name, value in values.items() if name != "episodes"}
        return cls(episodes=int(values["episodes"]), **rest)


def score(episodes: Iterable[EpisodeMetrics], seed: int = 0) -> Score:
    """Return the score of some episodes; the bootstrap is seeded, so the same episodes give the same score.

    Raises:
        ValueError: no episode.
    """
    rows = list(episodes)
    if not rows:
        raise ValueError("no episodes: a score needs at least one")
    picks = bootstrap_picks(len(rows), seed)

    def column(name: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], np.float64)

    def ended(reason: EndReason) -> Estimate:
        return wilson(sum(row.end_reason == reason for row in rows), len(rows))

    return Score(
        episodes=len(rows),
        success=wilson(sum(row.success for row in rows), len(rows)),
        driving_score=bounded_mean(column("driving_score")),
        route_completion=bounded_mean(column("route_completion")),
        collision=ended("collision"),
        off_road=ended("off_road"),
        wrong_way=ended("wrong_way"),
        timeout=ended("timeout"),
        blocked=ended("blocked"),
        survival_s=bootstrap_median(column("time_s"), picks),
        lateral_deviation_m=bootstrap_median(column("median_abs_offset_m"), picks),
        mean_speed_mps=bootstrap_mean(column("mean_speed_mps"), picks),
        comfort=bounded_mean(column("comfort")),
        steering_reversals_hz=bootstrap_mean(column("steering_reversals_hz"), picks),
    )


def score_tiers(episodes: Iterable[EpisodeMetrics], seed: int = 0) -> dict[str, Score]:
    """Return the score of each tier of difficulty, tier -> score, in order of their names."""
    rows = list(episodes)
    return {tier: score([row for row in rows if row.tier == tier], seed) for tier in sorted({r.tier for r in rows})}
