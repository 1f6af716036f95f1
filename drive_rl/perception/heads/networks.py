"""The networks of our heads: features, the decoder's map or predicted lines -> predictions.

It knows shapes and networks. It knows no encoder, no losses, labels or files.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.samples import LANE_FIELDS, LINES, ROWS, WEATHER, anchor_rows
from drive_rl.perception.heads.head import Predictions
from drive_rl.perception.heads.lane_fit import RoadFit
from drive_rl.sim.sensors.renderer import CLASSES

LANE_SCALE = (0.7, 0.12, 0.02, 0.02, 0.02, 0.02)
"""About the standard deviation of each of LANE_FIELDS on the road."""

_STD_RANGE = (-6.0, 3.0)  # of the logarithm of a standard deviation, in units of LANE_SCALE
_LANE_HIDDEN = 192
_SURE_WITHIN = 0.02  # columns / width
_SHARPNESS = 8.0  # lets one place of many stand out early in training


class LaneHead(nn.Module):
    """Features -> the lane state, each field with a standard deviation of its own (Nix and Weigend 1994).

    Args:
        features: How many there are.
        plain: How many of them, the last ones, the state depends on nearly linearly.
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
        """Return `lane` and `lane_std`; the gradient of the deviations does not reach the features."""
        hidden = self.hidden(features)
        deviation = self.log_std(hidden.detach()).clamp(*_STD_RANGE).exp()
        inputs = torch.cat((hidden, features[:, features.shape[1] - self.plain :]), dim=1)
        return {"lane": self.mean(inputs) * self.scale, "lane_std": deviation * self.scale}


class LaneOfLines(nn.Module):
    """Predicted lines -> the lane state, from the lines and from curves fitted to them near and far.

    In training the predicted lines are detached: the errors of the lane state do not change the lines.
    """

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


class SceneHead(nn.Module):
    """Features -> the road's tier and the weather."""

    def __init__(self, features: int, tiers: int) -> None:
        super().__init__()
        self.tier, self.weather = nn.Linear(features, tiers), nn.Linear(features, len(WEATHER))

    def forward(self, features: Tensor) -> Predictions:
        """Return `tier` and `weather`."""
        return {"tier": self.tier(features), "weather": self.weather(features)}


class SegmentationHead(nn.Module):
    """The decoder's map -> the class of each pixel.

    Each place of the map predicts all the pixels that it covers, and a pixel shuffle (Shi et al. 2016, arXiv
    1609.05158) lays them out: full resolution at the cost of the map's.
    """

    def __init__(self, map: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = shape[1:]
        self.covers = max(1, round(shape[1] / map[1]))
        self.logits = nn.Conv2d(map[0], len(CLASSES) * self.covers**2, 1)

    def forward(self, fine: Tensor) -> Predictions:
        """Return `classes`."""
        logits = F.pixel_shuffle(self.logits(fine), self.covers)
        if logits.shape[2:] != self.size:
            logits = F.interpolate(logits, size=self.size, mode="bilinear", align_corners=False)
        return {"classes": logits}


class LinesHead(nn.Module):
    """The decoder's map -> where painted lines meet the anchor rows (row anchors: Qin et al. 2020, arXiv 2004.11757).

    A line's column is the mean over the places where it may be (Sun et al. 2018, arXiv 1711.08229); the logit that it
    is there is the log-sum-exp of their logits minus a learned threshold.
    """

    above: Tensor
    below: Tensor
    part: Tensor
    columns: Tensor

    def __init__(self, map: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = map
        at = (torch.tensor(anchor_rows(shape[1])) / shape[1] * height - 0.5).clamp(0, height - 1)
        constants = {"above": at.long(), "below": (at.long() + 1).clamp(max=height - 1), "part": (at % 1).float()}
        for name, value in {**constants, "columns": (torch.arange(width) + 0.5) / width}.items():
            self.register_buffer(name, value, persistent=False)
        self.logits = nn.Conv2d(channels, LINES, 1)
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
