"""Comparison of drivers on the same roads, each with one or several trained seeds, in numbers and in a sentence.

It knows episodes and scores. It does not know where drivers come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from drive_rl.run_stats import Roads, holm, interquartile_mean
from drive_rl.sim.task.scoring import EpisodeMetrics
from drive_rl.stats import Estimate, Floats, wilson

ALPHA = 0.05

Verdict = Literal["better", "worse", "no difference concluded"]


@dataclass(frozen=True)
class Driven:
    """A driver's episodes: a row a seed, in the order of the roads."""

    name: str
    seeds: Sequence[str]
    """The seeds' own names; one for a single driver."""
    episodes: Sequence[Sequence[EpisodeMetrics]]

    def scores(self, metric: Literal["success", "driving_score"]) -> Floats:
        """(seeds, roads) in [0, 1]."""
        return np.array([[getattr(row, metric) for row in rows] for rows in self.episodes], np.float64)


@dataclass(frozen=True)
class DriverScore:
    """One driver's scores; with several seeds, over seeds and roads."""

    name: str
    seeds: Sequence[str]
    success: Estimate
    driving_score: Estimate
    success_iqm: float
    """The interquartile mean over seeds of success."""
    success_by_road: Sequence[Sequence[bool]]
    """(seeds, roads)."""
    driving_score_by_road: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Pair:
    """The first driver against the second: differences are the first's score less the second's."""

    first: str
    second: str
    success: Estimate
    driving_score: Estimate
    probability_of_improvement: Estimate
    """That the first has the higher driving score on a road; ties count half (Agarwal et al. 2021)."""
    p: float
    """Of no difference in success, two-sided."""
    p_holm: float
    """The same, adjusted for all pairs."""
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Drivers on the same roads, and every pair of them."""

    drivers: Sequence[DriverScore]
    pairs: Sequence[Pair]


def compare(driven: Sequence[Driven]) -> Comparison:
    """Compare drivers by road, every pair of them; the draws are seeded, so the same episodes give the same numbers."""
    count = len(driven[0].episodes[0])
    roads = Roads(count)
    both = list(combinations(driven, 2))
    found = [roads.difference(first.scores("success"), second.scores("success")) for first, second in both]
    adjusted = holm([p for _, p in found])
    pairs = []
    for (first, second), (success, p), p_holm in zip(both, found, adjusted.tolist(), strict=True):
        verdict = _verdict(success, p_holm)
        driving, other = first.scores("driving_score"), second.scores("driving_score")
        pairs.append(
            Pair(
                first=first.name,
                second=second.name,
                success=success,
                driving_score=roads.difference(driving, other)[0],
                probability_of_improvement=roads.improvement(driving, other),
                p=p,
                p_holm=p_holm,
                verdict=verdict,
                sentence=_sentence((first, second), success, verdict, (p, p_holm), len(both)),
            )
        )
    return Comparison([_score(one, roads) for one in driven], pairs)


def _score(one: Driven, roads: Roads) -> DriverScore:
    success, driving = one.scores("success"), one.scores("driving_score")
    single = len(success) == 1
    return DriverScore(
        name=one.name,
        seeds=one.seeds,
        success=wilson(int(success.sum()), success.size) if single else roads.mean(success),
        driving_score=roads.mean(driving),
        success_iqm=float(interquartile_mean(success.mean(axis=1))),
        success_by_road=success.astype(bool).tolist(),
        driving_score_by_road=driving.tolist(),
    )


def _verdict(success: Estimate, p_holm: float) -> Verdict:
    if p_holm > ALPHA:
        return "no difference concluded"
    return "better" if success.value > 0 else "worse"


def _sentence(
    both: tuple[Driven, Driven], success: Estimate, verdict: Verdict, p: tuple[float, float], comparisons: int
) -> str:
    first, second = (_named(one) for one in both)
    value, low, high = (round(100 * bound, 1) + 0.0 for bound in (success.value, success.low, success.high))
    if verdict == "no difference concluded":
        corrected = (
            f", but p = {p[1]:.2g} after Holm's correction for {comparisons} comparisons" if p[0] <= ALPHA else ""
        )
        return (
            f"{first} and {second}: no difference can be concluded from {len(both[0].episodes[0])} roads (success"
            f" {value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}{corrected})."
        )
    less, more = sorted((abs(low), abs(high)))
    return (
        f"{first} succeeds on {abs(value):.1f} points {'more' if value > 0 else 'fewer'} roads than {second} (95 %"
        f" interval {less:.1f} to {more:.1f}): {verdict}."
    )


def _named(one: Driven) -> str:
    return f"{one.name} ({len(one.seeds)} seeds)" if len(one.seeds) > 1 else one.name
