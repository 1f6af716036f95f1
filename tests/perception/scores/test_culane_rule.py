"""The CULane rule against the outputs of the original evaluator (the golden file's note says how they were made).

Covers culane and matching.
"""

import json
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from drive_rl.errors import DriveRLError
from drive_rl.perception.scores.culane import LaneCounts, count_lanes, lane_iou, spline

GOLDEN = json.loads((Path(__file__).parent / "golden_culane.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["cases"]}


def count(case: dict[str, Any]) -> LaneCounts:
    size = case["width"], case["height"]
    return count_lanes(case["predicted"], case["truth"], *size, case["iou_threshold"], case["line_width"])


def as_original(counts: LaneCounts) -> tuple[float, float, float | None]:
    """Precision, recall and F1 as the original prints them: -1 where undefined, F1 from those two."""
    precision = -1.0 if isnan(counts.precision) else counts.precision
    recall = -1.0 if isnan(counts.recall) else counts.recall
    f1 = None if precision + recall == 0 else 2 * precision * recall / (precision + recall)
    return precision, recall, f1


@pytest.mark.parametrize("name", CASES)
def test_a_picture_counts_as_the_original_says(name: str) -> None:
    case = CASES[name]
    counts = count(case)
    assert (counts.tp, counts.fp, counts.fn) == (case["tp"], case["fp"], case["fn"])
    assert as_original(counts) == pytest.approx((case["precision"], case["recall"], case["f1"]), abs=2e-6)
    if counts.tp:
        assert counts.f1 == pytest.approx(case["f1"], abs=2e-6)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["truth"] and case["predicted"]])
def test_lanes_overlap_as_the_original_says(name: str) -> None:
    case = CASES[name]
    iou = lane_iou(case["predicted"], case["truth"], case["width"], case["height"], case["line_width"])
    np.testing.assert_allclose(iou, np.array(case["iou"], dtype=float), atol=2e-6)


def test_a_data_set_scores_as_the_original_says() -> None:
    golden = GOLDEN["data_set"]
    whole = sum((count(GOLDEN["cases"][index]) for index in golden["cases"]), LaneCounts())
    assert (whole.tp, whole.fp, whole.fn) == (golden["tp"], golden["fp"], golden["fn"])
    expected = golden["precision"], golden["recall"], golden["f1"]
    assert (whole.precision, whole.recall, whole.f1) == pytest.approx(expected, abs=2e-6)


def test_nothing_found_is_an_f1_of_0_and_nothing_at_all_is_undefined() -> None:
    assert LaneCounts(0, 3, 2).f1 == 0
    assert isnan(LaneCounts().f1)


def test_the_spline_is_the_natural_cubic_spline() -> None:
    points = np.array([(100, 500), (180, 420), (210, 300), (400, 260), (390, 200)], dtype=np.float32)
    chord = np.append(0, np.cumsum(np.linalg.norm(np.diff(points.astype(float), axis=0), axis=1)))
    at = np.append(np.linspace(chord[:-1], chord[1:], 50, endpoint=False).T.ravel(), chord[-1])
    np.testing.assert_allclose(spline(points), CubicSpline(chord, points, bc_type="natural")(at), rtol=1e-6)


def test_a_repeated_point_changes_nothing() -> None:
    lane = [(100, 500), (180, 420), (210, 300), (400, 260)]
    assert lane_iou([lane], [[*lane[:2], *lane[1:], lane[-1]]]) == 1
    assert lane_iou([[lane[0]] * 3], [[lane[0]] * 2]) == 1  # a dot


@pytest.mark.parametrize("lane", [[(1, 2), (3, float("nan"))], [(1, 2), (3, float("inf"))], [1, 2, 3]])
def test_a_lane_that_is_not_points_is_named(lane: list[Any]) -> None:
    with pytest.raises(DriveRLError, match=r"predicted lane 1: expected finite \(column, row\) points"):
        count_lanes([[(0, 0), (1, 1)], lane], [[(0, 0), (1, 1)]])


@pytest.mark.parametrize("far", [1e3, 1e6, 4e8])
def test_a_lane_may_end_far_beyond_the_picture(far: float) -> None:
    """The same line from (800, 590) to the right, two columns a row, however far it is drawn."""
    near, beyond = [(800, 590), (1800, 90)], [(800, 590), (800 + 2 * far, 590 - far)]
    assert lane_iou([beyond], [near])[0, 0] > 0.999
    assert lane_iou([[(-1e300, 300), (1e300, 300)]], [[(0, 300), (1640, 300)]])[0, 0] > 0.99


def test_a_lane_of_a_point_or_none_is_missed() -> None:
    """As the original: they overlap nothing, and count among the true lanes."""
    whole = [(100, 590), (700, 300)]
    assert count_lanes([whole], [whole, [(900, 400)], np.empty((0, 2))]) == LaneCounts(tp=1, fp=0, fn=2)
