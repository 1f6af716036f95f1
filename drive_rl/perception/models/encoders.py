"""Image encoders, one family for perception models and policies: pictures -> a feature vector, and feature maps.

It knows pixels. It knows nothing of the heads that read the features, nor of worlds. Encoders take uint8 pictures, or
floats in [0, 255], and scale to [0, 1] themselves.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from drive_rl.config.extensions import find
from drive_rl.config.specs.learner import EncoderSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.heads.plugin_network import finite_rows_of, running
from drive_rl.perception.models.plugin_encoder import plugin_trunk

SMALLEST_PX = 16
_PILOTNET_PX = 61
"""Smallest side that PilotNet's unpadded convolutions leave a pixel of."""


class Encoder(nn.Module):
    """(B, C, H, W) pictures -> (B, features), by one of the families below.

    Args:
        encoder: Family and length of the feature vector.
        shape: C, H, W of the pictures.
        frames: How many pictures are stacked along the channels.

    Raises:
        DriveRLError: one side is below 16 pixels, or the family is not installed.
    """

    def __init__(self, encoder: EncoderSpec, shape: tuple[int, int, int], frames: int = 1) -> None:
        super().__init__()
        self.trunk, self.head, self.plugin = layers_of(encoder, shape, frames)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of a batch of pictures."""
        with running(self.plugin):
            return self.head(finite_rows_of(self.plugin, self.trunk(scaled(images)), images))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the last feature map (B, C, h, w) of each resolution, finest first."""
        return self.features_and_maps(images)[1]

    def features_and_maps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features (B, features), and the maps that `maps` returns, of one pass."""
        x, found = scaled(images), dict[tuple[int, ...], Tensor]()
        with running(self.plugin):
            for layer in _flattened(self.trunk):
                outputs = layer.backbone(x) if isinstance(layer, _Timm) else [layer(x)]
                x = outputs[-1]
                if x.dim() == 4 and not isinstance(layer, Contrast):
                    found |= {tuple(each.shape[2:]): each for each in outputs}
            return self.head(finite_rows_of(self.plugin, x, images)), list(found.values())


def scaled(images: Tensor) -> Tensor:
    """Return pictures in [0, 255] as floats in [0, 1]."""
    return images.float() * (1 / 255)


class Layers(NamedTuple):
    """What an encoder is made of."""

    trunk: nn.Module  # convolutions, ending in a flat vector
    head: nn.Module  # turns it into features
    plugin: str  # the file and the name of a plugin's encoder; empty: one of ours


def layers_of(encoder: EncoderSpec, shape: tuple[int, int, int], frames: int) -> Layers:
    """Return the layers of an encoder.

    Raises:
        DriveRLError: one side is below 16 pixels, or the family is not installed.
    """
    channels, height, width = shape
    if min(height, width) < SMALLEST_PX:
        raise DriveRLError(
            f"encoder: image of {width}x{height} px: expected at least {SMALLEST_PX} a side; fix: raise"
            " world.camera.width_px or world.camera.height_px"
        )
    kind, _, name = encoder.kind.partition(":")
    if (extension := find("encoder", kind)) is not None:
        trunk, flat, what = plugin_trunk(extension, shape)
        return Layers(trunk, _one_layer(flat, encoder.features), what)
    family = ENCODERS[kind] if kind != "timm" else Family(lambda channels, *_: _timm(name, channels))
    trunk = family.trunk(channels, height, width)
    if family.contrast:
        trunk = nn.Sequential(Contrast(frames), trunk)
    training = trunk.training
    with torch.no_grad():
        flat = trunk.eval()(torch.zeros(1, channels, height, width)).shape[1]
    return Layers(trunk.train(training), family.head(flat, encoder.features), "")


def _flattened(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of nested `Sequential`s in order."""
    if isinstance(module, nn.Sequential):
        for layer in module:
            yield from _flattened(layer)
    else:
        yield module


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
        ground = newest[:, :, 3 * newest.shape[2] // 10 :: 2, ::2]  # every fourth pixel is enough
        variance, mean = torch.var_mean(ground, dim=(1, 2, 3), keepdim=True)
        contrast = torch.cat((pixels[:, planes:] - pixels[:, :-planes], newest - mean), dim=1)
        return contrast.mul_(self.gain).clamp_(-1, 1).mul_(1 / (variance.sqrt() + 0.02))


def _small(channels: int, height: int, width: int) -> nn.Module:
    """Three convolutions, about 1.2 M multiplications an image at 64x40; channels are multiples of 16 for AVX-512."""
    return nn.Sequential(*_conv(channels, 16, 8, 4, 2), *_conv(16, 32, 3, 2, 1), *_conv(32, 32, 3, 1, 1), nn.Flatten())


def _fine(channels: int, height: int, width: int) -> nn.Module:
    """Four convolutions, the first of small steps: lamps and pedestrians a few pixels wide stay visible."""
    return nn.Sequential(
        *_conv(channels, 16, 5, 2, 2),
        *_conv(16, 32, 3, 2, 1),
        *_conv(32, 64, 3, 2, 1),
        *_conv(64, 64, 3, 1, 1),
        nn.Flatten(),
    )


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


class _BasicBlock(nn.Module):
    """ResNet's basic block: two 3x3 convolutions with batch norm beside a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        same = channels == out and stride == 1
        shortcut = [] if same else [nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def _resnet18(channels: int, height: int, width: int) -> nn.Module:
    """ResNet-18 (He et al. 2016, arXiv 1512.03385), without its average pooling: positions in the picture are kept."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 2, 1)]
    before = 64
    for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [_BasicBlock(before, out, stride), _BasicBlock(out, out, 1)]
        before = out
    return nn.Sequential(*layers, nn.Flatten())


def _unet(channels: int, height: int, width: int) -> nn.Module:
    """The contracting half of a compact U-Net (Ronneberger et al. 2015, arXiv 1505.04597); see `heads.Decoder`.

    The first convolution already halves the picture.
    """
    layers: list[nn.Module] = []
    for out in (16, 32, 48, 64):
        layers += [*_normed(channels, out, 2), *_normed(out, out, 1)]
        channels = out
    return nn.Sequential(*layers, _Squeeze(channels, 8))


class _Squeeze(nn.Module):
    """A map of few channels, flattened: positions are kept, and the vector is short."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.mix(x)).flatten(1)


def _normed(channels: int, out: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


class _Timm(nn.Module):
    """A backbone of timm, the last of its feature maps flattened."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x)[-1]


def _timm(name: str, channels: int) -> nn.Module:
    try:
        import timm  # pyright: ignore[reportMissingImports] - an extra of its own
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another torch
        raise DriveRLError(
            f"encoder.kind = timm:{name}: timm cannot be imported ({error}); fix: pip install 'drive-rl[timm]', with"
            " a torchvision that was built for this torch"
        ) from error
    try:
        backbone = timm.create_model(name, pretrained=False, in_chans=channels, features_only=True)
    except (RuntimeError, AttributeError) as error:  # unknown, or without feature maps
        raise DriveRLError(f"encoder.kind = timm:{name}: {error}; fix: a name of timm.list_models()") from error
    return nn.Sequential(_Timm(backbone), nn.Flatten())


class Family(NamedTuple):
    """How the encoders of one family are built."""

    trunk: Callable[[int, int, int], nn.Module]  # channels, height, width -> convolutions, ending in a flat vector
    head: Callable[[int, int], nn.Module] = _one_layer  # length of that, features -> the layers after it
    contrast: bool = False  # whether pictures go through `Contrast` first


ENCODERS: dict[str, Family] = {
    "small": Family(_small, contrast=True),
    "fine": Family(_fine, contrast=True),
    "nature": Family(_nature),
    "impala": Family(_impala),
    "pilotnet": Family(_pilotnet, _pilotnet_head),
    "resnet18": Family(_resnet18),
    "unet": Family(_unet),
}
"""Every family by name, for perception models and for policies; `encoder.kind` in specs."""
