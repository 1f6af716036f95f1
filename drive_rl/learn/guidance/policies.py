"""Guided learning from the camera: perception learns from the simulator's lane state, the policy from perception.

A guided policy carries a `LaneStateNet`. In training a `GuidanceWrapper` turns the environments' observations into lane
states, which the policy reads; a user of a trained policy passes pictures to `predict`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.common.utils import is_vectorized_observation
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn
from torch.nn import functional as F

from drive_rl.config.specs.learner import EncoderSpec
from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.guidance.lane_net import LANE_STATE, LaneStateNet
from drive_rl.learn.guidance.wrapper import GuidanceWrapper
from drive_rl.learn.sb3.exploration import PerEnvDQN


class LaneStatePolicy(BasePolicy):
    """A policy of lane states, with a network that predicts them from pictures and has an optimizer of its own."""

    def __init__(self, *args: Any, camera: gymnasium.Space, encoder: EncoderSpec, frames: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own_parameters = tuple(super().parameters())
        self.camera = camera
        self.lane_net = LaneStateNet(camera, encoder, frames)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return what the policy's own optimizer trains: everything but the lane network."""
        return iter(self._own_parameters) if "_own_parameters" in self.__dict__ else super().parameters(recurse)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for pictures (B, C, H, W) uint8, or one action for one picture (C, H, W)."""
        several = is_vectorized_observation(observation, self.camera)
        pictures = observation if several else observation[None]
        actions, state = self.predict_from_lane_state(self.lane_net.lane_state(pictures), *args, **kwargs)
        return actions if several else actions[0], state

    def predict_from_lane_state(
        self, lane_state: Any, *args: Any, **kwargs: Any
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for lane states (B, fields) on the scale of `LANE_STATE`; the rest as `predict`."""
        return super().predict(lane_state, *args, **kwargs)


class GuidedActorCritic(LaneStatePolicy, ActorCriticPolicy):
    """PPO's policy of lane states."""


class NormedQ(QNetwork):
    """Lane states (B, fields) -> values (B, actions): each hidden layer is normalised, then SiLU.

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
    """DQN's policy of lane states. It acts on the target network, a running average of the values, which is steadier.

    The policy reads one lane state, however much of a step the learner keeps. With a temperature it acts on a
    Boltzmann distribution of the values: of the grid, the steering nearest to the mean and the likeliest pedal. Which
    of nearly equal actions is best changes with each small error of the values.

    Args:
        observation_space: Not used.
        args: Of stable-baselines3's policy.
        steers: The grid's steering commands; actions are steer-major.
        temperature: The distribution's; 0: the best action.
        kwargs: Of the policy.
    """

    steers: Tensor

    def __init__(
        self,
        observation_space: gymnasium.Space,
        *args: Any,
        steers: Sequence[float],
        temperature: float,
        **kwargs: Any,
    ) -> None:
        del observation_space
        super().__init__(LANE_STATE, *args, **kwargs)
        self.temperature = temperature
        self.register_buffer("steers", torch.tensor(steers), persistent=False)

    def choose(self, values: Tensor) -> Tensor:
        """Return the actions (B,) taken by values (B, actions)."""
        if not self.temperature:
            return values.argmax(dim=1)
        likely = torch.softmax(values / self.temperature, dim=1).unflatten(1, (len(self.steers), -1))
        mean = likely.sum(dim=2) @ self.steers
        steer = (mean[:, None] - self.steers).abs().argmin(dim=1)
        return steer * likely.shape[2] + likely.sum(dim=1).argmax(dim=1)

    def make_q_net(self) -> NormedQ:
        """Return one of the two networks."""
        return NormedQ(**self._update_features_extractor(self.net_args, features_extractor=None)).to(self.device)

    def _predict(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.choose(self.q_net_target(args[0]))


class GuidedPPO(BudgetPPO):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) that trains its policy's lane network with each update."""

    guidance: GuidanceWrapper

    def train(self) -> None:
        """Update the policy, and the lane network beside it."""
        with self.guidance.fitting(self._current_progress_remaining, self.logger):
            super().train()


class GuidedDQN(PerEnvDQN):
    """DQN (Mnih et al. 2015, doi 10.1038/nature14236) that trains its policy's lane network with each update.

    It acts on predicted lane states, and its values read the true ones (asymmetric, after Pinto et al. 2018, arXiv
    1710.06542). A target is the true state's value of the action chosen from the predicted state: choice and
    evaluation are separate, as in double Q-learning (van Hasselt et al. 2016, arXiv 1509.06461), so that wrong
    predictions cost value.
    """

    guidance: GuidanceWrapper

    def best_actions(self, observation: Any, *args: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return the policy's actions for (B, 2 x fields), of which it reads the second half (`TRUE_AND_SHOWN`)."""
        _, shown = np.split(observation, 2, axis=1)
        return cast(GuidedQ, self.policy).predict_from_lane_state(shown, *args, deterministic=True)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update the values, and the lane network beside them."""
        with self.guidance.fitting(self._current_progress_remaining, self.logger):
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
            chosen = cast(GuidedQ, self.policy).choose(self.q_net_target(shown))
            following = self.q_net_target(true).gather(1, chosen[:, None])
            targets = batch.rewards + (1 - batch.dones) * discounts * following
        values = self.q_net(state).gather(1, batch.actions.long())
        loss = F.smooth_l1_loss(values, targets)
        self.policy.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        return loss.detach()
