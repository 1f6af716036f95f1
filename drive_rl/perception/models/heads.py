"""The heads of a perception model, and the decoder that some of them share: features or feature maps -> predictions.

It knows shapes and networks. It knows no encoder, no losses, labels or files.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drive_rl.config.specs.perception import ModelSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import LANE_FIELDS, LINES, ROWS, WEATHER, anchor_rows
from drive_rl.perception.models.encoders import Encoder
from drive_rl.perception.models.lane_fit import RoadFit
from drive_rl.sim.sensors.renderer import CLASSES

LANE_SCALE = (0.7, 0.12, 0.02, 0.02, 0.02, 0.02)
"""About the standard deviation of each of LANE_FIELDS on the road."""

_STD_RANGE = (-6.0, 3.0)  # of the logarithm of a standard deviation, in units of LANE_SCALE
_DECODER_CHANNELS = 32
_LANE_HIDDEN = 192
_SURE_WITHIN = 0.02  # columns / width
_SHARPNESS = 8.0  # lets one place of many stand out early in training

Predictions = dict[str, Tensor]
"""What a model predicts for B pictures; each head gives some of:

`lane` (B, 6) LANE_FIELDS in SI units, `lane_std` (B, 6) their predicted standard deviations;
`classes` (B, 5, H, W) logits of render.CLASSES;
`lines` (B, LINES, ROWS) column / width at the anchor rows, `lines_std` (B, LINES, ROWS) the deviation of the places
that they are the mean of, and `lines_there` (B, LINES, ROWS) logits that a line is there;
`tier` (B, tiers) and `weather` (B, 4) logits;
and in training `line_places` (B, LINES, ROWS, w) logits of where along an anchor row a line is.
"""

Reads = Literal["features", "map", "predictions"]
"""What a head's forward takes: the encoder's features, the decoder's map, or what earlier heads predict."""


class Head(nn.Module):
    """Predicts something: forward takes what it `reads`, and returns some of `Predictions`."""

    reads: ClassVar[Reads]


class LaneHead(Head):
    """Features -> the lane state, each field with a standard deviation of its own (Nix and Weigend 1994).

    Args:
        features: How many there are.
        plain: How many of them, the last ones, the state depends on nearly linearly.
    """

    reads: ClassVar[Reads] = "features"
    scale: Tensor

    def __init__(self, features: int, plain: int = 0) -> None:
        super().__init__()
        hidden, fields = _LANE_HIDDEN, len(LANE_FIELDS)
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean, self.log_std = nn.Linear(hidden + plain, fields), nn.Linear(hidden, fields)
        self.plain = plain
        self.register_buffer("scale", torch.tensor(LANE_SCALE), persistent=False)

    def forward(self, features: Tensor) -> Predictions:
        """Return `lane` and `lane_std`; the gradient of the deviations does not reach the features."""
        hidden = self.hidden(features)
        deviation = self.log_std(hidden.detach()).clamp(*_STD_RANGE).exp()
        inputs = torch.cat((hidden, features[:, features.shape[1] - self.plain :]), dim=1)
        return {"lane": self.mean(inputs) * self.scale, "lane_std": deviation * self.scale}


class LaneOfLines(Head):
    """Predicted lines -> the lane state, from the lines and from curves fitted to them near and far.

    In training the predicted lines are detached: the errors of the lane state do not change the lines.
    """

    reads: ClassVar[Reads] = "predictions"

    def __init__(self, world: WorldSpec) -> None:
        super().__init__()
        self.near, self.far = RoadFit(world, 3, 3.0, 3), RoadFit(world, 4, 6.0, 1)
        self.head = LaneHead(2 * LINES * ROWS + 3 + 4, 3 + 4)

    def forward(self, predictions: Predictions) -> Predictions:
        """Return `lane` and `lane_std` of predicted lines; a place counts less, the less certain it is."""
        names = "lines", "lines_std", "lines_there"
        lines, spread, there = (predictions[name].detach() if self.training else predictions[name] for name in names)
        return self.read(lines, torch.sigmoid(there) / (1 + (spread / _SURE_WITHIN) ** 2))

    def read(self, lines: Tensor, trust: Tensor) -> Predictions:
        """Return `lane` and `lane_std` of (B, LINES, ROWS) columns, each with its trust in [0, 1]."""
        columns = 8 * (lines - 0.5) * trust
        fits = self.near(lines, trust), self.far(lines, trust)
        return self.head(torch.cat((columns.flatten(1), trust.flatten(1), *fits), dim=1))


