"""A policy of pictures that predicts the true state beside its actions, in training alone.

What the teacher decides by is more than its action says: how far the one ahead is, how fast to be before a red light.
A network that has to know this learns to see sooner (multi-task imitation; as in Chitta et al. 2022, arXiv 2205.15997).
It knows policies and numbers; it does not know environments.
"""

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from torch import Tensor, nn

from drive_rl.learn.sb3.feature_extractors import FULL_STATE_SCALE

_MOST = 2.0
"""Scaled fields are cut off here: how far away something far away is does not matter."""


class StatePredictingPolicy(ActorCriticCnnPolicy):
    """An actor-critic policy whose features a linear layer turns into the scaled state."""

    state_net: nn.Module

    def _build_mlp_extractor(self) -> None:
        super()._build_mlp_extractor()
        self.state_net = nn.Linear(self.features_dim, len(FULL_STATE_SCALE)).to(self.device)


class Actor(nn.Module):
    """The layers of a policy that lead to what it learns: pictures (B, C, H, W) -> (B, actions), or
    (B, actions + fields) of one that predicts the state.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        super().__init__()
        self.features = policy.features_extractor
        self.action_net = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
        self.state_net = policy.state_net if isinstance(policy, StatePredictingPolicy) else None

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the mean actions, and the scaled state after them."""
        features = self.features(pictures)
        actions = self.action_net(features)
        return actions if self.state_net is None else torch.cat((actions, self.state_net(features)), dim=1)


def scaled_state(state: np.ndarray) -> np.ndarray:
    """Return states (B, F) as float32 (B, fields) in [-2, 2]; fields that their world lacks are 0."""
    found = np.zeros((len(state), len(FULL_STATE_SCALE)), np.float32)
    fields = state.shape[1]
    found[:, :fields] = np.clip(state * np.array(FULL_STATE_SCALE[:fields]), -_MOST, _MOST)
    return found
