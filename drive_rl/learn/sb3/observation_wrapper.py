"""Environments whose observations are replaced: by predicted lane states, or by whatever a learner reads.

It knows vectors of environments. It does not know what predicts, or what learns from the predictions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

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
        for row in ended:
            infos[row]["terminal_observation"] = self._observe_last(row, infos[row]["terminal_observation"])
        self._begin(ended)
        return self._observe(observations), rewards, dones, infos

    def _begin(self, rows: Sequence[int]) -> None:
        """Note that episodes begin in some environments."""

    @abstractmethod
    def _observe(self, observations: Any) -> Any:
        """Return (B, ...) for the observations of all environments."""

    @abstractmethod
    def _observe_last(self, row: int, observation: Any) -> Any:
        """Return (...) for the observation that ended the episode of environment `row`."""


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

    def _observe_last(self, row: int, observation: Any) -> Any:
        return self._source.lane_state({key: part[None] for key, part in observation.items()})[0]
