"""Behaviour cloning and DAgger: a policy of pictures that learns a teacher's actions.

It collects as PPO does, and learns from the samples that a `TeacherWrapper` keeps instead of from rewards. Where all
samples are there from the start it collects nothing.
"""

from typing import Any

import torch

from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.imitation.policy import Actor
from drive_rl.learn.imitation.wrapper import TeacherWrapper


class Dagger(BudgetPPO):
    """Dataset aggregation (Ross et al. 2011, arXiv 1011.0686) on stable-baselines3's PPO, which collects."""

    guidance: TeacherWrapper

    def collect_rollouts(self, env: Any, callback: Any, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Collect samples; offline, count as many steps and drive none."""
        if not self.guidance.offline:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        steps = self.within_budget(rollout_buffer)
        callback.on_rollout_start()
        callback.update_locals({"new_obs": self._last_obs})
        for _ in range(steps):
            self.num_timesteps += self.n_envs
            if not callback.on_step():
                return False
        self.guidance.owe(steps * self.n_envs)
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Fit the policy's mean action to the teacher's: beside the next rollout, where there is one."""
        self.policy.set_training_mode(True)
        loss = self.guidance.end_fit()
        if self.guidance.offline or self.num_timesteps >= self._total_timesteps:
            loss = self.guidance.fit(self._current_progress_remaining)
        else:
            self.guidance.fit_later(self._current_progress_remaining)
        self._n_updates += 1
        if loss is not None:
            self.logger.record("train/loss", loss)

    def learn_from(self, guidance: TeacherWrapper) -> None:
        """Set the samples to learn from, before learning."""
        self.guidance = guidance
        guidance.attach_net(Actor(self.policy), torch.device(self.device))
