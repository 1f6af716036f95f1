"""The statistics of scores: intervals of rates and means, rank correlation, the Pareto front, the failing delay.

Statistics of arrays: this module knows nothing of episodes, runs, models or plots.

What rank correlations resample, and why. A handful of models is not a sample of a population of models: resampling
five of them draws fewer than three different ones in one of ten resamples, which would give an interval of about [-1,
1]. So the models are held fixed, as rliable holds tasks fixed (Agarwal et al. 2021, arXiv 2108.13264, 3), and what is
random is resampled: the roads that all models drove, and the roads that the pictures were taken on. Pictures of one
road resemble each other, so whole roads are drawn (the cluster bootstrap: Davison and Hinkley 1997, Bootstrap
Methods, 3.8); all models saw the same roads, so one draw serves all of them. The interval therefore covers how well
the finite roads and pictures order *these* models. Whether the order would hold for other models is another question,
which the exact permutation test answers as far as so few models can: with five, no two-sided p is below 2 / 120 =
0.017.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95
MOST_EXACT = 8  # models whose every order is tried: 40 320
_ORDERS = 20_000  # orders drawn for more models
_UNDEFINED = 0.05  # share of resamples without a correlation above which there is no interval
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FailingDelay:
    """The delay [s] at which success falls below one half, with its 95 % interval."""

    value_s: float | None
    """None: not even at the longest delay tried."""
    low_s: float
    high_s: float | None
    """None: beyond the longest delay tried."""


class RankCorrelation(NamedTuple):
    """How similarly two scores order some models."""

    spearman: float  # in [-1, 1]; NaN with fewer than three models, or where all models have the same score
    low: float  # percentile interval of spearman
    high: float
    kendall: float  # tau-b
    p: float  # two-sided, permutation test of no relation
    models: int


def wilson(successes: int, trials: int) -> Estimate:
    """Return a rate with its 95 % score interval (Wilson 1927; Brown, Cai and DasGupta 2001)."""
    return _wilson(successes / trials, trials)


def mean_of_rates(counts: Sequence[tuple[int, int]]) -> Estimate:
    """Return the mean of rates (successes, trials), each counting the same, with its 95 % interval.

    Wilson's with the effective number of trials, (sum of weights)^2 / (sum of their squares) (Kish 1965, Survey
    Sampling).
    """
    rate = sum(successes / trials for successes, trials in counts) / len(counts)
    return _wilson(min(rate, 1.0), len(counts) ** 2 / sum(1 / trials for _, trials in counts))


def _wilson(rate: float, trials: float) -> Estimate:
    spread = _Z95 * math.sqrt(rate * (1 - rate) / trials + _Z95**2 / (4 * trials**2))
    scale = 1 + _Z95**2 / trials
    centre = rate + _Z95**2 / (2 * trials)
    # at 0 and 1 the bounds meet the rate exactly; rounding must not push them past it
    low = 0.0 if rate == 0 else (centre - spread) / scale
    high = 1.0 if rate == 1 else (centre + spread) / scale
    return Estimate(rate, low, high)


def bounded_mean(values: ArrayLike) -> Estimate:
    """Return the mean of values (N,) in [0, 1] with its 95 % interval, which stays in [0, 1] and never has width zero.

    Wilson's score interval with the effective number of trials, n p (1 - p) / variance (Korn and Graubard 1998, Survey
    Methodology 24(2); Franco et al. 2019, JSSAM 7(3)). The variance and p are those of the values and two more, 0 and 1
    (Agresti and Caffo 2000, The American Statistician 54(4)), so that equal values do not pass for certainty. Of values
    that are 0 or 1 alone it is Wilson's interval itself.
    """
    each: Floats = np.asarray(values, np.float64)
    mean, more = float(each.mean()), np.concatenate([each, [0.0, 1.0]])
    centre = float(more.mean())
    trials = len(each) * centre * (1 - centre) / float(more.var())
    return _wilson(min(max(mean, 0.0), 1.0), trials)


def event_rate(events: int, exposure: float) -> Estimate:
    """Return how often something happens per unit of exposure, > 0, with its 95 % interval, never of width zero.

    Events are Poisson's; the interval is Byar's approximation of the exact one (Breslow and Day 1987, Statistical
    Methods in Cancer Research II, eq. 2.13), within 1 % of its width.
    """
    low, more = events, events + 1
    least = low * (1 - 1 / (9 * low) - _Z95 / (3 * math.sqrt(low))) ** 3 if events else 0.0
    most = more * (1 - 1 / (9 * more) + _Z95 / (3 * math.sqrt(more))) ** 3
    return Estimate(events / exposure, least / exposure, most / exposure)


def swap(models: int) -> float:
    """By how much Spearman's rank correlation of M models changes where two neighbours change places."""
    return 12 / (models**3 - models)


