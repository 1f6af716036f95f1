"""An image encoder of one's own: depthwise-separable convolutions (Howard et al. 2017, arXiv 1704.04861)."""

from torch import nn

from drive_rl import extend


def separable(channels: int, out: int, stride: int) -> list[nn.Module]:
    depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels)
    return [depthwise, nn.Conv2d(channels, out, 1), nn.ReLU()]


@extend.encoder("separable")
def separable_encoder(channels: int, height: int, width: int) -> nn.Module:
    first = [nn.Conv2d(channels, 16, 5, 4, 2), nn.ReLU()]
    return nn.Sequential(*first, *separable(16, 32, 2), *separable(32, 32, 1), nn.Flatten())
