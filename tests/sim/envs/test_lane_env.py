"""The environment: ends and success, determinism across processes, exact resume, no leaks, pictures."""

import gc
import multiprocessing
import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pybullet
import pytest
from episodes import commands, episode, fingerprint, resumed

from drive_rl.config.reader import load_world
from drive_rl.errors import DriveRLError
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.sensors.renderer import CLASSES

STRAIGHT = ["road.length_m=60", "task.start_offset_m=0", "task.start_heading_rad=0", "task.start_speed_mps=[8, 8]"]


def _env(*overrides: str, world: str = "lane_follow", observation: Any = "state", **kwargs: Any) -> LaneEnv:
    return LaneEnv(load_world(world, overrides), observation=observation, **kwargs)


@pytest.fixture
def env():
    env = _env(*STRAIGHT)
    yield env
    env.close()


def _drive(env: LaneEnv, steer: float, pedal: float, most: int = 2000) -> dict[str, Any]:
    for _ in range(most):
        *_, terminated, truncated, info = env.step([steer, pedal])
        if terminated or truncated:
            return {
                **info,
                "end_reason": env.metadata["end_reasons"][info["end_reason"]],
                "terminated": terminated,
                "truncated": truncated,
            }
    raise AssertionError("the episode did not end")


def _follow(env: LaneEnv, target_mps: float, aim_m: float = 0.0, most: int = 2000) -> dict[str, Any]:
    """Steer to `aim_m` left of the lane's centre line by proportional feedback."""
    seen, length = env._observe(), 2.7
    for _ in range(most):
        offset, heading, speed, _, _, _, _, here, near, *_ = seen.tolist()
        steer = length * (here + near) / 2 - 0.9 * heading - 0.12 * (offset - aim_m)
        action = np.clip([steer / env.world.car.max_steer_rad, 0.6 * (target_mps - speed)], -1, 1)
        seen, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return {
                **info,
                "end_reason": env.metadata["end_reasons"][info["end_reason"]],
                "terminated": terminated,
                "truncated": truncated,
            }
    raise AssertionError("the episode did not end")


# --- ends -----------------------------------------------------------------------------------------------------------


def test_arriving_in_the_lane_at_speed_is_success(env: LaneEnv) -> None:
    env.reset(options={"road_seed": 1})
    end = _follow(env, 8.0)
    assert (end["end_reason"], end["is_success"], end["terminated"]) == ("arrived", True, True)
    assert end["route_completion"] == 1
    assert end["s_m"] >= env.episode.road.end_s_m
    assert end["time_s"] == pytest.approx(60 / 8, abs=1)
    assert env.metadata["tiers"][end["tier"]] == env.episode.road.tier


def test_arriving_too_slowly_is_no_success(env: LaneEnv) -> None:
    env.reset(options={"road_seed": 1})
    end = _follow(env, 4.0)
    assert (end["end_reason"], end["is_success"]) == ("arrived", False)
    assert end["mean_speed_mps"] < 5


def test_arriving_after_leaving_the_lane_is_no_success() -> None:
    # two lanes ahead: the left one is no wrong way, but it is not the lane to keep
    env = _env(*STRAIGHT, "road.lanes_ahead=2")
    env.reset(options={"road_seed": 1})
    end = _follow(env, 8.0, aim_m=2.5)
    assert (end["end_reason"], end["is_success"]) == ("arrived", False)
    assert end["max_offset_m"] > 1.75
    env.close()


@pytest.mark.parametrize(("steer", "reason"), [(-0.3, "off_road"), (0.3, "wrong_way")])
def test_leaving_the_road_or_crossing_the_middle_ends_the_episode(env: LaneEnv, steer: float, reason: str) -> None:
    env.reset(options={"road_seed": 2})
    end = _drive(env, steer, 0.1)
    assert (end["end_reason"], end["terminated"], end["is_success"]) == (reason, True, False)
    assert abs(end["offset_m"]) > env.world.road.lane_width_m / 2


def test_leaving_a_one_way_road_to_the_left_is_off_road() -> None:
    env = _env(*STRAIGHT, "road.lanes_oncoming=0")
    env.reset(options={"road_seed": 2})
    assert _drive(env, 0.3, 0.1)["end_reason"] == "off_road"
    env.close()