def fisher_interval(rho: float, models: int) -> tuple[float, float]:
    """The 95 % interval of a rank correlation by Fisher's z, for more models like these.

    The variance is (1 + rho^2 / 2) / (M - 3) (Bonett and Wright 2000, Psychometrika 65). A perfect order counts as half
    a swap of two neighbours less, for its z would be infinite; of three models nothing is known.
    """
    if models <= 3:
        return -1.0, 1.0
    most = 1 - swap(models) / 2
    inner = min(max(rho, -most), most)
    spread = _Z95 * math.sqrt((1 + inner**2 / 2) / (models - 3))
    low, high = math.tanh(math.atanh(inner) - spread), math.tanh(math.atanh(inner) + spread)
    return min(low, rho), max(high, rho)


def bootstrap_picks(count: int, seed: int) -> NDArray[np.int64]:
    """(RESAMPLES, count) indices of `count` episodes drawn with replacement."""
    return np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))


def bootstrap_mean(values: ArrayLike, picks: NDArray[np.int64]) -> Estimate:
    """The mean of values (N,) with its 95 % percentile interval (Efron 1979) over the resamples `picks` (R, N)."""
    return _bootstrap(values, picks, np.mean)


def bootstrap_median(values: ArrayLike, picks: NDArray[np.int64]) -> Estimate:
    """The median of values (N,) with its 95 % percentile interval, as `bootstrap_mean`."""
    return _bootstrap(values, picks, np.median)


def rate_margin(trials: int) -> float:
    """Half the 95 % interval of a rate of one half over so many trials, as a share (Wald)."""
    return 1.96 * math.sqrt(0.25 / max(trials, 1))


def ranks(values: ArrayLike) -> Floats:
    """Ranks from 1 along the last axis; ties share their mean rank."""
    each = np.asarray(values, dtype=np.float64)
    below = (each[..., None, :] < each[..., :, None]).sum(axis=-1)
    same = (each[..., None, :] == each[..., :, None]).sum(axis=-1)
    return below + (same + 1) / 2


def spearman(a: ArrayLike, b: ArrayLike) -> Floats:
    """Spearman's rank correlation along the last axis: Pearson's of the ranks (Spearman 1904); NaN where undefined."""
    first, second = (ranks(values) for values in (a, b))
    first, second = (each - each.mean(axis=-1, keepdims=True) for each in (first, second))
    spread = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    return np.where(spread > 0, (first * second).sum(axis=-1) / np.where(spread > 0, spread, 1), np.nan)


def kendall(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-b of two scores (M,) (Kendall 1945, "The treatment of ties in ranking problems")."""
    first, second = (np.asarray(values, dtype=np.float64) for values in (a, b))
    one, other = (np.sign(each[:, None] - each[None, :]) for each in (first, second))
    spread = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / spread) if spread > 0 else float("nan")


def permutation_p(a: ArrayLike, b: ArrayLike, seed: int = 0) -> float:
    """Share of the orders of `b` (M,) whose |Spearman| with `a` is at least the observed one.

    Every order of up to eight models; for more, 20 000 random orders and the observed one (Phipson and Smyth 2010).
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (a, b))
    found = abs(float(spearman(first, second)))
    if np.isnan(found):
        return float("nan")
    if len(first) <= MOST_EXACT:
        orders = np.array(list(permutations(range(len(first)))))
        extra = 0
    else:
        rng = np.random.default_rng(seed)
        orders, extra = rng.permuted(np.tile(np.arange(len(first)), (_ORDERS, 1)), axis=1), 1
    as_far = np.abs(spearman(first, second[orders])) >= found - 1e-12
    return float((as_far.sum() + extra) / (len(orders) + extra))


def pooled(ratios: Floats) -> Floats:
    """Scores (...,) of ratios (..., P, R, 2) over R roads: the mean over P of ratios of sums; NaN without counts."""
    return _means(np.asarray(ratios, dtype=np.float64).sum(axis=-2))


def resampled(ratios: Floats, seed: int, resamples: int = RESAMPLES) -> Floats:
    """(resamples, M) scores of M models from ratios (M, P, R, 2), each over R roads drawn with replacement.

    The same roads for all models.
    """
    models, parts, roads, _ = ratios.shape
    draws = np.random.default_rng(seed).multinomial(roads, np.full(roads, 1 / roads), resamples)  # (resamples, R)
    sums = draws @ ratios.transpose(2, 0, 1, 3).reshape(roads, -1)
    return _means(sums.reshape(resamples, models, parts, 2))


