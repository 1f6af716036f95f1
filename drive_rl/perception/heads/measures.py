"""Counts over each head's predictions, batch by batch, and the scores that the counts add up to.

A measure keeps the counts of every picture apart, as ratios (numerator, denominator): a score of a data set is a ratio
of sums, and its interval comes from resampling the pictures. It knows outputs and labels as arrays. It knows no model,
no file and no table.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.samples import LANE_FIELDS, UNKNOWN_CLASS, UNKNOWN_SCENE, Samples
from drive_rl.perception.heads.head import Arrays, Ratios, Stated
from drive_rl.perception.heads.lane_benchmarks import CULaneResult, ScenarioResult, TuSimpleResult
from drive_rl.perception.scores.calibration import (
    BINS,
    expected_calibration_error,
    regression_calibration,
    reliability,
)
from drive_rl.perception.scores.classification import classification_scores, scene_confusion
from drive_rl.perception.scores.confusion import ClassScores
from drive_rl.perception.scores.lane_state import lane_errors
from drive_rl.perception.scores.segmentation import pixel_confusion, segmentation_scores
from drive_rl.sim.sensors.renderer import CLASSES, EGO_LANE


@dataclass(frozen=True)
class LaneScores:
    """Scores of one field of the lane state; a field in degrees repeats one in radians, without calibration."""

    mae: float
    """Mean absolute error, in the field's unit."""
    n: int
    """Labels."""
    calibration_error: float | None = None
    """See `scores.calibration`."""
    nll: float | None = None
    """Negative log likelihood [nat]."""


class LaneMeasure:
    """Lane state: mean absolute errors, and whether its standard deviations can be trusted."""

    def __init__(self) -> None:
        self._predicted: list[NDArray[np.float32]] = []
        self._std: list[NDArray[np.float32]] = []
        self._truth: list[NDArray[np.float32]] = []

    def add(self, predictions: Arrays, samples: Samples) -> None:
        """Count a batch of pictures."""
        self._predicted.append(predictions["lane"])
        self._std.append(predictions["lane_std"])
        self._truth.append(samples.lane)

    def scores(self) -> dict[str, LaneScores]:
        """Return the scores of each of LANE_FIELDS."""
        predicted, std, truth = (np.concatenate(parts) for parts in (self._predicted, self._std, self._truth))
        calibration = _calibration(predicted, std, truth)
        errors = lane_errors(predicted, truth, LANE_FIELDS)
        return {name: LaneScores(*error, *calibration.get(name, ())) for name, error in errors.items()}

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        error = np.abs(np.concatenate(self._predicted).astype(np.float64) - np.concatenate(self._truth))  # (N, 6)
        known = np.isfinite(error)
        each = np.stack([np.where(known, error, 0), known], axis=2)  # (N, 6, 2)
        names = {"offset_mae_m": 0, "heading_mae_deg": 1, "curvature_mae_per_m": 2}
        found = {name: each[None, :, field] for name, field in names.items()}
        found["heading_mae_deg"] = found["heading_mae_deg"] * [np.degrees(1.0), 1.0]
        return found

    def stated(self) -> dict[str, Stated]:
        """Return the offset and the heading error with their deviations, where the model states them."""
        parts = Stated(*(np.concatenate(each) for each in (self._predicted, self._std, self._truth)))
        found = {name: Stated(*(each[:, i, None] for each in parts)) for i, name in enumerate(LANE_FIELDS[:2])}
        return {name: each for name, each in found.items() if np.isfinite(each.std).all()}


def _calibration(
    predicted: NDArray[np.float32], std: NDArray[np.float32], truth: NDArray[np.float32]
) -> dict[str, tuple[float, float]]:
    """Return calibration error and NLL of the fields whose deviations the model predicts, and above 0."""
    fields = np.flatnonzero((std > 0).all(axis=0))
    if not len(fields):
        return {}
    fit = regression_calibration(*(each[:, fields] for each in (predicted, std, truth)))
    return {LANE_FIELDS[field]: (fit.error[i], fit.nll[i]) for i, field in enumerate(fields)}


class ClassRow(NamedTuple):
    """Scores of one class; NaN where it is neither in the truth nor predicted."""

    precision: float
    recall: float
    f1: float
    iou: float
    n: int  # how often the class is true


class SegmentationResult(NamedTuple):
    """Scores of masks, pooled over all pictures."""

    miou: float
    pixel_accuracy: float
    ego_lane_iou: float
    ece: float  # expected calibration error
    classes: dict[str, ClassRow]
    confusion: NDArray[np.int64]  # (5, 5), row: truth


class SegmentationMeasure:
    """Masks: the pooled confusion matrix and what follows from it."""

    def __init__(self) -> None:
        self._each: list[NDArray[np.int64]] = []  # (5, 5) of each picture
        self._reliability = np.zeros((BINS, 3))

    def add(self, predictions: Arrays, samples: Samples) -> None:
        """Count a batch of pictures."""
        logits = predictions["classes"]
        for guess, truth in zip(logits.argmax(axis=1), samples.classes, strict=True):
            self._each.append(pixel_confusion(guess, truth, len(CLASSES)))
        self._reliability += reliability(softmax(logits), samples.classes, ignore=UNKNOWN_CLASS)

    def scores(self) -> SegmentationResult:
        """Return the scores of all pictures."""
        matrix = np.sum(self._each, axis=0)
        pooled = segmentation_scores(matrix)
        return SegmentationResult(
            miou=pooled.miou,
            pixel_accuracy=pooled.pixel_accuracy,
            ego_lane_iou=float(pooled.classes.iou[EGO_LANE]),
            ece=expected_calibration_error(self._reliability),
            classes=_by_class(pooled.classes, CLASSES),
            confusion=matrix,
        )

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        each = np.stack(self._each)  # (N, 5, 5)
        hit = np.diagonal(each, axis1=1, axis2=2)  # (N, 5)
        either = each.sum(axis=1) + each.sum(axis=2) - hit
        iou = np.stack([hit, either], axis=2).swapaxes(0, 1).astype(np.float64)  # (5, N, 2)
        occurs = iou[:, :, 1].sum(axis=1) > 0
        right = np.stack([hit.sum(axis=1), each.sum(axis=(1, 2))], axis=1).astype(np.float64)
        return {"miou": iou[occurs], "ego_lane_iou": iou[EGO_LANE][None], "pixel_accuracy": right[None]}


