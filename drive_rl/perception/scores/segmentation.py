"""Segmentation: IoU, precision, recall and F1 of each class, mIoU and pixel accuracy, pooled over the data set.

Pooled: the pixels of all pictures are counted first (Everingham et al. 2010, the PASCAL VOC rule), so that a picture
with three pixels of a class does not weigh as much as one with three thousand. It knows no class by name.
"""

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

UNKNOWN = 255  # the class of pixels that nobody labelled


class SegmentationScores(NamedTuple):
    """Scores of a pooled confusion matrix."""

    miou: float  # mean IoU over the classes that occur
    pixel_accuracy: float
    classes: ClassScores


def pixel_confusion(predicted: Ints, truth: Ints, classes: int) -> NDArray[np.int64]:
    """(K, K) of masks (..., H, W), row the true class; 255 in the truth is left out. Add them up over batches."""
    return confusion(predicted, truth, classes, ignore=UNKNOWN)


def segmentation_scores(matrix: Ints) -> SegmentationScores:
    """Scores of the data set whose `pixel_confusion`s were added to `matrix` (K, K)."""
    each = class_scores(matrix)
    return SegmentationScores(mean_over_classes(each.iou), accuracy(matrix), each)
