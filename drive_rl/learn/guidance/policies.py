"""Guided learning from the camera: perception learns from the simulator's lane state, the policy from perception.

A guided policy carries a `LaneStateNet`. In training a `GuidanceWrapper` stands before the environments, and the policy
reads lane states; a driver passes `predict` pictures and nothing else.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn
from torch.nn import functional as F

from drive_rl.config.driver_spec import EncoderSpec
from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.guidance.lane_net import LANE_STATE, LaneStateNet
from drive_rl.learn.guidance.wrapper import GuidanceWrapper
from drive_rl.learn.sb3.exploration import PerEnvDQN


class LaneStatePolicy(BasePolicy):
    """A policy of lane states with eyes of its own, which another optimizer teaches."""

    def __init__(self, *args: Any, camera: gymnasium.Space, encoder: EncoderSpec, frames: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._learned = tuple(super().parameters())
        self.lane_net = LaneStateNet(camera, encoder, frames)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return what the policy's own optimizer learns: everything but the eyes."""
        return iter(self._learned) if "_learned" in self.__dict__ else super().parameters(recurse)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for pictures (B, C, H, W) uint8 or one of them, or for lane states (B, fields)."""
        if np.ndim(observation) == 3:
            actions, state = self.predict(observation[None], *args, **kwargs)
            return actions[0], state
        if np.ndim(observation) == 4:
            observation = self.lane_net.tell(observation)
        return super().predict(observation, *args, **kwargs)


class GuidedActorCritic(LaneStatePolicy, ActorCriticPolicy):
    """PPO's policy, with eyes."""


class NormedQ(QNetwork):
    """Lane states (B, fields) -> values (B, actions): each hidden layer is normalised, then smooth (SiLU).

    Layer norm (Ba et al. 2016, arXiv 1607.06450) keeps temporal differences from diverging (Gallici et al. 2024, arXiv
    2407.04811).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        norm = partial(nn.LayerNorm, elementwise_affine=False)
        actions = int(self.action_space.n)
        layers = create_mlp(self.features_dim, actions, self.net_arch, nn.SiLU, post_linear_modules=cast(Any, [norm]))
        self.q_net = nn.Sequential(*layers)


class GuidedQ(LaneStatePolicy, DQNPolicy):
    """DQN's policy, with eyes. It acts on the target network, which is steadier: a running average of the values.

    Whatever the learner keeps of a step, the policy reads one lane state.
    """

    def __init__(self, observation_space: gymnasium.Space, *args: Any, **kwargs: Any) -> None:
        del observation_space
        super().__init__(LANE_STATE, *args, **kwargs)

    def make_q_net(self) -> NormedQ:
        """Return one of the two networks."""
        return NormedQ(**self._update_features_extractor(self.net_args, features_extractor=None)).to(self.device)

    def _predict(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.q_net_target._predict(*args, **kwargs)


class GuidedPPO(BudgetPPO):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) that teaches its policy's eyes with each update."""

    guidance: GuidanceWrapper

    def train(self) -> None:
        """Update the policy while its eyes are taught."""
        with self.guidance.teaching(self._current_progress_remaining, self.logger):
            super().train()


class GuidedDQN(PerEnvDQN):
    """DQN (Mnih et al. 2015, doi 10.1038/nature14236) that teaches its policy's eyes with each update.

    It acts on what the eyes tell, and its values read the true state (asymmetric, after Pinto et al. 2018, arXiv
    1710.06542). A target is the true state's value of the action that would be chosen by what is told there: choice and
    judgement apart, as in double Q-learning (van Hasselt et al. 2016, arXiv 1509.06461), so that mistakes count.
    """

    guidance: GuidanceWrapper

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return epsilon-greedy actions for what the guide shows; `observation` is for the replay buffer."""
        return super().predict(self.guidance.shown, *args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update the values while the eyes are taught."""
        with self.guidance.teaching(self._current_progress_remaining, self.logger):
            self.policy.set_training_mode(True)
            self._update_learning_rate(self.policy.optimizer)
            losses = [self._step(batch_size) for _ in range(gradient_steps)]
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", float(torch.stack(losses).mean()))

    def _step(self, batch_size: int) -> Tensor:
        """Take one gradient step on the values; return the loss."""
        assert self.replay_buffer is not None
        batch = self.replay_buffer.sample(batch_size)
        discounts = self.gamma if batch.discounts is None else batch.discounts
        state, _ = batch.observations.chunk(2, dim=1)
        true, shown = batch.next_observations.chunk(2, dim=1)
        with torch.no_grad():
            chosen = self.q_net_target(shown).argmax(dim=1, keepdim=True)
            worth = self.q_net_target(true).gather(1, chosen)
            targets = batch.rewards + (1 - batch.dones) * discounts * worth
        values = self.q_net(state).gather(1, batch.actions.long())
        loss = F.smooth_l1_loss(values, targets)
        self.policy.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        return loss.detach()
