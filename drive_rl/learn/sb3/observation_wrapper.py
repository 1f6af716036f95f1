"""Environments whose observations are replaced: by predicted lane states, or by whatever a learner reads.

It knows vectors of environments. It does not know what predicts, or what learns from the predictions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from drive_rl.drivers.lane_state import LaneStateSource


class ObservationWrapper(VecEnvWrapper, ABC):
    """Replaces the observations of all environments, and knows where episodes begin.

    Args:
        envs: The environments.
        space: The space of the observations returned.
    """

    def __init__(self, envs: VecEnv, space: spaces.Box) -> None:
        super().__init__(envs, observation_space=space)

    def reset(self) -> Any:
        """Reset the environments; return observations (B, ...)."""
        observations = self.venv.reset()
        self._begin(range(self.num_envs))
        return self._observe(observations)

    def step_wait(self) -> Any:
        """Step the environments; return observations (B, ...), rewards, dones, infos."""
        observations, rewards, dones, infos = self.venv.step_wait()
        ended = [row for row, info in enumerate(infos) if "terminal_observation" in info]
        if ended:
            last = self._observe_last(ended, _stacked([infos[row]["terminal_observation"] for row in ended]))
            for place, row in enumerate(ended):
                infos[row]["terminal_observation"] = last[place]
            self._begin(ended)
        return self._observe(observations), rewards, dones, infos

    def _begin(self, rows: Sequence[int]) -> None:
        """Note that episodes begin in some environments."""

    @abstractmethod
    def _observe(self, observations: Any) -> Any:
        """Return (B, ...) for the observations of all environments."""

    @abstractmethod
    def _observe_last(self, rows: list[int], observations: Any) -> Any:
        """Return (n, ...) for the observations that ended the episodes of n environments."""


class LaneStateWrapper(ObservationWrapper):
    """{camera, state} environments as environments of the lane state that a source predicts. It has no state.

    Args:
        envs: The environments.
        space: The space of the lane states returned.
        source: What predicts.
    """

    def __init__(self, envs: VecEnv, space: spaces.Box, source: LaneStateSource) -> None:
        super().__init__(envs, space)
        self._source = source

    def _observe(self, observations: Any) -> Any:
        return self._source.lane_state(observations)

    def _observe_last(self, rows: list[int], observations: Any) -> Any:
        return self._source.lane_state(observations)


def _stacked(rows: list[Any]) -> Any:
    """Return observations of some environments as a batch, of tensors where they are tensors."""
    if isinstance(rows[0], dict):
        return {key: _stacked([row[key] for row in rows]) for key in rows[0]}
    return torch.stack(rows) if isinstance(rows[0], torch.Tensor) else np.stack(rows)
