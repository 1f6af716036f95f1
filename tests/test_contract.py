"""One contract over every world on the shelf, in every observation and action mode: what a learner can rely on."""

import itertools
import warnings
from typing import Any, cast

import gymnasium
import numpy as np
import pytest
import stable_baselines3.common.env_checker as sb3
from gymnasium.utils.env_checker import check_env

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.shelf import entries
from drive_rl.config.specs.base import SPLITS, Actions, Observation
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.registration import gym_id
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.task.outcome import STATE_FIELDS

WORLDS = sorted(entries("envs"))
OBSERVATIONS: tuple[Observation, ...] = ("camera", "camera+state", "state")
ACTIONS: tuple[Actions, ...] = ("continuous", "discrete")
MODES = list(itertools.product(WORLDS, OBSERVATIONS, ACTIONS))
ENDS = {"running", "arrived", "off_road", "wrong_way", "collision", "timeout", "blocked"}
METRICS = {
    "offset_m", "heading_error_rad", "speed_mps", "target_speed_mps", "route_completion", "lateral_accel_mps2",
    "longitudinal_accel_mps2", "steer_rad", "s_m", "x_m", "y_m", "yaw_rad", "time_s", "lane_offset_m",
}  # fmt: skip
REWARD_TERMS = {"reward_lane", "reward_speed", "reward_heading", "reward_comfort", "reward_steering"}
CODES = {"road_seed", "tier", "is_success", "end_reason"}
SUMMARY = {
    *("mean_speed_mps", "max_offset_m", "median_abs_offset_m", "outside_lane", "comfort"),
    *("steering_reversals_hz", "driving_score"),
}


def _env(world: str, observation: Observation = "camera", actions: Actions = "continuous", **kwargs: Any) -> LaneEnv:
    return make_env(load_world(world), observation=observation, actions=actions, **kwargs)


@pytest.mark.parametrize(("world", "observation", "actions"), MODES)
def test_both_checkers_pass_without_a_warning(world: str, observation: Observation, actions: Actions) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(gym_id(world), observation=observation, actions=actions, disable_env_checker=True)
        check_env(env.unwrapped, skip_render_check=True)
        env.close()
        again = _env(world, observation, actions)
        sb3.check_env(again, warn=True, skip_render_check=True)
        again.close()


def assert_keeps_the_contract(info: dict[str, Any], over: bool) -> None:
    """Every info has the same keys, and more at the end; every value is a NumPy scalar or array of numbers."""
    assert set(info) == METRICS | REWARD_TERMS | CODES | (SUMMARY if over else set())
    assert all(isinstance(value, np.ndarray | np.number) and np.isfinite(value) for value in info.values())
    assert all(0 <= info[term] <= 1 for term in REWARD_TERMS)


@pytest.mark.parametrize(("world", "observation", "actions"), MODES)
def test_every_step_keeps_the_contract(world: str, observation: Observation, actions: Actions) -> None:
    env = _env(world, observation, actions)
    env.action_space.seed(1)
    seen, info = env.reset(seed=3)
    assert info["road_seed"] in SPLITS["train"]
    assert env.metadata["tiers"][info["tier"]] == env.episode.road.tier
    assert set(env.metadata["end_reasons"]) == ENDS
    assert_keeps_the_contract(info, over=False)
    assert env.observation_space.contains(seen)
    for _ in range(40):
        seen, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(seen)
        assert isinstance(reward, float)
        assert -10 <= reward <= 11  # a step in [0, 1], and what its end adds or costs
        assert_keeps_the_contract(info, over=terminated or truncated)
        assert not (terminated and truncated)
        end = env.metadata["end_reasons"][info["end_reason"]]
        assert (end != "running") == (terminated or truncated)
        assert truncated == (end == "timeout")
        if terminated or truncated:
            seen, info = env.reset()
            assert_keeps_the_contract(info, over=False)
    env.close()


@pytest.mark.parametrize("world", WORLDS)
def test_the_reference_driver_arrives(world: str) -> None:
    spec = load_world(world)
    driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), spec.car, spec.task)
    env = _env(world, "state", split="val")
    successes = 0
    for seed in range(10_000, 10_010):
        seen, _ = env.reset(options={"road_seed": seed})
        terminated, truncated, info = False, False, {}
        while not (terminated or truncated):
            seen, _, terminated, truncated, info = env.step(driver.act(seen[None])[0])
        successes += int(info["is_success"])
        assert env.metadata["end_reasons"][info["end_reason"]] == env.episode_metrics().end_reason == "arrived"
        assert info["route_completion"] == info["driving_score"] == 1
        assert info["road_seed"] == seed
    assert successes >= 9
    env.close()


def test_the_state_is_named_and_in_si_units() -> None:
    env = _env("lane_follow", "state")
    env.reset(seed=1)
    state, _, _, _, info = env.step([0.3, 0.5])
    named = dict(zip(STATE_FIELDS, state.tolist(), strict=True))
    assert named["offset_m"] == pytest.approx(info["offset_m"], rel=1e-6)
    assert named["heading_error_rad"] == pytest.approx(info["heading_error_rad"], rel=1e-6)
    assert named["speed_mps"] == pytest.approx(env.car.vx_mps, rel=1e-6)
    assert named["steer_rad"] == pytest.approx(env.car.steer_rad, rel=1e-6)
    # the lane's curvature 10 m ahead: the turn of its centre line there, per metre driven on it
    road = env.episode.road
    s = info["s_m"] + 10
    points = [np.array(road.place(s + step, -1.75)[:2]) for step in (-0.1, 0.1)]
    turn = road.place(s + 0.1, 0)[2] - road.place(s - 0.1, 0)[2]
    assert named["curvature_10m"] == pytest.approx(turn / float(np.hypot(*(points[1] - points[0]))), abs=1e-4)
    env.close()


def test_splits_are_disjoint_and_as_documented() -> None:
    assert {"train": range(0, 10_000), "val": range(10_000, 11_000), "test": range(20_000, 21_000)} == SPLITS
    for a, b in itertools.combinations(SPLITS.values(), 2):
        assert not set(a) & set(b)
    for split in ("train", "val", "test"):
        env = _env("lane_follow", "state", split=split)
        drawn = [env.reset(seed=seed)[1]["road_seed"] for seed in range(10)]
        assert set(drawn) <= set(SPLITS[split])
        assert len(set(drawn)) > 5
        env.close()
