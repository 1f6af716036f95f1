"""Counted classes: against torchmetrics on random data, and by hand where conventions differ.

Covers confusion, segmentation and classification.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional import classification as reference

from drive_rl.errors import DriveRLError
from drive_rl.perception.scores.classification import classification_scores, scene_confusion
from drive_rl.perception.scores.segmentation import pixel_confusion, segmentation_scores

K = 5


@pytest.fixture
def masks() -> tuple[np.ndarray, np.ndarray]:
    """Six pairs of masks (6, 20, 30) that agree in about half of the pixels; class 4 occurs in neither."""
    rng = np.random.default_rng(4)
    truth = rng.choice([0, 1, 2, 3, 255], p=[0.5, 0.3, 0.05, 0.05, 0.1], size=(6, 20, 30)).astype(np.uint8)
    guess = np.where(rng.random(truth.shape) < 0.5, truth, rng.integers(0, 4, truth.shape))
    return np.where(guess == 255, 0, guess).astype(np.uint8), truth


def test_segmentation_is_that_of_torchmetrics_whatever_the_batches(masks: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = masks
    pooled = sum(pixel_confusion(predicted[i : i + 4], truth[i : i + 4], K) for i in (0, 4))
    scores = segmentation_scores(np.asarray(pooled))
    tensors = torch.tensor(predicted).long(), torch.tensor(truth).long()
    kwargs: dict[str, Any] = {"num_classes": K, "ignore_index": 255}
    np.testing.assert_array_equal(pooled, reference.multiclass_confusion_matrix(*tensors, **kwargs).numpy())
    assert scores.miou == pytest.approx(reference.multiclass_jaccard_index(*tensors, **kwargs).item(), abs=1e-6)
    micro = reference.multiclass_accuracy(*tensors, average="micro", **kwargs)
    assert scores.pixel_accuracy == pytest.approx(micro.item(), abs=1e-6)
    for ours, theirs in (
        (scores.classes.iou, reference.multiclass_jaccard_index),
        (scores.classes.precision, reference.multiclass_precision),
        (scores.classes.recall, reference.multiclass_recall),
        (scores.classes.f1, reference.multiclass_f1_score),
    ):
        expected = theirs(*tensors, average="none", **kwargs).numpy()
        np.testing.assert_allclose(np.nan_to_num(ours), expected, atol=1e-6)
        assert np.isnan(ours).tolist() == [False] * 4 + [True]


def test_miou_is_pooled_and_not_averaged_over_pictures() -> None:
    truth = np.array([[0, 0, 0, 1], [0, 0, 1, 1]])
    predicted = np.array([[0, 0, 0, 0], [0, 0, 1, 1]])
    scores = segmentation_scores(pixel_confusion(predicted, truth, 2))
    assert scores.classes.iou == pytest.approx([5 / 6, 2 / 3])
    assert scores.miou == pytest.approx(3 / 4)  # averaged over the two pictures: (0.375 + 1) / 2


def test_classification_is_that_of_torchmetrics() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(-1, 4, 200)  # class 4 is never true, but predicted
    predicted = np.where(rng.random(200) < 0.6, np.maximum(truth, 0), rng.integers(0, 5, 200))
    scores = classification_scores(scene_confusion(predicted, truth, K))
    tensors = torch.tensor(predicted), torch.tensor(truth)
    kwargs: dict[str, Any] = {"num_classes": K, "ignore_index": -1}
    expected = [reference.multiclass_accuracy(*tensors, average="micro", **kwargs).item()]
    for metric in (reference.multiclass_precision, reference.multiclass_recall, reference.multiclass_f1_score):
        expected.append(metric(*tensors, average="macro", **kwargs).item())
    assert scores[:4] == pytest.approx(expected, abs=1e-6)
    assert scores.n == (truth >= 0).sum()


def test_a_class_never_predicted_has_precision_0_and_an_absent_one_none() -> None:
    scores = classification_scores(scene_confusion(np.array([0, 0, 0, 2]), np.array([0, 0, 1, -1]), 3))
    assert scores.classes.precision == pytest.approx([2 / 3, 0, np.nan], nan_ok=True)
    assert scores.recall == pytest.approx(1 / 2)
    assert scores.f1 == pytest.approx((4 / 5 + 0) / 2)
    assert scores.accuracy == pytest.approx(2 / 3)


def test_without_labels_no_score() -> None:
    scores = classification_scores(scene_confusion(np.array([0, 1]), np.array([-1, -1]), 3))
    assert scores.n == 0
    assert np.isnan(scores[:4]).all()
    assert np.isnan(segmentation_scores(np.zeros((3, 3), dtype=np.int64)).miou)


def test_an_index_that_is_no_class_is_named() -> None:
    with pytest.raises(DriveRLError, match="true class = 7: expected 0 to 4"):
        pixel_confusion(np.zeros(3, np.uint8), np.array([0, 7, 255], np.uint8), K)
    with pytest.raises(DriveRLError, match="predicted class = 5"):
        pixel_confusion(np.array([5, 0, 0]), np.zeros(3, np.uint8), K)
    with pytest.raises(DriveRLError, match=r"shape \(3,\)"):
        pixel_confusion(np.zeros(3, np.uint8), np.zeros((3, 1), np.uint8), K)
