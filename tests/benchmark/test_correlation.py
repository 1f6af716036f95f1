"""How offline metrics relate to driving: by hand."""

import pytest

from drive_rl.benchmark.closed_loop import Driven
from drive_rl.benchmark.correlation import compare, front
from drive_rl.benchmark.parts.closed_loop import ClosedLoop, ConditionDriven
from drive_rl.benchmark.results import ModelResult, PartResults


def model(name: str, offset_m: float, strayed_m: float) -> ModelResult:
    driven = Driven(1.0, 1.0, 1.0, strayed_m, strayed_m, (1.0, 1.0), (strayed_m, strayed_m))
    conditions = {"clear": ConditionDriven(driven, strayed_m)}
    drive = ClosedLoop(2, 2, 0.0, "eager", driven, 3, {}, None, (), None, conditions, (strayed_m, strayed_m))
    metrics = {"offset_mae_m": offset_m, "driving_score": 1.0, "excess_offset_m": strayed_m, "onnx_p50_ms": 1.0}
    return ModelResult(name, name, PartResults(closed_loop=drive), metrics=metrics)


MODELS = [model(str(i), 0.1 * (i + 1), strayed_m) for i, strayed_m in enumerate((0.2, 0.1, 0.3, 0.5))]


def test_models_that_drive_all_roads_are_set_apart_by_how_far_they_stray():
    """Ranks 1, 2, 3, 4 and 2, 1, 3, 4: Spearman's 1 - 6 (1 + 1) / (4 (16 - 1)) = 0.8."""
    found = compare(MODELS).correlations
    assert [str(row.spearman) for row in found["driving_score"]] == ["nan"]
    assert [row.metric for row in found["excess_offset_m"]] == ["offset_mae_m"]
    row = found["excess_offset_m"][0]
    # all roads order them alike; of four models that says little: tanh(atanh(0.8) -+ 1.96 sqrt(1.32 / 1))
    assert (row.spearman, row.low, row.high) == pytest.approx((0.8, -0.8188, 0.9975), abs=1e-3)
    assert row.resampled == ("models",)


def test_the_front_and_the_interval():
    found = front([*MODELS, ModelResult("lost", "lost")])
    assert (found.axes[0], found.models, found.left_out) == ("offset_mae_m", ("0",), ("lost",))
    interval = compare(MODELS).intervals["0"]
    assert (interval.low, interval.high) == pytest.approx((0.34238, 1.0), abs=1e-5)  # Wilson's of 2 of 2
    assert compare(MODELS[:2]).correlations == {"driving_score": (), "excess_offset_m": ()}  # it takes three
