"""The decoder that heads share which read a map: an encoder's feature maps -> one map."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drive_rl.errors import DriveRLError
from drive_rl.perception.models.encoders import Encoder

_CHANNELS = 32


class Decoder(nn.Module):
    """Feature maps -> the finest, with the coarser ones added top-down (FPN, Lin et al. 2017, arXiv 1612.03144)."""

    def __init__(self, encoder: Encoder, shape: tuple[int, int, int]) -> None:
        super().__init__()
        training = encoder.training
        with torch.no_grad():
            maps = encoder.eval().maps(torch.zeros(1, *shape))
        encoder.train(training)
        if not maps:
            raise DriveRLError(
                "encoder: gives no feature maps, which heads such as segmentation and lines read; fix: make it an"
                " nn.Sequential of its layers, or model.heads=[lane]"
            )
        widths = [min(each.shape[1], _CHANNELS) for each in maps]
        self.shape = widths[0], int(maps[0].shape[2]), int(maps[0].shape[3])
        self.lateral = nn.ModuleList(nn.Conv2d(each.shape[1], out, 1) for each, out in zip(maps, widths, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.mix = nn.ModuleList(
            nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()) for out in widths
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return (B, channels, h, w)."""
        x = self.mix[-1](self.lateral[-1](maps[-1]))
        for level in range(len(maps) - 2, -1, -1):
            up = F.interpolate(self.down[level](x), size=maps[level].shape[2:], mode="nearest")
            x = self.mix[level](self.lateral[level](maps[level]) + up)
        return x
