"""Intervals, rank correlation, the Pareto front and the failing delay: by hand, and against SciPy."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from drive_rl.stats import (
    RESAMPLES,
    FailingDelay,
    bootstrap_mean,
    bootstrap_median,
    bootstrap_picks,
    bounded_mean,
    event_rate,
    find_failing_delay,
    fisher_interval,
    kendall,
    mean_of_rates,
    pareto_front,
    permutation_p,
    pooled,
    rank_correlation,
    ranks,
    resampled,
    spearman,
    wilson,
)

stats: Any = scipy.stats  # its annotations lack the names of its results
RNG = np.random.default_rng(4)
PAIRS = [RNG.integers(0, 5, (2, size)).astype(float) for size in (3, 4, 5, 6, 12)] + [RNG.normal(size=(2, 7))]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.shape[1]}")
def test_as_scipy(pair):
    a, b = pair
    assert ranks(a) == pytest.approx(stats.rankdata(a))
    assert float(spearman(a, b)) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_the_exact_test_is_scipys():
    a, b = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 3, 5, 4])
    theirs = stats.permutation_test(
        (a,), lambda x: stats.spearmanr(x, b).statistic, permutation_type="pairings", n_resamples=np.inf
    )
    assert permutation_p(a, b) == pytest.approx(theirs.pvalue)
    assert permutation_p(a, a) == pytest.approx(2 / 120)  # the found order and its reverse, of 5!


def test_of_many_models_orders_are_drawn():
    many = np.arange(12.0)
    assert permutation_p(many, many) == pytest.approx(1 / 20_001)
    other = np.random.default_rng(1).normal(size=12)
    assert permutation_p(many, other) == pytest.approx(stats.spearmanr(many, other).pvalue, abs=0.02)


def test_pooled_is_the_mean_of_ratios_of_sums():
    """One part: (1 + 3) / (2 + 2). Two: and (0 + 1) / (4 + 0). A part that nobody counted is left out."""
    one = [[1, 2], [3, 2]]
    assert pooled(np.array([one])) == 1.0
    assert pooled(np.array([one, [[0, 4], [1, 0]]])) == (1 + 0.25) / 2
    assert pooled(np.array([one, [[0, 0], [0, 0]]])) == 1.0
    assert np.isnan(pooled(np.zeros((1, 2, 2))))


def test_resampled_roads_are_the_same_for_all_models():
    """Model 1 is model 0 plus 1 on every road, and so in every resample; the spread is that of a mean."""
    values = np.random.default_rng(0).normal(size=50)
    each = np.stack([values, values + 1])[:, None, :, None] * [1.0, 0.0] + [0.0, 1.0]  # (2, 1, 50, 2)
    draws = resampled(each, seed=3)
    assert draws.shape == (RESAMPLES, 2)
    assert draws[:, 1] - draws[:, 0] == pytest.approx(np.ones(len(draws)))
    assert draws[:, 0].mean() == pytest.approx(values.mean(), abs=0.02)
    assert draws[:, 0].std() == pytest.approx(values.std() / np.sqrt(50), rel=0.1)
    assert np.array_equal(draws, resampled(each, seed=3))


def test_the_interval_by_hand():
    """Of 100 resamples 90 keep the order of three models and 10 swap two of them: correlations of 1 and 0.5."""
    draws = np.array([[1.0, 2, 3]] * 90 + [[1.0, 3, 2]] * 10)
    found = rank_correlation([1, 2, 3], [10, 20, 30], draws, None)
    assert found == (1.0, 0.5, 1.0, 1.0, pytest.approx(2 / 6), 3)
    assert rank_correlation([1, 2, 3], [10, 20, 30], draws[:98], None).low == 0.5


def test_no_correlation_of_two_models_or_of_equals():
    two = rank_correlation([1, 2], [1, 2])
    assert np.isnan(two.spearman)
    assert two.models == 2
    assert np.isnan(rank_correlation([1, 2, 3], [4, 4, 4]).spearman)
    equal = np.array([[1.0, 2, 3]] * 90 + [[1.0, 1, 1]] * 10)  # a tenth of the resamples has no correlation
    assert np.isnan(rank_correlation([1, 2, 3], [1, 2, 3], equal).low)


def test_pareto_front_by_hand():
    """(1, 4), (2, 2), (4, 1) trade one cost for the other; (2, 3) loses to (2, 2); of equals both stay."""
    costs = [[1, 4], [2, 2], [4, 1], [2, 3], [2, 2], [0, np.nan]]
    assert pareto_front(costs).tolist() == [True, True, True, False, True, False]


# scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 20, 0.0, 0.16112516),
        (20, 20, 0.83887484, 1.0),
        (198, 200, 0.96427824, 0.99725334),
        (7, 10, 0.39677815, 0.89220869),
        (1, 1, 0.20654931, 1.0),
    ],
)
def test_wilson_agrees_with_scipy(successes: int, trials: int, low: float, high: float) -> None:
    estimate = wilson(successes, trials)
    assert estimate.value == successes / trials
    assert estimate.low == pytest.approx(low, abs=1e-7)
    assert estimate.high == pytest.approx(high, abs=1e-7)


def test_bootstrap_intervals_agree_with_scipy():
    values = np.random.default_rng(0).normal(size=40)
    picks = bootstrap_picks(len(values), seed=1)
    for ours, statistic in ((bootstrap_mean, np.mean), (bootstrap_median, np.median)):
        theirs = stats.bootstrap((values,), statistic, method="percentile", n_resamples=2000, rng=1)
        found = ours(values, picks)
        assert found.value == statistic(values)
        assert (found.low, found.high) == pytest.approx(theirs.confidence_interval, abs=0.05)


def test_bounded_means():
    """Of zeros and ones it is Wilson's interval; of others, by hand, Wilson's of the effective number of trials."""
    for successes, trials in ((100, 100), (0, 100), (7, 10)):
        found = bounded_mean([1.0] * successes + [0.0] * (trials - successes))
        assert (found.low, found.high) == pytest.approx(
            stats.binomtest(successes, trials).proportion_ci(method="wilson")
        )
    assert bounded_mean([1.0] * 100).low == pytest.approx(0.963, abs=5e-4)
    # 0.5 and 1, and the two more: mean 0.625, variance 0.171875; so 2 x 0.234375 / 0.171875 = 2.7273 trials
    centre, spread = 0.75 + 1.96**2 / (2 * 2.7273), 1.96 * (0.1875 / 2.7273 + 1.96**2 / (4 * 2.7273**2)) ** 0.5
    scale = 1 + 1.96**2 / 2.7273
    found = bounded_mean([0.5, 1.0])
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.75, (centre - spread) / scale, (centre + spread) / scale), abs=1e-4
    )
    assert bounded_mean([0.5] * 100).low < 0.5 < bounded_mean([0.5] * 100).high


def test_bounded_means_hold_the_truth():
    """Where 99 of 100 are perfect: 95 of 100 intervals hold the mean, of which percentiles of a bootstrap miss half."""
    rng = np.random.default_rng(0)
    drawn = np.where(rng.random((400, 100)) < 0.99, 1.0, rng.random((400, 100)))
    found = [bounded_mean(row) for row in drawn]
    assert np.mean([each.low <= 0.995 <= each.high for each in found]) >= 0.95


def test_fisher_intervals_by_hand():
    """tanh(atanh(0.5) -+ 1.96 sqrt((1 + 0.125) / 7)) for ten models; a perfect order of five counts as 0.95."""
    assert fisher_interval(0.5, 10) == pytest.approx((-0.2321, 0.8705), abs=1e-3)
    assert fisher_interval(1.0, 5) == pytest.approx((0.1608, 1.0), abs=1e-3)
    assert fisher_interval(-1.0, 5) == pytest.approx((-1.0, -0.1608), abs=1e-3)
    assert fisher_interval(1.0, 3) == (-1.0, 1.0)


def until(limit_s: float):
    """Twenty roads, of which all succeed up to a delay, and none later."""
    return lambda delay_s: 20 if delay_s <= limit_s else 0


def test_bisection_closes_in():
    """0 and 0.4, then 0.2 drives, 0.3 fails, 0.25 fails: between 0.2 and 0.25."""
    tried = []
    found = find_failing_delay(lambda delay_s: tried.append(delay_s) or until(0.21)(delay_s), 20, 0.0, 0.4, 0.05)
    assert tried == pytest.approx([0.0, 0.4, 0.2, 0.3, 0.25])
    assert (found.value_s, found.low_s, found.high_s) == pytest.approx((0.225, 0.2, 0.25))


def test_the_interval_reaches_to_what_the_roads_separate():
    """Of 20 roads 12 (Wilson from 0.39) and 8 (to 0.61) are no different from one half; 20 and 0 are."""
    counts = {0.0: 20, 0.4: 0, 0.2: 12, 0.3: 8, 0.25: 12}
    found = find_failing_delay(lambda delay_s: counts[round(delay_s, 2)], 20, 0.0, 0.4, 0.05)
    assert (found.value_s, found.low_s, found.high_s) == pytest.approx((0.275, 0.0, 0.4))


def test_the_ends():
    assert find_failing_delay(until(9.0), 20, 0.1, 0.4, 0.05) == FailingDelay(None, 0.4, None)
    assert find_failing_delay(until(0.0), 20, 0.1, 0.4, 0.05) == FailingDelay(0.1, 0.1, 0.1)
    assert find_failing_delay(until(9.0), 20, 0.7, 0.4, 0.05) == FailingDelay(None, 0.7, None)  # late by itself


def test_a_mean_of_rates_is_wilsons_of_the_effective_number() -> None:
    """Groups of the same size and rate are one large group; of others the interval is that of fewer trials."""
    assert mean_of_rates([(3, 4), (3, 4), (3, 4)]) == wilson(9, 12)
    uneven = mean_of_rates([(1, 2), (6, 6)])  # (1 + 1)^2 / (1 / 2 + 1 / 6) = 6 trials
    by_scipy = stats.norm.ppf(0.975)
    spread = by_scipy * np.sqrt(0.75 * 0.25 / 6 + by_scipy**2 / (4 * 36)) / (1 + by_scipy**2 / 6)
    assert (uneven.value, uneven.high - uneven.low) == pytest.approx((0.75, 2 * spread))
    sure = mean_of_rates([(5, 5), (10, 10)])
    assert (sure.value, sure.high) == (1.0, 1.0)
    assert sure.low < 1


@pytest.mark.parametrize("events", [0, 1, 2, 5, 30])
def test_the_interval_of_a_rate_of_events_is_nearly_the_exact_one(events: int) -> None:
    """Garwood 1936: quantiles of chi squared; here of 2.5 km."""
    found = event_rate(events, 2.5)
    least = stats.chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    most = stats.chi2.ppf(0.975, 2 * events + 2) / 2
    assert found.value == events / 2.5
    assert found.low == pytest.approx(least / 2.5, abs=0.01)
    assert found.high == pytest.approx(most / 2.5, abs=0.01)
    assert found.low < found.high
