"""Recurrent PPO of sb3-contrib that ends at its budget, and never takes a minibatch of one sample."""

from typing import Any

from gymnasium import spaces
from sb3_contrib import RecurrentPPO

from drive_rl.learn.budget import OnPolicyBudget
from drive_rl.learn.contrib.sequences import DictSequenceBuffer, SequenceBuffer


class BudgetRecurrentPPO(OnPolicyBudget, RecurrentPPO):
    """PPO with LSTMs (Schulman et al. 2017, arXiv 1707.06347) that ends at its budget."""

    batch_size: int

    def _setup_model(self) -> None:
        super()._setup_model()
        buffer: Any = self.rollout_buffer
        kind = DictSequenceBuffer if isinstance(self.observation_space, spaces.Dict) else SequenceBuffer
        self.rollout_buffer = kind(
            *(self.n_steps, self.observation_space, self.action_space, buffer.hidden_state_shape, self.device),
            gae_lambda=self.gae_lambda,
            gamma=self.gamma,
            n_envs=self.n_envs,
        )

    def within_budget(self, rollout_buffer: Any) -> int:
        """Shorten rollouts to the steps left, states of the LSTMs included; return the steps of one."""
        steps = super().within_budget(rollout_buffer)
        rollout_buffer.hidden_state_shape = (steps, *rollout_buffer.hidden_state_shape[1:])
        return steps

    def train(self) -> None:
        """Update the policy. No minibatch is a single sample, whose advantage has no standard deviation."""
        samples, wanted = self.n_steps * self.n_envs, self.batch_size
        self.normalize_advantage = samples > 1
        while samples > 1 and samples % self.batch_size == 1:
            self.batch_size += 1
        super().train()
        self.batch_size = wanted
