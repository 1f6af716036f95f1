"""Accuracy: lane state, masks, painted lines and scene, by the scores that a model's heads and the labels allow."""

from collections.abc import Callable
from dataclasses import dataclass

from drive_rl.benchmark.part import BATCH, Metric, Number, Part, Subject
from drive_rl.perception.evaluation.accuracy import Accuracy, evaluate_accuracy
from drive_rl.perception.evaluation.certainty import Certainty
from drive_rl.perception.heads.measures import LaneScores, LinesScores, SceneScores, SegmentationResult

NAME = "accuracy"


@dataclass(frozen=True)
class AccuracySetting:
    """How many pictures a model predicts."""

    pictures: int = 2000  # rendered
    limit: int | None = None  # of a folder; None: all that it holds


def measure(subject: Subject, setting: AccuracySetting) -> Accuracy:
    """Score a model's predictions for pictures."""
    found = subject.pictures(setting.pictures if subject.data is None else setting.limit)
    return evaluate_accuracy(subject.trained.model, found.samples, BATCH, found.truths, found.groups)


def _lane(
    label: str, unit: str, field: str, value: Callable[[LaneScores], Number | None] = lambda it: it.mae
) -> Metric[Accuracy]:
    def of(accuracy: Accuracy) -> Number | None:
        return value(accuracy.lane[field]) if accuracy.lane else None

    return Metric(NAME, label, unit, -1, of)


def _masks(label: str, better: int, value: Callable[[SegmentationResult], Number | None]) -> Metric[Accuracy]:
    return Metric(NAME, label, "", better, lambda it: it.segmentation and value(it.segmentation))


def _lines(label: str, better: int, value: Callable[[LinesScores], Number | None], unit: str = "") -> Metric[Accuracy]:
    return Metric(NAME, label, unit, better, lambda it: it.lines and value(it.lines))


def _scene(name: str, label: str, of: Callable[[Accuracy], SceneScores | None]) -> dict[str, Metric[Accuracy]]:
    def metric(what: str, better: int, value: Callable[[SceneScores], Number | None]) -> Metric[Accuracy]:
        return Metric(NAME, f"{label} {what}", "", better, lambda it: (found := of(it)) and value(found))

    return {
        f"{name}_accuracy": metric("accuracy", 1, lambda it: it.accuracy),
        f"{name}_f1": metric("F1", 1, lambda it: it.f1),
        f"{name}_ece": metric("ECE", -1, lambda it: it.ece),
    }


def _certainty(name: str, label: str, quantity: str) -> dict[str, Metric[Accuracy]]:
    """Return the metrics of a quantity's stated deviations: over all pictures, and in the worst condition."""

    def metric(what: str, unit: str, better: int, value: Callable[[Certainty], Number]) -> Metric[Accuracy]:
        def of(accuracy: Accuracy) -> Number | None:
            found = (accuracy.certainty or {}).get(quantity)
            return None if found is None else value(found)

        return Metric(NAME, f"{label} {what}", unit, better, of)

    return {
        f"{name}_nll": metric("NLL", "nat", -1, lambda it: it.all.nll),
        f"{name}_nll_worst": metric(
            "NLL, worst condition", "nat", -1, lambda it: max(each.nll for each in it.groups.values())
        ),
        f"{name}_within_68": metric("in stated 68 %", "", 0, lambda it: it.all.within_68),
        f"{name}_within_95": metric("in stated 95 %", "", 0, lambda it: it.all.within_95),
        f"{name}_within_95_worst": metric(
            "in stated 95 %, worst condition", "", 0, lambda it: min(each.within_95 for each in it.groups.values())
        ),
    }


_CERTAINTY = {
    **_certainty("offset", "offset", "offset_m"),
    **_certainty("heading", "heading", "heading_error_rad"),
    **_certainty("line", "line column", "line_column"),
}
STATED = frozenset(_CERTAINTY)
"""The metrics of stated deviations."""

PART = Part(
    name=NAME,
    title="Accuracy",
    full=AccuracySetting(),
    reduced=AccuracySetting(pictures=128),
    result=Accuracy,
    measure=measure,
    version=2,
    is_complete=lambda it: it.failed is None,
    metrics={
        "offset_mae_m": _lane("offset MAE", "m", "offset_m"),
        "heading_mae_deg": _lane("heading MAE", "deg", "heading_error_deg"),
        "heading_mae_rad": _lane("heading MAE", "rad", "heading_error_rad"),
        "curvature_mae_per_m": _lane("curvature MAE", "1/m", "curvature_0m"),
        "offset_calibration_error": _lane("offset calibration error", "", "offset_m", lambda it: it.calibration_error),
        **_CERTAINTY,
        "ego_lane_iou": _masks("ego-lane IoU", 1, lambda it: it.ego_lane_iou),
        "miou": _masks("mIoU", 1, lambda it: it.miou),
        "pixel_accuracy": _masks("pixel accuracy", 1, lambda it: it.pixel_accuracy),
        "segmentation_ece": _masks("segmentation ECE", -1, lambda it: it.ece),
        "line_error_px": _lines("line column error", -1, lambda it: it.column_error_px, "px"),
        "lines_precision": _lines("line points precision", 1, lambda it: it.precision),
        "lines_recall": _lines("line points recall", 1, lambda it: it.recall),
        "lines_f1": _lines("line points F1", 1, lambda it: it.f1),
        "tusimple_accuracy": _lines("TuSimple accuracy", 1, lambda it: it.tusimple and it.tusimple.accuracy),
        "tusimple_fp": _lines("TuSimple FP", -1, lambda it: it.tusimple and it.tusimple.fp),
        "tusimple_fn": _lines("TuSimple FN", -1, lambda it: it.tusimple and it.tusimple.fn),
        "culane_f1": _lines("CULane F1", 1, lambda it: it.culane and it.culane.f1),
        **_scene("tier", "road tier", lambda it: it.tier),
        **_scene("weather", "weather", lambda it: it.weather),
    },
    columns=("ego_lane_iou", "miou", "offset_mae_m", "heading_mae_deg", "lines_f1", "tusimple_accuracy", "culane_f1"),
    more=(
        *("pixel_accuracy", "segmentation_ece", "line_error_px", "weather_accuracy", "weather_f1", "tier_accuracy"),
        *("curvature_mae_per_m", "offset_calibration_error"),
    ),
)
