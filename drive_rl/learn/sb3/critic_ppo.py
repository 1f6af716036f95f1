"""PPO whose value takes passes of its own over each rollout. It knows policies and rollouts, and no worlds."""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drive_rl.learn.sb3.asymmetric_policy import AsymmetricActorCritic
from drive_rl.learn.sb3.self_supervised import SelfSupervisedPPO


class CriticPPO(SelfSupervisedPPO):
    """PPO that fits the value's own layers to the returns once more after each update, on features that stay.

    Those layers are small: passes over them cost little beside those through an image encoder, and what the actor
    learns is as good as the value that its actions are compared with.
    """

    critic_epochs = 0
    """Passes beyond those of actor and value together."""

    def train(self) -> None:
        """Update the policy, and then the value alone."""
        super().train()
        if not self.critic_epochs:
            return
        self.policy.set_training_mode(False)
        features = self._features()
        returns = torch.as_tensor(self.rollout_buffer.returns, device=self.device).reshape(-1, 1)
        for _ in range(self.critic_epochs):
            order = torch.as_tensor(np.random.permutation(len(features)), device=self.device)
            for rows in order.split(self.batch_size):
                self._fit(features[rows], returns[rows])

    def _features(self) -> Tensor:
        """Return what the value's layers read, (N, features), of all steps of the rollout."""
        observed: Any = self.rollout_buffer.observations
        if isinstance(self.policy, AsymmetricActorCritic):
            return self.policy.features_extractor.state(torch.as_tensor(observed["state"], device=self.device))
        parts = observed if isinstance(observed, dict) else {"": observed}
        split = {key: torch.as_tensor(part, device=self.device).split(self.batch_size) for key, part in parts.items()}
        with torch.no_grad():
            batches = [dict(zip(split, batch, strict=True)) for batch in zip(*split.values(), strict=True)]
            return torch.cat([cast(Tensor, self.policy.extract_features(batch.get("", batch))) for batch in batches])

    def _fit(self, features: Tensor, returns: Tensor) -> None:
        """Take one step on the mean squared error of the values; nothing else has a gradient, and it stays."""
        policy = self.policy
        error = F.mse_loss(policy.value_net(policy.mlp_extractor.forward_critic(features)), returns)
        policy.optimizer.zero_grad()
        error.backward()
        policy.optimizer.step()
