"""The numbers of a benchmark by name: where each lies in the results, its unit, and which way is better.

It knows what the parts of a benchmark return. It does not know how they are measured, and draws nothing.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from drive_rl.config.shelf import nearest
from drive_rl.errors import DriveRLError


class Metric(NamedTuple):
    """A number of one model."""

    label: str
    unit: str  # "" for a share or a count
    better: int  # 1: higher, -1: lower, 0: neither
    path: tuple[str, ...]  # in the model's parts; the first is the part


def _engine(name: str) -> dict[str, Metric]:
    label = {"onnx": "ONNX Runtime", "eager": "eager", "compiled": "compiled"}[name]
    at = "fast", "runtimes", name
    latencies = {
        f"{name}_{p}_ms": Metric(f"{label} latency {p}", "ms", -1, (*at, "single_stream", f"{p}_ms"))
        for p in ("p50", "p90", "p99")
    }
    rate = Metric(f"{label} throughput", "pictures/s", 1, (*at, "offline", "samples_per_s"))
    return {**latencies, f"{name}_samples_per_s": rate}


def _robust(name: str, label: str) -> dict[str, Metric]:
    at = "robust", name, "corruptions"
    return {
        f"{name}_corrupted": Metric(f"{label}, mean over corruptions", "", 1, (*at, "mean_corrupted")),
        f"{name}_relative": Metric(f"{label}, corrupted / clean", "", 1, (*at, "relative")),
    }


METRICS: dict[str, Metric] = {
    "driving_score": Metric("driving score", "", 1, ("drives", "clean", "driving_score")),
    "success": Metric("success", "", 1, ("drives", "clean", "success")),
    "route_completion": Metric("route completion", "", 1, ("drives", "clean", "route_completion")),
    "mean_max_offset_m": Metric("lateral deviation", "m", -1, ("drives", "clean", "mean_max_offset_m")),
    "worst_max_offset_m": Metric("largest lateral deviation", "m", -1, ("drives", "clean", "worst_max_offset_m")),
    "driving_score_corrupted": Metric("driving score, corrupted", "", 1, ("drives", "corrupted_mean", "driving_score")),
    "route_completion_corrupted": Metric(
        "route completion, corrupted", "", 1, ("drives", "corrupted_mean", "route_completion")
    ),
    "failing_delay_s": Metric("failing delay", "s", 1, ("drives", "failing_delay_s")),
    "offset_mae_m": Metric("offset MAE", "m", -1, ("sees", "lane", "offset_m", "mae")),
    "heading_mae_deg": Metric("heading MAE", "deg", -1, ("sees", "lane", "heading_error_deg", "mae")),
    "heading_mae_rad": Metric("heading MAE", "rad", -1, ("sees", "lane", "heading_error_rad", "mae")),
    "curvature_mae_per_m": Metric("curvature MAE", "1/m", -1, ("sees", "lane", "curvature_0m", "mae")),
    "offset_calibration_error": Metric(
        "offset calibration error", "", -1, ("sees", "lane", "offset_m", "calibration_error")
    ),
    "offset_nll": Metric("offset NLL", "nat", -1, ("sees", "lane", "offset_m", "nll")),
    "ego_lane_iou": Metric("ego-lane IoU", "", 1, ("sees", "segmentation", "ego_lane_iou")),
    "miou": Metric("mIoU", "", 1, ("sees", "segmentation", "miou")),
    "pixel_accuracy": Metric("pixel accuracy", "", 1, ("sees", "segmentation", "pixel_accuracy")),
    "segmentation_ece": Metric("segmentation ECE", "", -1, ("sees", "segmentation", "ece")),
    "line_error_px": Metric("line column error", "px", -1, ("sees", "lines", "column_error_px")),
    "lines_precision": Metric("line points precision", "", 1, ("sees", "lines", "precision")),
    "lines_recall": Metric("line points recall", "", 1, ("sees", "lines", "recall")),
    "lines_f1": Metric("line points F1", "", 1, ("sees", "lines", "f1")),
    "tusimple_accuracy": Metric("TuSimple accuracy", "", 1, ("sees", "lines", "tusimple", "accuracy")),
    "tusimple_fp": Metric("TuSimple FP", "", -1, ("sees", "lines", "tusimple", "fp")),
    "tusimple_fn": Metric("TuSimple FN", "", -1, ("sees", "lines", "tusimple", "fn")),
    "culane_f1": Metric("CULane F1", "", 1, ("sees", "lines", "culane", "f1")),
    "tier_accuracy": Metric("road tier accuracy", "", 1, ("sees", "tier", "accuracy")),
    "tier_f1": Metric("road tier F1", "", 1, ("sees", "tier", "f1")),
    "tier_ece": Metric("road tier ECE", "", -1, ("sees", "tier", "ece")),
    "weather_accuracy": Metric("weather accuracy", "", 1, ("sees", "weather", "accuracy")),
    "weather_f1": Metric("weather F1", "", 1, ("sees", "weather", "f1")),
    "weather_ece": Metric("weather ECE", "", -1, ("sees", "weather", "ece")),
    **_robust("ego_lane_iou", "ego-lane IoU"),
    **_robust("lane_within", "lane told well"),
    "parameters": Metric("parameters", "", 0, ("fast", "parameters")),
    "macs": Metric("multiply-accumulates", "", 0, ("fast", "macs")),
    "onnx_bytes": Metric("size on disk", "bytes", 0, ("fast", "runtimes", "onnx", "bytes")),
    "onnx_difference": Metric(
        "ONNX Runtime, largest difference from eager", "", -1, ("fast", "runtimes", "onnx", "difference", "absolute")
    ),
    **_engine("onnx"),
    **_engine("eager"),
    **_engine("compiled"),
}
"""Every number that a floor or a table may name; those of driving first."""

OFFLINE = tuple(
    name
    for name, metric in METRICS.items()
    if metric.path[0] in ("sees", "robust") and metric.better and name != "heading_mae_rad"  # the same in degrees
)
"""Those that are known without driving, and tried as predictors of it."""


class Floor(NamedTuple):
    """What every model must reach."""

    metric: str
    at_least: bool
    bar: float

    def __str__(self) -> str:
        """Return it as it was written."""
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.bar:g}"


def metrics_of(parts: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that a model's parts hold, by name."""
    found = {}
    for name, metric in METRICS.items():
        value: Any = parts
        for key in metric.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            found[name] = value
    return found


