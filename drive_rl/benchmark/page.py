"""The page of a benchmark of perception models: one HTML file that opens from disk and asks the network for nothing.

It knows results and how to show them. It measures nothing.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from drive_rl.benchmark.examples import COLOURS as CLASS_COLOURS
from drive_rl.benchmark.metrics import METRICS
from drive_rl.benchmark.plots import plots
from drive_rl.run.storage.atomic import write_text

COLUMNS = {
    "drives": (
        "driving_score",
        "success",
        "route_completion",
        "mean_max_offset_m",
        "worst_max_offset_m",
        "driving_score_corrupted",
    ),
    "sees": ("ego_lane_iou", "miou", "offset_mae_m", "heading_mae_deg", "lines_f1", "tusimple_accuracy", "culane_f1"),
    "fast": ("parameters", "macs", "onnx_bytes", "onnx_p50_ms", "onnx_p99_ms", "onnx_samples_per_s"),
    "robust": ("ego_lane_iou_corrupted", "ego_lane_iou_relative", "lane_within_corrupted", "lane_within_relative"),
    "more": (
        *("failing_delay_s", "route_completion_corrupted", "pixel_accuracy", "segmentation_ece", "line_error_px"),
        *("weather_accuracy", "weather_f1", "tier_accuracy", "curvature_mae_per_m", "offset_calibration_error"),
        *("onnx_difference", "eager_p50_ms", "compiled_p50_ms"),
    ),
}
"""The metrics of each table; the last is what else there is."""
TITLES = {
    "drives": "How a car drives on it",
    "sees": "What it sees",
    "fast": "How fast it is",
    "robust": "How robust it is",
    "more": "More numbers",
}


def write_page(path: Path, results: Mapping[str, Any], examples: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the page.

    Args:
        path: The file.
        results: What `results.json` holds.
        examples: Each model's pictures (`perception_examples`), or `error`.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.get_template("page.html").render(
        results=results,
        models=results["models"],
        tables=[_table(name, results["models"], results["relations"]["intervals"]) for name in COLUMNS],
        plots=plots(results),
        correlations=[
            (target, METRICS[target].label, [_correlation(row) for row in rows])
            for target, rows in results["relations"]["correlations"].items()
        ],
        examples=examples,
        colours=CLASS_COLOURS,
        rate_error=_rate_error(results["setting"]["drives"]["roads"]),
        metrics=METRICS,
    )
    write_text(path, page)


def number(value: float | None) -> str:
    """Return a number for people: three digits, thousands apart, millions as M; a dash for none."""
    if value is None:
        return "–"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}\u202fM"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _table(
    name: str, models: Sequence[Mapping[str, Any]], intervals: Mapping[str, Sequence[float | None]]
) -> dict[str, Any]:
    """Return title, columns and rows of a table: no column that no model fills, and the best of each marked."""
    used = [column for column in COLUMNS[name] if any(column in model["metrics"] for model in models)]
    best = {column: _best(column, models) for column in used}
    rows = []
    for model in models:
        cells = []
        for column in used:
            value = model["metrics"].get(column)
            cell = {"text": number(value), "sort": value, "best": value is not None and value == best[column]}
            between = intervals.get(model["name"]) if column == "driving_score" else None
            cells.append({**cell, "interval": between and f"{number(between[0])} to {number(between[1])}"})
        error = model["errors"].get(name) or (model["errors"].get("model") if name != "more" else None)
        rows.append({"name": model["name"], "cells": cells, "error": error})
    columns = [{"label": METRICS[c].label, "unit": METRICS[c].unit, "better": METRICS[c].better} for c in used]
    return {"name": name, "title": TITLES[name], "columns": columns, "rows": rows}


def _best(column: str, models: Sequence[Mapping[str, Any]]) -> float | None:
    values = [model["metrics"][column] for model in models if column in model["metrics"]]
    better = METRICS[column].better
    return max(values, key=lambda value: better * value) if better and len(set(values)) > 1 else None


def _correlation(row: Mapping[str, Any]) -> dict[str, Any]:
    interval = "–" if row["low"] is None else f"{row['low']:+.2f} to {row['high']:+.2f}"
    signed = {key: "–" if row[key] is None else f"{row[key]:+.2f}" for key in ("spearman", "kendall")}
    p = "–" if row["p"] is None else f"{row['p']:.3f}"
    over = " and ".join(row["resampled"]) or "nothing"
    return {**signed, "label": METRICS[row["metric"]].label, "interval": interval, "p": p, "over": over,
            "models": row["models"]}  # fmt: skip


def _rate_error(roads: int) -> int:
    """Return by how many points a rate of one half over so many roads is uncertain: half its 95 % interval (Wald)."""
    return round(100 * 1.96 * math.sqrt(0.25 / max(roads, 1)))
