import json
import math
from dataclasses import replace

import numpy as np
import pytest

from drive_rl.sim.task.scoring import TRACE, EndReason, EpisodeMetrics, Score, score, score_tiers, summarise

GOOD = EpisodeMetrics(
    success=True,
    end_reason="arrived",
    route_completion=1.0,
    time_s=40.0,
    mean_speed_mps=10.0,
    max_offset_m=0.6,
    median_abs_offset_m=0.2,
    outside_lane=0.0,
    collisions=0,
    comfort=0.9,
    steering_reversals_hz=0.2,
    road_seed=20_000,
    tier="easy",
)


def metrics(time_s: float, **changes: float) -> dict[str, float]:
    values = {
        "lane_offset_m": 0.1,
        "heading_error_rad": 0.0,
        "speed_mps": 10.0,
        "target_speed_mps": 12.0,
        "route_completion": 0.5,
        "lateral_accel_mps2": 0.0,
        "longitudinal_accel_mps2": 0.0,
        "steer_rad": 0.0,
        "s_m": 10 * time_s,
        "x_m": 10 * time_s,
        "y_m": 0.0,
        "yaw_rad": 0.0,
        "time_s": time_s,
    }
    return {**values, **changes}


def scored(*steps: dict[str, float], end: EndReason = "timeout", seed: int = 0, tier: str = "easy") -> EpisodeMetrics:
    """Return the metrics of an episode of these steps, in lanes of 3.5 m, where success asks for 5 m/s."""
    trace = np.array([[step[name] for name in TRACE] for step in steps]).reshape(-1, len(TRACE))
    return summarise(trace, 1.75, 5.0, end, seed, tier)


def test_an_episode_is_what_was_driven() -> None:
    steps = (
        metrics(0.1, lane_offset_m=-0.2, speed_mps=8),
        metrics(0.2, lane_offset_m=0.4, speed_mps=12),
        metrics(0.3, lane_offset_m=-2.0, speed_mps=20, lateral_accel_mps2=-5.0, route_completion=0.7),
    )
    episode = scored(*steps, end="collision", seed=20_003, tier="hard")
    assert (episode.success, episode.end_reason, episode.collisions) == (False, "collision", 1)
    assert (episode.route_completion, episode.road_seed, episode.tier) == (0.7, 20_003, "hard")
    assert (episode.max_offset_m, episode.median_abs_offset_m) == (2.0, 0.4)
    assert episode.time_s == pytest.approx(0.3)
    assert episode.mean_speed_mps == pytest.approx(40 / 3)
    assert episode.outside_lane == pytest.approx(0.5)
    assert episode.comfort == pytest.approx(2 / 3)
    assert scored().median_abs_offset_m == 0


@pytest.mark.parametrize(
    ("end", "changes", "success"),
    [
        ("arrived", {}, True),
        ("arrived", {"lane_offset_m": -1.75}, True),
        ("arrived", {"lane_offset_m": -1.76}, False),
        ("arrived", {"speed_mps": 4.9}, False),
        ("timeout", {}, False),
        ("collision", {}, False),
    ],
)
def test_success_is_arriving_in_the_lane_and_fast_enough(
    end: EndReason, changes: dict[str, float], success: bool
) -> None:
    assert scored(metrics(0.1, **changes), end=end).success is success


@pytest.mark.parametrize(
    ("changes", "comfort"),
    [
        ({"lateral_accel_mps2": 4.89}, 1.0),
        ({"lateral_accel_mps2": -4.9}, 0.5),
        ({"longitudinal_accel_mps2": 2.41}, 0.5),
        ({"longitudinal_accel_mps2": -4.05}, 1.0),
        ({"longitudinal_accel_mps2": -4.06}, 0.5),
        ({"yaw_rad": 0.094}, 1.0),
        ({"yaw_rad": -0.096}, 0.5),
    ],
)
def test_comfort_has_nuplans_bounds(changes: dict[str, float], comfort: float) -> None:
    assert scored(metrics(0.1), metrics(0.2, **changes)).comfort == comfort