def parse_floor(text: str) -> Floor:
    """Return the floor that a text such as `ego_lane_iou>=0.9` stands for.

    Raises:
        DriveRLError: another form, an unknown metric, or no number.
    """
    found = re.fullmatch(r"\s*(\w+)\s*(>=|<=)\s*(\S+)\s*", text)
    if found is None:
        raise DriveRLError(f"--floor {text!r}: expected METRIC>=NUMBER or METRIC<=NUMBER, such as ego_lane_iou>=0.9")
    name, sign, number = found.groups()
    if name not in METRICS:
        raise DriveRLError(f"--floor {text!r}: unknown metric {name!r}; {nearest(name, METRICS)}")
    try:
        bar = float(number)
    except ValueError:
        bar = math.nan
    if math.isnan(bar):
        raise DriveRLError(f"--floor {text!r}: {number!r} is no number; fix: such as {name}{sign}0.9")
    return Floor(name, sign == ">=", bar)


def missed_floors(models: Iterable[Mapping[str, Any]], floors: Sequence[Floor]) -> list[str]:
    """Return one line for each floor that a model (`name`, `metrics`) misses; what was not measured is missed."""
    missed = []
    for model in models:
        for floor in floors:
            value = model["metrics"].get(floor.metric)
            if value is None:
                missed.append(f"{model['name']}: {floor.metric} was not measured: {floor} is asked for")
            elif not (value >= floor.bar if floor.at_least else value <= floor.bar):
                missed.append(f"{model['name']}: {floor.metric} = {value:.4g}: {floor} is asked for")
    return missed


def as_csv(models: Iterable[Mapping[str, Any]]) -> str:
    """Return a table, one model a row: its name, every metric (empty: not measured), and why a part is missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["model", *METRICS, "errors"])
    for model in models:
        errors = "; ".join(f"{part}: {reason}" for part, reason in model["errors"].items())
        writer.writerow([model["name"], *(model["metrics"].get(name, "") for name in METRICS), errors])
    return out.getvalue()
