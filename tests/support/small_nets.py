"""A throwaway network with the operations that perception models are made of, and pictures for it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEIGHT, WIDTH = 16, 32


def pictures(count: int) -> np.ndarray:
    """Return noise over a gradient, (count, 3, HEIGHT, WIDTH) uint8."""
    noise = np.random.default_rng(1).integers(0, 128, (count, 3, HEIGHT, WIDTH))
    return (noise + np.linspace(0, 127, WIDTH)).astype(np.uint8)


class SmallNet(nn.Module):
    """Standardised picture, stem, skip, bilinear and pixel-shuffle upsampling, two heads."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.batch_norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, 2, 1, groups=8)
        self.group_norm = nn.GroupNorm(4, 8)
        self.logits = nn.Conv2d(8, 20, 1)
        self.state = nn.Linear(8, 12)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        pixels = images.float() / 255
        variance, mean = torch.var_mean(pixels, dim=(1, 2, 3), keepdim=True)
        fine = F.relu(self.batch_norm(self.stem((pixels - mean) / (variance + 1e-3).sqrt())))
        deep = F.gelu(self.group_norm(self.deep(fine)))
        decoded = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False) + fine
        lane, spread = self.state(deep.mean((2, 3))).chunk(2, dim=1)
        classes = F.pixel_shuffle(self.logits(decoded), 2)
        return {"lane": lane, "lane_std": F.softplus(spread), "classes": classes}


class Brittle(nn.Module):
    """Chooses by what it sees, which can be run, but not exported."""

    def __init__(self) -> None:
        super().__init__()
        self.state = nn.Linear(3, 6)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        lane = self.state(images.float().mean((2, 3)))
        return {"lane": lane if float(lane.sum()) > 0 else -lane}
