"""A perception model: an encoder and the heads that read it. Pictures in, what is on them out, in SI units.

It knows shapes and networks. It knows no losses, labels or files.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drive_rl.config.perception_spec import ModelSpec, PerceptionSpec
from drive_rl.config.world_spec import WorldSpec
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
_SHARPNESS = 8.0  # so that one place of many can speak loudest soon

Predictions = dict[str, Tensor]
"""What a model tells of B pictures; each head gives some of:

`lane` (B, 6) LANE_FIELDS in SI units, `lane_std` (B, 6) their predicted standard deviations;
`classes` (B, 5, H, W) logits of render.CLASSES;
`lines` (B, LINES, ROWS) column / width at the anchor rows, `lines_std` (B, LINES, ROWS) the deviation of the places
that they are the mean of, and `lines_there` (B, LINES, ROWS) logits that a line is there;
`tier` (B, tiers) and `weather` (B, 4) logits;
and while it learns `line_places` (B, LINES, ROWS, w) logits of where along an anchor row a line is.
"""


class PerceptionModel(nn.Module):
    """(B, C, H, W) pictures, uint8 or floats in [0, 255] -> `Predictions`.

    Args:
        spec: Encoder and heads.
        world: Whose pictures it shall see: its camera, its lanes, its tiers of roads.

    Raises:
        DriveRLError: the pictures are too small for the encoder.
    """

    def __init__(self, spec: ModelSpec, world: WorldSpec) -> None:
        super().__init__()
        camera, heads = world.camera, spec.heads
        self.spec = spec
        self.shape = camera.planes * camera.frame_stack, camera.height_px, camera.width_px
        self.encoder = Encoder(spec.encoder, self.shape, camera.frame_stack)
        self.dropout = nn.Dropout(spec.dropout)
        if {"segmentation", "lines"} & set(heads):
            self.decoder = Decoder(self.encoder, self.shape)
        if "lines" in heads:
            self.lines = LinesHead(self.decoder, self.shape)
        if "segmentation" in heads:
            self.segmentation = SegmentationHead(self.decoder, self.shape)
        self.lane = None
        if "lane" in heads:
            self.lane = LaneOfLines(world) if "lines" in heads else LaneHead(spec.encoder.features)
        if "scene" in heads:
            self.scene = SceneHead(spec.encoder.features, len(world.road.tiers))

    def forward(self, images: Tensor) -> Predictions:
        """Return what is on the pictures."""
        heads, seen = self.spec.heads, Predictions()
        features, maps = self.encoder.features_and_maps(images)
        features = self.dropout(features)
        if {"segmentation", "lines"} & set(heads):
            fine = self.decoder(maps)
            if "lines" in heads:
                seen |= self.lines(fine)
            if "segmentation" in heads:
                seen |= self.segmentation(fine)
        if self.lane is not None:
            seen |= self.lane(seen if "lines" in heads else features)
        if "scene" in heads:
            seen |= self.scene(features)
        return seen


class LaneHead(nn.Module):
    """Features -> the lane state, each field with a standard deviation of its own (Nix and Weigend 1994).

    Args:
        features: How many there are.
        plain: How many of them, the last, the state depends on nearly linearly.
    """

    scale: Tensor

    def __init__(self, features: int, plain: int = 0) -> None:
        super().__init__()
        hidden, fields = _LANE_HIDDEN, len(LANE_FIELDS)
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean, self.log_std = nn.Linear(hidden + plain, fields), nn.Linear(hidden, fields)
        self.plain = plain
        self.register_buffer("scale", torch.tensor(LANE_SCALE), persistent=False)

    def forward(self, features: Tensor) -> Predictions:
        """Return `lane` and `lane_std`; what is learned of the deviations leaves the features alone."""
        hidden = self.hidden(features)
        deviation = self.log_std(hidden.detach()).clamp(*_STD_RANGE).exp()
        read = torch.cat((hidden, features[:, features.shape[1] - self.plain :]), dim=1)
        return {"lane": self.mean(read) * self.scale, "lane_std": deviation * self.scale}


class LaneOfLines(nn.Module):
    """Lines that a model tells -> the lane state: curves through them near and far, and what they say beyond that.

    While it learns it takes the lines as they are told: its errors do not teach the lines.
    """

    def __init__(self, world: WorldSpec) -> None:
        super().__init__()
        self.near, self.far = RoadFit(world, 3, 3.0, 3), RoadFit(world, 4, 6.0, 1)
        self.head = LaneHead(2 * LINES * ROWS + 3 + 4, 3 + 4)

    def forward(self, seen: Predictions) -> Predictions:
        """Return `lane` and `lane_std` of told lines; the less sure of a place they are, the less it counts."""
        names = "lines", "lines_std", "lines_there"
        lines, spread, there = (seen[name].detach() if self.training else seen[name] for name in names)
        return self.read(lines, torch.sigmoid(there) / (1 + (spread / _SURE_WITHIN) ** 2))

    def read(self, lines: Tensor, trust: Tensor) -> Predictions:
        """Return `lane` and `lane_std` of (B, LINES, ROWS) columns and how far each is to be trusted, in [0, 1]."""
        columns = 8 * (lines - 0.5) * trust
        fits = self.near(lines, trust), self.far(lines, trust)
        return self.head(torch.cat((columns.flatten(1), trust.flatten(1), *fits), dim=1))


class SceneHead(nn.Module):
    """Features -> the road's tier and the weather."""

    def __init__(self, features: int, tiers: int) -> None:
        super().__init__()
        self.tier, self.weather = nn.Linear(features, tiers), nn.Linear(features, len(WEATHER))

    def forward(self, features: Tensor) -> Predictions:
        """Return `tier` and `weather`."""
        return {"tier": self.tier(features), "weather": self.weather(features)}


class Decoder(nn.Module):
    """Feature maps -> the finest of them, told what the coarser ones saw (Lin et al. 2017, arXiv 1612.03144)."""

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


class SegmentationHead(nn.Module):
    """The decoder's map -> the class of each pixel.

    Each of its places tells all the pixels that it covers, and a pixel shuffle (Shi et al. 2016, arXiv 1609.05158)
    lays them out: full resolution at the cost of the map's.
    """

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


class LinesHead(nn.Module):
    """The decoder's map -> where painted lines meet the anchor rows (row anchors: Qin et al. 2020, arXiv 2004.11757).

    A line's column is the mean of where it may be (Sun et al. 2018, arXiv 1711.08229); that it is there, whether any
    place speaks louder than a bar that is learned, too.
    """

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
        seen = {"lines": columns, "lines_std": spread, "lines_there": torch.logsumexp(rows, dim=3) - self.bar}
        return seen | {"line_places": rows} if self.training else seen


def build_perception(spec: PerceptionSpec) -> PerceptionModel:
    """Return the untrained model of a spec, with weights drawn from torch's generator.

    Raises:
        DriveRLError: the pictures are too small for the encoder.
    """
    return PerceptionModel(spec.model, spec.world)
