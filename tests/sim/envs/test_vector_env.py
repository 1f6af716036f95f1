"""The batch engine behind `make_vec` is Gymnasium's SyncVectorEnv over PyBullet environments, only faster."""

import itertools
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from drive_rl.config.reader import load_world
from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError
from drive_rl.registration import gym_id
from drive_rl.sim.envs.vector_env import BatchVectorEnv

MODES = [
    (*modes, autoreset)
    for modes, autoreset in zip(
        itertools.product(
            sorted(entries("envs")), ("motion", "camera", "camera+state", "state"), ("discrete", "continuous")
        ),
        itertools.cycle(AutoresetMode),
        strict=False,
    )
]
N = 4


def make(world: str = "lane_follow", num_envs: int = N, **kwargs: Any) -> BatchVectorEnv:
    env = gymnasium.make_vec(gym_id(world), num_envs=num_envs, vectorization_mode="vector_entry_point", **kwargs)
    assert isinstance(env, BatchVectorEnv)
    return env


def assert_same(ours: Any, theirs: Any, at: str) -> None:
    """Compare what two vector environments returned: keys, shapes and types exactly, numbers to rounding."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), at
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{at}/{key}")
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        for i, (own, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(own, their, f"{at}[{i}]")
    elif isinstance(theirs, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), at
        if theirs.dtype.kind == "f":
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6), at
        else:
            assert np.array_equal(ours, theirs), at
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=1e-9), at
    else:
        assert ours == theirs, at


@pytest.mark.parametrize(("world", "observation", "actions", "autoreset"), MODES)
def test_it_is_what_gymnasium_makes_of_single_environments(
    world: str, observation: str, actions: str, autoreset: AutoresetMode
) -> None:
    modes: dict[str, Any] = {"observation": observation, "actions": actions, "channels_last": actions == "discrete"}
    ours = make(world, autoreset_mode=autoreset, **modes)
    one = partial(gymnasium.make, gym_id(world), disable_env_checker=True, **modes)
    theirs = SyncVectorEnv([one] * N, autoreset_mode=autoreset)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert {**theirs.metadata, "render_modes": ["rgb_array"]} == ours.metadata
    for own, their in zip(ours.reset(seed=3), theirs.reset(seed=3), strict=True):
        assert_same(own, their, "reset")
    ours.action_space.seed(0)
    ended = 0
    for step in range(60):
        action = ours.action_space.sample()
        if actions == "continuous":
            action[:, 1:] = abs(action[:, 1:])
        found, expected = ours.step(action), theirs.step(action)
        for own, their, name in zip(
            found, expected, ("seen", "reward", "terminated", "truncated", "info"), strict=True
        ):
            assert_same(own, their, f"{step}: {name}")
        over = found[2] | found[3]
        ended += int(over.sum())
        if autoreset is AutoresetMode.DISABLED and over.any():
            resets = (env.reset(options={"reset_mask": over.copy()}) for env in (ours, theirs))
            for own, their in zip(*resets, strict=True):
                assert_same(own, their, f"{step}: reset")
    assert ended > 3, "episodes must end for the autoreset to be seen"
    ours.close()
    theirs.close()


def test_roads_can_be_named() -> None:
    env = make()
    _, info = env.reset(options={"road_seed": [5, 6, 7, 8]})
    assert info["road_seed"].tolist() == [5, 6, 7, 8]
    _, info = env.reset(options={"road_seed": 20_000})
    assert info["road_seed"].tolist() == [20_000] * N
    env.close()


def test_borrowed_observations_stay_until_the_step_after_the_next() -> None:
    env = make(copy=False, observation="camera")
    action = np.tile(np.array([0.1, 0.5], np.float32), (N, 1))
    first = env.reset(seed=0)[0]
    kept = first.copy()
    second = env.step(action)[0]
    assert np.array_equal(first, kept)
    assert not np.array_equal(first, second)
    assert np.array_equal(first[:, 1:], second[:, :-1]), "the stack moves on by one picture"
    env.close()


def test_a_saved_state_goes_on_exactly() -> None:
    first, second = make("parked_cars"), make("parked_cars")
    rng = np.random.default_rng(0)
    actions = rng.uniform((-0.5, 0), (0.5, 1), (80, N, 2))
    first.reset(seed=1)
    second.reset(seed=2)
    for action in actions[:40]:
        first.step(action)
    second.set_state(first.get_state())
    for action in actions[40:]:
        for own, their in zip(first.step(action)[:4], second.step(action)[:4], strict=True):
            assert np.array_equal(own, their)
    first.close()
    second.close()


def test_threads_change_nothing() -> None:
    one, many = make(num_envs=16, threads=1), make(num_envs=16, threads=4)
    actions = np.random.default_rng(0).uniform((-0.5, 0), (0.5, 1), (40, 16, 2))
    assert np.array_equal(one.reset(seed=1)[0], many.reset(seed=1)[0])
    for action in actions:
        for own, their in zip(one.step(action)[:4], many.step(action)[:4], strict=True):
            assert np.array_equal(own, their)
    one.close()
    many.close()


@pytest.mark.parametrize(
    ("actions", "wrong", "said"),
    [
        (
            "continuous",
            np.zeros((3, 2)),
            r"shape \(3, 2\).*expected finite numbers .* for each of 4 cars",
        ),
        ("continuous", np.zeros(4), r"shape \(4,\)"),
        ("continuous", np.full((4, 2), "x"), r"type <U1"),
        ("continuous", [[0, 0], [0, np.nan], [0, 0], [0, 0]], r"action 1 = \[0\.0, nan\]: expected finite numbers"),
        ("discrete", np.zeros(4), r"type float64: expected an integer in \[0, 21\) for each of 4 cars"),
        ("discrete", [0, 1, 21, 0], r"action 2 = 21: expected an integer in \[0, 21\)"),
        ("discrete", [0, 1, -1, 0], r"action 2 = -1"),
    ],
)
def test_actions_that_do_not_fit_move_no_car(actions: str, wrong: Any, said: str) -> None:
    env = make(actions=actions)
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(DriveRLError, match=said):
        env.step(wrong)
    after = env.get_state()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    env.close()


def test_what_cannot_run_is_refused() -> None:
    wrong: list[Any] = [0, -1, 2.5, True]
    for count in wrong:
        with pytest.raises(DriveRLError, match=r"num_envs = .*: expected an integer >= 1"):
            BatchVectorEnv(load_world("lane_follow"), count)
    with pytest.raises(DriveRLError, match=r"num_envs = 100000000: about .* GB are needed and .* GB are free; fix:"):
        make(num_envs=100_000_000)
    with pytest.raises(DriveRLError, match=r"camera\.renderer = tiny: only engine = bullet .* fix:"):
        BatchVectorEnv(load_world("lane_follow", ["camera.renderer=tiny"]), 2)
    with pytest.raises(DriveRLError, match=r"render_mode = 'human'"):
        make(render_mode="human")
    with pytest.raises(DriveRLError, match="autoreset_mode = 'Never': expected one of NextStep, SameStep, Disabled"):
        make(autoreset_mode="Never")
    with pytest.raises(DriveRLError, match="max_episode_steps = 0: expected an integer >= 1"):
        make(max_episode_steps=0)
    with pytest.raises(DriveRLError, match="threads = 0: expected at least 1"):
        make(threads=0)
    with pytest.raises(DriveRLError, match="observation = 'lidar'"):
        make(observation="lidar")


@pytest.mark.parametrize(
    ("reset", "said"),
    [
        ({"options": {"weather": "rain"}}, "unknown key 'weather'"),
        ({"options": {"road_seed": [1, 2]}}, r"road_seed = \[1, 2\]: expected an integer >= 0, or 4 of them"),
        ({"options": {"road_seed": -1}}, "road_seed = -1"),
        ({"options": {"reset_mask": np.zeros(N, bool)}}, "reset_mask = .*: expected 4 booleans, one of them true"),
        ({"options": {"reset_mask": np.ones(N)}}, "reset_mask = .*: expected 4 booleans"),
        ({"options": {"reset_mask": np.eye(N, dtype=bool)[0]}}, "reset_mask: the first reset starts every car"),
        ({"seed": [1, 2]}, "seed: 2 given: expected one, or 4"),
    ],
)
def test_a_reset_that_does_not_fit_is_refused(reset: dict[str, Any], said: str) -> None:
    env = make()
    with pytest.raises(DriveRLError, match=said):
        env.reset(**reset)
    with pytest.raises(DriveRLError, match=r"no episode was started; fix: call reset\(\) first"):
        env.step(np.zeros((N, 2)))
    env.close()


def test_a_state_of_another_batch_is_refused() -> None:
    env, other = make(), make(num_envs=2)
    env.reset(seed=0)
    other.reset(seed=0)
    before = env.get_state()
    with pytest.raises(DriveRLError, match=r"state of 2 cars .* expected 4"):
        env.set_state(other.get_state())
    assert all(np.array_equal(before[name], array) for name, array in env.get_state().items())
    env.close()
    other.close()


@pytest.mark.parametrize("autoreset", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_a_car_whose_episode_is_over_is_not_driven_on(autoreset: AutoresetMode) -> None:
    env = make(autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=3, observation="state")
    env.reset(seed=0)
    env.step(np.zeros((N, 2)))
    env.step(np.zeros((N, 2)))
    *_, truncated, info = env.step(np.zeros((N, 2)))
    assert truncated.all()
    assert [env.metadata["end_reasons"][code] for code in info["end_reason"]] == ["timeout"] * N
    with pytest.raises(DriveRLError, match=r"episodes of cars \[0, 1, 2, 3\] are over; fix: reset\(options="):
        env.step(np.zeros((N, 2)))
    other = make(autoreset_mode=autoreset, max_episode_steps=3, observation="state")
    other.set_state(env.get_state())
    with pytest.raises(DriveRLError, match="are over"):
        other.step(np.zeros((N, 2)))
    other.reset(options={"reset_mask": truncated})
    assert not other.step(np.zeros((N, 2)))[3].any()
    env.close()
    other.close()


def test_a_state_between_an_end_and_the_next_start_goes_on_exactly() -> None:
    first, second = (make(observation="camera+state", max_episode_steps=3) for _ in range(2))
    first.reset(seed=1)
    for _ in range(3):
        first.step(np.zeros((N, 2)))
    second.reset(seed=2)
    second.set_state(first.get_state())
    for _ in range(5):
        own, their = first.step(np.zeros((N, 2))), second.step(np.zeros((N, 2)))
        for ours, theirs in zip(own, their, strict=True):
            assert_same(ours, theirs, "step")
    first.close()
    second.close()


def test_it_renders_what_a_single_environment_renders() -> None:
    ours, theirs = (
        make("parked_cars", render_mode="rgb_array"),
        gymnasium.make("drive_rl/ParkedCars-v1", render_mode="rgb_array"),
    )
    ours.reset(options={"road_seed": [3, 4, 5, 6]})
    theirs.reset(options={"road_seed": 5})
    for _ in range(4):
        ours.step(np.tile([0.1, 1.0], (N, 1)))
        theirs.step([0.1, 1.0])
    frames, frame = ours.render(), theirs.render()
    assert frames is not None
    assert len(frames) == N
    assert isinstance(frame, np.ndarray)
    assert (np.abs(frames[2].astype(int) - frame) > 1).mean() < 0.001
    assert not np.array_equal(frames[2], frames[1])
    assert make().render_mode is None
    ours.close()
    theirs.close()
