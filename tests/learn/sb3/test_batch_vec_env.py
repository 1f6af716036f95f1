"""To a learner both engines are the same environments: the same roads, pictures, rewards and ends."""

from typing import Any

import numpy as np
import pytest
import small_specs

from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import make_envs

N = 3


def assert_alike(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key in theirs:
            assert_alike(ours[key], theirs[key])
    elif isinstance(theirs, np.ndarray) and theirs.dtype == np.uint8:
        assert np.array_equal(ours, theirs)
    elif isinstance(theirs, np.ndarray | float):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "agent",
    [
        small_specs.ppo("retry=0.7"),
        small_specs.ppo("guidance=null", "observation=state"),
        small_specs.ppo("guidance=null"),
        small_specs.dqn("gamma=0.5"),
    ],
)
def test_both_engines_look_the_same_to_a_learner(agent: PpoSpec | DqnSpec) -> None:
    world = small_specs.world()
    ours, theirs = (make_envs(world, agent, "train", N, 0, engine) for engine in ("batch", "bullet"))
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    assert_alike(ours.reset(), theirs.reset())
    ours.action_space.seed(0)
    ended = 0
    for _ in range(150):
        actions = np.array([ours.action_space.sample() for _ in range(N)])
        if agent.actions == "continuous":
            actions[:, 1] = abs(actions[:, 1])
        seen, rewards, dones, infos = ours.step(actions)
        expected = theirs.step(actions)
        assert_alike(seen, expected[0])
        assert rewards.dtype == expected[1].dtype
        assert_alike(rewards, expected[1])
        assert dones.tolist() == expected[2].tolist()
        for row in np.flatnonzero(dones):
            assert_alike(infos[row], expected[3][row])
        ended += int(dones.sum())
    assert ended > 5
    ours.close()
    theirs.close()


def test_the_learners_last_pictures_are_not_overwritten_by_a_step() -> None:
    envs = make_envs(small_specs.world(), small_specs.ppo("guidance=null"), "train", N, 0, "batch")
    before: Any = envs.reset()
    kept = before.copy()
    after: Any = envs.step(np.zeros((N, 2)))[0]
    assert np.array_equal(before, kept)
    assert not np.shares_memory(before, after)
    envs.close()


def test_a_world_for_pybullet_alone_is_refused() -> None:
    with pytest.raises(DriveRLError, match=r"renderer = tiny: only engine = bullet"):
        make_envs(small_specs.world("camera.renderer=tiny"), small_specs.ppo(), "train", N, 0, "batch")
