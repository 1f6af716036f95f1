"""Image encoders as stable-baselines3 feature extractors: four network families behind one class.

It knows pixels and feature vectors. It knows nothing of algorithms, actions, worlds or checkpoints. Encoders
take uint8 images, or floats in [0, 255] (stable-baselines3 casts before it calls), and scale to [0, 1]
themselves: build policies with `normalize_images=False`.
"""

from collections.abc import Callable
from typing import cast

import gymnasium
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from drive_rl.errors import DriveRLError
from drive_rl.spec import EncoderSpec

SMALLEST_PX = 16
_PILOTNET_PX = 61
"""Smallest side that PilotNet's unpadded convolutions leave a pixel of."""

STATE_SCALE = (1.0, 5.0, 0.1, 1.0, 2.0, 3.0, 0.1, 20.0, 20.0, 20.0, 20.0)
"""Factor on each of the environment's STATE_FIELDS that brings it near [-1, 1]."""


class ImageEncoder(BaseFeaturesExtractor):
    """(B, C, H, W) image -> (B, features), by one of the families below.

    Args:
        observation_space: A channel-first image.
        encoder: Family and length of the feature vector.
        frames: How many pictures are stacked along the channels.

    Raises:
        DriveRLError: the space is no image, or one side is below 16 pixels.
    """

    def __init__(self, observation_space: gymnasium.Space, encoder: EncoderSpec, frames: int = 1) -> None:
        super().__init__(observation_space, encoder.features)
        channels, height, width = _image_shape(observation_space)
        trunk = _TRUNKS[encoder.kind](channels, height, width)
        if encoder.kind == "small":
            trunk = nn.Sequential(Contrast(frames), trunk)
        with torch.no_grad():
            flat = trunk(torch.zeros(1, channels, height, width)).shape[1]
        self.trunk = trunk
        self.head = _HEADS.get(encoder.kind, _one_layer)(flat, encoder.features)

    def forward(self, observations: Tensor) -> Tensor:
        """Return the features of a batch of images."""
        pixels = observations.float() * (1 / 255)  # (B, C, H, W) in [0, 1]
        return self.head(self.trunk(pixels))


class StateEncoder(BaseFeaturesExtractor):
    """(B, F) lane state in SI units -> (B, F), each field scaled to about [-1, 1]."""

    scale: Tensor

    def __init__(self, observation_space: gymnasium.Space) -> None:
        fields = cast(tuple[int], observation_space.shape)[0]
        super().__init__(observation_space, fields)
        factors = STATE_SCALE if fields == len(STATE_SCALE) else (1.0,) * fields
        self.register_buffer("scale", torch.tensor(factors), persistent=False)

    def forward(self, observations: Tensor) -> Tensor:
        """Return the scaled state."""
        return observations.float() * self.scale


