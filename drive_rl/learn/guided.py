"""Guided learning from the camera: while learning, the simulator's lane state helps; while driving, it is not there.

Two things are guided. The encoder learns, beside its policy, to tell the true lane state from the picture (an auxiliary
task, after Mirowski et al. 2017, arXiv 1611.03673), and the policy reads what it tells. PPO's critic reads the true
state instead of the picture (an asymmetric actor-critic, Pinto et al. 2018, arXiv 1710.06542). Actions depend on the
camera alone: `predict` takes pictures.
"""

from collections.abc import Callable
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.dqn.policies import MultiInputPolicy
from torch import Tensor, nn
from torch.nn import functional as F

from drive_rl.learn.encoders import ImageEncoder, StateEncoder
from drive_rl.spec import EncoderSpec

_SPREAD = 3.0
"""The scaled state's fields have a deviation of about a third."""


class GuidedEncoder(BaseFeaturesExtractor):
    """{camera, state} -> the picture's features beside the lane state told from them; `state` itself stays unread."""

    def __init__(self, observation_space: gymnasium.Space, encoder: EncoderSpec, frames: int) -> None:
        parts = cast(spaces.Dict, observation_space).spaces
        camera, state = ImageEncoder(parts["camera"], encoder, frames), StateEncoder(parts["state"])
        super().__init__(observation_space, camera.features_dim + state.features_dim)
        self.camera, self.state = camera, state
        self.lane = nn.Linear(camera.features_dim, state.features_dim)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return (B, features + fields)."""
        features = self.camera(observations["camera"])
        self.told = self.lane(features)  # (B, fields)
        return torch.cat((features, self.told.detach()), dim=1)

    def lane_loss(self, observations: dict[str, Tensor]) -> Tensor:
        """Return how far the last `forward` was from the true state of its batch (mean squared, scaled)."""
        return F.mse_loss(self.told, _SPREAD * self.state(observations["state"]))


class _TrueState(BaseFeaturesExtractor):
    """{camera, state} -> (B, features) of the state alone, for the critic."""

    def __init__(self, observation_space: gymnasium.Space, features: int) -> None:
        super().__init__(observation_space, features)
        state = StateEncoder(cast(spaces.Dict, observation_space).spaces["state"])
        self.layers = nn.Sequential(state, nn.Linear(state.features_dim, features), nn.Tanh())

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        return self.layers(observations["state"])


def _predict(
    predict: Callable[..., Any], space: gymnasium.Space, observation: Any, *args: Any, **kwargs: Any
) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
    """Call `predict` with pictures, or with the observations of training."""
    if not isinstance(observation, dict):
        shape = cast(tuple[int, ...], cast(spaces.Dict, space).spaces["state"].shape)
        batch = np.shape(observation)[:-3]  # (B,), or () for one picture
        observation = {"camera": observation, "state": np.zeros((*batch, *shape), np.float32)}
    return predict(observation, *args, **kwargs)


class GuidedActorCritic(MultiInputActorCriticPolicy):
    """PPO's policy: the actor sees the camera, the critic the true state."""

    def make_features_extractor(self) -> BaseFeaturesExtractor:
        """Return the actor's encoder when asked first, the critic's when asked again."""
        if "features_extractor" not in self._modules:
            return super().make_features_extractor()
        return _TrueState(self.observation_space, self.features_dim)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for pictures (B, C, H, W) uint8, or for one of them."""
        return _predict(super().predict, self.observation_space, observation, *args, **kwargs)

    def lane_loss(self, observations: Any) -> Tensor:
        """Return the encoder's loss on the batch that was evaluated last."""
        return cast(GuidedEncoder, self.pi_features_extractor).lane_loss(observations)


class GuidedQ(MultiInputPolicy):
    """DQN's policy: action values from the camera."""

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for pictures (B, C, H, W) uint8, or for one of them."""
        return _predict(super().predict, self.observation_space, observation, *args, **kwargs)

    def lane_loss(self, observations: Any) -> Tensor:
        """Return the encoder's loss on the batch whose values were asked for last."""
        return cast(GuidedEncoder, self.q_net.features_extractor).lane_loss(observations)
