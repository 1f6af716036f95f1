"""How well a perception model predicts: every score that its heads and the labels of some pictures allow.

It knows models and labelled pictures. It knows nothing of where either came from, nor of tables or pages.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.evaluation.certainty import Certainty, certainty_of
from drive_rl.perception.heads.head import Measure, Ratios
from drive_rl.perception.heads.lane_benchmarks import Truths, lane_scores
from drive_rl.perception.heads.measures import (
    LaneMeasure,
    LaneScores,
    LinesMeasure,
    LinesScores,
    SceneScores,
    SegmentationResult,
)
from drive_rl.perception.models.perception_model import PictureModel


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
    """Of each of LANE_FIELDS: `mae`, `calibration_error`, `nll`."""
    segmentation: SegmentationResult | None = None
    """Masks: `miou`, `pixel_accuracy`, `ego_lane_iou`, `ece`, `classes`."""
    lines: LinesScores | None = None
    """Painted lines: `column_error_px`, `precision`, `recall`, `f1`, `tusimple`, `culane`."""
    tier: SceneScores | None = None
    """The road's tier: `accuracy`, `precision`, `recall`, `f1`, `ece`."""
    weather: SceneScores | None = None
    """The same of the weather."""
    heads: dict[str, dict[str, float | None]] | None = None
    """Plugins' heads by name: their own scores."""
    failed: dict[str, str] | None = None
    """Plugins' heads by name: why there are no scores of it."""
    certainty: dict[str, Certainty] | None = None
    """`offset_m`, `heading_error_rad` and `line_column` (column / width): whether the stated deviation can be trusted.
    Empty: the model states none; None: the pictures have neither lane states nor lines."""
    by_road: RoadCounts | None = None
    """None in files: it serves intervals alone."""


OURS = ("lane", "segmentation", "lines", "tier", "weather")
"""The results of our own heads: fields of `Accuracy`."""


def evaluate_accuracy(
    model: PictureModel,
    samples: Samples,
    batch: int = 32,
    truths: Truths | None = None,
    groups: Sequence[str] | None = None,
) -> Accuracy:
    """Score what `model`, in evaluation mode, predicts for `samples`.

    Args:
        model: The model.
        samples: N pictures of the model's shape.
        batch: Pictures at a time.
        truths: Each picture's lanes as its data set has them, for the lane benchmarks (`lane_benchmarks.lane_scores`).
        groups: What each picture belongs to, such as a condition, for scores of each.

    Raises:
        DriveRLError: no pictures, or of another shape than the model's. A plugin's head that breaks its contract
            is in `failed`.
    """
    _check(model, samples)
    failed: dict[str, str] = {}
    measures = _measures(model, samples, failed)
    _count(model, samples, batch, measures, failed)
    scores = {}
    for name, measure in list(measures.items()):
        with _alone(name, measures, failed):
            scores[name] = measure.scores()
    if isinstance(lines := measures.get("lines"), LinesMeasure):
        scores["lines"] = _lines_scores(lines, samples, truths, groups)
    return Accuracy(
        pictures=len(samples),
        heads={name: scores[name] for name in scores if name not in OURS} or None,
        failed=failed or None,
        by_road=_by_road(list(measures.values()), samples.seeds),
        certainty=_certainty(measures, samples, groups),
        **{name: scores[name] for name in OURS if name in scores},
    )


def _count(
    model: PictureModel, samples: Samples, batch: int, measures: dict[str, Measure], failed: dict[str, str]
) -> None:
    """Run the model on all pictures and count its predictions."""
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    for first in range(0, len(samples), batch):
        part = samples.take(slice(first, first + batch))
        with torch.inference_mode():
            outputs = model(torch.as_tensor(part.images, device=device))
        predictions = {name: value.float().cpu().numpy() for name, value in outputs.items()}
        for name, measure in list(measures.items()):
            with _alone(name, measures, failed):
                measure.add(predictions, part)


@contextmanager
def _alone(name: str, measures: dict[str, Measure], failed: dict[str, str]) -> Iterator[None]:
    """Run a measure; one that fails, as only a plugin's does, is left out and costs its own scores."""
    try:
        yield
    except DriveRLError as error:
        measures.pop(name, None)
        failed[name] = str(error)


def _lines_scores(
    measure: LinesMeasure, samples: Samples, truths: Truths | None, groups: Sequence[str] | None
) -> LinesScores:
    """Return the scores of lines, those of the lane benchmarks included."""
    found = lane_scores(measure.predicted_lines(), samples, truths, groups)
    scenarios = found.scenarios or None
    return replace(measure.scores(), tusimple=found.tusimple, culane=found.culane, culane_scenarios=scenarios)


def _certainty(
    measures: dict[str, Measure], samples: Samples, groups: Sequence[str] | None
) -> dict[str, Certainty] | None:
    """Return how far the deviations that the model states can be trusted."""
    if not (np.isfinite(samples.lane).any() or samples.lined.any()):
        return None
    each = [measure for measure in measures.values() if isinstance(measure, LaneMeasure | LinesMeasure)]
    stated = {name: value for measure in each for name, value in measure.stated().items()}
    names, roads = groups or ["all"] * len(samples), _roads(samples.seeds)
    found = {name: certainty_of(value, names, roads) for name, value in stated.items()}
    return {name: certainty for name, certainty in found.items() if certainty is not None}


def _measures(model: PictureModel, samples: Samples, failed: dict[str, str]) -> dict[str, Measure]:
    """Return a measure of each result that a label can score."""
    measures: dict[str, Measure] = {}
    for name, head in model.heads.items():
        with _alone(name, measures, failed):
            if head.known(samples):
                measures |= head.measures()
    return measures


def _check(model: PictureModel, samples: Samples) -> None:
    if not len(samples):
        raise DriveRLError("samples = 0: expected at least one picture to evaluate a model on")
    if samples.images.shape[1:] != model.shape:
        raise DriveRLError(
            f"pictures have shape {samples.images.shape[1:]}: the model takes (channels, height, width) = {model.shape}"
            "; fix: pictures of that shape"
        )


def _by_road(measures: list[Measure], seeds: NDArray[np.int64]) -> RoadCounts:
    """Return the counts of pictures, summed over those of one road."""
    roads, place = np.unique(_roads(seeds), return_inverse=True)
    ratios = {}
    for measure in measures:
        for name, each in measure.ratios().items():  # (P, N, 2)
            sums = np.zeros((len(each), len(roads), 2))
            for part, total in zip(each, sums, strict=True):
                np.add.at(total, place, part)
            ratios[name] = sums
    return RoadCounts(roads, ratios)


def _roads(seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the road of each picture; pictures of no known road stand alone, under numbers below 0."""
    return np.where(seeds >= 0, seeds, -1 - np.arange(len(seeds)))
