"""Each frame is kept once, and every batch is the one that stable-baselines3's own buffer returns."""

from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.sb3.frame_replay import FrameReplayBuffer, NStepFrameReplayBuffer

ACTIONS = spaces.Discrete(5)
SHAPE = 4, 5, 6  # four grey frames
Shape = tuple[int, int, int]


def buffers(size: int, envs: int, shape: Shape = SHAPE, stack: int = 4, n_steps: int = 1) -> tuple[Any, Any]:
    """Return stable-baselines3's buffer and ours."""
    space = spaces.Box(0, 255, shape, np.uint8)
    common: dict[str, Any] = {"device": "cpu", "n_envs": envs}
    if n_steps == 1:
        ours = FrameReplayBuffer(size, space, ACTIONS, frame_stack=stack, **common)
        return ReplayBuffer(size, space, ACTIONS, **common), ours
    common |= {"n_steps": n_steps, "gamma": 0.9}
    ours = NStepFrameReplayBuffer(size, space, ACTIONS, frame_stack=stack, **common)
    return NStepReplayBuffer(size, space, ACTIONS, **common), ours


class Episodes:
    """Environments of random frames; an episode begins with a stack of frames of its own and lasts 1 to `longest`."""

    def __init__(self, envs: int, longest: int, seed: int, shape: Shape = SHAPE, stack: int = 4) -> None:
        self.rng, self.longest = np.random.default_rng(seed), longest
        self.shape, self.planes = shape, shape[0] // stack
        self.stacks = np.stack([self.pictures() for _ in range(envs)])
        self.left = self.rng.integers(1, longest + 1, envs)

    def pictures(self) -> np.ndarray:
        return self.rng.integers(0, 2, self.shape, dtype=np.uint8)  # so that small ones are equal now and then

    def transition(self) -> tuple[Any, ...]:
        before, envs = self.stacks, len(self.stacks)
        following = np.concatenate([before[:, self.planes :], self.rng.integers(0, 2, before.shape, np.uint8)], axis=1)
        following = following[:, : self.shape[0]].copy()
        self.left -= 1
        done = self.left == 0
        infos = [{"TimeLimit.truncated": bool(end and self.rng.random() < 0.5)} for end in done]
        self.stacks = following.copy()
        for env in np.flatnonzero(done):
            self.stacks[env], self.left[env] = self.pictures(), self.rng.integers(1, self.longest + 1)
        return before, following, self.rng.integers(5, size=envs), self.rng.random(envs), done, infos


