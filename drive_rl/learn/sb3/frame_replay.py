"""DQN's replay of stacked pictures with each frame kept once: the batches of stable-baselines3's buffers, bit for bit.

A transition's next stack is its stack without the oldest frame, and with a new one: the new one is all that is stored.
An episode's first stack, whose frames nothing else shows, is kept whole. So stacks are exact at both ends of an
episode, and a time-out stays apart from an end, unlike with stable-baselines3's `optimize_memory_usage`.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from drive_rl.errors import DriveRLError

_NO_PICTURE = spaces.Box(0, 255, (0,), np.uint8)


class StackedFrames:
    """The stacks of the last `rows` transitions of several environments, in a ring with each frame once.

    The ring has `stack` rows more than there are transitions: the oldest transition still finds its frames.

    Args:
        rows: Transitions kept of each environment.
        envs: How many environments.
        shape: (stack x channels, H, W) of a stack, oldest frame first.
        stack: Frames in a stack.
    """

    def __init__(self, rows: int, envs: int, shape: tuple[int, ...], stack: int) -> None:
        self.rows, self.envs, self.stack, self.shape = rows, envs, stack, shape
        self.added = 0
        """Transitions of each environment ever added: number n is in row n % rows, its new frame in n % ring."""
        self.ring = rows + stack
        self.frames: NDArray[np.uint8] = np.zeros((self.ring, envs, shape[0] // stack, *shape[1:]), np.uint8)
        self.ages: NDArray[np.uint8] = np.zeros((self.ring, envs), np.uint8)
        """Transitions since the stack that was kept whole, at most `stack`."""
        self.starts: dict[tuple[int, int], NDArray[np.uint8]] = {}
        """Stacks kept whole, by (ring row, environment): those of age 0."""

    def add(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        """Keep the stacks of one transition of each environment, both (envs, *shape).

        Raises:
            DriveRLError: a stack after its transition is not the one before it, shifted by a frame.
        """
        before, after = (array.reshape(self.envs, self.stack, -1) for array in (before, after))
        if not np.array_equal(before[:, 1:], after[:, :-1]):
            raise DriveRLError(
                f"replay: an observation is not the one before it with one of {self.stack} frames replaced; fix:"
                " another checkpoint of the run"
            )
        row = self.added % self.ring
        for env in range(self.envs):
            self.starts.pop((row, env), None)
        begins = self._begins(before)
        self.ages[row] = np.where(begins, 0, np.minimum(self.ages[row - 1] + 1, self.stack))
        for env in np.flatnonzero(begins).tolist():
            self.starts[row, env] = before[env].reshape(self.shape).copy()
        self.frames[row] = after[:, -1].reshape(self.frames.shape[1:])
        self.added += 1

    def before(self, rows: NDArray[np.int64], envs: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the stacks before some transitions, (B, *shape)."""
        return self._stacks(rows, envs, 0)

    def after(self, rows: NDArray[np.int64], envs: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the stacks after some transitions, (B, *shape); where an episode ended, its last."""
        return self._stacks(rows, envs, 1)

    def clear(self) -> None:
        """Forget all transitions."""
        self.added = 0
        self.starts.clear()

    def _begins(self, before: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which stacks do not continue the newest ones: (envs,)."""
        if not self.added:
            return np.ones(self.envs, np.bool_)
        newest = self.after(np.full(self.envs, (self.added - 1) % self.rows), np.arange(self.envs))
        return (newest.reshape(before.shape) != before).any(axis=(1, 2))

    def _stacks(self, rows: NDArray[np.int64], envs: NDArray[np.int64], later: int) -> NDArray[np.uint8]:
        numbers = self.added - 1 - (self.added - 1 - rows) % self.rows
        ring = (numbers[:, None] + np.arange(later - self.stack, later)) % self.ring  # (B, stack)
        stacks = self.frames.reshape(self.ring * self.envs, -1).take(ring * self.envs + envs[:, None], axis=0)
        ages = self.ages[numbers % self.ring, envs].astype(np.int64)
        for i in np.flatnonzero(ages + later < self.stack).tolist():  # the oldest frames are from before the episode
            start = self.starts[(numbers[i] - ages[i]) % self.ring, envs[i]].reshape(self.stack, -1)
            age = ages[i] + later
            stacks[i, : self.stack - age] = start[age:]
        return stacks.reshape(len(rows), *self.shape)


class FrameReplayBuffer(ReplayBuffer):
    """A `ReplayBuffer` of stacked pictures, with each frame once: it samples what `ReplayBuffer` samples.

    Args:
        buffer_size: Transitions kept, of all environments.
        observation_space: Stacks, uint8 (frame_stack x channels, H, W).
        frame_stack: Frames in a stack.
        args: As `ReplayBuffer`.
        kwargs: As `ReplayBuffer`.
    """

    def __init__(
        self, buffer_size: int, observation_space: spaces.Box, *args: Any, frame_stack: int, **kwargs: Any
    ) -> None:
        super().__init__(buffer_size, _NO_PICTURE, *args, **kwargs)  # with two arrays of stacks, both empty
        self.observation_space, self.obs_shape = observation_space, observation_space.shape
        self.frames = StackedFrames(self.buffer_size, self.n_envs, observation_space.shape, frame_stack)
        self.observations = cast(Any, _Rebuilt(self.frames.before))
        self.next_observations = cast(Any, _Rebuilt(self.frames.after))

    def add(
        self,
        obs: np.ndarray,
        next_obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Keep one transition of each environment; raises `DriveRLError` as `StackedFrames.add`."""
        self.frames.add(obs, next_obs)
        row = self.pos
        self.actions[row] = action.reshape(self.n_envs, self.action_dim)
        self.rewards[row], self.dones[row] = reward, done
        self.timeouts[row] = [info.get("TimeLimit.truncated", False) for info in infos]
        self.pos = (row + 1) % self.buffer_size
        self.full = self.full or self.pos == 0

    def to_torch(self, array: np.ndarray, copy: bool = True) -> torch.Tensor:
        """Return an array as a tensor on the learner's device; batches are new arrays, which need no copy."""
        del copy
        return super().to_torch(array, copy=False)

    def reset(self) -> None:
        """Forget all transitions."""
        super().reset()
        self.frames.clear()


class NStepFrameReplayBuffer(FrameReplayBuffer, NStepReplayBuffer):
    """The same with n-step returns: it samples what `NStepReplayBuffer` samples."""


class _Rebuilt:
    """Stacks that stable-baselines3 indexes like an array: (rows, environments), and a slice of the rest."""

    def __init__(self, stacks: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.uint8]]) -> None:
        self._stacks = stacks

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[np.uint8]:
        return self._stacks(*index[:2])
