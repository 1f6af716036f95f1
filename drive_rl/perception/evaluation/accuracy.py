"""What a perception model sees: every score that its heads and the labels of some pictures allow.

It knows models and labelled pictures. It knows nothing of where either came from, nor of tables or pages.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import Frames, labels_known
from drive_rl.perception.evaluation.head_metrics import (
    LaneMeasure,
    LinesMeasure,
    Measure,
    SegmentationMeasure,
    scene_measures,
)
from drive_rl.perception.evaluation.lane_benchmarks import Truths, lane_scores
from drive_rl.perception.models.perception_model import PerceptionModel
from drive_rl.run.storage.json_values import plain


def evaluate_accuracy(
    model: PerceptionModel,
    frames: Frames,
    batch: int = 32,
    truths: Truths | None = None,
    tiers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Score what `model`, in evaluation mode, tells of `frames`.

    Args:
        model: The model.
        frames: N pictures of the model's shape.
        batch: Pictures at a time.
        truths: Each picture's lanes as its data set has them, for the official scores (see `official.lane_scores`).
        tiers: Names of the road tiers that the scene head tells apart.

    Returns:
        `pictures`, and of each head that some label judges its scores: `lane`, `segmentation`, `lines`, `tier` and
        `weather` (see `measures`); `by_road`, for intervals: `roads`, the seeds, and `ratios`, score -> (P, R, 2) sums
        of numerators and denominators over each road's pictures (pictures of no known road stand alone). Ready for
        JSON: what is not a finite number is None.

    Raises:
        DriveRLError: no pictures, or of another shape than the model's.
    """
    _check(model, frames)
    measures = _measures(model, frames, tiers)
    device = next(model.parameters()).device
    for first in range(0, len(frames), batch):
        part = frames.take(slice(first, first + batch))
        with torch.inference_mode():
            seen = model(torch.as_tensor(part.images, device=device))
        told = {name: value.float().cpu().numpy() for name, value in seen.items()}
        for measure in measures.values():
            measure.add(told, part)
    found = {name: measure.scores() for name, measure in measures.items()}
    lines = measures.get("lines")
    if isinstance(lines, LinesMeasure):
        found["lines"] |= lane_scores(lines.found(), frames, truths)
    return plain({"pictures": len(frames), **found, "by_road": _by_road(measures, frames.seeds)})


def _measures(model: PerceptionModel, frames: Frames, tiers: tuple[str, ...]) -> dict[str, Measure]:
    known = labels_known(frames)
    told = [head for head in model.spec.heads if known[head]]
    measures: dict[str, Measure] = {}
    if "lane" in told:
        measures["lane"] = LaneMeasure()
    if "segmentation" in told:
        measures["segmentation"] = SegmentationMeasure()
    if "lines" in told:
        measures["lines"] = LinesMeasure()
    if "scene" in told:
        count = model.scene.tier.out_features
        measures |= scene_measures(tiers or tuple(f"tier {i}" for i in range(count)))
    return measures


def _check(model: PerceptionModel, frames: Frames) -> None:
    if not len(frames):
        raise DriveRLError("frames = 0: expected at least one picture to judge a model by")
    if frames.images.shape[1:] != model.shape:
        raise DriveRLError(
            f"pictures have shape {frames.images.shape[1:]}: the model takes (channels, height, width) = {model.shape}"
        )


def _by_road(measures: Mapping[str, Measure], seeds: NDArray[np.int64]) -> dict[str, Any]:
    """Return the counts of pictures summed over those of one road: they resemble each other, so they count as one."""
    group = np.where(seeds >= 0, seeds, -1 - np.arange(len(seeds)))
    roads, place = np.unique(group, return_inverse=True)
    ratios = {}
    for measure in measures.values():
        for name, each in measure.ratios().items():  # (P, N, 2)
            sums = np.zeros((len(each), len(roads), 2))
            for part, total in zip(each, sums, strict=True):
                np.add.at(total, place, part)
            ratios[name] = sums
    return {"roads": roads, "ratios": ratios}