class SceneHead(Head):
    """Features -> the road's tier and the weather."""

    reads: ClassVar[Reads] = "features"

    def __init__(self, features: int, tiers: int) -> None:
        super().__init__()
        self.tier, self.weather = nn.Linear(features, tiers), nn.Linear(features, len(WEATHER))

    def forward(self, features: Tensor) -> Predictions:
        """Return `tier` and `weather`."""
        return {"tier": self.tier(features), "weather": self.weather(features)}


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
                "encoder: gives no feature maps, which the heads segmentation and lines read; fix: make it an"
                " nn.Sequential of its layers, or model.heads=[lane]"
            )
        self.size = maps[0].shape[2:]
        widths = [min(each.shape[1], _DECODER_CHANNELS) for each in maps]
        self.channels = widths[0]
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


class SegmentationHead(Head):
    """The decoder's map -> the class of each pixel.

    Each place of the map predicts all the pixels that it covers, and a pixel shuffle (Shi et al. 2016, arXiv
    1609.05158) lays them out: full resolution at the cost of the map's.
    """

    reads: ClassVar[Reads] = "map"

    def __init__(self, decoder: Decoder, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = shape[1:]
        self.covers = max(1, round(shape[1] / decoder.size[0]))
        self.logits = nn.Conv2d(decoder.channels, len(CLASSES) * self.covers**2, 1)

    def forward(self, fine: Tensor) -> Predictions:
        """Return `classes`."""
        logits = F.pixel_shuffle(self.logits(fine), self.covers)
        if logits.shape[2:] != self.size:
            logits = F.interpolate(logits, size=self.size, mode="bilinear", align_corners=False)
        return {"classes": logits}


class LinesHead(Head):
    """The decoder's map -> where painted lines meet the anchor rows (row anchors: Qin et al. 2020, arXiv 2004.11757).

    A line's column is the mean over the places where it may be (Sun et al. 2018, arXiv 1711.08229); the logit that it
    is there is the log-sum-exp of their logits minus a learned threshold.
    """

    reads: ClassVar[Reads] = "map"
    above: Tensor
    below: Tensor
    part: Tensor
    columns: Tensor

    def __init__(self, decoder: Decoder, shape: tuple[int, int, int]) -> None:
        super().__init__()
        height, width = decoder.size
        at = (torch.tensor(anchor_rows(shape[1])) / shape[1] * height - 0.5).clamp(0, height - 1)
        constants = {"above": at.long(), "below": (at.long() + 1).clamp(max=height - 1), "part": (at % 1).float()}
        for name, value in {**constants, "columns": (torch.arange(width) + 0.5) / width}.items():
            self.register_buffer(name, value, persistent=False)
        self.logits = nn.Conv2d(decoder.channels, LINES, 1)
        self.bar = nn.Parameter(torch.zeros(LINES, ROWS))

    def forward(self, fine: Tensor) -> Predictions:
        """Return `lines` and `lines_there`."""
        logits = _SHARPNESS * self.logits(fine)
        part = self.part[:, None]
        rows = logits[:, :, self.above] * (1 - part) + logits[:, :, self.below] * part  # (B, LINES, ROWS, w)
        places = torch.softmax(rows, dim=3)
        columns = (places * self.columns).sum(dim=3)
        spread = (places * (self.columns - columns[..., None]) ** 2).sum(dim=3).clamp(min=1e-8).sqrt()
        predictions = {"lines": columns, "lines_std": spread, "lines_there": torch.logsumexp(rows, dim=3) - self.bar}
        return predictions | {"line_places": rows} if self.training else predictions


class Parts(NamedTuple):
    """What heads are built from."""

    spec: ModelSpec
    world: WorldSpec
    shape: tuple[int, int, int]  # of a picture
    decoder: Decoder | None  # None: no head reads its map


def _decoder(parts: Parts) -> Decoder:
    assert parts.decoder is not None, "PerceptionModel makes one for heads that read its map"
    return parts.decoder


def _lane(parts: Parts) -> Head:
    return LaneOfLines(parts.world) if "lines" in parts.spec.heads else LaneHead(parts.spec.encoder.features)


HEADS: dict[str, Callable[[Parts], Head]] = {
    "lines": lambda parts: LinesHead(_decoder(parts), parts.shape),
    "segmentation": lambda parts: SegmentationHead(_decoder(parts), parts.shape),
    "lane": _lane,
    "scene": lambda parts: SceneHead(parts.spec.encoder.features, len(parts.world.road.tiers)),
}
"""Every head by name, in the order in which heads are built and run; `model.heads` in specs."""
