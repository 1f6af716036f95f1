"""Numbers by name: found in results, held against floors, and written as CSV."""

import csv
import io

import pytest

from drive_rl.benchmark.metrics import METRICS, Floor, as_csv, metrics_of, missed_floors, parse_floor
from drive_rl.errors import DriveRLError

PARTS = {
    "sees": {"lane": {"offset_m": {"mae": 0.04, "nll": None}}, "segmentation": {"ego_lane_iou": 0.96}},
    "fast": {"parameters": 1000, "runtimes": {"onnx": {"error": "no"}}},
    "robust": {"error": "a part that failed"},
}


def test_numbers_are_found_and_what_is_missing_is_not():
    assert metrics_of(PARTS) == {"offset_mae_m": 0.04, "ego_lane_iou": 0.96, "parameters": 1000}
    assert metrics_of({}) == {}


def test_names_in_the_unit_of_their_value():
    """A name that ends in a unit agrees with the unit told."""
    for name, metric in METRICS.items():
        for suffix, unit in {"_m": "m", "_deg": "deg", "_rad": "rad", "_ms": "ms", "_px": "px"}.items():
            assert not name.endswith(suffix) or metric.unit in (unit, "1/m"), name


def test_floors_are_read():
    assert parse_floor("ego_lane_iou>=0.9") == Floor("ego_lane_iou", True, 0.9)
    assert parse_floor(" onnx_p99_ms <= 3 ") == Floor("onnx_p99_ms", False, 3.0)
    assert str(parse_floor("onnx_p99_ms <= 3")) == "onnx_p99_ms<=3"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ego_lane_iou>0.9", "expected METRIC>=NUMBER"),
        ("ego_lane_iou", "expected METRIC>=NUMBER"),
        ("ego_iou>=0.9", "did you mean 'ego_lane_iou'"),
        ("ego_lane_iou>=high", "'high' is no number"),
        ("ego_lane_iou>=nan", "no number"),
    ],
)
def test_floors_that_are_none(text, part):
    with pytest.raises(DriveRLError, match=part):
        parse_floor(text)


def test_what_misses_a_floor():
    models = [
        {"name": "good", "metrics": {"ego_lane_iou": 0.95, "onnx_p99_ms": 3.0}},
        {"name": "poor", "metrics": {"ego_lane_iou": 0.5}},
    ]
    floors = [parse_floor("ego_lane_iou>=0.95"), parse_floor("onnx_p99_ms<=3")]
    assert missed_floors(models, floors) == [
        "poor: ego_lane_iou = 0.5: ego_lane_iou>=0.95 is asked for",
        "poor: onnx_p99_ms was not measured: onnx_p99_ms<=3 is asked for",
    ]


def test_the_table_has_a_column_for_every_number():
    models = [
        {"name": "a, b", "metrics": {"miou": 0.5}, "errors": {}},
        {"name": "c", "metrics": {}, "errors": {"sees": "no such file", "drives": "no lane head"}},
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(models))))
    assert [row["model"] for row in rows] == ["a, b", "c"]
    assert (rows[0]["miou"], rows[0]["success"]) == ("0.5", "")
    assert rows[1]["errors"] == "sees: no such file; drives: no lane head"
    assert set(METRICS) < set(rows[0])