def test_turning_round_is_the_wrong_way() -> None:
    env = _env(*STRAIGHT, "road.lanes_ahead=4", "task.start_speed_mps=[5, 5]", "road.tiers.hard=null")
    env.reset(options={"road_seed": 2})
    end = _drive(env, 1.0, 0.2)
    assert end["end_reason"] == "wrong_way"
    assert abs(end["heading_error_rad"]) > np.pi / 2 or end["offset_m"] > 4 * 3.5 - 1.75
    env.close()


def test_hitting_a_parked_car_is_a_collision() -> None:
    env = _env("road.parked_gap_m=-0.5", "road.parked_cars_per_km=50", world="parked_cars")
    env.reset(options={"road_seed": 0})
    end = _follow(env, 8.0, aim_m=-1.2)
    assert (end["end_reason"], end["is_success"], end["terminated"]) == ("collision", False, True)
    assert env.episode_metrics().collisions == 1
    env.close()


def test_the_clock_truncates() -> None:
    env = _env(*STRAIGHT, "task.time_limit_s=2")
    env.reset(options={"road_seed": 1})
    end = _drive(env, 0.0, -1.0)
    assert (end["end_reason"], end["truncated"], end["terminated"]) == ("timeout", True, False)
    assert end["time_s"] == pytest.approx(2)
    assert not end["is_success"]
    env.close()


def test_starts_lie_in_the_worlds_ranges() -> None:
    env = _env()
    task = env.world.task
    starts = []
    for seed in range(150):
        state, info = env.reset(options={"road_seed": seed})
        starts.append(state[:3])
        assert info["route_completion"] == 0
    offset, heading, speed = np.abs(starts).T
    assert 0.9 * task.start_offset_m < offset.max() <= task.start_offset_m
    assert 0.9 * task.start_heading_rad < heading.max() <= task.start_heading_rad + 1e-6
    assert task.start_speed_mps[0] <= speed.min() < 4 < 8 < speed.max() <= task.start_speed_mps[1]
    env.close()


# --- determinism ----------------------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_episode_here_in_other_processes_and_after_1000_resets() -> None:
    seeds = (3, 10_004)
    here = [episode(seed) for seed in seeds]
    assert here[0] != here[1]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.map(episode, seeds)
    assert there == here
    env = LaneEnv(load_world("lane_follow"), "camera+state")
    for count in range(1000):
        env.reset(options={"road_seed": count % 40})
        if count % 100 == 0:
            env.step([0.5, 0.5])
    for seed, expected in zip(seeds, here, strict=True):
        env.reset(options={"road_seed": seed})
        assert fingerprint(env, commands(seed, 25)) == expected
    env.close()


def test_reset_with_a_seed_draws_the_same_roads() -> None:
    env = _env()
    first = [env.reset(seed=5)[1]["road_seed"], *(env.reset()[1]["road_seed"] for _ in range(4))]
    again = [env.reset(seed=5)[1]["road_seed"], *(env.reset()[1]["road_seed"] for _ in range(4))]
    assert first == again
    assert len(set(first)) > 1
    env.close()


def test_a_state_goes_on_exactly_here_and_in_another_process() -> None:
    env = LaneEnv(load_world("parked_cars"), "camera+state")
    env.reset(seed=8)
    actions = commands(1, 40)
    for action in actions[:15]:
        env.step(action)
    state = env.get_state()
    expected = fingerprint(env, actions[15:]), env.reset()[1]["road_seed"]
    assert resumed(state, actions[15:]) == expected
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(resumed, (state, actions[15:])) == expected
    env.close()


def test_a_state_after_the_end_is_still_over(env: LaneEnv) -> None:
    env.reset(options={"road_seed": 2})
    _drive(env, -0.5, 0.5)
    other = _env(*STRAIGHT)
    other.set_state(env.get_state())
    with pytest.raises(DriveRLError, match="reset"):
        other.step([0, 0])
    other.close()


# --- leaks and closing ----------------------------------------------------------------------------------------------


def _clients() -> int:
    return sum(bool(pybullet.isConnected(client)) for client in range(500))


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_200_environments_opened_and_closed_leak_nothing() -> None:
    world = load_world("parked_cars")

    def open_and_close() -> None:
        env = LaneEnv(world)
        env.reset(options={"road_seed": 1})
        env.step([0, 0])
        env.close()

    for _ in range(20):
        open_and_close()
    gc.collect()
    clients = _clients()
    files, memory = len(os.listdir("/proc/self/fd")), _resident_mib()
    for _ in range(200):
        open_and_close()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files
    assert _resident_mib() - memory < 10
    assert _clients() == clients


