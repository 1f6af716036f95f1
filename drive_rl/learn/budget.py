"""Algorithms of stable-baselines3 that end at their budget: the last rollout is shortened to the steps left.

stable-baselines3 checks the budget once a rollout, and would train for a whole rollout more.
"""

import math
from typing import Any

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit


class OnPolicyBudget(OnPolicyAlgorithm):
    """An algorithm with rollouts that ends at its budget, within one step of all environments."""

    def collect_rollouts(self, env: Any, callback: Any, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Collect no more steps than are left."""
        return super().collect_rollouts(env, callback, rollout_buffer, self.within_budget(rollout_buffer))

    def within_budget(self, rollout_buffer: Any) -> int:
        """Shorten rollouts to the steps left; return the steps of one."""
        if (left := _steps_left(self)) < self.n_steps:
            self.n_steps = rollout_buffer.buffer_size = left
            self._num_timesteps_at_start = self.num_timesteps  # rollouts are counted from here
        return self.n_steps


class BudgetPPO(OnPolicyBudget, PPO):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) that ends at its budget, within one step of all environments."""


class OffPolicyBudget(OffPolicyAlgorithm):
    """An algorithm with a replay buffer that ends at its budget, within one step of all environments."""

    def collect_rollouts(self, env: Any, callback: Any, train_freq: TrainFreq, *args: Any, **kwargs: Any) -> Any:
        """Collect no more steps than are left."""
        if (left := _steps_left(self)) < train_freq.frequency:
            self.train_freq = train_freq = TrainFreq(left, TrainFrequencyUnit.STEP)
            self._num_timesteps_at_start = self.num_timesteps  # rollouts are counted from here
        return super().collect_rollouts(env, callback, train_freq, *args, **kwargs)


class BudgetDQN(OffPolicyBudget, DQN):
    """DQN (Mnih et al. 2015, doi 10.1038/nature14236) that ends at its budget, within one step of all environments."""


def _steps_left(model: BaseAlgorithm) -> int:
    """Return the steps left to each environment."""
    return math.ceil((model._total_timesteps - model.num_timesteps) / model.n_envs)
