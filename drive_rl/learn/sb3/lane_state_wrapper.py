"""Environments as a car with a perception model knows them: pictures in, told lane states out.

It knows vectors of environments. It does not know what is learned from them.
"""

from typing import Any

from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.sim.task.spaces import observation_space


class LaneStateWrapper(VecEnvWrapper):
    """{camera, state} environments as environments of the lane state that `eyes` tell. It keeps nothing of its own."""

    def __init__(self, envs: VecEnv, estimator: LaneEstimator) -> None:
        super().__init__(envs, observation_space=observation_space(envs.get_attr("world")[0], "state"))
        self._estimator = estimator

    def reset(self) -> Any:
        """Reset the environments; return lane states (B, fields)."""
        return self._estimator.state(self.venv.reset())  # pyright: ignore - a dictionary

    def step_wait(self) -> Any:
        """Step the environments; return lane states (B, fields), rewards, dones, infos."""
        observations, rewards, dones, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                one = {key: part[None] for key, part in info["terminal_observation"].items()}
                info["terminal_observation"] = self._estimator.state(one)[0]
        return self._estimator.state(observations), rewards, dones, infos  # pyright: ignore - a dictionary
