"""Scene classes: accuracy, macro precision, recall and F1 (every class that occurs weighs the same)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.scores.confusion import (
    ClassScores,
    Ints,
    accuracy,
    class_scores,
    confusion,
    mean_over_classes,
)

UNKNOWN = -1  # the class of a picture that nobody labelled


class ClassificationScores(NamedTuple):
    """Scores of a confusion matrix; means over the classes that occur."""

    accuracy: float
    precision: float
    recall: float
    f1: float  # mean of the classes' F1, not the F1 of the means
    n: int  # labelled pictures
    classes: ClassScores


def scene_confusion(predicted: Ints, truth: Ints, classes: int) -> NDArray[np.int64]:
    """(K, K) of class indices (B,), row the true class; -1 in the truth is left out. Add them up over batches."""
    return confusion(predicted, truth, classes, ignore=UNKNOWN)


def classification_scores(matrix: Ints) -> ClassificationScores:
    """Scores of the data set whose `scene_confusion`s were added to `matrix` (K, K)."""
    each = class_scores(matrix)
    precision, recall, f1 = (mean_over_classes(values) for values in (each.precision, each.recall, each.f1))
    return ClassificationScores(accuracy(matrix), precision, recall, f1, int(matrix.sum()), each)
