"""Numbers by name: taken from the results of parts, added by users, and written as CSV."""

import pytest

from drive_rl.benchmark.closed_loop import Driven
from drive_rl.benchmark.metrics import METRICS, TABLES, add_metric, metrics_of, more_columns, predictors
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.parts.closed_loop import ClosedLoop, ConditionDriven
from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.accuracy import Accuracy
from drive_rl.perception.evaluation.latency import Latency, RuntimeLatency
from drive_rl.perception.heads.measures import LaneScores

NAN = float("nan")
DRIVEN = Driven(0.9, 0.95, 1.0, 0.3, 0.5)


def test_numbers_are_found_and_missing_ones_are_left_out():
    lane = {"offset_m": LaneScores(0.04, 3, 0.1, NAN), "heading_error_rad": LaneScores(NAN, 0)}
    lane |= {"heading_error_deg": LaneScores(NAN, 0), "curvature_0m": LaneScores(NAN, 0)}
    latency = Latency(1, 1000, 5, {"onnx": RuntimeLatency(error="no")})
    assert metrics_of([("accuracy", Accuracy(3, lane=lane)), ("latency", latency)]).values == {
        "offset_mae_m": 0.04,
        "offset_calibration_error": 0.1,
        "parameters": 1000,
        "macs": 5,
    }
    assert metrics_of([]) == ({}, {})


def test_units_agree_with_names():
    for name, metric in METRICS.items():
        for suffix, unit in {"_m": "m", "_deg": "deg", "_rad": "rad", "_ms": "ms", "_px": "px"}.items():
            assert not name.endswith(suffix) or metric.unit in (unit, "1/m"), name


def test_tables_show_metrics_of_their_own_part():
    for name, part in PARTS.items():
        assert {metric.part for metric in part.metrics.values()} <= {name}
        assert {*part.columns, *part.more} <= part.metrics.keys()
        assert bool(part.metrics) == (name in TABLES)


def test_predictors_are_known_without_driving():
    assert {"miou", "lane_within_corrupted"} <= set(predictors())
    assert not {"driving_score", "onnx_p50_ms", "heading_mae_rad"} & set(predictors())


def test_a_user_adds_a_metric(monkeypatch):
    monkeypatch.setattr("drive_rl.benchmark.metrics.METRICS", dict(METRICS))

    @add_metric("straying_m", "closed_loop", unit="m", better=-1)
    def straying(it: ClosedLoop) -> float:
        return it.clean.worst_max_offset_m - it.clean.mean_max_offset_m

    drive = ClosedLoop(
        4, 4, 0.0, "eager", DRIVEN, 3, {}, None, (), None, {"clear": ConditionDriven(DRIVEN, NAN)}, (NAN,)
    )
    found = metrics_of([("closed_loop", drive)]).values
    assert found["straying_m"] == pytest.approx(0.2)
    assert found["driving_score"] == 0.9
    assert more_columns()[-1] == "straying_m"
    with pytest.raises(DriveRLError, match="'miou': exists already"):
        add_metric("miou", "accuracy")
    with pytest.raises(DriveRLError, match="part = 'speed': expected one of closed_loop, accuracy"):
        add_metric("speediness", "speed")
