"""Our heads, by name. What each consists of is in `networks`, `losses` and `measures`."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.samples import UNKNOWN_CLASS, UNKNOWN_SCENE, WEATHER, Samples
from drive_rl.perception.heads.head import Head, Labels, LaneLoss, Parts, Predictions, Reads
from drive_rl.perception.heads.losses import classes_loss, lane_losses, lines_loss, scene_loss
from drive_rl.perception.heads.measures import LaneMeasure, LinesMeasure, SceneMeasure, SegmentationMeasure
from drive_rl.perception.heads.networks import LaneHead, LaneOfLines, LinesHead, SceneHead, SegmentationHead


class _Ours:
    """A head of a world."""

    def __init__(self, world: WorldSpec) -> None:
        self._world = world


class Lines(_Ours):
    """Painted lines, from the decoder's map."""

    reads: Reads = "map"

    def network(self, parts: Parts) -> LinesHead:
        """Return its network."""
        assert parts.map is not None, "PerceptionModel makes a decoder for heads that read its map"
        return LinesHead(parts.map, parts.shape)

    def known(self, samples: Samples) -> bool:
        """Whether any picture has its lines labelled."""
        return bool(samples.lined.any())

    def losses(self, predictions: Predictions, labels: Labels, lane_loss: LaneLoss) -> dict[str, Tensor]:
        """Return `lines`."""
        return {"lines": lines_loss(predictions, labels)}

    def measures(self) -> dict[str, LinesMeasure]:
        """Return `lines`."""
        return {"lines": LinesMeasure()}


class Segmentation(_Ours):
    """The class of each pixel, from the decoder's map."""

    reads: Reads = "map"

    def network(self, parts: Parts) -> SegmentationHead:
        """Return its network."""
        assert parts.map is not None, "PerceptionModel makes a decoder for heads that read its map"
        return SegmentationHead(parts.map, parts.shape)

    def known(self, samples: Samples) -> bool:
        """Whether pixels of two classes are known; of a single one, all that could be learned is that all is of it."""
        known = samples.classes[samples.classes != UNKNOWN_CLASS]
        return known.size > 0 and bool(known.min() != known.max())

    def losses(self, predictions: Predictions, labels: Labels, lane_loss: LaneLoss) -> dict[str, Tensor]:
        """Return `classes`."""
        return {"classes": classes_loss(predictions, labels)}

    def measures(self) -> dict[str, SegmentationMeasure]:
        """Return `segmentation`."""
        return {"segmentation": SegmentationMeasure()}


class Lane(_Ours):
    """The lane state, from the features."""

    reads: Reads = "features"

    def network(self, parts: Parts) -> LaneHead | LaneOfLines:
        """Return its network."""
        return LaneHead(parts.features)

    def known(self, samples: Samples) -> bool:
        """Whether any picture has a lane state."""
        return bool(np.isfinite(samples.lane).any())

    def losses(self, predictions: Predictions, labels: Labels, lane_loss: LaneLoss) -> dict[str, Tensor]:
        """Return `lane` and `lane_std`."""
        return lane_losses(predictions, labels.lane, lane_loss)

    def measures(self) -> dict[str, LaneMeasure]:
        """Return `lane`."""
        return {"lane": LaneMeasure()}


class LaneFromLines(Lane):
    """The lane state, from the lines that the model predicts."""

    reads: Reads = "predictions"

    def network(self, parts: Parts) -> LaneOfLines:
        """Return its network."""
        return LaneOfLines(self._world)


class Scene(_Ours):
    """The road's tier and the weather, from the features."""

    reads: Reads = "features"

    def network(self, parts: Parts) -> SceneHead:
        """Return its network."""
        return SceneHead(parts.features, len(self._world.road.tiers))

    def known(self, samples: Samples) -> bool:
        """Whether any picture has a tier or a weather."""
        return bool((samples.scene != UNKNOWN_SCENE).any())

    def losses(self, predictions: Predictions, labels: Labels, lane_loss: LaneLoss) -> dict[str, Tensor]:
        """Return `scene`."""
        return {"scene": scene_loss(predictions, labels)}

    def measures(self) -> dict[str, SceneMeasure]:
        """Return `tier` and `weather`."""
        tiers = tuple(sorted(self._world.road.tiers))
        return {"tier": SceneMeasure("tier", 0, tiers), "weather": SceneMeasure("weather", 1, WEATHER)}


HEADS: dict[str, Callable[[WorldSpec], Head]] = {
    "lines": Lines,
    "segmentation": Segmentation,
    "lane": Lane,
    "scene": Scene,
}
"""Ours by name, in the order in which networks are built and run; with lines, `LaneFromLines` takes Lane's place."""
