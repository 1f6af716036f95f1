"""The statistics of trained runs: seeds of one experiment, and drivers that drove the same roads.

Statistics of arrays: this module knows nothing of runs, roads or plots beyond rows and columns.

Two kinds of chance. Training again with another seed gives another driver, and other roads give another score. The
score of one experiment is aggregated as Agarwal et al. 2021 (arXiv 2108.13264) do: the interquartile mean, with a
bootstrap that draws runs within each task (`bootstrap_iqm`). Drivers on the same roads are compared by road: one draw
of roads serves all, and each driver's seeds are drawn within that driver (the pigeonhole bootstrap: Owen 2007, Annals
of Applied Statistics 1(2)). A seed is drawn whole, with all its roads: it is one driver, while a run of Agarwal et al.
is trained anew for each task.

No interval has width zero. Drivers that all succeed on 100 of 100 roads would, resampled, differ by exactly nothing;
so the draws come from two more roads than were driven, on which the outcome is as good and as bad as can be (Agresti
and Min 2005, Statistics in Medicine 24; Bonett and Price 2012, JEBS 37(4): the adjusted Wald interval of paired
proportions). The value itself is that of the roads driven.
"""

import numpy as np
from numpy.typing import ArrayLike

from drive_rl.stats import (
    LEVEL,
    RESAMPLES,
    Estimate,
    Floats,
    bootstrap_mean,
    bootstrap_picks,
    bounded_mean,
    percentile_interval,
    wilson,
)

DRAWS = 10_000
"""Draws of a comparison: Holm's correction asks for small p-values."""

_CUT = 0.25
_MOST_SIGNS = 12  # paired differences whose every sign is tried: 4096


