"""The updates of PPO and DQN with the encoder's own loss beside them; all else is stable-baselines3's."""

from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.utils import explained_variance
from torch.nn import functional as F

from drive_rl.learn.guided import GuidedActorCritic, GuidedQ


class GuidedPPO(PPO):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) on a `GuidedActorCritic`."""

    guidance: float = 1.0
    """Weight of the encoder's loss."""

    def train(self) -> None:
        """Update policy, critic and encoder from the rollout."""
        policy = cast(GuidedActorCritic, self.policy)
        buffer = cast(RolloutBuffer, self.rollout_buffer)
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        clip = cast(Any, self.clip_range)(self._current_progress_remaining)
        losses: list[list[float]] = []
        for _ in range(self.n_epochs):
            for batch in buffer.get(self.batch_size):
                actions = batch.actions
                if isinstance(self.action_space, spaces.Discrete):
                    actions = actions.long().flatten()
                values, log_prob, entropy = policy.evaluate_actions(cast(Any, batch.observations), actions)
                advantages = batch.advantages
                if len(advantages) > 1:  # the last minibatch may be a single sample, which has no deviation
                    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
                ratio = torch.exp(log_prob - batch.old_log_prob)
                gain = torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()
                value_loss = F.mse_loss(values.flatten(), batch.returns)
                lane_loss = policy.lane_loss(batch.observations)
                spread = -log_prob.mean() if entropy is None else entropy.mean()
                loss = self.vf_coef * value_loss - gain - self.ent_coef * spread + self.guidance * lane_loss
                policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
                policy.optimizer.step()
                losses.append(
                    [x.item() for x in (loss, -gain, value_loss, lane_loss, (ratio - 1 - ratio.log()).mean())]
                )
            self._n_updates += 1
        for name, value in zip(
            ("loss", "policy_loss", "value_loss", "lane_loss", "approx_kl"), np.mean(losses, axis=0), strict=True
        ):
            self.logger.record(f"train/{name}", float(value))
        told = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", float(told))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


class PerEnvDQN(DQN):
    """DQN whose environments explore apart: stable-baselines3 tosses one coin for all of them."""

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return epsilon-greedy actions, one coin an environment."""
        actions, state = self.policy.predict(observation, state, episode_start, deterministic=True)
        if deterministic:
            return actions, state
        explore = np.random.rand(*actions.shape) < self.exploration_rate
        if explore.any():
            random = np.array([self.action_space.sample() for _ in range(actions.size)])
            actions = np.where(explore, random.reshape(actions.shape), actions)
        return actions, state


class GuidedDQN(PerEnvDQN):
    """Double DQN (van Hasselt et al. 2016, arXiv 1509.06461) on a `GuidedQ`."""

    guidance: float = 1.0
    """Weight of the encoder's loss."""

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Take gradient steps on the replay buffer."""
        policy = cast(GuidedQ, self.policy)
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        losses: list[list[float]] = []
        for _ in range(gradient_steps):
            batch = cast(Any, self.replay_buffer).sample(batch_size)
            with torch.no_grad():
                best = self.q_net(batch.next_observations).argmax(dim=1, keepdim=True)
                after = self.q_net_target(batch.next_observations).gather(1, best)
                target = batch.rewards + (1 - batch.dones) * self.gamma * after
            values = self.q_net(batch.observations).gather(1, batch.actions.long())
            value_loss = F.smooth_l1_loss(values, target)
            lane_loss = policy.lane_loss(batch.observations)
            loss = value_loss + self.guidance * lane_loss
            policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
            policy.optimizer.step()
            losses.append([loss.item(), value_loss.item(), lane_loss.item()])
        self._n_updates += gradient_steps
        for name, value in zip(("loss", "value_loss", "lane_loss"), np.mean(losses, axis=0), strict=True):
            self.logger.record(f"train/{name}", float(value))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
