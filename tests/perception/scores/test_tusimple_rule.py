"""The TuSimple rule against the outputs of the original evaluator (the golden file's note says how they were made)."""

import json
from pathlib import Path
from typing import Any

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.perception.scores.tusimple import mean_score, score_picture

GOLDEN = json.loads((Path(__file__).parent / "golden_tusimple.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["cases"]}


def score(case: dict[str, Any]):
    return score_picture(case["predicted"], case["truth"], GOLDEN["h_samples"], case["run_time_ms"])


@pytest.mark.parametrize("name", CASES)
def test_a_picture_scores_as_the_original_says(name: str) -> None:
    case = CASES[name]
    assert score(case) == pytest.approx((case["accuracy"], case["fp"], case["fn"]), abs=2e-6)


def test_a_data_set_scores_as_the_original_says() -> None:
    whole = mean_score(score(case) for case in GOLDEN["cases"])
    assert whole._asdict() == pytest.approx(GOLDEN["data_set"], abs=2e-6)


def test_a_lane_of_another_number_of_rows_is_named() -> None:
    with pytest.raises(DriveRLError, match="predicted lane 1 has 2 columns: expected 3"):
        score_picture([[1, 2, 3], [1, 2]], [], [0, 10, 20])


def test_no_picture_is_no_score() -> None:
    assert mean_score([]) == pytest.approx((float("nan"),) * 3, nan_ok=True)
