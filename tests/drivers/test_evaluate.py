"""Evaluation of drivers. It covers `driver` and `observations`, too."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from small_specs import dqn, ppo, world

from drive_rl.config.specs.base import Actions, Engine, Observation
from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.drivers.driver import PolicyDriver
from drive_rl.drivers.evaluate import evaluate, results, split_seeds
from drive_rl.drivers.observations import Batch
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_policy, policy_driver
from drive_rl.sim.task.scoring import EpisodeMetrics, Score


def untrained(spec: PpoSpec | DqnSpec) -> PolicyDriver:
    torch.manual_seed(0)
    policy = build_policy(spec, world(), torch.device("cpu"))
    return policy_driver(spec, policy)


@pytest.mark.parametrize("observation", ["camera", "camera+state", "state"])
@pytest.mark.parametrize("make", [ppo, dqn])
def test_the_score_does_not_depend_on_the_number_of_environments(
    make: Callable[..., PpoSpec | DqnSpec], observation: Observation
) -> None:
    driver = untrained(make(f"observation={observation}", *(["n_steps=1"] if make is dqn else [])))
    seen: list[EpisodeMetrics] = []
    score, rows = evaluate(driver, world(), "val", 11, num_envs=3, progress=seen.append)
    assert [row.road_seed for row in rows] == list(range(10_000, 10_011))
    assert sorted(row.road_seed for row in seen) == list(range(10_000, 10_011))
    for num_envs in (1, 20):
        assert evaluate(driver, world(), "val", 11, num_envs) == (score, rows)


@pytest.mark.parametrize("make", [ppo, dqn])
def test_both_engines_give_the_same_score(make: Callable[..., PpoSpec | DqnSpec]) -> None:
    driver = untrained(make())
    seen: list[EpisodeMetrics] = []
    score, rows = evaluate(driver, world(), "val", 40, progress=seen.append, engine="batch")
    assert [row.road_seed for row in rows] == list(range(10_000, 10_040))
    assert sorted(row.road_seed for row in seen) == list(range(10_000, 10_040))
    expected, theirs = evaluate(driver, world(), "val", 40)
    assert [row.end_reason for row in rows] == [row.end_reason for row in theirs]
    assert score.driving_score.value == pytest.approx(expected.driving_score.value, abs=1e-6)


class Broken:
    """Gives no numbers."""

    name = "broken"
    observation: Observation = "state"
    actions: Actions = "continuous"

    def act(self, observations: Batch) -> np.ndarray:
        return np.full((len(observations), 2), np.nan, np.float32)


def test_actions_that_are_not_finite_are_refused() -> None:
    for engine in get_args(Engine):
        with pytest.raises(DriveRLError, match="driver broken: gave a NaN"):
            evaluate(Broken(), world(), "val", 2, engine=engine)


@pytest.mark.parametrize("episodes", [0, 1001])
def test_a_split_has_so_many_roads(episodes: int) -> None:
    with pytest.raises(DriveRLError, match="expected 1 to 1000, the roads of the test split"):
        evaluate(Broken(), world(), "test", episodes)
    assert split_seeds("test", 2) == range(20_000, 20_002)


def test_results_read_back() -> None:
    score, rows = evaluate(untrained(ppo()), world(), "test", 3)
    found: Any = results("someone", world(), "test", rows)
    assert Score.from_dict(found["score"]) == score
    assert [EpisodeMetrics.from_dict(row) for row in found["episodes"]] == rows
    assert sum(tier["episodes"] for tier in found["tiers"].values()) == 3
