"""How well an episode was driven, and how well many were: metrics, rates and their 95 % intervals.

It reads the `metrics` that the environment puts into `info`. It knows nothing of rewards, learning or runs:
changing a reward never changes a score.

Sources:
    Driving score: CARLA leaderboard 2.1, `leaderboard/utils/statistics_manager.py` of its branch
    `leaderboard-2.1`, and https://leaderboard.carla.org/evaluation_v2_1/.
    Success, collision, off-road and timeout rates: MetaDrive (Li et al. 2022, arXiv 2109.12674).
    Medians of survival time and lateral deviation: AI Driving Olympics (Zilly et al. 2019, arXiv 1903.02503).
    Comfort bounds: nuPlan (Caesar et al. 2021, arXiv 2106.11810; `ego_is_comfortable` of its devkit).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, cast

import numpy as np

EndReason = Literal["arrived", "off_road", "wrong_way", "collision", "timeout"]

COLLISION_COEFFICIENT = 0.7
"""Leaderboard 2.1, collision with a vehicle: the parked cars are the only things to hit here."""

MAX_LATERAL_ACCEL_MPS2 = 4.89
MIN_LONGITUDINAL_ACCEL_MPS2 = -4.05
MAX_LONGITUDINAL_ACCEL_MPS2 = 2.40
MAX_YAW_RATE_RADPS = 0.95
"""nuPlan's comfort bounds. Its jerks and its yaw acceleration need a smoothed trajectory and are left out."""

_Z95 = 1.959963984540054
_RESAMPLES = 2000


