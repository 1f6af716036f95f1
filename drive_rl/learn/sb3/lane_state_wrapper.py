"""Environments whose observations are predicted lane states: pictures in, lane states out.

It knows vectors of environments. It does not know what predicts, or what learns from the predictions.
"""

from collections.abc import Sequence
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from drive_rl.drivers.lane_state import LaneStateSource


class LaneStateWrapper(VecEnvWrapper):
    """{camera, state} environments as environments of the lane state that a source predicts. It has no state.

    Args:
        envs: The environments.
        space: The space of the lane states returned.
    """

    def __init__(self, envs: VecEnv, space: spaces.Box) -> None:
        super().__init__(envs, observation_space=space)

    def attach(self, source: LaneStateSource) -> None:
        """Set what predicts, before the first reset. A policy's own network comes after the environments."""
        self._source = source

    def reset(self) -> Any:
        """Reset the environments; return lane states (B, fields)."""
        observations = self.venv.reset()
        self._begin(range(self.num_envs))
        return self._observe(observations)

    def step_wait(self) -> Any:
        """Step the environments; return lane states (B, fields), rewards, dones, infos."""
        observations, rewards, dones, infos = self.venv.step_wait()
        ended = [row for row, info in enumerate(infos) if "terminal_observation" in info]
        for row in ended:
            infos[row]["terminal_observation"] = self._observe_last(row, infos[row]["terminal_observation"])
        self._begin(ended)
        return self._observe(observations), rewards, dones, infos

    def _begin(self, rows: Sequence[int]) -> None:
        """Note that episodes begin in some environments."""

    def _observe(self, observations: Any) -> Any:
        """Return (B, fields) for {camera, state} of all environments."""
        return self._source.lane_state(observations)

    def _observe_last(self, row: int, observation: Any) -> Any:
        """Return (fields,) for the observation that ended the episode of environment `row`."""
        return self._source.lane_state({key: part[None] for key, part in observation.items()})[0]
