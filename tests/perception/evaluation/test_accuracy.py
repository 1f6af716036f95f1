"""Accuracy: scores by hand, against torchmetrics, and by the rules of the lane benchmarks.

Covers accuracy, certainty, heads.measures, heads.lane_benchmarks and run.storage.json_values.
"""

import json
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
import torchmetrics.functional.classification as theirs
from torch import Tensor, nn

from drive_rl.config.reader import load_world
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.records import LaneTruth
from drive_rl.perception.data.samples import LANE_FIELDS, LINES, ROWS, Samples
from drive_rl.perception.evaluation.accuracy import evaluate_accuracy
from drive_rl.perception.evaluation.certainty import certainty_of
from drive_rl.perception.heads.head import Stated
from drive_rl.perception.heads.lane_benchmarks import CULaneResult, ScenarioResult, TuSimpleResult, lane_scores
from drive_rl.perception.heads.measures import LinesScores
from drive_rl.perception.heads.registry import heads_of
from drive_rl.run.storage.json_values import plain
from drive_rl.stats import pooled

COUNT, HEIGHT, WIDTH, TIERS = 6, 20, 40, 3
WORLD = load_world("lane_follow")
RNG = np.random.default_rng(0)


class Fixed(nn.Module):
    """Predicts what it was given; the first pixel of a picture is its number."""

    shape = (3, HEIGHT, WIDTH)

    def __init__(self, outputs: dict[str, np.ndarray], heads: tuple[str, ...]) -> None:
        super().__init__()
        self.heads = heads_of(heads, WORLD)
        self.outputs = nn.ParameterDict({name: torch.tensor(value) for name, value in outputs.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        rows = images[:, 0, 0, 0].long()
        return {name: value[rows] for name, value in self.outputs.items()}


def labelled() -> Samples:
    images = RNG.integers(0, 256, (COUNT, 3, HEIGHT, WIDTH), np.uint8)
    images[:, 0, 0, 0] = np.arange(COUNT)
    made = Samples.unlabelled(images)
    made.lane[:] = RNG.normal(size=made.lane.shape)
    made.classes[:] = RNG.integers(0, 5, made.classes.shape)
    made.classes[:, :3] = 255
    made.lines[:] = np.where(RNG.random(made.lines.shape) < 0.7, RNG.random(made.lines.shape), np.nan)
    made.lined[:] = True
    made.scene[:] = RNG.integers(0, TIERS, made.scene.shape)
    made.seeds[:] = [7, 7, 9, 9, 9, -1]
    return made


def predictions(truth: Samples) -> dict[str, np.ndarray]:
    outputs = {
        "lane": truth.lane + RNG.normal(size=truth.lane.shape) * 0.1,
        "lane_std": np.full(truth.lane.shape, 0.1),
        "classes": RNG.normal(size=(COUNT, 5, HEIGHT, WIDTH)),
        "lines": RNG.random((COUNT, LINES, ROWS)),
        "lines_there": RNG.normal(size=(COUNT, LINES, ROWS)),
        "tier": RNG.normal(size=(COUNT, TIERS)),
        "weather": RNG.normal(size=(COUNT, 4)),
    }
    return {name: value.astype(np.float32) for name, value in outputs.items()}


HEADS = ("lane", "segmentation", "lines", "scene")
TRUTH = labelled()
PREDICTED = predictions(TRUTH)


@pytest.fixture(scope="module")
def found() -> dict:  # as JSON
    model = Fixed(PREDICTED, HEADS)
    return plain(evaluate_accuracy(model, TRUTH, batch=4))  # pyright: ignore[reportArgumentType]


def test_lane_errors(found):
    mae = np.abs(PREDICTED["lane"] - TRUTH.lane).mean(axis=0)
    for i, name in enumerate(LANE_FIELDS):
        assert found["lane"][name]["mae"] == pytest.approx(mae[i], rel=1e-5)
        assert found["lane"][name]["n"] == COUNT
        assert 0 <= found["lane"][name]["calibration_error"] <= 1
    assert found["lane"]["heading_error_deg"]["mae"] == pytest.approx(np.degrees(mae[1]), rel=1e-5)


def test_segmentation_as_torchmetrics(found):
    logits, truth = torch.tensor(PREDICTED["classes"]), torch.tensor(TRUTH.classes.astype(np.int64))
    options: Any = {"num_classes": 5, "ignore_index": 255}
    segmentation = found["segmentation"]
    iou = theirs.multiclass_jaccard_index(logits, truth, average="none", **options)
    assert [row["iou"] for row in segmentation["classes"].values()] == pytest.approx(iou.tolist(), abs=1e-6)
    assert segmentation["miou"] == pytest.approx(float(iou.mean()), abs=1e-6)
    assert segmentation["ego_lane_iou"] == segmentation["classes"]["ego_lane"]["iou"]
    f1 = theirs.multiclass_f1_score(logits, truth, average="none", **options)
    assert [row["f1"] for row in segmentation["classes"].values()] == pytest.approx(f1.tolist(), abs=1e-6)
    matrix = theirs.multiclass_confusion_matrix(logits, truth, **options)
    assert segmentation["confusion"] == matrix.tolist()
    error = theirs.multiclass_calibration_error(logits.softmax(1), truth, n_bins=15, **options)
    assert segmentation["ece"] == pytest.approx(float(error), abs=1e-5)


def test_scene_as_torchmetrics(found):
    for column, (name, classes) in enumerate({"tier": TIERS, "weather": 4}.items()):
        logits, truth = torch.tensor(PREDICTED[name]), torch.tensor(TRUTH.scene[:, column])
        accuracy = theirs.multiclass_accuracy(logits, truth, num_classes=classes, average="micro")
        assert found[name]["accuracy"] == pytest.approx(float(accuracy))
        matrix = theirs.multiclass_confusion_matrix(logits, truth, num_classes=classes)
        assert found[name]["confusion"] == matrix.tolist()
    assert list(found["weather"]["classes"]) == ["clear", "fog", "dusk", "rain"]


def test_lines(found):
    there, predicted = np.isfinite(TRUTH.lines), PREDICTED["lines_there"] > 0
    lines = found["lines"]
    assert lines["column_error_px"] == pytest.approx(
        WIDTH * np.abs(PREDICTED["lines"] - TRUTH.lines)[there].mean(), rel=1e-5
    )
    assert lines["precision"] == pytest.approx((there & predicted).sum() / predicted.sum())
    assert lines["recall"] == pytest.approx((there & predicted).sum() / there.sum())
    assert lines["f1"] == pytest.approx(2 * (there & predicted).sum() / (there.sum() + predicted.sum()))
    assert {"tusimple", "culane"} < set(lines)


def test_counts_of_the_roads_add_up_to_the_scores(found):
    by_road = found["by_road"]
    assert by_road["roads"] == [-6, 7, 9]  # the last picture is of no known road, and stands alone
    score = {name: float(pooled(np.array(ratios))) for name, ratios in by_road["ratios"].items()}
    lane, segmentation = found["lane"], found["segmentation"]
    assert score == pytest.approx(
        {
            "offset_mae_m": lane["offset_m"]["mae"],
            "heading_mae_deg": lane["heading_error_deg"]["mae"],
            "curvature_mae_per_m": lane["curvature_0m"]["mae"],
            **{name: segmentation[name] for name in ("miou", "ego_lane_iou", "pixel_accuracy")},
            "line_error_px": found["lines"]["column_error_px"],
            "lines_f1": found["lines"]["f1"],
            "tier_accuracy": found["tier"]["accuracy"],
            "weather_accuracy": found["weather"]["accuracy"],
        }
    )
    json.dumps(found, allow_nan=False)


def test_only_heads_with_labels_are_scored():
    unknown = Samples.unlabelled(TRUTH.images)
    unknown.lane[:3] = TRUTH.lane[:3]
    model = Fixed(PREDICTED, ("lane", "segmentation"))
    found = plain(evaluate_accuracy(model, unknown))  # pyright: ignore[reportArgumentType]
    assert set(found) == {"pictures", "lane", "by_road", "certainty"}
    assert list(found["certainty"]) == ["offset_m", "heading_error_rad"]
    assert found["lane"]["offset_m"]["n"] == 3


def test_stated_certainty_by_group_as_scipy():
    """Offset, heading and line columns, over all pictures and in each group; NaN of a label counts for nothing."""
    truth, std = TRUTH.copied(), RNG.uniform(0.01, 0.4, (COUNT, LINES, ROWS)).astype(np.float32)
    truth.lane[0, 0] = np.nan
    model = Fixed({**PREDICTED, "lines_std": std}, ("lane", "lines"))
    groups = ["a", "b", "a", "b", "a", "b"]
    found = evaluate_accuracy(model, truth, 4, groups=groups).certainty  # pyright: ignore[reportArgumentType]
    assert found is not None
    there = np.isfinite(truth.lines) & (PREDICTED["lines_there"] > 0)
    cases = {
        "offset_m": (PREDICTED["lane"][:, :1], PREDICTED["lane_std"][:, :1], truth.lane[:, :1]),
        "heading_error_rad": (PREDICTED["lane"][:, 1:2], PREDICTED["lane_std"][:, 1:2], truth.lane[:, 1:2]),
        "line_column": tuple(each.reshape(COUNT, -1) for each in (PREDICTED["lines"], std, truth.lines)),
    }
    assert found.keys() == cases.keys()
    for name, (mean, deviation, labels) in cases.items():
        known = there.reshape(COUNT, -1) if name == "line_column" else np.isfinite(labels)
        for group, rows in {"a": slice(0, None, 2), "b": slice(1, None, 2), "all": slice(None)}.items():
            m, s, y = (each[rows][known[rows]].astype(np.float64) for each in (mean, deviation, labels))
            scores = found[name].all if group == "all" else found[name].groups[group]
            assert scores.n == len(y)
            assert scores.nll == pytest.approx(-scipy.stats.norm.logpdf(y, m, s).mean(), rel=1e-6)
            for level, share in ((0.68, scores.within_68), (0.95, scores.within_95)):
                low, high = scipy.stats.norm.interval(level, m, s)
                assert share == pytest.approx(((low <= y) & (y <= high)).mean())
            assert scores.low_95 <= scores.within_95 <= scores.high_95


def test_a_road_counts_once_for_the_interval_of_a_share():
    """Ten roads of 40 labels that lie all within the interval, or none does: the interval is that of ten trials."""
    truth = np.repeat([[0.0]] * 5 + [[9.0]] * 5, 40, axis=0)
    stated = Stated(np.zeros_like(truth), np.ones_like(truth), truth)
    found = certainty_of(stated, ["all"] * 400, np.repeat(np.arange(10), 40))
    assert found is not None
    assert found.all.within_95 == 0.5
    expected = scipy.stats.binomtest(5, 10).proportion_ci(method="wilson")
    assert (found.all.low_95, found.all.high_95) == pytest.approx((expected.low, expected.high))
    apart = certainty_of(stated, ["all"] * 400, np.arange(400))
    assert apart is not None
    assert apart.all.high_95 - apart.all.low_95 < 0.1 < found.all.high_95 - found.all.low_95


def test_a_model_that_states_no_deviation_has_no_certainty():
    nothing = {"lane_std": np.full_like(PREDICTED["lane"], np.nan), "lines_std": np.zeros_like(PREDICTED["lines"])}
    for outputs in ({**PREDICTED, **nothing}, {name: each for name, each in PREDICTED.items() if name != "scene"}):
        model = Fixed({**outputs, "lane_std": nothing["lane_std"]}, ("lane", "lines"))
        assert evaluate_accuracy(model, TRUTH).certainty == {}  # pyright: ignore[reportArgumentType]
    half = np.where(np.arange(6) < 2, 0.1, np.nan).astype(np.float32) * np.ones_like(PREDICTED["lane"])
    found = evaluate_accuracy(Fixed({**PREDICTED, "lane_std": half}, ("lane",)), TRUTH)  # pyright: ignore[reportArgumentType]
    assert list(found.certainty or ()) == ["offset_m", "heading_error_rad"]
    assert found.lane is not None
    assert found.lane["offset_m"].nll == pytest.approx(found.certainty["offset_m"].all.nll)  # pyright: ignore[reportOptionalSubscript]
    assert found.lane["curvature_5m"].nll is None
    unlabelled = Samples.unlabelled(TRUTH.images)
    unlabelled.classes[:] = TRUTH.classes
    model = Fixed(PREDICTED, HEADS)
    assert evaluate_accuracy(model, unlabelled).certainty is None  # pyright: ignore[reportArgumentType]


def test_pictures_that_do_not_fit():
    other = Samples.unlabelled(np.zeros((1, 1, HEIGHT, WIDTH), np.uint8))
    with pytest.raises(DriveRLError, match=r"\(1, 20, 40\): the model takes .* \(3, 20, 40\)"):
        evaluate_accuracy(Fixed(PREDICTED, HEADS), other)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DriveRLError, match="samples = 0"):
        evaluate_accuracy(Fixed(PREDICTED, HEADS), TRUTH.take(slice(0, 0)))  # pyright: ignore[reportArgumentType]


def lined(columns: list[float]) -> Samples:
    """Return one picture of upright lines at these columns / width, in all rows."""
    made = Samples.unlabelled(np.zeros((1, 3, 80, 160), np.uint8))
    made.lined[:] = True
    made.lines[0, : len(columns)] = np.array(columns)[:, None]
    return made


def test_lane_benchmarks_by_hand():
    """TuSimple takes 20 of 1280 px, which is 1/64 of the width; CULane strokes of 30 px that overlap by a half, so that
    upright lines may be 10 of 1640 px apart.
    """
    truth = lined([0.25, 0.75])
    right = lane_scores(truth.lines, truth)
    assert right.tusimple == TuSimpleResult(accuracy=1.0, fp=0.0, fn=0.0, n=1)
    assert right.culane == CULaneResult(f1=1.0, precision=1.0, recall=1.0, n=1)
    for apart, tusimple, culane in ((5 / 1640, 1.0, 1.0), (15 / 1640, 1.0, 0.5), (25 / 1280, 0.5, 0.5)):
        found = lane_scores(lined([0.25 + apart, 0.75]).lines, truth)
        assert (found.tusimple.accuracy, found.culane.f1) == (tusimple, culane)
    one = lane_scores(lined([0.25]).lines, truth)
    assert (one.tusimple.fn, one.culane.precision, one.culane.recall) == (0.5, 1.0, 0.5)


def test_culane_by_scenario_by_hand():
    """Day: two of two. Night: of two lanes one is found and one wrongly predicted. Cross: two predicted, none true."""
    none = lined([])
    truth = Samples.joined([lined([0.25, 0.75]), lined([0.25, 0.75]), none])
    predicted = np.concatenate([truth.lines[:1], lined([0.25, 0.5]).lines, truth.lines[:1]])
    found = lane_scores(predicted, truth, groups=["day", "night", "cross"])
    assert found.scenarios["day"] == ScenarioResult(f1=1.0, fp=0, n=1)
    assert found.scenarios["night"] == ScenarioResult(f1=0.5, fp=1, n=1)
    assert np.isnan(found.scenarios["cross"].f1)
    assert found.scenarios["cross"][1:] == (2, 1)
    assert found.culane.f1 == pytest.approx(2 * 3 / (6 + 4))  # 3 of 6 predicted are right, of 4 true
    assert lane_scores(predicted, truth, groups=["all"] * 3).scenarios == lane_scores(predicted, truth).scenarios == {}


def test_far_points_of_a_tiny_picture_are_scored():
    truth, line = lined([0.5]), np.array([[2.0, 1.0], [900_000.0, 3.0]])
    found = lane_scores(truth.lines, truth, [LaneTruth((line,), None, 4, 4)])  # scaled, beyond FARTHEST_PX
    assert found.culane.n == 1


def test_plain():
    value = {"a": np.float32("nan"), 1: np.arange(2), "c": (np.int64(3), float("inf"), "d", None, True)}
    assert plain(value) == {"a": None, "1": [0, 1], "c": [3, None, "d", None, True]}


def test_plain_leaves_out_what_a_dataclass_does_not_have():
    row = LinesScores(column_error_px=float("nan"), precision=0.5, recall=np.float64(1), f1=0.5, n=3)
    assert plain([row]) == [{"column_error_px": None, "precision": 0.5, "recall": 1.0, "f1": 0.5, "n": 3}]
