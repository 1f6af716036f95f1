"""Robustness: how much of a score is left on corrupted and on attacked pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.benchmark.exam.adapt import input_of
from drive_rl.benchmark.part import BATCH, Metric, Number, Part, Subject
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.evaluation.attacks import Loss
from drive_rl.perception.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from drive_rl.perception.evaluation.robustness import (
    AttackScores,
    AttackSetting,
    CorruptionScores,
    Progress,
    measure_attacks,
    measure_corruptions,
)
from drive_rl.perception.heads.head import Arrays, Labels
from drive_rl.perception.heads.measures import LinesMeasure, SegmentationMeasure
from drive_rl.perception.models.load import Trained

NAME = "robustness"
OFFSET_WITHIN_M, HEADING_WITHIN_RAD = 0.2, 0.035
"""A lane state is right within a fifth of a metre and two degrees: what keeps a car well inside its lane."""


@dataclass(frozen=True)
class RobustnessSetting:
    """Which corruptions and attacks, on how many pictures."""

    pictures: int = 200
    severities: tuple[int, ...] = SEVERITIES
    epsilons_px: tuple[float, ...] = (0.5, 1, 2, 4, 8)
    pgd_steps: int = 10
    seed: int = 0


@dataclass(frozen=True)
class ScoreRobustness:
    """How much of one score is left."""

    corruptions: CorruptionScores
    attacks: AttackScores | None
    """None: the model has no gradients."""


@dataclass(frozen=True)
class Robustness:
    """The robustness of each score that the model's heads and the labels allow."""

    ego_lane_iou: ScoreRobustness | None = None
    """Pooled over the pictures."""
    lane_within: ScoreRobustness | None = None
    """Share of pictures whose predicted offset and heading lie within OFFSET_WITHIN_M and HEADING_WITHIN_RAD."""
    lines_f1: ScoreRobustness | None = None
    """F1 of painted lines at the anchor rows, pooled over the pictures."""


class _LaneWithin:
    """Counts lane states whose offset and heading are right."""

    def __init__(self) -> None:
        self._right: list[NDArray[np.bool_]] = []

    def add(self, predictions: Arrays, samples: Samples) -> None:
        """Count a batch of pictures."""
        error = np.abs(predictions["lane"] - samples.lane)[:, :2]  # offset, heading
        error = error[np.isfinite(samples.lane[:, :2]).all(axis=1)]
        self._right.append(np.all(error <= [OFFSET_WITHIN_M, HEADING_WITHIN_RAD], axis=1))

    def scores(self) -> float:
        """Return their share; NaN without labels."""
        right = np.concatenate(self._right)
        return float(np.mean(right)) if len(right) else float("nan")


class _Score(NamedTuple):
    """A score, the head that it needs, the loss that attacks raise, and how it is counted."""

    head: str
    loss: str
    measure: Callable[[], Any]
    value: Callable[[Any], float]
    """Of the measure's scores."""


_SCORES = {
    "ego_lane_iou": _Score("segmentation", "classes", SegmentationMeasure, lambda it: float(it.ego_lane_iou)),
    "lane_within": _Score("lane", "lane", _LaneWithin, lambda it: it),
    "lines_f1": _Score("lines", "lines", LinesMeasure, lambda it: float(it.f1)),
}


def measure(subject: Subject, setting: RobustnessSetting) -> Robustness:
    """Score corrupted and attacked pictures.

    Raises:
        DriveRLError: the model has no segmentation, lane or lines head, or the pictures have no such label.
    """
    pictures = subject.pictures(setting.pictures)
    known = {name for name, head in subject.trained.model.heads.items() if head.known(pictures.samples)}
    names = [name for name, score in _SCORES.items() if score.head in known]
    if not names:
        raise DriveRLError(
            "robustness needs masks, lines or the lane state, which the model does not predict or the labels do not"
            " hold; fix: a model with such a head, and pictures with such labels"
        )
    trained, fit = subject.trained, input_of(pictures.camera, subject.trained.spec.world.camera)
    corruptions = 1 + len(CORRUPTIONS) * len(setting.severities)
    attackable = "attacks" not in trained.model.not_made_for
    each = attackable * (1 + 2 * len(setting.epsilons_px))
    steps = corruptions + each * len(names)

    corrupted = measure_corruptions(
        lambda taken: _scores(trained, names, fit(taken), pictures.samples),
        pictures.taken,
        setting.severities,
        setting.seed,
        pictures.camera.planes,
        subject.corrupted,
        _from(subject.progress, 0, steps),
    )
    attacked = {
        name: _attack(trained, pictures.samples, name, setting, _from(subject.progress, corruptions + i * each, steps))
        for i, name in enumerate(names if attackable else ())
    }
    return Robustness(**{name: ScoreRobustness(corrupted[name], attacked.get(name)) for name in names})


def _attack(
    trained: Trained, samples: Samples, name: str, setting: RobustnessSetting, progress: Progress
) -> AttackScores:
    score = _SCORES[name]

    def loss_of(part: slice) -> Loss:
        labels = Labels(samples.take(part), torch.device("cpu"))
        head = trained.model.heads[score.head]
        return lambda outputs: head.losses(dict(outputs), labels, "l1")[score.loss]

    return measure_attacks(
        trained.model,
        samples.images,
        loss_of,
        lambda images: _scores(trained, [name], images, samples)[name],
        AttackSetting(setting.epsilons_px, setting.pgd_steps, setting.seed, BATCH),
        progress,
    )


def _from(progress: Progress, before: int, total: int) -> Progress:
    """Return the progress of one of several measurements."""
    return lambda done, _, what: progress(before + done, total, what)


def _scores(trained: Trained, names: Sequence[str], images: NDArray[Any], samples: Samples) -> dict[str, float]:
    """Return some scores of a model on pictures, from one prediction."""
    measures = {name: _SCORES[name].measure() for name in names}
    for first in range(0, len(images), BATCH):
        part = slice(first, first + BATCH)
        with torch.inference_mode():
            outputs = trained.model(torch.as_tensor(images[part]))
        predictions, labelled = {name: value.numpy() for name, value in outputs.items()}, samples.take(part)
        for measure in measures.values():
            measure.add(predictions, labelled)
    return {name: _SCORES[name].value(measure.scores()) for name, measure in measures.items()}


def _metrics(
    name: str, label: str, of: Callable[[Robustness], ScoreRobustness | None]
) -> dict[str, Metric[Robustness]]:
    def metric(what: str, value: Callable[[CorruptionScores], Number | None]) -> Metric[Robustness]:
        return Metric(NAME, f"{label}, {what}", "", 1, lambda it: (found := of(it)) and value(found.corruptions))

    return {
        f"{name}_corrupted": metric("mean over corruptions", lambda it: it.mean_corrupted),
        f"{name}_relative": metric("corrupted / clean", lambda it: it.relative),
    }


PART = Part(
    name=NAME,
    title="Robustness",
    full=RobustnessSetting(),
    reduced=RobustnessSetting(pictures=32, severities=(3,), epsilons_px=(1, 4), pgd_steps=5),
    result=Robustness,
    measure=measure,
    metrics={
        **_metrics("ego_lane_iou", "ego-lane IoU", lambda it: it.ego_lane_iou),
        **_metrics("lane_within", "lane within 0.2 m and 2°", lambda it: it.lane_within),
        **_metrics("lines_f1", "lines F1", lambda it: it.lines_f1),
    },
    columns=(
        *("ego_lane_iou_corrupted", "ego_lane_iou_relative", "lane_within_corrupted", "lane_within_relative"),
        *("lines_f1_corrupted", "lines_f1_relative"),
    ),
)
