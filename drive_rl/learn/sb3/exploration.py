"""Exploration of several environments at once, for stable-baselines3's DQN and its relatives."""

from typing import Any

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from drive_rl.learn.budget import BudgetDQN


class PerEnvExploration(OffPolicyAlgorithm):
    """Environments explore independently; stable-baselines3 tosses one coin for all of them."""

    exploration_rate: float

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return epsilon-greedy actions, one coin an environment."""
        actions, state = self.best_actions(observation, state, episode_start)
        if deterministic:
            return actions, state
        explore = np.random.rand(*actions.shape) < self.exploration_rate
        if explore.any():
            random = np.array([self.action_space.sample() for _ in range(actions.size)])
            actions = np.where(explore, random.reshape(actions.shape), actions)
        return actions, state

    def best_actions(self, observation: Any, *args: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return the policy's actions without exploration, and its state."""
        return self.policy.predict(observation, *args, deterministic=True)


class PerEnvDQN(PerEnvExploration, BudgetDQN):
    """DQN whose environments explore independently."""
