"""Counting classes: the confusion matrix, and what follows from it for each class. It knows no class by name.

Matrices add up: pool a data set by adding those of its batches, and score the sum.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]


class ClassScores(NamedTuple):
    """Per class, each (K,); NaN for a class that is neither in the truth nor predicted."""

    precision: Floats  # tp / predicted; 0 for a class that was never predicted
    recall: Floats  # tp / true; 0 for a class that is never true
    f1: Floats  # 2 tp / (predicted + true)
    iou: Floats  # tp / (predicted or true)
    n: NDArray[np.int64]  # how often the class is true


def confusion(predicted: Ints, truth: Ints, classes: int, *, ignore: int) -> NDArray[np.int64]:
    """(K, K) counts: row the true class, column the predicted one; places whose truth is `ignore` are left out.

    predicted, truth: class indices of the same shape, whatever it is. Raises DriveRLError for another shape or an
    index that is not a class.
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.shape != truth.shape:
        raise DriveRLError(f"predicted classes have shape {predicted.shape}, the true ones {truth.shape}: expected one")
    known = truth != ignore
    found, wanted = predicted[known].astype(np.int64), truth[known].astype(np.int64)
    for whose, indices in (("predicted", found), ("true", wanted)):
        strange = indices[(indices < 0) | (indices >= classes)]
        if len(strange):
            unknown = f", or {ignore} for unknown" if whose == "true" else ""
            raise DriveRLError(f"{whose} class = {strange[0]}: expected 0 to {classes - 1}{unknown}")
    return np.bincount(wanted * classes + found, minlength=classes * classes).reshape(classes, classes)


def class_scores(matrix: Ints) -> ClassScores:
    """Precision, recall, F1 and IoU of each class of a confusion matrix (K, K).

    An undefined precision or recall of a class that does occur is 0, as in scikit-learn and torchmetrics.
    """
    hit, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    either = true + predicted - hit
    occurs = np.where(either > 0, 1.0, np.nan)
    precision, recall, iou = (hit / np.maximum(whole, 1) * occurs for whole in (predicted, true, either))
    f1 = 2 * hit / np.maximum(true + predicted, 1) * occurs
    return ClassScores(precision, recall, f1, iou, true.astype(np.int64))


def accuracy(matrix: Ints) -> float:
    """Share of places whose class is right; NaN if none was counted."""
    total = int(matrix.sum())
    return float(np.trace(matrix) / total) if total else float("nan")


def mean_over_classes(values: Floats) -> float:
    """Mean (K,) -> 1 over the classes that occur: every class weighs the same; NaN if none does."""
    occurring = values[~np.isnan(values)]
    return float(occurring.mean()) if len(occurring) else float("nan")
