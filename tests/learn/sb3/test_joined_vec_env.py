"""Several worlds' environments as one vector: each does what it does alone, and one state holds all."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import small_specs
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.config.specs.base import Engine
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import make_envs
from drive_rl.learn.checkpoint.env_state import capture_env, restore_env
from drive_rl.learn.curriculum import first_seed
from drive_rl.learn.sb3.joined_vec_env import JoinedVecEnv
from drive_rl.learn.worlds import make_training_envs

NARROW = ("road.lane_width_m=3", "task.time_limit_s=2")


def parts_of(engine: Engine) -> list[VecEnv]:
    agent, worlds = small_specs.dagger(), (small_specs.world(), small_specs.world(*NARROW))
    return [make_envs(world, agent, "train", 1 + i, 0, engine) for i, world in enumerate(worlds)]


@pytest.mark.parametrize("engine", ["batch", "bullet"])
@pytest.mark.parametrize("threads", [1, 2])
def test_each_part_does_what_it_does_alone(engine: Engine, threads: int) -> None:
    joined, alone = JoinedVecEnv(parts_of(engine), threads), parts_of(engine)
    joined.seed(first_seed(5))
    for part, first in zip(alone, (0, 1), strict=True):
        part.seed(first_seed(5) + first)
    seen, rng = cast(Any, joined.reset()), np.random.default_rng(0)
    single = cast(list[Any], [part.reset() for part in alone])
    ended = 0
    for _ in range(40):
        for key in ("camera", "state"):
            np.testing.assert_array_equal(seen[key], np.concatenate([each[key] for each in single]))
        actions = rng.uniform(-0.2, 0.2, (3, 2)).astype(np.float32)
        seen, rewards, dones, infos = cast(Any, joined.step(actions))
        steps: list[Any] = [
            part.step(actions[rows]) for part, rows in zip(alone, (slice(0, 1), slice(1, 3)), strict=True)
        ]
        single = [step[0] for step in steps]
        np.testing.assert_array_equal(rewards, np.concatenate([step[1] for step in steps]))
        np.testing.assert_array_equal(dones, np.concatenate([step[2] for step in steps]))
        assert [info.get("episode") for info in infos] == [info.get("episode") for step in steps for info in step[3]]
        ended += int(np.sum(dones))
    assert ended >= 4
    assert [world.road.lane_width_m for world in joined.get_attr("world")] == [3.5, 3, 3]
    assert joined.get_attr("world", [2])[0] == small_specs.world(*NARROW)
    joined.close()


@pytest.mark.parametrize("engine", ["batch", "bullet"])
def test_its_state_is_that_of_all_parts(engine: Engine, tmp_path: Path) -> None:
    first, second = (JoinedVecEnv(parts_of(engine)) for _ in range(2))
    first.seed(first_seed(1))
    first.reset()
    actions = np.full((3, 2), 0.1, np.float32)
    for _ in range(5):
        first.step(actions)
    state = capture_env(first)
    with pytest.raises(DriveRLError, match=r"env\.npz: world_2/x: expected arrays of 2 worlds, world_0/ to world_1/"):
        restore_env(second, state | {"world_2/x": np.zeros(1)}, tmp_path / "env.npz")
    lost = {name: value for name, value in state.items() if not name.startswith("world_1/")}
    with pytest.raises(DriveRLError, match=r"env\.npz/world_1: "):
        restore_env(second, lost, tmp_path / "env.npz")
    restore_env(second, state, tmp_path / "env.npz")
    for _ in range(30):  # beyond an episode's end
        ours, theirs = (cast(Any, envs.step(actions)) for envs in (first, second))
        np.testing.assert_array_equal(ours[0]["camera"], theirs[0]["camera"])
        np.testing.assert_array_equal(ours[0]["state"], theirs[0]["state"])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_shorter_state_is_filled_up_with_zeros() -> None:
    envs = make_training_envs(small_specs.in_several_streets(), 0)
    assert isinstance(envs, JoinedVecEnv)
    space: Any = envs.observation_space
    narrow, wide = (cast(Any, part.observation_space)["state"].shape[0] for part in envs.parts)
    assert space["state"].shape == (wide,)
    seen = cast(Any, envs.reset())["state"]
    assert seen.shape == (envs.num_envs, wide)
    assert not seen[: envs.parts[0].num_envs, narrow:].any()
    assert seen[-1, narrow:].any()
    infos: list[Any] = [{}]
    while not infos[0]:
        infos = envs.step(np.zeros((envs.num_envs, 2), np.float32))[3]
    last = infos[0]["terminal_observation"]["state"]
    assert last.shape == (wide,)
    assert not last[narrow:].any()
    envs.close()
