"""What a head of a perception model is: a protocol that ours keep, and the plugins' through `plugin_head`.

It knows samples and tensors. It knows no head, no encoder and no file.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drive_rl.perception.data.samples import Samples

Predictions = dict[str, Tensor]
"""What a model predicts for B pictures; each of our heads gives some of:

`lane` (B, 6) LANE_FIELDS in SI units, `lane_std` (B, 6) their predicted standard deviations;
`classes` (B, 5, H, W) logits of render.CLASSES;
`lines` (B, LINES, ROWS) column / width at the anchor rows, `lines_std` (B, LINES, ROWS) the deviation of the places
that they are the mean of, and `lines_there` (B, LINES, ROWS) logits that a line is there;
`tier` (B, tiers) and `weather` (B, 4) logits;
and in training `line_places` (B, LINES, ROWS, w) logits of where along an anchor row a line is.
A plugin's head gives (B, ...) under its own name.
"""

Arrays = Mapping[str, NDArray[Any]]
"""`Predictions` as arrays."""
Ratios = dict[str, NDArray[np.float64]]
"""Score name -> (P, N, 2): numerator and denominator of each of N pictures; a score is the mean of its P ratios."""
Reads = Literal["features", "map", "predictions"]
"""What a head's network takes: the encoder's features, the decoder's map, or what earlier heads predict."""
LaneLoss = Literal["l1", "l2"]


class Parts(NamedTuple):
    """What networks of heads are built for."""

    shape: tuple[int, int, int]  # of a picture: channels, height, width
    features: int  # of the encoder
    map: tuple[int, int, int] | None  # shape of the decoder's map; None: no head reads it


class Labels:
    """The labels of `Samples` as tensors on a device."""

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self.samples, self.device = samples, device
        self.lane = torch.as_tensor(samples.lane, device=device)
        self.classes = torch.as_tensor(samples.classes, device=device)
        self.lines = torch.as_tensor(samples.lines, device=device)
        self.lined = torch.as_tensor(samples.lined, device=device)
        self.scene = torch.as_tensor(samples.scene, device=device)


class Measure(Protocol):
    """Counts over the predictions of one head, batch by batch."""

    def add(self, predictions: Arrays, samples: Samples) -> None:
        """Count a batch of pictures."""
        ...

    def scores(self) -> Any:
        """Return the scores of all pictures."""
        ...

    def ratios(self) -> Ratios:
        """Return the counts of each picture, for the scores that are ratios of sums."""
        ...


class Stated(NamedTuple):
    """Values predicted with a standard deviation, K of each of N pictures; NaN where a value, or its label, is not."""

    mean: NDArray[np.floating]  # (N, K)
    std: NDArray[np.floating]  # (N, K)
    truth: NDArray[np.floating]  # (N, K)


class Head(Protocol):
    """A head, made for a world."""

    reads: Reads

    def network(self, parts: Parts) -> nn.Module:
        """Return its network: what the head `reads` -> some of `Predictions`."""
        ...

    def known(self, samples: Samples) -> bool:
        """Whether any picture has a label that it learns from."""
        ...

    def losses(self, predictions: Predictions, labels: Labels, lane_loss: LaneLoss) -> dict[str, Tensor]:
        """Return its losses, each of the order of 1 at first. Unknown labels add nothing."""
        ...

    def measures(self) -> Mapping[str, Measure]:
        """Return the counts that its scores come from, by the name of the result."""
        ...
