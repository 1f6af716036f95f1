"""Calibration against torchmetrics, torch and scipy on random data, and by hand."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from torchmetrics.functional.classification import multiclass_calibration_error

from drive_rl.errors import DriveRLError
from drive_rl.perception.scores.calibration import (
    LEVELS,
    expected_calibration_error,
    normal_scores,
    regression_calibration,
    reliability,
)


def test_class_calibration_is_that_of_torchmetrics_whatever_the_batches() -> None:
    rng = np.random.default_rng(4)
    logits = 2 * rng.normal(size=(40, 4, 5, 6))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = rng.integers(0, 4, (40, 5, 6))
    truth[rng.random(truth.shape) < 0.1] = 255
    parts = [reliability(probabilities[i], truth[i], ignore=255) for i in (slice(0, 25), slice(25, 40))]
    expected = multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(truth), num_classes=4, n_bins=15, norm="l1", ignore_index=255
    )
    assert expected_calibration_error(parts[0] + parts[1]) == pytest.approx(expected.item(), abs=1e-6)


def test_class_calibration_by_hand() -> None:
    # Two predictions of confidence 0.9, one right: gap 0.4 in their bin. Two of 0.6, both right: gap 0.4. One unknown.
    sure, unsure = [0.9, 0.1], [0.4, 0.6]
    table = reliability(np.array([sure, sure, unsure, unsure, sure]), np.array([0, 1, 1, 1, -1]), ignore=-1, bins=10)
    np.testing.assert_allclose(table[[5, 8]], [[2, 1.2, 2], [2, 1.8, 1]])  # a bin holds its upper edge
    assert table[:, 0].sum() == 4
    assert expected_calibration_error(table) == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)


def test_certain_and_right_is_calibrated_and_nothing_is_no_score() -> None:
    assert expected_calibration_error(reliability(np.eye(3), np.arange(3), ignore=-1)) == 0
    assert np.isnan(expected_calibration_error(reliability(np.eye(3), np.full(3, -1), ignore=-1)))


def test_logits_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(DriveRLError, match="softmax"):
        reliability(np.array([[3.0, -1.0]]), np.array([0]), ignore=-1)
    with pytest.raises(DriveRLError, match=r"expected \(B, K, \.\.\.\) and \(B, \.\.\.\)"):
        reliability(np.ones((2, 1)), np.array([0]), ignore=-1)


def test_regression_calibration_is_that_of_scipy_and_torch() -> None:
    rng = np.random.default_rng(6)
    mean, std = rng.normal(size=(500, 2)), rng.uniform(0.1, 2.0, (500, 2))
    truth = mean + std * rng.normal(0.2, [1.0, 1.7], (500, 2))
    truth[::7, 0] = np.nan
    ours = regression_calibration(mean, std, truth)
    for field in range(2):
        known = ~np.isnan(truth[:, field])
        m, s, y = mean[known, field], std[known, field], truth[known, field]
        observed = np.array([(ndtr((y - m) / s) <= level).mean() for level in LEVELS])
        np.testing.assert_allclose(ours.observed[:, field], observed)
        assert ours.error[field] == pytest.approx(np.abs(observed - LEVELS).mean())
        assert ours.squared_error[field] == pytest.approx(((observed - LEVELS) ** 2).sum())
        nll = torch.nn.GaussianNLLLoss(full=True, eps=0)(*(torch.tensor(a) for a in (m, y, s**2)))
        assert ours.nll[field] == pytest.approx(nll.item())
        assert ours.n[field] == known.sum()


def test_regression_calibration_by_hand() -> None:
    # All the truth far below the mean: every quantile has all of it below, the gaps are 0.95 to 0.05, their mean 1/2.
    far = regression_calibration(np.full((4, 1), 10.0), np.ones((4, 1)), np.zeros((4, 1)))
    assert far.error == pytest.approx([0.5])
    assert far.nll == pytest.approx([50 + np.log(2 * np.pi) / 2])
    fair = np.random.default_rng(7).normal(size=(20_000, 1))
    assert regression_calibration(np.zeros_like(fair), np.ones_like(fair), fair).error[0] < 0.01


def test_normal_scores_by_hand() -> None:
    """Deviation 2: 68 % lie within 1.989, 95 % within 3.920; a stated 0 is certainty, right or infinitely wrong."""
    found = normal_scores(np.zeros(6), np.array([2.0, 2, 2, 2, 0, 0]), np.array([1.98, -2.0, 3.9, -3.95, 0, 1e-9]))
    assert found.within_68.tolist() == [True, False, False, False, True, False]
    assert found.within_95.tolist() == [True, True, True, False, True, False]
    expected = [0.5 * (y / 2) ** 2 + np.log(2 * np.sqrt(2 * np.pi)) for y in (1.98, 2.0, 3.9, 3.95)]
    assert found.nll[:4] == pytest.approx(expected)
    assert found.nll[4:].tolist() == [-np.inf, np.inf]


def test_a_field_without_labels_has_no_score_and_a_bad_std_is_refused() -> None:
    one = np.ones((3, 1))
    nothing = regression_calibration(one, one, np.nan * one)
    assert nothing.n[0] == 0
    assert np.isnan([nothing.error[0], nothing.squared_error[0], nothing.nll[0]]).all()
    with pytest.raises(DriveRLError, match="std > 0"):
        regression_calibration(one, 0 * one, one)
    with pytest.raises(DriveRLError, match="expected one shape"):
        regression_calibration(one, one[:, 0], one)
