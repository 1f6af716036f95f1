"""SAC of stable-baselines3 that learns from pictures: one encoder, random shifts, and one optimizer.

It knows policies and replayed transitions. It does not know worlds or specs.
"""

from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from drive_rl.learn.budget import OffPolicyBudget
from drive_rl.learn.sb3.random_shift import randomly_shifted


class EncodedSacPolicy(SACPolicy):
    """Actor and critics on the features of one encoder, which the critics train and the actor reads.

    So does DrQ (Kostrikov et al. 2020, arXiv 2004.13649); the target critics read the same encoder, as in DrQ-v2
    (Yarats et al. 2021, arXiv 2107.09645). One optimizer trains everything, the entropy coefficient included.

    Args:
        args: As `SACPolicy`.
        entropy_coef_init: The first weight of the entropy.
        kwargs: As `SACPolicy`.
    """

    encoder: BaseFeaturesExtractor
    log_entropy_coef: nn.Parameter
    optimizer: torch.optim.Optimizer

    def __init__(self, *args: Any, entropy_coef_init: float = 0.1, **kwargs: Any) -> None:
        self._entropy_coef_init = entropy_coef_init
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        self.encoder = self.make_features_extractor()
        features = spaces.Box(-np.inf, np.inf, (self.encoder.features_dim,), np.float32)
        for kwargs in (self.actor_kwargs, self.critic_kwargs):
            kwargs["observation_space"] = features
        self.actor = self.make_actor(FlattenExtractor(features))
        self.critic = self.make_critic(FlattenExtractor(features))
        self.critic_target = self.make_critic(FlattenExtractor(features))
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.critic_target.requires_grad_(False)
        self.critic_target.set_training_mode(False)
        self.log_entropy_coef = nn.Parameter(torch.tensor(self._entropy_coef_init).log())
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=lr_schedule(1), **self.optimizer_kwargs)

    def encoded(self, observations: PyTorchObs) -> Tensor:
        """Return the features of observations, (B, features)."""
        return self.extract_features(observations, self.encoder)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.actor(self.encoded(observation), deterministic)

    def set_training_mode(self, mode: bool) -> None:
        """Set the mode of all but the target critics."""
        super().set_training_mode(mode)
        self.encoder.train(mode)


class ShiftingSAC(OffPolicyBudget, SAC):
    """Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905) on shifted pictures, to the end of its budget.

    A gradient step updates critics, encoder, actor and entropy coefficient at once.

    Args:
        args: As `SAC`.
        max_grad_norm: Gradient clip.
        random_shift_px: Largest shift of sampled pictures, each way [px].
        kwargs: As `SAC`.
    """

    policy: EncodedSacPolicy  # pyright: ignore - of ours, not any SACPolicy
    target_entropy: float

    def __init__(self, *args: Any, max_grad_norm: float, random_shift_px: int, **kwargs: Any) -> None:
        self._n_calls = 0  # of `_on_step`, which DQN counts, too
        self._max_grad_norm, self._random_shift_px = max_grad_norm, random_shift_px
        super().__init__(*args, ent_coef=1.0, **kwargs)  # the policy holds the coefficient

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Take gradient steps, and log the means of their losses."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = torch.stack([self._step(batch_size) for _ in range(gradient_steps)]).mean(dim=0).tolist()
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/ent_coef", self.policy.log_entropy_coef.detach().exp().item())
        for name, loss in zip(("critic", "actor", "ent_coef"), losses, strict=True):
            self.logger.record(f"train/{name}_loss", loss)
        self.logger.record("train/loss", sum(losses))

    def _on_step(self) -> None:
        super()._on_step()
        self._n_calls += 1

    def _step(self, batch_size: int) -> Tensor:
        """Take one gradient step; return the losses of critics, actor and entropy coefficient."""
        assert self.replay_buffer is not None
        policy, batch = self.policy, self.replay_buffer.sample(batch_size)
        coef = policy.log_entropy_coef.exp().detach()
        features = policy.encoded(self._shifted(batch.observations))
        with torch.no_grad():
            following = policy.encoded(self._shifted(batch.next_observations))
            actions, log_prob = policy.actor.action_log_prob(following)
            values = _least(policy.critic_target(following, actions)) - coef * log_prob
            discounts = self.gamma if batch.discounts is None else batch.discounts
            targets = batch.rewards + (1 - batch.dones) * discounts * values[:, None]
        critic_loss = sum(F.mse_loss(each, targets) for each in policy.critic(features, batch.actions)) / 2
        seen = features.detach()
        actions, log_prob = policy.actor.action_log_prob(seen)
        fixed = {name: parameter.detach() for name, parameter in policy.critic.named_parameters()}
        actor_loss = (coef * log_prob - _least(functional_call(policy.critic, fixed, (seen, actions)))).mean()
        coef_loss = -(policy.log_entropy_coef * (log_prob.detach() + self.target_entropy)).mean()
        losses = torch.stack([cast(Tensor, critic_loss), actor_loss, coef_loss])
        policy.optimizer.zero_grad()
        losses.sum().backward()
        nn.utils.clip_grad_norm_(policy.parameters(), self._max_grad_norm)
        policy.optimizer.step()
        polyak_update(policy.critic.parameters(), policy.critic_target.parameters(), self.tau)
        return losses.detach()

    def _shifted(self, observations: Any) -> Any:
        """Return observations with their pictures shifted."""
        if isinstance(observations, dict):
            return {key: self._shifted(part) for key, part in observations.items()}
        return randomly_shifted(observations, self._random_shift_px) if observations.ndim == 4 else observations


def _least(values: tuple[Tensor, ...]) -> Tensor:
    """Return the least of the critics' values, (B,)."""
    return torch.cat(values, dim=1).amin(dim=1)
