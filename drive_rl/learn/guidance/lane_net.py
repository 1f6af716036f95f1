"""Perception of a guided driver: a CNN that predicts the lane state from pictures. It knows no policy and no reward."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from drive_rl.config.specs.learner import EncoderSpec
from drive_rl.learn.sb3.feature_extractors import STATE_SCALE, ImageEncoder
from drive_rl.sim.task.outcome import STATE_FIELDS

_SCALE = 3 * np.array(STATE_SCALE, np.float32)

LANE_STATE = spaces.Box(-np.inf, np.inf, _SCALE.shape, np.float32)
"""The space of a predicted lane state: each field of the environment's, scaled to a standard deviation of about 1."""

MOTION = tuple(STATE_FIELDS.index(field) for field in ("speed_mps", "lateral_speed_mps", "yaw_rate_radps"))
"""The fields that are zero for a car at rest."""


class LaneStateNet(nn.Module):
    """Pictures (B, C, H, W) uint8 -> the scaled lane state (B, fields). A `LaneStateSource`.

    Args:
        camera: The space of the pictures.
        encoder: The CNN.
        frames: How many frames are stacked along the channels.
    """

    scale: Tensor

    def __init__(self, camera: gymnasium.Space, encoder: EncoderSpec, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.encoder = ImageEncoder(camera, encoder, frames)
        self.lane = nn.Linear(encoder.features, len(_SCALE))
        self.register_buffer("scale", torch.tensor(_SCALE), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the lane state predicted from each picture."""
        return self.lane(self.encoder(pictures))

    def lane_state(self, observations: Any) -> Any:
        """Return what `forward` does, without gradients: an array for an array, a tensor for a tensor."""
        with torch.no_grad():
            predicted = self(torch.as_tensor(observations, device=self.scale.device))
        return predicted if isinstance(observations, Tensor) else predicted.cpu().numpy()

    def scaled(self, state: Tensor) -> Tensor:
        """Return lane states (..., fields) in SI units on the scale of `LANE_STATE`, without fields behind it."""
        return state[..., : len(_SCALE)] * self.scale