@dataclass(frozen=True)
class EpisodeMetrics:
    """One driven episode."""

    success: bool
    """Arrived, stayed in the lane, touched nothing, and was fast enough (the world's task says how fast)."""
    end_reason: EndReason
    route_completion: float
    """Part of the route driven, in [0, 1]."""
    time_s: float
    """How long the episode lasted [s]."""
    mean_speed_mps: float
    max_offset_m: float
    """Largest distance of the car's centre from its lane's centre line [m]."""
    median_abs_offset_m: float
    outside_lane: float
    """Part of the distance driven with the car's centre outside its lane, in [0, 1]."""
    collisions: int
    comfort: float
    """Part of the steps within nuPlan's bounds, in [0, 1]."""
    road_seed: int
    tier: str

    @property
    def driving_score(self) -> float:
        """Route completion times infraction penalty, in [0, 1] (CARLA leaderboard 2.1).

        Leaderboard 2.1 replaced the product of coefficients (2.0: 0.6 per collision) by
        `(1 - outside) / (1 + sum of coefficient x count)`. Of its infractions, collisions and leaving the
        route's lanes exist here; lights, stop signs, pedestrians and other traffic do not.
        """
        penalty = (1 - self.outside_lane) / (1 + COLLISION_COEFFICIENT * self.collisions)
        return self.route_completion * penalty

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the driving score as plain values, ready for JSON."""
        return {**asdict(self), "driving_score": self.driving_score}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_dict` was given."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


class EpisodeRecorder:
    """Gathers one episode, step by step: plain floats, about half a microsecond a step.

    Args:
        half_lane_m: Offset at which the car's centre leaves its lane [m].
    """

    def __init__(self, half_lane_m: float) -> None:
        self._half_lane_m = half_lane_m
        self.reset()

    def reset(self) -> None:
        """Begin a new episode."""
        self._offsets_m: list[float] = []
        self._time_s = 0.0
        self._completion = 0.0
        self._speed_sum_mps = 0.0
        self._driven_m = 0.0
        self._outside_m = 0.0
        self._comfortable = 0
        self._collisions = 0
        self._yaw_rad = math.nan

    @property
    def steps(self) -> int:
        """Steps recorded since `reset`."""
        return len(self._offsets_m)

    @property
    def mean_speed_mps(self) -> float:
        """Mean speed so far [m/s]; 0 before the first step."""
        return self._speed_sum_mps / max(self.steps, 1)

    @property
    def max_offset_m(self) -> float:
        """Largest offset so far [m]; 0 before the first step."""
        return max(self._offsets_m, default=0.0)

    def step(self, metrics: Mapping[str, float], collided: bool = False) -> None:
        """Add one step, given `info["metrics"]` after it and whether a contact began in it."""
        step_s = metrics["time_s"] - self._time_s
        speed_mps = metrics["speed_mps"]
        offset_m = abs(metrics["offset_m"])
        yaw_rad = metrics["yaw_rad"]
        self._time_s += step_s
        self._completion = metrics["route_completion"]
        self._speed_sum_mps += speed_mps
        self._driven_m += speed_mps * step_s
        if offset_m > self._half_lane_m:
            self._outside_m += speed_mps * step_s
        self._offsets_m.append(float(offset_m))
        self._comfortable += _comfortable(metrics, yaw_rad - self._yaw_rad, step_s)
        self._yaw_rad = yaw_rad
        self._collisions += collided

    def finish(self, end_reason: EndReason, success: bool, road_seed: int, tier: str) -> EpisodeMetrics:
        """Return the episode's metrics."""
        return EpisodeMetrics(
            success=bool(success),
            end_reason=end_reason,
            route_completion=float(self._completion),
            time_s=float(self._time_s),
            mean_speed_mps=float(self.mean_speed_mps),
            max_offset_m=self.max_offset_m,
            median_abs_offset_m=_median(self._offsets_m),
            outside_lane=float(self._outside_m / self._driven_m) if self._driven_m > 0 else 0.0,
            collisions=int(self._collisions),
            comfort=self._comfortable / self.steps if self.steps else 1.0,
            road_seed=int(road_seed),
            tier=tier,
        )

    def get_state(self) -> dict[str, np.ndarray]:
        """Return everything recorded so far as arrays, for a checkpoint in the middle of an episode."""
        names = sorted(set(vars(self)) - {"_offsets_m", "_half_lane_m"})
        scalars = np.array([getattr(self, name) for name in names], np.float64)
        return {"offsets_m": np.array(self._offsets_m, np.float64), "scalars": scalars}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `get_state` returned."""
        self.reset()
        self._offsets_m = state["offsets_m"].tolist()
        names = sorted(set(vars(self)) - {"_offsets_m", "_half_lane_m"})
        for name, value in zip(names, state["scalars"].tolist(), strict=True):
            setattr(self, name, type(getattr(self, name))(value))


def _comfortable(metrics: Mapping[str, float], turned_rad: float, step_s: float) -> bool:
    """Whether one step is within nuPlan's bounds; a NaN turn (first step) counts as none."""
    lateral, longitudinal = metrics["lateral_accel_mps2"], metrics["longitudinal_accel_mps2"]
    if abs(lateral) > MAX_LATERAL_ACCEL_MPS2:
        return False
    if not MIN_LONGITUDINAL_ACCEL_MPS2 <= longitudinal <= MAX_LONGITUDINAL_ACCEL_MPS2:
        return False
    if abs(turned_rad) > math.pi:  # the yaw wrapped
        turned_rad = math.remainder(turned_rad, 2 * math.pi)
    return not abs(turned_rad) > MAX_YAW_RATE_RADPS * step_s


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return 0.0
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """How well many episodes were driven. Rates carry Wilson intervals, the others percentile bootstraps."""

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
    """Rate of episodes that the clock ended."""
    survival_s: Estimate
    """Median duration of an episode [s]: for drivers that fail, longer is better."""
    lateral_deviation_m: Estimate
    """Median over episodes of the median distance from the lane's centre line [m]."""
    mean_speed_mps: Estimate
    """Mean over episodes of the mean speed [m/s]."""
    comfort: Estimate
    """Mean part of the steps within nuPlan's comfort bounds, in [0, 1]."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_dict` was given."""
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
    picks = np.random.default_rng(seed).integers(0, len(rows), (_RESAMPLES, len(rows)))  # (R, N)

    def column(name: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], np.float64)

    def ended(reason: EndReason) -> Estimate:
        return wilson(sum(row.end_reason == reason for row in rows), len(rows))

    return Score(
        episodes=len(rows),
        success=wilson(sum(row.success for row in rows), len(rows)),
        driving_score=_bootstrap(column("driving_score"), picks, "mean"),
        route_completion=_bootstrap(column("route_completion"), picks, "mean"),
        collision=ended("collision"),
        off_road=ended("off_road"),
        wrong_way=ended("wrong_way"),
        timeout=ended("timeout"),
        survival_s=_bootstrap(column("time_s"), picks, "median"),
        lateral_deviation_m=_bootstrap(column("median_abs_offset_m"), picks, "median"),
        mean_speed_mps=_bootstrap(column("mean_speed_mps"), picks, "mean"),
        comfort=_bootstrap(column("comfort"), picks, "mean"),
    )


def score_tiers(episodes: Iterable[EpisodeMetrics], seed: int = 0) -> dict[str, Score]:
    """Return the score of each tier of difficulty, tier -> score, in order of their names."""
    rows = list(episodes)
    return {tier: score([row for row in rows if row.tier == tier], seed) for tier in sorted({r.tier for r in rows})}


def wilson(successes: int, trials: int) -> Estimate:
    """Return a rate with its 95 % score interval (Wilson 1927; Brown, Cai and DasGupta 2001)."""
    rate = successes / trials
    spread = _Z95 * math.sqrt(rate * (1 - rate) / trials + _Z95**2 / (4 * trials**2))
    scale = 1 + _Z95**2 / trials
    centre = rate + _Z95**2 / (2 * trials)
    # at 0 and 1 the bounds meet the rate exactly; rounding must not push them past it
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == trials else (centre + spread) / scale
    return Estimate(rate, low, high)


def _bootstrap(values: np.ndarray, picks: np.ndarray, statistic: Literal["mean", "median"]) -> Estimate:
    """Return a statistic with its 95 % percentile interval (Efron 1979) over the resamples `picks` (R, N)."""
    function = np.mean if statistic == "mean" else np.median
    low, high = np.percentile(cast(np.ndarray, function(values[picks], axis=1)), [2.5, 97.5])
    return Estimate(float(function(values)), float(low), float(high))
