"""Guided learning from the camera: perception learns from the simulator's lane state, the policy from perception.

A guided policy carries its eyes (`LaneSight`). In training a `Guide` stands before the environments, and the policy
reads lane states; whoever drives hands `predict` pictures, and nothing else.
"""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor, nn

from drive_rl.learn.exploration import PerEnvDQN
from drive_rl.learn.guide import Guide
from drive_rl.learn.sight import LaneSight
from drive_rl.spec import EncoderSpec


class Sighted(BasePolicy):
    """A policy of lane states with eyes of its own, which another optimizer teaches."""

    def __init__(self, *args: Any, camera: gymnasium.Space, encoder: EncoderSpec, frames: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._learned = tuple(super().parameters())
        self.sight = LaneSight(camera, encoder, frames)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return what the policy's own optimizer learns: everything but the eyes."""
        return iter(self._learned) if "_learned" in self.__dict__ else super().parameters(recurse)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for pictures (B, C, H, W) uint8 or one of them, or for lane states (B, fields)."""
        if np.ndim(observation) == 3:
            actions, state = self.predict(observation[None], *args, **kwargs)
            return actions[0], state
        if np.ndim(observation) == 4:
            observation = self.sight.tell(observation)
        return super().predict(observation, *args, **kwargs)


class GuidedActorCritic(Sighted, ActorCriticPolicy):
    """PPO's policy, with eyes."""


class GuidedQ(Sighted, DQNPolicy):
    """DQN's policy, with eyes. It acts on the target network, which is steadier: a running average of the values."""

    def _predict(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.q_net_target._predict(*args, **kwargs)


class GuidedPPO(PPO):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) that teaches its policy's eyes with each update."""

    guide: Guide

    def train(self) -> None:
        """Update the policy while its eyes are taught."""
        with self.guide.teaching(self._current_progress_remaining, self.logger):
            super().train()


class GuidedDQN(PerEnvDQN):
    """DQN (Mnih et al. 2015, doi 10.1038/nature14236) that teaches its policy's eyes with each update.

    It acts on what the eyes tell, and learns its values from the true state: a maximum over values of what was told
    would choose the mistakes (asymmetric, after Pinto et al. 2018, arXiv 1710.06542).
    """

    guide: Guide

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return epsilon-greedy actions for what the guide shows; `observation`, the truth, is left to the values."""
        return super().predict(self.guide.shown, *args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update the values while the eyes are taught."""
        with self.guide.teaching(self._current_progress_remaining, self.logger):
            super().train(gradient_steps, batch_size)