@dataclass(frozen=True)
class LinesScores:
    """Scores of painted lines, over their points at the anchor rows."""

    column_error_px: float  # where a line is
    precision: float  # of its being there; recall, f1 alike
    recall: float
    f1: float
    n: int  # labelled points
    tusimple: TuSimpleResult | None = None
    culane: CULaneResult | None = None
    culane_scenarios: dict[str, ScenarioResult] | None = None
    """Of each scenario of the data set, or condition; None: there is one alone."""


class LinesMeasure:
    """Painted lines: whether each is predicted where it meets an anchor row, and how far off its column is."""

    def __init__(self) -> None:
        self._lines: list[NDArray[np.float32]] = []  # (B, LINES, ROWS), NaN where the model predicts none
        self._each: list[NDArray[np.float64]] = []  # (B, 4): sum of errors [px]; true, both, predicted points
        self._std: list[NDArray[np.float32]] = []  # (B, LINES, ROWS)
        self._truth: list[NDArray[np.float32]] = []

    def add(self, predictions: Arrays, samples: Samples) -> None:
        """Count a batch of pictures."""
        there, truth = predictions["lines_there"] > 0, np.isfinite(samples.lines)
        self._lines.append(np.where(there, predictions["lines"], np.float32("nan")))
        apart = np.where(truth, np.abs(predictions["lines"] - samples.lines), 0) * samples.images.shape[3]
        counts = np.stack([apart, truth, there & truth, there], axis=3).sum(axis=(1, 2), dtype=np.float64)
        self._each.append(counts * samples.lined[:, None])
        self._std.append(predictions.get("lines_std", np.zeros_like(samples.lines)))
        self._truth.append(samples.lines)

    def predicted_lines(self) -> NDArray[np.float32]:
        """Return the predictions in the form of `Samples.lines`: (N, LINES, ROWS), NaN where there is no line."""
        return np.concatenate(self._lines)

    def stated(self) -> dict[str, Stated]:
        """Return the columns / width of points that are both predicted and true, if the model states deviations."""
        parts = [np.concatenate(each) for each in (self._lines, self._std, self._truth)]
        found = Stated(*(each.reshape(len(each), -1) for each in parts))
        return {"line_column": found} if found.std.any() else {}

    def scores(self) -> LinesScores:
        """Return the scores of all pictures."""
        apart, true, both, predicted = np.concatenate(self._each).sum(axis=0)
        return LinesScores(
            column_error_px=_share(apart, true),
            precision=_share(both, predicted),
            recall=_share(both, true),
            f1=_share(2 * both, true + predicted),
            n=int(true),
        )

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        apart, true, both, predicted = np.concatenate(self._each).T
        pairs = {"line_error_px": (apart, true), "lines_f1": (2 * both, true + predicted)}
        return {name: np.stack(pair, axis=1)[None] for name, pair in pairs.items()}


class SceneScores(NamedTuple):
    """Scores of the road's tier, or of the weather; precision, recall and F1 are means over classes."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    n: int  # labelled pictures
    ece: float  # expected calibration error
    classes: dict[str, ClassRow]
    confusion: NDArray[np.int64]  # (K, K), row: truth


class SceneMeasure:
    """The road's tier, or the weather."""

    def __init__(self, output: str, column: int, names: tuple[str, ...]) -> None:
        self._output, self._column, self._names = output, column, names
        self._each: list[NDArray[np.int64]] = []
        self._reliability = np.zeros((BINS, 3))

    def add(self, predictions: Arrays, samples: Samples) -> None:
        """Count a batch of pictures."""
        logits, truth = predictions[self._output], samples.scene[:, self._column]
        for guess, label in zip(logits.argmax(axis=1), truth, strict=True):
            self._each.append(scene_confusion(guess[None], label[None], len(self._names)))
        self._reliability += reliability(softmax(logits), truth, ignore=UNKNOWN_SCENE)

    def scores(self) -> SceneScores:
        """Return the scores of all pictures."""
        matrix = np.sum(self._each, axis=0)
        pooled = classification_scores(matrix)
        ece, classes = expected_calibration_error(self._reliability), _by_class(pooled.classes, self._names)
        return SceneScores(*pooled[:5], ece=ece, classes=classes, confusion=matrix)

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        each = np.stack(self._each)
        right = np.stack([np.trace(each, axis1=1, axis2=2), each.sum(axis=(1, 2))], axis=1).astype(np.float64)
        return {f"{self._output}_accuracy": right[None]}


def softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """(B, K, ...) logits -> probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _by_class(scores: ClassScores, names: tuple[str, ...]) -> dict[str, ClassRow]:
    return {name: ClassRow(*row) for name, row in zip(names, zip(*scores, strict=True), strict=True)}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
