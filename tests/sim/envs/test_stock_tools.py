"""Gymnasium's own tools need nothing special: specs, wrappers, frames, keywords, and imports that print nothing."""

import json
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as vector_wrappers

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.shelf import entries
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.registration import gym_id

ID = "drive_rl/LaneFollow-v1"
SHORT: dict[str, Any] = {"length_m": 60}
RGB: dict[str, Any] = {"channels": "rgb", "frame_stack": 1}
N = 3


def one(**kwargs: Any) -> Any:
    return gymnasium.make(ID, **{"road": SHORT, **kwargs})


def many(**kwargs: Any) -> Any:
    return gymnasium.make_vec(ID, num_envs=N, **{"road": SHORT, **kwargs})


def loop(env: Any, action: Any, steps: int = 12) -> list[Any]:
    """Reset and step; return what each step returned."""
    env.reset(seed=1)
    return [env.step(action) for _ in range(steps)]


# --- the spec -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", sorted(entries("envs")))
def test_the_spec_has_the_length_of_an_episode_and_a_threshold_that_the_reference_driver_meets(world: str) -> None:
    spec, loaded = gymnasium.spec(gym_id(world)), load_world(world)
    assert spec.max_episode_steps == loaded.task.max_steps == (1800 if loaded.streets else 900)
    assert spec.reward_threshold is not None
    recipe: Any = load_agent("reference")
    driver = ReferenceDriver(recipe, loaded.car, loaded.task)
    kinds: Any = {"observation": "state", "autoreset_mode": AutoresetMode.DISABLED}
    envs = gymnasium.make_vec(gym_id(world), num_envs=32, vectorization_mode="vector_entry_point", **kinds)
    seen, _ = envs.reset(options={"road_seed": list(range(10_000, 10_032))})
    returns, over = np.zeros(32), np.zeros(32, bool)
    while not over.all():
        seen, rewards, terminated, truncated, _ = envs.step(driver.act(seen))
        returns += np.where(over, 0, rewards)
        over |= terminated | truncated
        if not over.all() and (ended := terminated | truncated).any():
            seen, _ = envs.reset(options={"reset_mask": ended})
    assert 0.8 * returns.mean() < spec.reward_threshold < returns.mean()
    envs.close()


def test_a_spec_makes_the_same_environment_again() -> None:
    env = one(camera=RGB, observation="camera+state", channels_last=True)
    text = env.spec.to_json()
    again = gymnasium.make(EnvSpec.from_json(text))
    assert again.observation_space == env.observation_space
    assert json.loads(text)["max_episode_steps"] == 900
    assert np.array_equal(again.reset(seed=3)[0]["camera"], env.reset(seed=3)[0]["camera"])
    env.close()
    again.close()


def test_a_shorter_limit_ends_episodes_in_both_engines() -> None:
    for env in (one(max_episode_steps=5), many(max_episode_steps=5, autoreset_mode="SameStep")):
        steps = loop(env, env.action_space.sample() * 0, 5)
        assert [bool(np.all(truncated)) for _, _, _, truncated, _ in steps] == [False] * 4 + [True]
        env.close()


def test_a_longer_task_says_what_gymnasium_needs() -> None:
    with pytest.warns(UserWarning, match="may now take 1800 steps, .* after 900 .*; fix: max_episode_steps=1800"):
        one(task={"control_hz": 20}, observation="state").close()


# --- keywords -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [one, many])
def test_parts_of_the_world_are_changed_by_keywords(make: Any) -> None:
    env = make(
        camera={**RGB, "width_px": 84}, task={"target_speed_mps": 8, "time_limit_s": 9}, road={"lane_width_m": 4}
    )
    world, filed = env.unwrapped.world, load_world("lane_follow")
    assert (world.camera.width_px, world.camera.height_px, world.camera.channels) == (84, filed.camera.height_px, "rgb")
    assert (world.task.target_speed_mps, world.task.time_limit_s, world.road.lane_width_m) == (8, 9, 4)
    assert world.road.length_m == filed.road.length_m
    assert env.reset(seed=0)[0].shape[-3:] == (6, 40, 84)
    env.close()


@pytest.mark.parametrize("make", [one, many])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"camera": {"width_px": 3}}, r"keywords of lane_follow: camera\.width_px = 3: expected >= 16"),
        ({"camera": {"width": 30}}, r"camera\.width = 30: unknown key"),
        ({"task": 7}, "task = 7: is not a mapping"),
        ({"channels_last": "yes"}, "channels_last = 'yes': expected one of True, False"),
    ],
)
def test_keywords_that_do_not_fit_are_refused(make: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DriveRLError, match=said):
        make(**wrong)