@pytest.mark.parametrize(
    ("degrees", "reversals"),
    [
        ([0, 0, 0], 0),
        ([0, 5, 9, 12], 0),  # it only ever turns left
        ([0, 5, 4.1, 5, 4.1], 0),  # never back by a whole degree
        ([0, 5, 3.9, 5], 2),
        ([0, 0.9, 0, 0.9], 0),
        ([0, -2, -1.6, -1.2, -0.9], 1),  # back in small steps
        ([0, 4, 2, 0, -2, 0.5], 2),
        ([3, 1, 3, 1, 3], 3),  # the first movement turns nothing back
    ],
)
def test_steering_reversals_have_a_gap_of_a_degree(degrees: list[float], reversals: int) -> None:
    steps = [metrics(0.1 * (i + 1), steer_rad=math.radians(angle)) for i, angle in enumerate(degrees)]
    assert scored(*steps).steering_reversals_hz == pytest.approx(reversals / (0.1 * len(degrees)))


def test_a_wrapped_yaw_is_no_turn() -> None:
    assert scored(metrics(0.1, yaw_rad=3.14), metrics(0.2, yaw_rad=-3.14)).comfort == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1.0),
        ({"collisions": 1}, 1 / 1.7),  # 2.1: 1 / (1 + 0.7); 2.0 would say 0.6
        ({"collisions": 2, "route_completion": 0.5}, 0.5 / 2.4),
        ({"outside_lane": 0.25}, 0.75),
        ({"outside_lane": 0.25, "collisions": 1, "route_completion": 0.8}, 0.8 * 0.75 / 1.7),
    ],
)
def test_the_driving_score_is_leaderboard_2_1(changes: dict[str, float], expected: float) -> None:
    assert replace(GOOD, **changes).driving_score == pytest.approx(expected)  # type: ignore[arg-type]


def many() -> list[EpisodeMetrics]:
    fail = replace(GOOD, success=False, end_reason="off_road", route_completion=0.5, time_s=15.0, tier="hard")
    late = replace(GOOD, success=False, end_reason="timeout", route_completion=0.9, time_s=90.0)
    return [GOOD] * 14 + [fail] * 4 + [late] * 2


def test_a_score_counts_and_averages() -> None:
    result = score(many())
    assert result.episodes == 20
    assert result.success.value == 0.7
    assert (result.off_road.value, result.timeout.value, result.collision.value) == (0.2, 0.1, 0.0)
    assert result.route_completion.value == pytest.approx((14 + 4 * 0.5 + 2 * 0.9) / 20)
    assert result.survival_s.value == 40.0
    assert result.lateral_deviation_m.value == 0.2


def test_the_bootstrap_is_seeded_and_near_the_normal_interval() -> None:
    values = np.random.default_rng(1).uniform(0, 1, 400)
    episodes = [replace(GOOD, route_completion=value) for value in values]
    result = score(episodes)
    assert result == score(episodes)
    half = 1.96 * values.std() / np.sqrt(400)
    assert result.route_completion.low == pytest.approx(values.mean() - half, abs=0.003)
    assert result.route_completion.high == pytest.approx(values.mean() + half, abs=0.003)


def test_every_estimate_lies_in_its_interval() -> None:
    for episodes in (many(), [GOOD], [GOOD] * 3):
        for value in score(episodes).to_dict().values():
            if isinstance(value, dict):
                assert value["low"] <= value["value"] + 1e-12
                assert value["value"] <= value["high"] + 1e-12


def test_tiers_are_scored_apart() -> None:
    tiers = score_tiers(many())
    assert {tier: result.episodes for tier, result in tiers.items()} == {"easy": 16, "hard": 4}
    assert tiers["hard"].success.value == 0


def test_scores_and_episodes_survive_json() -> None:
    result = score(many())
    assert Score.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert EpisodeMetrics.from_dict(json.loads(json.dumps(GOOD.to_dict()))) == GOOD


def test_no_episode_has_no_score() -> None:
    with pytest.raises(ValueError, match="no episodes"):
        score([])