def assert_same_batches(theirs: Any, ours: Any, seed: int) -> None:
    batches = []
    for buffer in (theirs, ours):
        np.random.seed(seed)
        batches.append(buffer.sample(64))
    for name, expected, found in zip(batches[0]._fields, *batches, strict=True):
        if expected is None:
            assert found is None, name
        else:
            assert found.dtype == expected.dtype, name
            np.testing.assert_array_equal(found.numpy(), expected.numpy(), err_msg=name)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_batches_are_those_of_stable_baselines3(n_steps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    envs, stack, planes, side, longest = (
        int(rng.choice(of)) for of in ([1, 2, 5], [1, 2, 4], [1, 3], [1, 5], [1, 3, 30])
    )
    size, shape = int(rng.integers(envs, 40 * envs)), (stack * planes, side, side)
    theirs, ours = buffers(size, envs, shape, stack, n_steps)
    episodes = Episodes(envs, longest, seed, shape, stack)
    for step in range(3 * theirs.buffer_size + 5):
        transition = episodes.transition()
        theirs.add(*transition)
        ours.add(*transition)
        assert (ours.pos, ours.full, ours.size()) == (theirs.pos, theirs.full, theirs.size())
        assert_same_batches(theirs, ours, step)
    rows, of = (axis.ravel() for axis in np.indices((theirs.buffer_size, envs)))  # and every row, the oldest included
    for name in ("observations", "next_observations"):
        np.testing.assert_array_equal(getattr(ours, name)[rows, of], getattr(theirs, name)[rows, of])
    for name in ("actions", "rewards", "dones", "timeouts"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_a_reset_that_no_end_announces_begins_an_episode() -> None:
    theirs, ours = buffers(20, 2)
    for seed in range(3):
        episodes = Episodes(2, 1000, seed)
        for _ in range(6):
            transition = episodes.transition()
            theirs.add(*transition)
            ours.add(*transition)
            assert_same_batches(theirs, ours, seed)


def test_a_frame_is_kept_once_and_a_start_goes_with_its_episode() -> None:
    theirs, ours = buffers(1000, 2)
    episodes = Episodes(2, 50, 0)
    for _ in range(2500):
        ours.add(*episodes.transition())
    assert ours.frames.frames.nbytes == (500 + 4) * 2 * 5 * 6
    assert theirs.observations.nbytes + theirs.next_observations.nbytes == 1000 * 2 * 4 * 5 * 6
    assert len(ours.frames.starts) == np.count_nonzero(ours.frames.ages == 0) < 1000 / 10


def test_a_reset_buffer_is_empty() -> None:
    _, ours = buffers(20, 2)
    episodes = Episodes(2, 3, 0)
    for _ in range(15):
        ours.add(*episodes.transition())
    ours.reset()
    fresh, _ = buffers(20, 2)
    for _ in range(5):
        transition = episodes.transition()
        fresh.add(*transition)
        ours.add(*transition)
        assert_same_batches(fresh, ours, 0)


def test_what_is_no_stack_of_frames_is_refused() -> None:
    _, ours = buffers(20, 2)
    before, _, *rest = Episodes(2, 3, 0).transition()
    with pytest.raises(DriveRLError, match="with one of 4 frames replaced; fix: "):
        ours.add(before, before, *rest)
    assert (ours.pos, ours.frames.added) == (0, 0)


@pytest.mark.parametrize("n_steps", [1, 3])
def test_dqn_learns_the_same_weights_as_with_stable_baselines3s_buffer(n_steps: int) -> None:
    spec = small_specs.dqn("guidance=null", f"n_steps={n_steps}", "buffer_size=120", "exploration_end=0.5")
    weights = []
    for naive in (False, True):
        envs = make_envs(small_specs.world(), spec, "train", 2, 0, "batch")
        model: Any = build_model(spec, envs, torch.device("cpu"), 0)
        assert type(model.replay_buffer) is (FrameReplayBuffer if n_steps == 1 else NStepFrameReplayBuffer)
        if naive:
            kwargs: dict[str, Any] = {"n_steps": n_steps, "gamma": spec.gamma} if n_steps > 1 else {}
            buffer = NStepReplayBuffer if n_steps > 1 else ReplayBuffer
            model.replay_buffer = buffer(120, envs.observation_space, envs.action_space, "cpu", 2, **kwargs)
        weights.append(model.learn(300).policy.state_dict())
        envs.close()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("changes", [("observation=motion", "guidance=null"), ("observation=state",), ()])
def test_what_is_not_stacked_frames_keeps_stable_baselines3s_buffer(changes: tuple[str, ...]) -> None:
    spec = small_specs.dqn(*changes, "n_steps=1")
    envs = make_envs(small_specs.world(), spec, "train", 2, 0, "batch")
    model: Any = build_model(spec, envs, torch.device("cpu"), 0)
    envs.close()
    assert type(model.replay_buffer) is ReplayBuffer


@pytest.mark.parametrize(("n_steps", "kind"), [(1, ReplayBuffer), (3, NStepReplayBuffer)])
def test_stacks_that_leave_frames_out_are_kept_whole(n_steps: int, kind: type[ReplayBuffer]) -> None:
    spec = small_specs.dqn("guidance=null", f"n_steps={n_steps}", "buffer_size=120")
    world = small_specs.world("camera.frame_stack=2", "camera.frame_ages=[4, 0]")
    envs = make_envs(world, spec, "train", 2, 0, "batch")
    model: Any = build_model(spec, envs, torch.device("cpu"), 0)
    model.learn(100)
    assert type(model.replay_buffer) is kind
    envs.close()