# --- pictures, as tools expect them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("observation", ["camera", "camera+state"])
def test_channels_last_are_the_same_pictures(observation: str) -> None:
    for make, action in ((one, np.array([0.1, 0.5])), (many, np.tile([0.1, 0.5], (N, 1)))):
        first, last = (make(observation=observation, channels_last=last) for last in (False, True))
        for own, their in zip(loop(last, action), loop(first, action), strict=True):
            assert last.observation_space.contains(own[0])
            ours, theirs = (seen["camera"] if isinstance(seen, dict) else seen for seen in (own[0], their[0]))
            assert ours.shape[-3:] == (40, 64, 3)
            assert np.array_equal(ours, np.moveaxis(theirs, -3, -1))
        first.close()
        last.close()


def test_both_checkers_take_channels_last() -> None:
    env = one(channels_last=True, camera=RGB, observation="camera", disable_env_checker=True)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_image_wrappers_of_one_environment() -> None:
    env = wrappers.ResizeObservation(
        wrappers.GrayscaleObservation(one(channels_last=True, camera=RGB, observation="camera")), (84, 84)
    )
    assert loop(env, [0, 0.3])[-1][0].shape == (84, 84)
    env.close()
    stack = wrappers.ResizeObservation(one(channels_last=True), (84, 84))
    assert loop(stack, [0, 0.3])[-1][0].shape == (84, 84, 6)
    stack.close()


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("engine", ["vector_entry_point", "sync"])
def test_image_wrappers_of_many_environments(engine: str, mode: AutoresetMode) -> None:
    place = {"autoreset_mode": mode} if engine != "sync" else {"vector_kwargs": {"autoreset_mode": mode}}
    env = many(
        vectorization_mode=engine, channels_last=True, camera=RGB, observation="camera", max_episode_steps=12, **place
    )
    grey = vector_wrappers.GrayscaleObservation(env)
    small = vector_wrappers.FlattenObservation(vector_wrappers.ResizeObservation(grey, (10, 12)))
    scaled = vector_wrappers.TransformObservation(small, lambda seen: seen / 255, small.observation_space)
    seen = loop(vector_wrappers.RecordEpisodeStatistics(scaled), np.zeros((N, 2), np.float32))[-1]
    assert seen[0].shape == (N, 120)
    assert 0 < seen[0].max() <= 1
    assert seen[4]["episode"]["l"].tolist() == [12] * N
    scaled.close()


def test_infos_become_tensors() -> None:
    pytest.importorskip("array_api_compat")
    import torch

    for env in (one(max_episode_steps=4), many(max_episode_steps=4, observation="camera+state")):
        wrapper: Any = wrappers.NumpyToTorch if isinstance(env, gymnasium.Env) else vector_wrappers.NumpyToTorch
        action = torch.tensor(env.action_space.sample())
        for *_, info in loop(wrapper(env), action, 6):
            assert all(isinstance(value, torch.Tensor) for value in info.values())
        env.close()


def test_frames_of_an_episode_are_collected() -> None:
    env = one(render_mode="rgb_array_list")
    loop(env, [0, 0.3], 4)
    assert [frame.shape for frame in env.render()] == [(400, 640, 3)] * 5
    env.close()


# --- imports --------------------------------------------------------------------------------------------------------

QUIET = """
import gymnasium
env = gymnasium.make("drive_rl:drive_rl/LaneFollow-v1", observation="state")
env.reset(seed=0)
"""
WITHOUT_PYBULLET = """
import sys
sys.modules["pybullet"] = None  # as on Python 3.12, which has no wheels of it
import gymnasium
env = gymnasium.make_vec("drive_rl:drive_rl/LaneFollow-v1", num_envs=2, vectorization_mode="vector_entry_point")
env.reset(seed=0)
env.step(env.action_space.sample())
import drive_rl.report.doctor, drive_rl.report.film.film_run, drive_rl.sb3
try:
    gymnasium.make("drive_rl/LaneFollow-v1")
except drive_rl.errors.DriveRLError as error:
    print(error)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_gymnasium_imports_the_package_itself_and_nothing_is_printed() -> None:
    done = run(QUIET)
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if not line.startswith("compiling the simulator")] == []


def test_without_pybullet_the_batch_engine_runs_and_the_other_says_what_it_needs() -> None:
    said = run(WITHOUT_PYBULLET).stdout
    assert said.startswith("engine = bullet: PyBullet cannot be imported")
    assert "fix: Python 3.11, or the batch engine" in said
