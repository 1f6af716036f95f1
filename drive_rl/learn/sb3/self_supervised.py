"""PPO whose image encoder learns from the pictures and actions of its rollouts, too: inverse dynamics.

It knows policies and rollouts. It knows no worlds and no rewards.
"""

from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import create_mlp
from torch import Tensor, nn
from torch.nn import functional as F

from drive_rl.learn.budget import BudgetPPO

_SHARE = 4
"""PPO's minibatches hold so many times the pictures of one of this loss."""


class InverseDynamicsPolicy(ActorCriticCnnPolicy):
    """An actor-critic policy with a network that predicts actions from what they change, used in training alone.

    Self-supervised prediction (Pathak et al. 2017, arXiv 1705.05363): from the features of a picture and of the next,
    the action between them. What no action changes, as the looks of a road, is nothing to the features.
    """

    inverse_net: nn.Module

    def _build_mlp_extractor(self) -> None:
        super()._build_mlp_extractor()
        layers = create_mlp(
            2 * self.features_dim, get_flattened_obs_dim(self.action_space), [self.features_dim], self.activation_fn
        )
        self.inverse_net = nn.Sequential(*layers).to(self.device)

    def inverse_loss(self, pictures: Tensor, actions: Tensor, begins: Tensor) -> Tensor:
        """Return the mean error of the actions predicted: squared, or of discrete ones the cross-entropy.

        Args:
            pictures: (B, T, C, H, W), T >= 2.
            actions: (B, T, A), what was done then.
            begins: (B, T) bool, whether an episode begins with the picture.
        """
        features = self.features_extractor(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
        predicted = self.inverse_net(torch.cat((features[:, :-1], features[:, 1:]), dim=2))  # (B, T - 1, A)
        done, continues = actions[:, :-1], ~begins[:, 1:]
        if isinstance(self.action_space, spaces.Box):
            errors = (predicted - done.clamp(-1, 1)).square().mean(dim=2)
        else:
            errors = F.cross_entropy(predicted.transpose(1, 2), done.squeeze(2).long(), reduction="none")
        return (errors * continues).sum() / continues.sum().clamp(min=1)


class SelfSupervisedPPO(BudgetPPO):
    """PPO that adds the gradient of its policy's inverse dynamics to each of its own."""

    self_supervised = 0.0
    """Weight of the loss; 0: none."""

    def train(self) -> None:
        """Update the policy."""
        if not self.self_supervised or self.n_steps < 2:
            super().train()
            return
        losses: list[Tensor] = []
        hook = self.policy.optimizer.register_step_pre_hook(lambda *_: losses.append(self._add_gradient()))
        try:
            super().train()
        finally:
            hook.remove()
        self.logger.record("train/self_supervised_loss", float(torch.stack(losses).mean()))

    def _add_gradient(self) -> Tensor:
        """Add the gradient of the loss in a few environments; return the loss."""
        count = max(1, self.batch_size // (_SHARE * self.n_steps))
        policy = cast(InverseDynamicsPolicy, self.policy)
        loss = policy.inverse_loss(*self._drives(np.random.randint(self.n_envs, size=count)))
        (self.self_supervised * loss).backward()
        return loss.detach()

    def _drives(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Return pictures, actions and begins (B, T, ...) of the rollout in some environments."""
        buffer: Any = self.rollout_buffer  # flat by now: environment by environment
        shape = self.n_envs, self.n_steps
        parts = (
            buffer.observations.reshape(*shape, *buffer.obs_shape)[rows],
            buffer.actions.reshape(*shape, -1)[rows],
            buffer.episode_starts.T[rows] > 0,
        )
        pictures, actions, begins = (torch.as_tensor(part, device=self.device) for part in parts)
        return pictures, actions, begins
