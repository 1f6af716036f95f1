"""What does not fit into memory is refused with figures, before anything is allocated."""

from typing import Any

import gymnasium
import pytest
import torch
from small_specs import dqn, ppo, world

from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs

BIG = "camera.width_px=2048", "camera.height_px=2048"


@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_more_cars_than_fit_are_refused_in_both_engines(engine: Any) -> None:
    with pytest.raises(DriveRLError, match=r"num_envs = 100000: .*; fix: num_envs <= \d+"):
        make_envs(world(*BIG), ppo(), "train", 100_000, 0, engine)


def test_more_cars_than_pybullet_opens_are_refused() -> None:
    said = r"num_envs = 1025: PyBullet opens at most 1024 clients in a process; fix: num_envs <= 1024, or engine=batch"
    with pytest.raises(DriveRLError, match=said):
        make_envs(world(), ppo(), "train", 1025, 0)


@pytest.mark.parametrize(
    ("agent", "key"),
    [
        (ppo("guidance.pictures=10000000"), "guidance.pictures = 10000000"),
        (ppo("guidance=null", "steps_per_update=100000"), "steps_per_update = 100000"),
        (dqn("guidance=null", "buffer_size=10000000"), "buffer_size = 10000000"),
        (dqn("guidance=null", "buffer_size=10000000", "n_steps=2"), "buffer_size = 10000000"),
    ],
)
def test_a_learner_that_would_keep_more_than_fits_is_refused(agent: PpoSpec | DqnSpec, key: str) -> None:
    envs = make_envs(world(*BIG), agent, "train", agent.num_envs, 0, "batch")
    with pytest.raises(DriveRLError, match=rf"agent\.{key}: about .* GB are needed and .* GB are free; fix: agent\."):
        build_model(agent, envs, torch.device("cpu"), 0)
    envs.close()


def test_a_million_transitions_of_four_frames_take_less_than_8_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    """84 x 84 pixels: 7.06 GB of frames, 0.02 GB of numbers, and the first stacks of episodes of 40 steps."""
    monkeypatch.setattr("drive_rl.learn.learner_memory.free_bytes", lambda: 7 * 10**9)
    agent = dqn("guidance=null", "buffer_size=1000000")
    views = "camera.width_px=84", "camera.height_px=84", "camera.frame_stack=4"
    envs = make_envs(world(*views), agent, "train", agent.num_envs, 0, "batch")
    message = r"buffer_size = 1000000: about 7\.8 GB are needed and 7\.0 GB are free; fix: agent\.buffer_size <= 899511"
    with pytest.raises(DriveRLError, match=message):
        build_model(agent, envs, torch.device("cpu"), 0)
    envs.close()


def test_a_vector_environment_that_is_refused_leaves_nothing_behind(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(DriveRLError):
        gymnasium.make_vec("drive_rl/LaneFollow-v1", num_envs=10**8, vectorization_mode="vector_entry_point")
    assert not [each for each in recwarn if "unraisable" in str(each.category).lower()]
