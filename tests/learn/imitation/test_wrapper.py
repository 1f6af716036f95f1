"""Between environments and a learner that imitates: what is kept as samples, and who drives."""

from typing import Any, cast

import numpy as np
import small_specs
import torch
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from drive_rl.config.specs.driver import DaggerSpec
from drive_rl.learn.build import make_envs
from drive_rl.learn.imitation.wrapper import TeacherWrapper
from drive_rl.learn.own_drivers import load_teacher
from drive_rl.sim.task.outcome import STATE_FIELDS

STILL = np.tile(np.array([0, -1], np.float32), (2, 1))
"""Actions of a learner that brakes."""


class Zero(nn.Module):
    """A network that learns nothing worth knowing."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.bias.expand(len(pictures), 2)


def wrapped(spec: DaggerSpec) -> tuple[TeacherWrapper, VecEnv]:
    """Return taught environments, and their twins without a teacher."""
    world = small_specs.world()
    envs, twins = (make_envs(world, spec, "train", 2, 0, "batch") for _ in range(2))
    teacher = load_teacher(spec, world)
    assert teacher is not None
    wrapper = TeacherWrapper(envs, spec, 0, teacher)
    wrapper.attach_net(Zero(), torch.device("cpu"))
    return wrapper, twins


def taught(spec: DaggerSpec, states: np.ndarray) -> np.ndarray:
    """Return what the teacher does in some states."""
    teacher = load_teacher(spec, small_specs.world())
    assert teacher is not None
    return teacher.act(states)


def test_the_teacher_drives_at_first_and_its_actions_are_the_samples() -> None:
    spec = small_specs.dagger("noise=0")
    wrapper, twins = wrapped(spec)
    observed: Any = wrapper.reset()
    expected: Any = twins.reset()
    for _ in range(5):
        actions = taught(spec, expected["state"])
        np.testing.assert_array_equal(observed, expected["camera"])
        np.testing.assert_array_equal(wrapper._memory.newest_targets(2).numpy(), actions)
        (observed, *rest), (expected, *others) = wrapper.step(STILL), twins.step(actions)
        np.testing.assert_array_equal(rest[0], others[0])


def test_the_learner_drives_once_the_teacher_has_left() -> None:
    spec = small_specs.dagger("teacher_fraction=0")
    wrapper, twins = wrapped(spec)
    wrapper.reset()
    twins.reset()
    for _ in range(5):
        observed: Any = wrapper.step(STILL)[0]
        expected: Any = twins.step(STILL)[0]
        np.testing.assert_array_equal(observed, expected["camera"])
        np.testing.assert_array_equal(wrapper._memory.newest_targets(2).numpy(), taught(spec, expected["state"]))


def test_in_behaviour_cloning_the_teacher_drives_to_the_end() -> None:
    spec = small_specs.dagger("algorithm=bc", "noise=0")
    wrapper, twins = wrapped(spec)
    wrapper.fit(0.0)  # the budget is used up
    wrapper.reset()
    expected: Any = twins.reset()
    for _ in range(40):
        observed = wrapper.step(STILL)[0]
        expected = twins.step(taught(spec, expected["state"]))[0]
        np.testing.assert_array_equal(observed, expected["camera"])


def test_the_state_is_learned_beside_the_actions_in_units_near_one() -> None:
    spec = small_specs.dagger("state_loss=0.5", "noise=0")
    wrapper, twins = wrapped(spec)
    wrapper.reset()
    state = cast(dict[str, np.ndarray], twins.reset())["state"]
    targets = wrapper._memory.newest_targets(2).numpy()
    np.testing.assert_array_equal(targets[:, :2], taught(spec, state))
    np.testing.assert_allclose(targets[:, 2 + STATE_FIELDS.index("speed_mps")], 0.1 * state[:, 2], rtol=1e-6)
    assert targets.shape == (2, 2 + 23)
    assert np.abs(targets).max() <= 2
    assert not targets[:, 2 + 11 :].any(), "a lane has no fields of obstacles"


def test_noise_is_driven_and_not_learned() -> None:
    spec = small_specs.dagger("noise=0.5")
    wrapper, twins = wrapped(spec)
    wrapper.reset()
    first: Any = twins.reset()
    actions = taught(spec, first["state"])
    np.testing.assert_array_equal(wrapper._memory.newest_targets(2).numpy(), actions)
    observed: Any = wrapper.step(STILL)[0]
    expected: Any = twins.step(actions)[0]
    assert not np.array_equal(observed, expected["camera"])
