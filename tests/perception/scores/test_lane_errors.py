"""Errors of the regressed lane, by hand."""

import numpy as np
import pytest

from drive_rl.errors import DriveRLError
from drive_rl.perception.scores.lane_state import lane_errors

FIELDS = ("offset_m", "heading_error_rad", "curvature_0m")


def test_errors_by_hand_with_unknown_labels_left_out() -> None:
    truth = np.array([[1.0, 0.0, 0.01], [-1.0, np.nan, 0.02], [0.0, np.pi / 2, np.nan]], dtype=np.float32)
    guess = np.array([[1.5, np.pi / 4, 0.01], [0.0, 9.0, 0.04], [0.0, np.pi / 2, 9.0]], dtype=np.float32)
    errors = lane_errors(guess, truth, FIELDS)
    assert list(errors) == ["offset_m", "heading_error_rad", "heading_error_deg", "curvature_0m"]
    assert errors["offset_m"] == pytest.approx((0.5, 3))
    assert errors["heading_error_rad"] == pytest.approx((np.pi / 8, 2))
    assert errors["heading_error_deg"] == pytest.approx((22.5, 2))
    assert errors["curvature_0m"] == pytest.approx((0.01, 2))


def test_a_field_without_labels_has_no_error() -> None:
    errors = lane_errors(np.zeros((2, 3)), np.full((2, 3), np.nan), FIELDS)
    assert all(np.isnan(error.mae) and error.n == 0 for error in errors.values())


def test_other_shapes_are_refused() -> None:
    with pytest.raises(DriveRLError, match=r"expected both to be \(N, 3\)"):
        lane_errors(np.zeros((2, 2)), np.zeros((2, 2)), FIELDS)
