"""PPO's policy of {camera, state} whose actor reads the pictures and whose critic reads the true state.

It knows observations and networks. It knows no environments and no learner.
"""

from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.common.utils import is_vectorized_observation
from torch import Tensor, nn

from drive_rl.learn.sb3.feature_extractors import CameraStateEncoder


class SplitMlp(nn.Module):
    """(B, picture features and state) -> hidden layers of the first for the actor, of the second for the critic."""

    def __init__(self, features: int, fields: int, hidden: list[int], activation: type[nn.Module]) -> None:
        super().__init__()
        self.split = [features, fields]
        self.policy_net = nn.Sequential(*create_mlp(features, -1, hidden, activation))
        self.value_net = nn.Sequential(*create_mlp(fields, -1, hidden, activation))
        self.latent_dim_pi = hidden[-1] if hidden else features
        self.latent_dim_vf = hidden[-1] if hidden else fields

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the actor's and the critic's last hidden layer."""
        pictures, state = features.split(self.split, dim=1)
        return self.policy_net(pictures), self.value_net(state)

    def forward_actor(self, pictures: Tensor) -> Tensor:
        """Return the actor's last hidden layer, of features of pictures."""
        return self.policy_net(pictures)

    def forward_critic(self, state: Tensor) -> Tensor:
        """Return the critic's last hidden layer, of the scaled state."""
        return self.value_net(state)


class AsymmetricActorCritic(MultiInputActorCriticPolicy):
    """Asymmetric actor and critic (Pinto et al. 2017, arXiv 1710.06542), with nothing shared between them.

    `forward` and `evaluate_actions` take {camera, state}, as in training; `predict` takes pictures alone. The policy's
    gradient alone teaches an image encoder slowly, so a second value, of the pictures, teaches it, too, and is used for
    nothing else: the auxiliary value of phasic policy gradients (Cobbe et al. 2021, arXiv 2009.04416).
    """

    features_extractor: CameraStateEncoder
    picture_value_net: nn.Module

    def _build_mlp_extractor(self) -> None:
        encoder = self.features_extractor
        sizes = encoder.camera.features_dim, encoder.state.features_dim
        hidden = cast(list[int], self.net_arch)
        self.mlp_extractor = cast(Any, SplitMlp(*sizes, hidden, self.activation_fn).to(self.device))
        value = create_mlp(sizes[0], 1, hidden, self.activation_fn)
        self.picture_value_net = nn.Sequential(*value).to(self.device)

    def get_distribution(self, obs: Any) -> Distribution:
        """Return the distribution of actions, of the pictures alone."""
        features = self.features_extractor.camera(obs["camera"])
        return self._get_action_dist_from_latent(self.mlp_extractor.forward_actor(features))

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values (B, 1) of the state for the first half, of the pictures for the rest; log probability, entropy.

        Minibatches are drawn at random, so that each half is.
        """
        pictures, state = cast(Tensor, self.extract_features(obs)).split(self.mlp_extractor.split, dim=1)
        half = len(state) // 2
        of_state = self.value_net(self.mlp_extractor.forward_critic(state[:half]))
        values = torch.cat((of_state, self.picture_value_net(pictures[half:])))
        distribution = self._get_action_dist_from_latent(self.mlp_extractor.forward_actor(pictures))
        return values, distribution.log_prob(actions), distribution.entropy()

    def predict_values(self, obs: Any) -> Tensor:
        """Return the values (B, 1), of the state alone."""
        return self.value_net(self.mlp_extractor.forward_critic(self.features_extractor.state(obs["state"])))

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for pictures (B, C, H, W) uint8, or one action for one picture (C, H, W)."""
        self.set_training_mode(False)
        several = is_vectorized_observation(observation, cast(spaces.Dict, self.observation_space)["camera"])
        pictures = torch.as_tensor(observation if several else observation[None], device=self.device)
        with torch.no_grad():
            chosen = self.get_distribution({"camera": pictures}).get_actions(deterministic=deterministic)
        actions = chosen.cpu().numpy()
        if isinstance(self.action_space, spaces.Box):
            actions = np.clip(actions, self.action_space.low, self.action_space.high)
        return (actions if several else actions[0]), state