def test_closing_frees_the_client_and_may_be_done_twice() -> None:
    env = _env()
    client = env._bullet.client
    assert pybullet.isConnected(client)
    env.close()
    env.close()
    assert not pybullet.isConnected(client)


# --- pictures -------------------------------------------------------------------------------------------------------


def test_frames_are_stacked_oldest_first() -> None:
    env = _env(observation="camera")
    first, _ = env.reset(options={"road_seed": 1})
    second, *_ = env.step([0.2, 0.5])
    third, *_ = env.step([0.2, 0.5])
    assert not np.array_equal(second[-1], first[-1])
    assert np.array_equal(third[-2], second[-1])
    assert np.array_equal(third[-3], first[-1])
    third[:] = 0
    assert env.step([0, 0])[0][-2].any(), "an observation is the caller's own copy"
    env.close()


def test_the_first_stack_shows_the_way_to_the_start() -> None:
    """Pictures before the start are those of a car that came at its speed; a standing car's are all alike."""
    env = _env("task.start_speed_mps=[8,8]", "task.start_heading_rad=0", observation="camera")
    env.reset(options={"road_seed": 1})
    state, seen = env.get_state(), []
    x, y, yaw = state["car"][:3]
    for back_m in (1.6, 0.8, 0.0):  # 8 m/s at 10 Hz
        there = state["car"].copy()
        there[:2] = x - back_m * np.cos(yaw), y - back_m * np.sin(yaw)
        env.set_state(state | {"car": there})
        seen.append(env.truth().image[0])
    assert not np.array_equal(seen[0], seen[-1])
    assert np.array_equal(env.reset(options={"road_seed": 1})[0], np.stack(seen))
    env.close()
    env = _env("task.start_speed_mps=[0,0]", observation="camera")
    still, _ = env.reset(options={"road_seed": 1})
    assert np.array_equal(still[0], still[-1])
    env.close()


@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_truth_belongs_to_the_observation(channels: str) -> None:
    env = _env(f"camera.channels={channels}", observation="camera")
    seen, _ = env.reset(options={"road_seed": 1})
    for _ in range(5):
        seen, *_ = env.step([0.1, 0.5])
    truth = env.truth()
    assert np.array_equal(truth.image, seen[-truth.image.shape[0] :])
    assert truth.classes.shape == truth.depth_m.shape == truth.image.shape[1:]
    assert {CLASSES[kind] for kind in np.unique(truth.classes)} >= {"background", "road", "ego_lane", "marking"}
    assert {line.d_m for line in truth.lanes} == {-3.5, 0.0, 3.5}
    env.close()


def test_rgb_array_shows_the_car_from_behind() -> None:
    env = _env("car.colour=[1, 0, 0]", render_mode="rgb_array")
    env.reset(options={"road_seed": 1})
    frame = env.render()
    assert frame is not None
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert frame.shape[2] == 3
    red = (frame[..., 0] > 120) & (frame[..., 1] < 60) & (frame[..., 2] < 60)
    _, columns = np.nonzero(red)
    assert red.mean() > 0.005
    assert np.median(columns) == pytest.approx(frame.shape[1] / 2, abs=0.08 * frame.shape[1])
    env.step([0, 0.5])
    later = env.render()
    assert later is not None
    assert not np.array_equal(later, frame)
    env.close()


def test_a_window_without_a_display_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    env = _env(render_mode="human")
    with pytest.raises(DriveRLError, match=r"no display.*fix:"):
        env.reset()
    env.close()


# --- many at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_makes_vectors_of_it(mode: Any) -> None:
    vector_kwargs = {"context": "spawn"} if mode == "async" else {}
    envs = gymnasium.make_vec(
        "drive_rl/LaneFollow-v1", num_envs=2, vectorization_mode=mode, vector_kwargs=vector_kwargs
    )
    seen, _ = envs.reset(seed=4)
    alone = [LaneEnv(load_world("lane_follow"), "motion") for _ in range(2)]
    for index, env in enumerate(alone):
        expected, _ = env.reset(seed=4 + index)
        assert np.array_equal(seen[index], expected)
    actions = np.array([[0.1, 0.5], [-0.1, 0.2]], np.float32)
    seen, rewards, *_ = envs.step(actions)
    for index, env in enumerate(alone):
        expected, reward, *_ = env.step(actions[index])
        assert np.array_equal(seen[index], expected)
        assert rewards[index] == pytest.approx(reward)
        env.close()
    envs.close()
