"""Statistics of seeds and of drivers on the same roads: against rliable's values, SciPy, closed forms and by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from drive_rl.run_stats import Roads, bootstrap_iqm, holm, improvement, interquartile_mean, iqm_of_rates
from drive_rl.stats import wilson

stats: Any = scipy.stats  # its annotations lack the names of its results
RNG = np.random.default_rng(7)
GOLDEN = json.loads((Path(__file__).parent / "golden_rliable.json").read_text())["cases"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{np.shape(case['first'])}")
def test_as_rliable(case: dict[str, Any]) -> None:
    found = bootstrap_iqm(case["first"], resamples=50_000)
    assert found.value == pytest.approx(case["iqm"], abs=1e-12)
    assert (found.low, found.high) == pytest.approx((case["low"], case["high"]), abs=0.006)  # both are random
    wins = improvement(np.array(case["first"]), np.array(case["second"]))
    assert wins.mean() == pytest.approx(case["probability_of_improvement"], abs=1e-12)


@pytest.mark.parametrize("count", range(1, 12))
def test_the_interquartile_mean_is_scipys_trimmed_mean(count: int) -> None:
    values = RNG.random((3, count))
    assert interquartile_mean(values) == pytest.approx([stats.trim_mean(row, 0.25) for row in values])


def test_seeds_that_agree_have_an_interval_all_the_same() -> None:
    found, of_roads = iqm_of_rates([1.0] * 5, 20), wilson(20, 20)
    assert (found.value, found.low, found.high) == (1.0, of_roads.low, 1.0)
    assert bootstrap_iqm([[1.0]] * 5).low == 1, "which the bootstrap does not give"
    spread = iqm_of_rates([0.2, 0.5, 0.9], 1000)
    assert (spread.low, spread.high) == pytest.approx((0.2, 0.9)), "here seeds matter more than roads"


def bonett_price(won: int, lost: int, roads: int) -> tuple[float, float]:
    """The adjusted Wald interval of a difference of paired proportions (Bonett and Price 2012, formula 3)."""
    first, second = (won + 1) / (roads + 2), (lost + 1) / (roads + 2)
    half = 1.959964 * np.sqrt((first + second - (first - second) ** 2) / (roads + 2))
    return first - second - half, first - second + half


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (5, 0), (12, 3), (30, 30), (0, 40)])
def test_the_difference_of_two_drivers_has_the_paired_interval(won: int, lost: int) -> None:
    first, second = np.ones((1, 200)), np.ones((1, 200))
    second[0, :won], first[0, won : won + lost] = 0, 0
    found, p = Roads(200).difference(first, second)
    assert found.value == pytest.approx((won - lost) / 200)
    assert (found.low, found.high) == pytest.approx(bonett_price(won, lost, 200), abs=0.008)
    assert found.low < found.high
    assert (p < 0.05) == (found.low > 0 or found.high < 0)
    if won + lost > 10:
        assert (p < 0.05) == (stats.binomtest(won, won + lost).pvalue < 0.05), "as McNemar's exact test"


def test_pairing_by_road_takes_out_what_is_hard_for_both() -> None:
    hard = RNG.random(200) < 0.5
    first, second = np.where(hard, 0.0, 1.0)[None], np.where(hard, 0.0, 1.0)[None].copy()
    second[0, np.flatnonzero(second[0])[:8]] = 0
    found, p = Roads(200).difference(first, second)
    assert p < 0.05
    assert found.low > 0
    other, p = Roads(200).difference(first, RNG.permutation(second[0])[None])
    assert p > 0.05
    assert other.low < 0 < other.high


def test_seeds_are_drawn_whole() -> None:
    """Five seeds of which one always fails: the interval is of seeds, however many the roads."""
    unlucky, lucky = np.ones((5, 1000)), np.ones((5, 1000))
    unlucky[0] = 0
    found = Roads(1000).mean(unlucky)
    assert found.value == 0.8
    assert found.low == pytest.approx(stats.binom.ppf(0.025, 5, 0.8) / 5, abs=0.02)
    difference, p = Roads(1000).difference(lucky, unlucky)
    assert difference.low < 0.01, "one seed of five may be chance"
    assert p > 0.05


def test_the_first_of_two_is_the_second_of_the_other_two() -> None:
    first, second = RNG.random((1, 50)), RNG.random((1, 50))
    roads = Roads(50)
    one, p = roads.difference(first, second)
    other, q = roads.difference(second, first)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low), abs=0.01)
    assert p == pytest.approx(q, abs=0.02)
    assert roads.improvement(first, second).value == pytest.approx(1 - roads.improvement(second, first).value)


def test_ties_count_half() -> None:
    found = Roads(4).improvement([[1, 1, 0, 0.5]], [[0, 1, 1, 0.5]])
    assert found.value == 0.5
    assert improvement([[1], [0]], [[0], [0.5]])[:, :, 0].tolist() == [[1, 1], [0.5, 0]]


def test_holms_example() -> None:
    """By hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, and never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9]) == pytest.approx([0.9])
    assert holm([0.6, 0.7]) == pytest.approx([1, 1])