def rank_correlation(
    offline: ArrayLike,
    driving: ArrayLike,
    offline_draws: Floats | None = None,
    driving_draws: Floats | None = None,
) -> RankCorrelation:
    """Rank correlation of two scores of M models.

    Args:
        offline: (M,), all finite.
        driving: (M,), all finite.
        offline_draws: (resamples, M) of the first; None: it cannot be resampled, and counts as exact.
        driving_draws: The same for the second.
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (offline, driving))
    if len(first) < 3:
        nan = float("nan")
        return RankCorrelation(nan, nan, nan, nan, nan, len(first))
    value, low, high = float(spearman(first, second)), float("nan"), float("nan")
    if np.isfinite(value) and (offline_draws is not None or driving_draws is not None):
        found = spearman(
            first if offline_draws is None else offline_draws, second if driving_draws is None else driving_draws
        )
        low, high = percentile_interval(found)
    return RankCorrelation(value, low, high, kendall(first, second), permutation_p(first, second), len(first))


def pareto_front(costs: ArrayLike) -> NDArray[np.bool_]:
    """Which of M models (M, K costs, lower is better) are on the front: no other is as good in all and better in one.

    A model with an unknown cost (NaN) is not on the front, and takes no other off it.
    """
    each: Floats = np.asarray(costs, dtype=np.float64)
    known = np.asarray(np.isfinite(each).all(axis=1))
    no_worse = (each[None] <= each[:, None]).all(axis=2)  # [i, j]: j no worse than i
    better = (each[None] < each[:, None]).any(axis=2)
    return known & ~(no_worse & better & known[None]).any(axis=1)


def find_failing_delay(
    successes: Callable[[float], int], trials: int, first_s: float, last_s: float, width_s: float
) -> FailingDelay:
    """Bisect the delay at which fewer than half of the trials succeed.

    Args:
        successes: Delay [s] -> how many of the trials succeed.
        trials: How many there are at each delay.
        first_s: The shortest delay; where fewer than half succeed there already, it is the answer.
        last_s: The longest delay.
        width_s: How near to each other the two delays end up between which success passes one half.

    Returns:
        The middle of those two. The interval inverts a test: it reaches from the longest delay whose Wilson interval of
        success lies above one half (else `first_s`) to the shortest whose interval lies below.
    """
    rates = {delay_s: wilson(successes(delay_s), trials) for delay_s in dict.fromkeys((first_s, max(first_s, last_s)))}
    low_s, high_s = min(rates), max(rates)
    begins, fails = rates[low_s].value >= 0.5, rates[high_s].value < 0.5
    while begins and fails and high_s - low_s > width_s * (1 + 1e-9):
        middle_s = (low_s + high_s) / 2
        rates[middle_s] = wilson(successes(middle_s), trials)
        low_s, high_s = (middle_s, high_s) if rates[middle_s].value >= 0.5 else (low_s, middle_s)
    value_s = (low_s + high_s) / 2 if begins and fails else None if begins else first_s
    return FailingDelay(
        value_s,
        max((delay_s for delay_s, rate in rates.items() if rate.low > 0.5), default=first_s),
        min((delay_s for delay_s, rate in rates.items() if rate.high < 0.5), default=None),
    )


def percentile_interval(values: Floats) -> tuple[float, float]:
    """The middle 95 % of resamples (resamples,); NaN if more than one in twenty is undefined."""
    known = values[np.isfinite(values)]
    if len(known) < (1 - _UNDEFINED) * values.size or not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _bootstrap(values: ArrayLike, picks: NDArray[np.int64], statistic: Callable[..., Any]) -> Estimate:
    each: Floats = np.asarray(values, np.float64)
    low, high = np.percentile(statistic(each[picks], axis=1), [2.5, 97.5])
    return Estimate(float(statistic(each)), float(low), float(high))


def _means(sums: Floats) -> Floats:
    """(..., P, 2) -> (...,): the mean over the ratios with counts; NaN where none has."""
    counts = sums[..., 1]
    known = counts > 0
    shares = np.where(known, sums[..., 0] / np.where(known, counts, 1), 0)
    number = known.sum(axis=-1)
    return np.where(number > 0, shares.sum(axis=-1) / np.maximum(number, 1), np.nan)