def interquartile_mean(values: ArrayLike) -> Floats:
    """The mean of the middle half of values (..., N): a quarter, rounded down, is cut at each end of the last axis."""
    ordered = np.sort(np.asarray(values, np.float64), axis=-1)
    cut = int(_CUT * ordered.shape[-1])
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def bootstrap_iqm(scores: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The interquartile mean of scores (runs, tasks), with its 95 % interval by the stratified bootstrap.

    Runs are drawn with replacement within each task, independently (Agarwal et al. 2021, 4.1).
    """
    each: Floats = np.asarray(scores, np.float64)
    runs, tasks = each.shape
    picks = np.random.default_rng(seed).integers(0, runs, (resamples, runs, tasks))
    drawn = interquartile_mean(each[picks, np.arange(tasks)].reshape(resamples, -1))
    return Estimate(float(interquartile_mean(each.ravel())), *percentile_interval(drawn))


def iqm_of_rates(rates: ArrayLike, trials: int, seed: int = 0) -> Estimate:
    """`bootstrap_iqm` of one rate a run (runs,), each over the same `trials`, widened to what so few trials allow.

    That is Wilson's interval of one run with the interquartile mean's rate: runs that all succeed on 20 of 20 roads
    show no spread, and may yet fail on one road in ten.
    """
    found = bootstrap_iqm(np.asarray(rates, np.float64)[:, None], seed)
    of_trials = wilson(round(found.value * trials), trials)
    return Estimate(found.value, min(found.low, of_trials.low), max(found.high, of_trials.high))


def improvement(first: ArrayLike, second: ArrayLike) -> Floats:
    """Of each column, whether each row of scores (S, N) beats each of the others (T, N): 1, or 0.5 for a tie.

    Its mean is the probability of improvement (Agarwal et al. 2021, 4.3; Mann and Whitney 1947). (S, T, N).
    """
    one, other = (np.asarray(scores, np.float64) for scores in (first, second))
    return (np.sign(one[:, None] - other[None]) + 1) / 2


class Roads:
    """Draws of roads, the same for every driver, and of each driver's seeds.

    Args:
        count: How many roads were driven.
        seed: Of the draws.
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        self._seed = seed
        self._roads = _shares(np.random.default_rng(seed), count + 2)  # (DRAWS, count + 2)

    def mean(self, scores: ArrayLike) -> Estimate:
        """The mean of a driver's scores (seeds, roads), each in [0, 1], with its 95 % interval."""
        each: Floats = np.asarray(scores, np.float64)
        return _estimate(each, self._draws(each, (0.0, 1.0), self._seeds(1, len(each))))

    def difference(self, first: ArrayLike, second: ArrayLike) -> tuple[Estimate, float]:
        """The difference of two drivers' mean scores, (S, roads) and (T, roads), with its 95 % interval.

        And its two-sided p-value: the least level at which a percentile interval leaves out zero.
        """
        one, other = (np.asarray(scores, np.float64) for scores in (first, second))
        draws = self._draws(one, (0.0, 1.0), self._seeds(1, len(one)))
        draws = draws - self._draws(other, (1.0, 0.0), self._seeds(2, len(other)))
        beyond = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
        found = _estimate(np.asarray([one.mean() - other.mean()]), draws)
        return found, min(2 * (beyond + 1) / (DRAWS + 1), 1.0)

    def improvement(self, first: ArrayLike, second: ArrayLike) -> Estimate:
        """The probability that the first does better on a road, with its 95 % interval; arguments as `difference`."""
        wins = improvement(first, second)
        seeds, others, roads = wins.shape
        both = self._seeds(1, seeds)[:, :, None] * self._seeds(2, others)[:, None, :]
        return _estimate(wins, self._draws(wins.reshape(-1, roads), (0.0, 1.0), both.reshape(DRAWS, -1)))

    def _seeds(self, side: int, count: int) -> Floats:
        return _shares(np.random.default_rng((self._seed, side)), count)

    def _draws(self, scores: Floats, extremes: tuple[float, float], seeds: Floats) -> Floats:
        """(DRAWS,) means of scores (S, roads) and two more roads, with shares of the seeds (DRAWS, S)."""
        more = np.tile(extremes, (len(scores), 1))
        return ((self._roads @ np.hstack([scores, more]).T) * seeds).sum(axis=1)


def sign_flip_p(differences: ArrayLike, seed: int = 0, flips: int = 20_000) -> float:
    """Two-sided p-value of paired differences (N,) having mean zero (Fisher 1935; Good 2005, Permutation Tests, 3.2).

    The share of random signs whose mean is at least as far from zero as the observed one, which counts as one of them
    (Phipson and Smyth 2010); every sign of up to twelve differences.
    """
    each: Floats = np.asarray(differences, np.float64)
    found, count = abs(each.sum()), len(each)
    if count <= _MOST_SIGNS:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, (flips, count), dtype=np.int8)
    as_far = int((np.abs(signs @ each) >= found - 1e-12 * max(found, 1)).sum())
    extra = count > _MOST_SIGNS
    return (as_far + extra) / (len(signs) + extra)


def paired_mean(differences: ArrayLike, most: float, seed: int = 0) -> Estimate:
    """The mean of paired differences (N,) in [-most, most], with its 95 % percentile interval (Efron 1979).

    Where all resamples agree to a thousandth of `most` it is `stats.bounded_mean`'s: equal differences on a few roads
    are no certainty.
    """
    each: Floats = np.asarray(differences, np.float64)
    found = bootstrap_mean(each, bootstrap_picks(len(each), seed))
    if found.high - found.low > most / 1000:
        return found
    between = bounded_mean(np.clip(each / most, -1, 1) / 2 + 0.5)
    return Estimate(found.value, most * (2 * between.low - 1), most * (2 * between.high - 1))


def holm(p_values: ArrayLike) -> Floats:
    """The p-values (K,) of K comparisons, adjusted so that any false one is as rare as one of one (Holm 1979)."""
    each: Floats = np.asarray(p_values, np.float64)
    order = np.argsort(each, kind="stable")
    steps = np.maximum.accumulate(each[order] * np.arange(len(each), 0, -1))
    adjusted = np.empty_like(each)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _shares(rng: np.random.Generator, count: int) -> Floats:
    """(DRAWS, count) share that each of `count` has in a draw with replacement."""
    return rng.multinomial(count, np.full(count, 1 / count), DRAWS) / count


def _estimate(values: Floats, draws: Floats) -> Estimate:
    """The mean of values with the middle 95 % of draws, widened to hold it."""
    value = float(values.mean())
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value))
