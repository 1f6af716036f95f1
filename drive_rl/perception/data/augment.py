"""Changes of light, sharpness and noise that leave the road where it is: augmentation by kornia."""

from typing import cast

import torch
from torch import Tensor, nn

from drive_rl.perception.optional import need

_CHANCE = 0.3


def make_augmentation() -> nn.Module:
    """Return a module that changes pictures (B, C, H, W), floats in [0, 1]; it draws from torch's generator.

    Raises:
        DriveRLError: kornia is not installed.
    """
    kornia = need("kornia.augmentation")
    return kornia.ImageSequential(
        kornia.RandomBrightness((0.6, 1.5), p=0.5),
        kornia.RandomContrast((0.6, 1.5), p=0.5),
        kornia.RandomGamma((0.7, 1.5), p=_CHANCE),
        kornia.RandomGaussianBlur((3, 3), (0.2, 1.2), p=_CHANCE),
        kornia.RandomGaussianNoise(0.0, 0.04, p=_CHANCE),
    )


def augmented(augmentation: nn.Module, images: Tensor) -> Tensor:
    """Return pictures, floats in [0, 255], changed."""
    with torch.no_grad():
        return cast(Tensor, augmentation(images * (1 / 255))).clamp_(0, 1) * 255
