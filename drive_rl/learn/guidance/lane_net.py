"""Perception of a guided driver: a CNN that tells the lane state from pictures. It knows no policy and no reward."""

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from drive_rl.config.driver_spec import EncoderSpec
from drive_rl.learn.sb3.feature_extractors import STATE_SCALE, ImageEncoder
from drive_rl.sim.task.outcome import STATE_FIELDS

_SCALE = 3 * np.array(STATE_SCALE, np.float32)

LANE_STATE = spaces.Box(-np.inf, np.inf, _SCALE.shape, np.float32)
"""The space of what is told: the environment's lane state, each field scaled to a deviation of about 1."""

MOTION = tuple(STATE_FIELDS.index(field) for field in ("speed_mps", "lateral_speed_mps", "yaw_rate_radps"))
"""Which fields are zero for a car at rest."""


class LaneStateNet(nn.Module):
    """Pictures (B, C, H, W) uint8 -> the scaled lane state (B, fields).

    Args:
        camera: The space of the pictures.
        encoder: The CNN.
        frames: How many pictures are stacked along the channels.
    """

    scale: Tensor

    def __init__(self, camera: gymnasium.Space, encoder: EncoderSpec, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.encoder = ImageEncoder(camera, encoder, frames)
        self.lane = nn.Linear(encoder.features, len(_SCALE))
        self.register_buffer("scale", torch.tensor(_SCALE), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the lane state seen in each picture."""
        return self.lane(self.encoder(pictures))

    def tell(self, pictures: np.ndarray) -> np.ndarray:
        """Do as `forward` with NumPy arrays, and without gradients."""
        with torch.no_grad():
            return self(torch.as_tensor(pictures, device=self.scale.device)).cpu().numpy()

    def scaled(self, state: Tensor) -> Tensor:
        """Return lane states (..., fields) in SI units on the scale of `LANE_STATE`."""
        return state * self.scale