class CameraStateEncoder(BaseFeaturesExtractor):
    """{camera, state} -> the image's features beside the scaled state."""

    def __init__(self, observation_space: gymnasium.Space, encoder: EncoderSpec, frames: int = 1) -> None:
        parts = cast(spaces.Dict, observation_space).spaces
        camera = ImageEncoder(parts["camera"], encoder, frames)
        state = StateEncoder(parts["state"])
        super().__init__(observation_space, camera.features_dim + state.features_dim)
        self.camera, self.state = camera, state

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return image features and state side by side."""
        return torch.cat((self.camera(observations["camera"]), self.state(observations["state"])), dim=1)


def _image_shape(space: gymnasium.Space) -> tuple[int, int, int]:
    shape = space.shape
    if shape is None or len(shape) != 3:
        raise DriveRLError(f"encoder: observation shape {shape}: expected an image (channels, height, width)")
    channels, height, width = shape
    if min(height, width) < SMALLEST_PX:
        raise DriveRLError(
            f"encoder: image of {width}x{height} px: expected at least {SMALLEST_PX} a side; mend: raise"
            " world.camera.width_px or world.camera.height_px"
        )
    return channels, height, width


def _conv(channels: int, out: int, kernel: int, stride: int, pad: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, kernel, stride, pad), nn.ReLU()]


def _one_layer(flat: int, features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(flat, features), nn.ReLU())


class Contrast(nn.Module):
    """(B, frames x C, H, W) in [0, 1] -> the newest frame and what changed between frames, free of light and shade.

    Each is centred on the newest frame's mean and divided by its deviation over the lower 70 % of the picture, where
    the road is. Speed and heading are learned several times faster from changes than from frames (docs/log.md).
    """

    def __init__(self, frames: int, gain: float = 3.0) -> None:
        super().__init__()
        self.frames, self.gain = frames, gain

    def forward(self, pixels: Tensor) -> Tensor:
        """Return as many planes as came in, the newest frame last."""
        planes = pixels.shape[1] // self.frames
        newest = pixels[:, -planes:]
        ground = newest[:, :, 3 * newest.shape[2] // 10 :: 2, ::2]  # every fourth pixel says enough
        variance, mean = torch.var_mean(ground, dim=(1, 2, 3), keepdim=True)
        seen = torch.cat((pixels[:, planes:] - pixels[:, :-planes], newest - mean), dim=1)
        return seen.mul_(self.gain).clamp_(-1, 1).mul_(1 / (variance.sqrt() + 0.02))


def _small(channels: int, height: int, width: int) -> nn.Module:
    """Three convolutions, about 1.2 M multiplications an image at 64x40; channels are multiples of 16 for AVX-512."""
    return nn.Sequential(*_conv(channels, 16, 8, 4, 2), *_conv(16, 32, 3, 2, 1), *_conv(32, 32, 3, 1, 1), nn.Flatten())


def _nature(channels: int, height: int, width: int) -> nn.Module:
    """NatureCNN (Mnih et al. 2015, doi 10.1038/nature14236), padded so that small images pass."""
    pads = (0, 0, 0) if min(height, width) >= 36 else (2, 1, 1)
    return nn.Sequential(
        *_conv(channels, 32, 8, 4, pads[0]),
        *_conv(32, 64, 4, 2, pads[1]),
        *_conv(64, 64, 3, 1, pads[2]),
        nn.Flatten(),
    )


def _pilotnet(channels: int, height: int, width: int) -> nn.Module:
    """PilotNet's convolutions (Bojarski et al. 2016, arXiv 1604.07316), padded below 61 pixels a side."""
    pad = 0 if min(height, width) >= _PILOTNET_PX else 1
    return nn.Sequential(
        *_conv(channels, 24, 5, 2, 2 * pad),
        *_conv(24, 36, 5, 2, 2 * pad),
        *_conv(36, 48, 5, 2, 2 * pad),
        *_conv(48, 64, 3, 1, pad),
        *_conv(64, 64, 3, 1, pad),
        nn.Flatten(),
    )


def _pilotnet_head(flat: int, features: int) -> nn.Module:
    """PilotNet's fully connected layers; the paper's own length of the last is 10."""
    layers = [
        nn.Linear(flat, 100),
        nn.ReLU(),
        nn.Linear(100, 50),
        nn.ReLU(),
        nn.Linear(50, features),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers)


class _Residual(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(torch.relu(x))))


def _impala(channels: int, height: int, width: int) -> nn.Module:
    """IMPALA's ResNet (Espeholt et al. 2018, arXiv 1802.01561, figure 3 right), without its LSTM."""
    layers: list[nn.Module] = []
    for out in (16, 32, 32):
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.MaxPool2d(3, 2, padding=1)]
        layers += [_Residual(out), _Residual(out)]
        channels = out
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten())


_TRUNKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "small": _small,
    "nature": _nature,
    "impala": _impala,
    "pilotnet": _pilotnet,
}
_HEADS: dict[str, Callable[[int, int], nn.Module]] = {"pilotnet": _pilotnet_head}
