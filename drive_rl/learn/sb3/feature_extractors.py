"""Image encoders and the lane state as stable-baselines3 feature extractors.

It knows observations and feature vectors; the networks are perception's. It knows no algorithms, actions, worlds or
checkpoints. Build policies with `normalize_images=False`: the encoders scale pixels themselves.
"""

import math
from typing import Self, cast

import gymnasium
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from drive_rl.config.specs.learner import EncoderSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.heads.plugin_network import finite_rows_of, running
from drive_rl.perception.models.encoders import layers_of, scaled

STATE_SCALE = (1.0, 5.0, 0.1, 1.0, 2.0, 3.0, 0.1, 20.0, 20.0, 20.0, 20.0)
"""Factor on each of the environment's STATE_FIELDS that brings it near [-1, 1]."""
_PASSING_SCALE = (0.1, 0.02, 0.02, 0.5, 0.2, 0.5, 0.2, 1.0, 0.02, 0.1, 0.02, 0.1)
"""The same of PASSING_FIELDS, which come after those in some worlds."""
FULL_STATE_SCALE = STATE_SCALE + _PASSING_SCALE
"""The same of all fields that a state can have."""
_MOST_IMAGES = 64
"""At once through an encoder on a CPU: the layers of many more leave its cache (docs/log.md)."""
_SCALES = {len(scale): scale for scale in (STATE_SCALE, FULL_STATE_SCALE)}


class ImageEncoder(BaseFeaturesExtractor):
    """(B, C, H, W) image -> (B, features): a `perception.encoders.Encoder`.

    Args:
        observation_space: A channel-first image.
        encoder: Family and length of the feature vector.
        frames: How many frames are stacked along the channels.
        normed: Whether the features are normalised before their ReLU (layer norm, Ba et al. 2016, arXiv 1607.06450),
            so that none of them dies. It adds no weights but a mark, so that weights learned without it are refused.

    Raises:
        DriveRLError: the space is not an image, or one side is below 16 pixels.
    """

    def __init__(
        self, observation_space: gymnasium.Space, encoder: EncoderSpec, frames: int = 1, normed: bool = False
    ) -> None:
        super().__init__(observation_space, encoder.features)
        self.frozen = False
        self.trunk, self.head, self.plugin = layers_of(encoder, _image_shape(observation_space), frames)
        if normed:
            self.register_buffer("normed", torch.tensor(True))
            *before, activation = cast(nn.Sequential, self.head)
            norm = nn.LayerNorm(encoder.features, elementwise_affine=False)
            self.head = nn.Sequential(*before, norm, activation)

    @property
    def marks(self) -> dict[str, Tensor]:
        """What its weights hold beside those of a perception model's encoder."""
        return {name: part for name, part in self.named_buffers(recurse=False) if name == "normed"}

    def forward(self, observations: Tensor) -> Tensor:
        """Return the features of a batch of images; of a large one by parts, but in training."""
        parts = 1 if self.training or observations.is_cuda else max(1, math.ceil(len(observations) / _MOST_IMAGES))
        with running(self.plugin):
            return torch.cat([self._features(part) for part in observations.tensor_split(parts)])

    def _features(self, images: Tensor) -> Tensor:
        return self.head(finite_rows_of(self.plugin, self.trunk(scaled(images)), images))

    def freeze(self) -> None:
        """Stop training the weights and batch norm's statistics."""
        self.requires_grad_(False)
        self.frozen = True
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)


class StateEncoder(BaseFeaturesExtractor):
    """(B, F) lane state in SI units -> (B, F), each field scaled to about [-1, 1]."""

    scale: Tensor

    def __init__(self, observation_space: gymnasium.Space) -> None:
        fields = cast(tuple[int], observation_space.shape)[0]
        super().__init__(observation_space, fields)
        factors = _SCALES.get(fields, (1.0,) * fields)
        self.register_buffer("scale", torch.tensor(factors), persistent=False)

    def forward(self, observations: Tensor) -> Tensor:
        """Return the scaled state."""
        return observations.float() * self.scale


class CameraStateEncoder(BaseFeaturesExtractor):
    """{camera, state} -> the image's features and the scaled state."""

    def __init__(
        self, observation_space: gymnasium.Space, encoder: EncoderSpec, frames: int = 1, normed: bool = False
    ) -> None:
        parts = cast(spaces.Dict, observation_space).spaces
        camera = ImageEncoder(parts["camera"], encoder, frames, normed)
        state = StateEncoder(parts["state"])
        super().__init__(observation_space, camera.features_dim + state.features_dim)
        self.camera, self.state = camera, state

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return image features and state, concatenated."""
        return torch.cat((self.camera(observations["camera"]), self.state(observations["state"])), dim=1)


def _image_shape(space: gymnasium.Space) -> tuple[int, int, int]:
    shape = space.shape
    if shape is None or len(shape) != 3:
        raise DriveRLError(f"encoder: observation shape {shape}: expected (channels, height, width); fix: a camera")
    return shape[0], shape[1], shape[2]
