"""Requirements: read from text, and missed by models."""

import pytest

from drive_rl.benchmark.requirements import Requirement, missed_requirements, parse_requirement
from drive_rl.errors import DriveRLError


def test_requirements_are_read():
    assert parse_requirement("ego_lane_iou>=0.9") == Requirement("ego_lane_iou", True, 0.9)
    assert parse_requirement(" onnx_p99_ms <= 3 ") == Requirement("onnx_p99_ms", False, 3.0)
    assert str(parse_requirement("onnx_p99_ms <= 3")) == "onnx_p99_ms<=3"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ego_lane_iou>0.9", "--require .*expected METRIC>=NUMBER"),
        ("ego_lane_iou", "expected METRIC>=NUMBER"),
        ("ego_iou>=0.9", "did you mean 'ego_lane_iou'"),
        ("ego_lane_iou>=high", "'high' is not a number"),
        ("ego_lane_iou>=nan", "not a number"),
    ],
)
def test_requirements_that_are_none(text, part):
    with pytest.raises(DriveRLError, match=part):
        parse_requirement(text)


def test_models_that_miss_a_requirement():
    models = [("good", {"ego_lane_iou": 0.95, "onnx_p99_ms": 3.0}), ("poor", {"ego_lane_iou": 0.5})]
    requirements = [parse_requirement("ego_lane_iou>=0.95"), parse_requirement("onnx_p99_ms<=3")]
    assert missed_requirements(models, requirements) == [
        "poor: ego_lane_iou = 0.5, required: ego_lane_iou>=0.95",
        "poor: onnx_p99_ms was not measured, required: onnx_p99_ms<=3",
    ]
