"""What is counted of each head's answers, batch by batch, and what the counts add up to.

A measure keeps the counts of every picture apart, as ratios (numerator, denominator), because a score of a data set is
a ratio of sums, and whoever wants its interval resamples the pictures. It knows outputs and labels as arrays. It knows
no model, no file and no table.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.samples import LANE_FIELDS, UNKNOWN_CLASS, UNKNOWN_SCENE, WEATHER, Frames
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

Predictions = Mapping[str, NDArray[Any]]
"""What a model tells of B pictures: `model.Predictions` as arrays."""
Ratios = dict[str, NDArray[np.float64]]
"""Score name -> (P, N, 2): numerator and denominator of each of N pictures; a score is the mean of its P ratios."""


class Measure(Protocol):
    """Counts what one head tells."""

    def add(self, told: Predictions, frames: Frames) -> None:
        """Count a batch of pictures."""
        ...

    def scores(self) -> dict[str, Any]:
        """Return the scores of all pictures."""
        ...

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        ...


class LaneMeasure:
    """Lane state: mean absolute errors, and whether its deviations can be trusted."""

    def __init__(self) -> None:
        self._told: list[NDArray[np.float32]] = []
        self._std: list[NDArray[np.float32]] = []
        self._truth: list[NDArray[np.float32]] = []

    def add(self, told: Predictions, frames: Frames) -> None:
        """Count a batch of pictures."""
        self._told.append(told["lane"])
        self._std.append(told["lane_std"])
        self._truth.append(frames.lane)

    def scores(self) -> dict[str, Any]:
        """Return `mae` and `n` of each field, its `calibration_error` and `nll` (scores.calibration)."""
        told, std, truth = (np.concatenate(parts) for parts in (self._told, self._std, self._truth))
        errors = {name: error._asdict() for name, error in lane_errors(told, truth, LANE_FIELDS).items()}
        found = regression_calibration(told, std, truth)
        for i, name in enumerate(LANE_FIELDS):
            errors[name] |= {"calibration_error": found.error[i], "nll": found.nll[i]}
        return errors

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        error = np.abs(np.concatenate(self._told).astype(np.float64) - np.concatenate(self._truth))  # (N, 6)
        known = np.isfinite(error)
        each = np.stack([np.where(known, error, 0), known], axis=2)  # (N, 6, 2)
        names = {"offset_mae_m": 0, "heading_mae_deg": 1, "curvature_mae_per_m": 2}
        found = {name: each[None, :, field] for name, field in names.items()}
        found["heading_mae_deg"] = found["heading_mae_deg"] * [np.degrees(1.0), 1.0]
        return found


class SegmentationMeasure:
    """Masks: the pooled confusion matrix and what follows from it."""

    def __init__(self) -> None:
        self._each: list[NDArray[np.int64]] = []  # (5, 5) of each picture
        self._reliability = np.zeros((BINS, 3))

    def add(self, told: Predictions, frames: Frames) -> None:
        """Count a batch of pictures."""
        logits = told["classes"]
        for guess, truth in zip(logits.argmax(axis=1), frames.classes, strict=True):
            self._each.append(pixel_confusion(guess, truth, len(CLASSES)))
        self._reliability += reliability(softmax(logits), frames.classes, ignore=UNKNOWN_CLASS)

    def scores(self) -> dict[str, Any]:
        """Return `miou`, `pixel_accuracy`, `ego_lane_iou`, `classes`, `confusion` (row: truth) and `ece`."""
        matrix = np.sum(self._each, axis=0)
        found = segmentation_scores(matrix)
        return {
            "miou": found.miou,
            "pixel_accuracy": found.pixel_accuracy,
            "ego_lane_iou": found.classes.iou[EGO_LANE],
            "ece": expected_calibration_error(self._reliability),
            "classes": _by_class(found.classes, CLASSES),
            "confusion": matrix,
        }

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        each = np.stack(self._each)  # (N, 5, 5)
        hit = np.diagonal(each, axis1=1, axis2=2)  # (N, 5)
        either = each.sum(axis=1) + each.sum(axis=2) - hit
        iou = np.stack([hit, either], axis=2).swapaxes(0, 1).astype(np.float64)  # (5, N, 2)
        occurs = iou[:, :, 1].sum(axis=1) > 0
        right = np.stack([hit.sum(axis=1), each.sum(axis=(1, 2))], axis=1).astype(np.float64)
        return {"miou": iou[occurs], "ego_lane_iou": iou[EGO_LANE][None], "pixel_accuracy": right[None]}


class LinesMeasure:
    """Painted lines: whether each is told where it meets an anchor row, and how far beside."""

    def __init__(self) -> None:
        self._found: list[NDArray[np.float32]] = []  # (B, LINES, ROWS), NaN where the model tells none
        self._each: list[NDArray[np.float64]] = []  # (B, 4): sum of errors [px]; true, both, told points

    def add(self, told: Predictions, frames: Frames) -> None:
        """Count a batch of pictures."""
        there, truth = told["lines_there"] > 0, np.isfinite(frames.lines)
        self._found.append(np.where(there, told["lines"], np.float32("nan")))
        apart = np.where(truth, np.abs(told["lines"] - frames.lines), 0) * frames.images.shape[3]
        counts = np.stack([apart, truth, there & truth, there], axis=3).sum(axis=(1, 2), dtype=np.float64)
        self._each.append(counts * frames.lined[:, None])

    def found(self) -> NDArray[np.float32]:
        """Return what the model tells as `Frames.lines` tells the truth: (N, LINES, ROWS), NaN where none."""
        return np.concatenate(self._found)

    def scores(self) -> dict[str, Any]:
        """Return `column_error_px` where a line is, and `precision`, `recall`, `f1` and `n` of its being there."""
        apart, true, both, told = np.concatenate(self._each).sum(axis=0)
        return {
            "column_error_px": _share(apart, true),
            "precision": _share(both, told),
            "recall": _share(both, true),
            "f1": _share(2 * both, true + told),
            "n": int(true),
        }

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        apart, true, both, told = np.concatenate(self._each).T
        pairs = {"line_error_px": (apart, true), "lines_f1": (2 * both, true + told)}
        return {name: np.stack(pair, axis=1)[None] for name, pair in pairs.items()}


class SceneMeasure:
    """The road's tier, or the weather."""

    def __init__(self, output: str, column: int, names: tuple[str, ...]) -> None:
        self._output, self._column, self._names = output, column, names
        self._each: list[NDArray[np.int64]] = []
        self._reliability = np.zeros((BINS, 3))

    def add(self, told: Predictions, frames: Frames) -> None:
        """Count a batch of pictures."""
        logits, truth = told[self._output], frames.scene[:, self._column]
        for guess, label in zip(logits.argmax(axis=1), truth, strict=True):
            self._each.append(scene_confusion(guess[None], label[None], len(self._names)))
        self._reliability += reliability(softmax(logits), truth, ignore=UNKNOWN_SCENE)

    def scores(self) -> dict[str, Any]:
        """Return `accuracy`, macro `precision`, `recall` and `f1`, `ece`, `classes`, `confusion` (row: truth), `n`."""
        matrix = np.sum(self._each, axis=0)
        found = classification_scores(matrix)
        means = {name: getattr(found, name) for name in ("accuracy", "precision", "recall", "f1", "n")}
        ece = expected_calibration_error(self._reliability)
        return {**means, "ece": ece, "classes": _by_class(found.classes, self._names), "confusion": matrix}

    def ratios(self) -> Ratios:
        """Return the counts of each picture."""
        each = np.stack(self._each)
        right = np.stack([np.trace(each, axis1=1, axis2=2), each.sum(axis=(1, 2))], axis=1).astype(np.float64)
        return {f"{self._output}_accuracy": right[None]}


def scene_measures(tiers: tuple[str, ...]) -> dict[str, SceneMeasure]:
    """Return a measure of each of the scene head's two answers."""
    return {"tier": SceneMeasure("tier", 0, tiers), "weather": SceneMeasure("weather", 1, WEATHER)}


def softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """(B, K, ...) logits -> probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _by_class(scores: ClassScores, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    columns = scores._asdict()
    return {name: {score: values[i] for score, values in columns.items()} for i, name in enumerate(names)}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
