"""stable-baselines3's own tools over the batch engine."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_util import make_vec_env as their_make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from drive_rl.errors import DriveRLError
from drive_rl.sb3 import make_vec_env

ID = "drive_rl/LaneFollow-v1"
SHORT: dict[str, Any] = {
    "road": {"length_m": 60},
    "camera": {"width_px": 36, "height_px": 36},
    "task": {"time_limit_s": 2},
}


def test_it_is_what_their_own_function_makes_of_pybullet() -> None:
    ours: Any = make_vec_env(ID, 3, seed=5, **SHORT)
    theirs: Any = their_make_vec_env(ID, 3, seed=5, env_kwargs=SHORT)
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    assert np.array_equal(ours.reset(), theirs.reset())
    for _ in range(25):
        actions = np.tile([0.1, 0.5], (3, 1)).astype(np.float32)
        (seen, rewards, dones, infos), expected = ours.step(actions), theirs.step(actions)
        assert np.array_equal(seen, expected[0])
        assert rewards == pytest.approx(expected[1], abs=1e-5)
        assert dones.tolist() == expected[2].tolist()
        for car in np.flatnonzero(dones):
            assert infos[car]["road_seed"] == expected[3][car]["road_seed"]
            assert infos[car]["end_reason"] == expected[3][car]["end_reason"]
            assert infos[car]["episode"]["r"] == pytest.approx(expected[3][car]["episode"]["r"], abs=1e-5)
            assert ours.reset_infos[car]["road_seed"] == theirs.reset_infos[car]["road_seed"]
    ours.close()
    theirs.close()


def test_options_name_the_roads_of_the_next_reset_alone() -> None:
    envs: Any = make_vec_env("lane_follow", 3, observation="state", **SHORT)
    envs.set_options([{"road_seed": seed} for seed in (7, 8, 20_000)])
    envs.reset()
    assert [info["road_seed"] for info in envs.reset_infos] == [7, 8, 20_000]
    named = envs.reset()
    assert [info["road_seed"] for info in envs.reset_infos] != [7, 8, 20_000]
    envs.set_options({"road_seed": 7})
    first = envs.reset()
    assert np.array_equal(first[0], first[2])
    assert not np.array_equal(first, named)
    for wrong in ({"road_seed": -1}, {"weather": "rain"}):
        envs.set_options(wrong)
        with pytest.raises(DriveRLError, match="reset: options: "):
            envs.reset()
    envs.close()


def test_their_learners_and_wrappers_need_nothing_special() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # evaluate_policy would warn of environments without `Monitor`
        envs: Any = make_vec_env(ID, 4, seed=0, **SHORT)
        model = PPO("CnnPolicy", envs, n_steps=32, batch_size=64, n_epochs=1).learn(256)
        assert len(model.ep_info_buffer or []) > 0
        mean, _ = evaluate_policy(model, envs, n_eval_episodes=4)
    assert 0 < float(np.mean(mean)) < 20
    state = VecNormalize(make_vec_env(ID, 4, observation="state", actions="discrete", **SHORT))
    DQN("MlpPolicy", state, learning_starts=16).learn(64)
    stacked: Any = VecFrameStack(make_vec_env(ID, 2, **SHORT), 2)
    assert stacked.reset().shape == (2, 12, 36, 36)
    for each in (envs, state, stacked):
        each.close()


def test_a_failed_road_comes_again() -> None:
    envs: Any = make_vec_env(ID, 1, seed=0, retry=1.0, **SHORT)
    envs.reset()
    roads = [envs.reset_infos[0]["road_seed"]]
    while len(roads) < 3:
        if envs.step(np.array([[1.0, 1.0]], np.float32))[2][0]:  # into the verge
            roads.append(envs.reset_infos[0]["road_seed"])
    assert len(set(roads)) == 1
    envs.close()
    for wrong in (-0.1, 1.1, "often"):
        with pytest.raises(DriveRLError, match=r"retry = .*: expected a number in \[0, 1\]"):
            make_vec_env(ID, 1, retry=wrong, **SHORT)  # pyright: ignore[reportArgumentType] - that is what is tested


def test_frames_of_all_cars() -> None:
    envs: Any = make_vec_env(ID, 2, render_mode="rgb_array", **SHORT)
    envs.reset()
    assert [image.shape for image in envs.get_images()] == [(400, 640, 3)] * 2
    tiled = envs.render()
    assert tiled is not None
    assert tiled.shape[2] == 3
    envs.close()


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(DriveRLError, match="unknown world 'lane_folow'; did you mean 'lane_follow'"):
        make_vec_env("lane_folow")
    with pytest.raises(DriveRLError, match="render_mode = 'human'"):
        make_vec_env(ID, render_mode="human")
    with pytest.raises(DriveRLError, match=r"camera\.width = 3: unknown key"):
        make_vec_env(ID, camera={"width": 3})
    assert gymnasium.spec(ID).reward_threshold == 310
