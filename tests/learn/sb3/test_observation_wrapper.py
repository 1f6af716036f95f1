"""Environments of predicted lane states; tests/learn/test_pretrained.py runs them over a trained model."""

from typing import Any, cast

import numpy as np
import small_specs
from gymnasium import spaces

from drive_rl.learn.build import make_envs
from drive_rl.learn.sb3.observation_wrapper import LaneStateWrapper
from drive_rl.sim.task.spaces import observation_space


class Twice:
    """A source whose prediction is twice the true state."""

    def lane_state(self, observations: Any) -> Any:
        return 2 * observations["state"]


def test_every_observation_is_the_sources_prediction() -> None:
    world, agent = small_specs.world(), small_specs.ppo("observation=camera+state", "guidance=null")
    bare, inner = (make_envs(world, agent, "train", 2, 0, "batch") for _ in range(2))
    wrapped = LaneStateWrapper(inner, cast(spaces.Box, observation_space(world, "state")), Twice())
    first: Any = bare.reset()
    np.testing.assert_array_equal(wrapped.reset(), 2 * first["state"])
    ended = 0
    for _ in range(40):
        (plain, rewards, dones, infos), found = (envs.step(np.full((2, 2), 0.5)) for envs in (bare, wrapped))
        np.testing.assert_array_equal(found[0], 2 * cast(Any, plain)["state"])
        np.testing.assert_array_equal(found[1], rewards)
        np.testing.assert_array_equal(found[2], dones)
        for info, other in zip(infos, found[3], strict=True):
            if "terminal_observation" in info:
                last = 2 * info["terminal_observation"]["state"]
                np.testing.assert_array_equal(other["terminal_observation"], last)
                ended += 1
    assert ended
    bare.close()
    wrapped.close()
