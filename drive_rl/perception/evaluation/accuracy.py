"""How well a perception model predicts: every score that its heads and the labels of some pictures allow.

It knows models and labelled pictures. It knows nothing of where either came from, nor of tables or pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import Samples, labels_known
from drive_rl.perception.evaluation.head_metrics import (
    LaneMeasure,
    LaneScores,
    LinesMeasure,
    LinesScores,
    Measure,
    Ratios,
    SceneMeasure,
    SceneScores,
    SegmentationMeasure,
    SegmentationResult,
    scene_measures,
)
from drive_rl.perception.evaluation.lane_benchmarks import Truths, lane_scores
from drive_rl.perception.models.perception_model import PerceptionModel


@dataclass(frozen=True)
class RoadCounts:
    """Counts summed over each road's pictures, for intervals: pictures of one road resemble each other."""

    roads: NDArray[np.int64]  # (R,) seeds; pictures of no known road stand alone, under numbers below 0
    ratios: Ratios  # score -> (P, R, 2) sums of numerators and denominators


@dataclass(frozen=True)
class Accuracy:
    """Scores of a model on some pictures. None: the model has no such head, or the pictures have no such label."""

    pictures: int
    lane: dict[str, LaneScores] | None = None
    segmentation: SegmentationResult | None = None
    lines: LinesScores | None = None
    tier: SceneScores | None = None
    weather: SceneScores | None = None
    by_road: RoadCounts | None = None  # None in files: it serves intervals alone


@dataclass(frozen=True)
class _Measures:
    """A measure for each head that some label can score; the fields are those of `Accuracy`."""

    lane: LaneMeasure | None = None
    segmentation: SegmentationMeasure | None = None
    lines: LinesMeasure | None = None
    tier: SceneMeasure | None = None
    weather: SceneMeasure | None = None

    def used(self) -> list[Measure]:
        every = (self.lane, self.segmentation, self.lines, self.tier, self.weather)
        return [measure for measure in every if measure is not None]


def evaluate_accuracy(
    model: PerceptionModel,
    samples: Samples,
    batch: int = 32,
    truths: Truths | None = None,
    tiers: tuple[str, ...] = (),
) -> Accuracy:
    """Score what `model`, in evaluation mode, predicts for `samples`.

    Args:
        model: The model.
        samples: N pictures of the model's shape.
        batch: Pictures at a time.
        truths: Each picture's lanes as its data set has them, for the lane benchmarks (`lane_benchmarks.lane_scores`).
        tiers: Names of the road tiers that the scene head distinguishes.

    Raises:
        DriveRLError: no pictures, or of another shape than the model's.
    """
    _check(model, samples)
    measures = _measures(model, samples, tiers)
    _count(model, samples, batch, measures.used())
    return Accuracy(
        pictures=len(samples),
        by_road=_by_road(measures.used(), samples.seeds),
        lane=None if measures.lane is None else measures.lane.scores(),
        segmentation=None if measures.segmentation is None else measures.segmentation.scores(),
        lines=None if measures.lines is None else _lines_scores(measures.lines, samples, truths),
        tier=None if measures.tier is None else measures.tier.scores(),
        weather=None if measures.weather is None else measures.weather.scores(),
    )


def _count(model: PerceptionModel, samples: Samples, batch: int, measures: list[Measure]) -> None:
    """Run the model on all pictures and count its predictions."""
    device = next(model.parameters()).device
    for first in range(0, len(samples), batch):
        part = samples.take(slice(first, first + batch))
        with torch.inference_mode():
            outputs = model(torch.as_tensor(part.images, device=device))
        predictions = {name: value.float().cpu().numpy() for name, value in outputs.items()}
        for measure in measures:
            measure.add(predictions, part)


def _lines_scores(measure: LinesMeasure, samples: Samples, truths: Truths | None) -> LinesScores:
    """Return the scores of lines, those of the lane benchmarks included."""
    benchmarks = lane_scores(measure.predicted_lines(), samples, truths)
    return replace(measure.scores(), tusimple=benchmarks.tusimple, culane=benchmarks.culane)


def _measures(model: PerceptionModel, samples: Samples, tiers: tuple[str, ...]) -> _Measures:
    known = labels_known(samples)
    scored = {head for head in model.spec.heads if known[head]}
    scene: Mapping[str, SceneMeasure] = {}
    if "scene" in scored and model.scene_head is not None:
        count = model.scene_head.tier.out_features
        scene = scene_measures(tiers or tuple(f"tier {i}" for i in range(count)))
    return _Measures(
        lane=LaneMeasure() if "lane" in scored else None,
        segmentation=SegmentationMeasure() if "segmentation" in scored else None,
        lines=LinesMeasure() if "lines" in scored else None,
        **scene,
    )


def _check(model: PerceptionModel, samples: Samples) -> None:
    if not len(samples):
        raise DriveRLError("samples = 0: expected at least one picture to evaluate a model on")
    if samples.images.shape[1:] != model.shape:
        raise DriveRLError(
            f"pictures have shape {samples.images.shape[1:]}: the model takes (channels, height, width) = {model.shape}"
        )


def _by_road(measures: list[Measure], seeds: NDArray[np.int64]) -> RoadCounts:
    """Return the counts of pictures, summed over those of one road."""
    group = np.where(seeds >= 0, seeds, -1 - np.arange(len(seeds)))
    roads, place = np.unique(group, return_inverse=True)
    ratios = {}
    for measure in measures:
        for name, each in measure.ratios().items():  # (P, N, 2)
            sums = np.zeros((len(each), len(roads), 2))
            for part, total in zip(each, sums, strict=True):
                np.add.at(total, place, part)
            ratios[name] = sums
    return RoadCounts(roads, ratios)
