"""Drivers compared road by road: numbers, verdicts and sentences."""

from dataclasses import replace

import numpy as np
import pytest

from drive_rl.drivers.compare import Driven, compare
from drive_rl.sim.task.scoring import EpisodeMetrics, score

ROAD = EpisodeMetrics(
    success=True,
    end_reason="arrived",
    route_completion=1.0,
    time_s=20.0,
    mean_speed_mps=10.0,
    max_offset_m=0.3,
    median_abs_offset_m=0.1,
    outside_lane=0.0,
    collisions=0,
    comfort=1.0,
    steering_reversals_hz=0.2,
    road_seed=0,
    tier="straight",
)


def driven(name: str, *failed: range, roads: int = 200) -> Driven:
    """A driver that leaves some roads half-way, for each of its seeds."""
    lost = replace(ROAD, success=False, end_reason="off_road", route_completion=0.5)
    rows = [[replace(lost if road in out else ROAD, road_seed=road) for road in range(roads)] for out in failed]
    return Driven(name, [f"{name}-{i}" for i in range(len(failed))], rows)


def test_the_better_driver_is_named() -> None:
    found = compare([driven("A", range(10)), driven("B", range(30))])
    (pair,) = found.pairs
    assert pair.success.value == pytest.approx(0.1)
    assert pair.driving_score.value == pytest.approx(0.05)
    assert pair.probability_of_improvement.value == pytest.approx(0.5 + 0.05)
    assert pair.verdict == "better"
    low, high = 100 * pair.success.low, 100 * pair.success.high
    assert pair.sentence == (
        f"A succeeds on 10.0 points more roads than B (95 % interval {low:.1f} to {high:.1f}): better."
    )
    (turned,) = compare([driven("B", range(30)), driven("A", range(10))]).pairs
    assert turned.sentence.startswith("B succeeds on 10.0 points fewer roads than A (95 % interval ")
    assert turned.sentence.endswith("): worse.")


def test_a_single_driver_has_the_interval_that_eval_prints() -> None:
    one = driven("A", range(10))
    assert compare([one, driven("B", range(0))]).drivers[0].success == score(one.episodes[0]).success


def test_drivers_that_never_fail_may_yet_differ() -> None:
    (pair,) = compare([driven("A", range(0), roads=100), driven("B", range(0), roads=100)]).pairs
    assert pair.success.value == pair.driving_score.value == 0
    assert pair.success.low < -0.02
    assert pair.success.high > 0.02
    assert pair.probability_of_improvement.value == 0.5
    assert pair.sentence == (
        "A and B: no difference can be concluded from 100 roads (success +0.0 points, 95 % interval"
        f" {100 * pair.success.low:+.1f} to {100 * pair.success.high:+.1f})."
    )


def test_many_comparisons_ask_for_more() -> None:
    """Eight roads more may be chance where many pairs are compared."""
    first, second = driven("A", range(8)), driven("B", range(0))
    alone = compare([first, second]).pairs[0]
    assert (alone.verdict, alone.p) == ("worse", alone.p_holm)
    found = compare([first, second, *(driven(f"C{i}", range(0)) for i in range(4))])
    assert len(found.pairs) == 15
    pair = found.pairs[0]
    assert pair.p == alone.p
    assert pair.p_holm > 0.05
    assert pair.verdict == "no difference concluded"
    assert f"but p = {pair.p_holm:.2g} after Holm's correction for 15 comparisons" in pair.sentence


def test_seeds_count_as_seeds() -> None:
    """One seed of three that drives badly does not make a training worse; all three do."""
    good = driven("good", *[range(2)] * 3)
    (unsure,) = compare([driven("lucky", range(60), range(2), range(2)), good]).pairs
    assert unsure.success.value == pytest.approx(-58 / 600)
    assert unsure.verdict == "no difference concluded"
    assert unsure.sentence.startswith("lucky (3 seeds) and good (3 seeds): no difference can be concluded")
    found = compare([driven("bad", range(60), range(55), range(50)), good])
    assert found.pairs[0].verdict == "worse"
    assert found.drivers[0].success_iqm == pytest.approx(np.mean([140, 145, 150]) / 200)
