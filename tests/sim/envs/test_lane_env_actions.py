"""What the environment takes: actions and choices, and refusals in words that change nothing."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.envs.lane_env import LaneEnv


def _env(*overrides: str, observation: Any = "state", **kwargs: Any) -> LaneEnv:
    return LaneEnv(load_world("lane_follow", overrides), observation=observation, **kwargs)


@pytest.fixture
def env():
    env = _env()
    yield env
    env.close()


@pytest.mark.parametrize("action", [[0.0], [0, 0, 0], [np.nan, 0], [0, np.inf], None, "left", [[0, 0]], {}, [None, 1]])
def test_a_bad_action_is_refused_and_changes_nothing(env: LaneEnv, action: Any) -> None:
    env.reset(options={"road_seed": 1})
    env.step([0.1, 0.1])
    before = env.get_state()
    with pytest.raises(DriveRLError, match="step: action"):
        env.step(action)
    after = env.get_state()
    assert all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("action", [-1, 21, 1.5, None, [0.0, 0.0], "0"])
def test_a_bad_choice_is_refused(action: Any) -> None:
    env = _env(actions="discrete")
    env.reset(options={"road_seed": 1})
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    assert env.action_space.n == 21
    with pytest.raises(DriveRLError, match=r"expected an integer in \[0, 21\)"):
        env.step(action)
    env.step(np.int64(20))
    env.step(np.array(3))
    env.close()


def test_choices_are_the_grid_steer_major() -> None:
    overrides = ["task.steer_grid=[-0.5, 0.5]", "task.pedal_grid=[-1, 0, 1]"]
    choose, steer = _env(*overrides, actions="discrete"), _env(*overrides)
    for choice, action in enumerate([(-0.5, -1), (-0.5, 0), (-0.5, 1), (0.5, -1), (0.5, 0), (0.5, 1)]):
        choose.reset(options={"road_seed": 1})
        steer.reset(options={"road_seed": 1})
        assert np.array_equal(choose.step(choice)[0], steer.step(action)[0])
    choose.close()
    steer.close()


@pytest.mark.parametrize(("command", "angle_rad"), [(1, 0.08), (-0.5, -0.04), (0, 0)])
def test_a_steering_rate_moves_the_wheels_until_the_next_action(command: float, angle_rad: float) -> None:
    env = _env("task.steering=rate")  # 0.8 rad/s at 10 Hz, up to 0.3 rad
    env.reset(options={"road_seed": 1})
    angles = [env.step([command, 0])[4]["steer_rad"] for _ in range(5)]
    assert angles == pytest.approx(np.clip(angle_rad * np.arange(1, 6), -0.3, 0.3))
    assert env.step([0, 0])[4]["steer_rad"] == pytest.approx(angles[-1])
    env.close()


def test_a_car_that_steers_alone_holds_its_target_speed_in_bends_too() -> None:
    env = LaneEnv(load_world("lane_follow_hard", ["task.controls=steering"]), "state")
    driver = ReferenceDriver(ReferenceSpec(name="reference", algorithm="reference"), env.world.car, env.world.task)
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    seen, info = env.reset(options={"road_seed": 1})
    speeds = []
    while info["end_reason"] == 0:
        seen, _, _, _, info = env.step(driver.act(seen[None])[0])
        speeds.append((info["time_s"], info["speed_mps"], info["target_speed_mps"]))
    assert env.metadata["end_reasons"][info["end_reason"]] == "arrived"
    held = np.array([row[1:] for row in speeds if row[0] > 5])
    assert held[:, 1].min() < 0.7 * held[:, 1].max(), "the road must have a tight bend"
    # a target that falls by 2 m/s^2 takes half the brakes, 0.5 / (0.6 s/m) = 0.83 m/s beyond it, and it falls on a step
    assert (held[:, 0] - held[:, 1]).max() < 0.5 / 0.6 + 0.2
    assert held[held[:, 1] == 12, 0].max() == pytest.approx(12, abs=0.1)  # air and tyres hold it back a little
    env.close()


def test_an_action_that_steers_alone_has_one_number() -> None:
    env = LaneEnv(load_world("lane_keep"), "state")
    env.reset(options={"road_seed": 1})
    with pytest.raises(DriveRLError, match=r"action \[0\.1, 0\.1\]: expected finite numbers \[steer\] in \[-1, 1\]"):
        env.step([0.1, 0.1])
    env.step([0.1])
    env.close()
    choose = LaneEnv(load_world("lane_keep"), "state", "discrete")
    assert choose.action_space == gymnasium.spaces.Discrete(7)
    choose.reset(options={"road_seed": 1})
    steered, chosen = LaneEnv(load_world("lane_keep"), "state"), choose.step(1)[0]
    steered.reset(options={"road_seed": 1})
    assert np.array_equal(steered.step([-0.35])[0], chosen)
    choose.close()
    steered.close()


def test_a_car_that_holds_its_speed_resumes_exactly() -> None:
    """Its pedal depends on the last step's metrics alone."""
    first, second = (LaneEnv(load_world("lane_keep"), "state") for _ in range(2))
    first.reset(options={"road_seed": 1})
    for _ in range(10):
        first.step([0.01])
    second.reset(options={"road_seed": 2})
    second.set_state(first.get_state())
    for _ in range(5):
        assert np.array_equal(first.step([0.01])[0], second.step([0.01])[0])
    first.close()
    second.close()


def test_commands_beyond_one_are_full_commands(env: LaneEnv) -> None:
    states = []
    for action in ([1, 1], [7, 30]):
        env.reset(options={"road_seed": 1})
        states.append(env.step(action)[0])
    assert np.array_equal(*states)


@pytest.mark.parametrize("call", ["step", "render", "truth", "get_state"])
def test_nothing_goes_before_reset(call: str) -> None:
    env = _env(render_mode="rgb_array")
    with pytest.raises(DriveRLError, match=r"reset\(\)"):
        getattr(env, call)(*([[0, 0]] if call == "step" else []))
    env.close()


@pytest.mark.parametrize(
    ("key", "value"),
    [("observation", "radar"), ("actions", "wheel"), ("split", "holdout"), ("render_mode", "ansi")],
)
def test_unknown_modes_are_refused(key: str, value: str) -> None:
    with pytest.raises(DriveRLError, match=rf"{key} = '{value}': expected one of"):
        _env(**{key: value})


@pytest.mark.parametrize("options", [{"road_seed": -1}, {"road_seed": 1.5}, {"road_seed": True}, {"seed": 3}])
def test_bad_reset_options_are_refused(env: LaneEnv, options: dict[str, Any]) -> None:
    with pytest.raises(DriveRLError, match="reset: options"):
        env.reset(options=options)
