"""The plots of a benchmark of perception models, as SVG. It knows results; `svg` knows axes and marks."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from drive_rl.benchmark.metrics import METRICS
from drive_rl.benchmark.svg import COLOURS, Axis, Plot, Point, axis_of, intervals, shade

ROBUST = {"ego_lane_iou": "ego-lane IoU", "lane_within": "share of pictures with the lane told well"}


def plots(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the plots by name; one that there is nothing for is left out.

    `tradeoff`, `corruptions_<score>`, `attacks_<score>`, `delay_score`, `delay_success`, `correlations_<target>`.
    """
    models = results["models"]
    colours = {model["name"]: COLOURS[i % len(COLOURS)] for i, model in enumerate(models)}
    found = {"tradeoff": _tradeoff(models, results["relations"]["pareto"])}
    for score, label in ROBUST.items():
        found[f"corruptions_{score}"] = _corruptions(models, colours, score, label)
        found[f"attacks_{score}"] = _attacks(models, colours, score, label)
    found["delay_score"] = _delay(models, colours, "driving_score", "driving score")
    found["delay_success"] = _delay(models, colours, "success", "success rate", bar=0.5)
    for target, rows in results["relations"]["correlations"].items():
        found[f"correlations_{target}"] = _correlations(rows, METRICS[target].label)
    return {name: svg for name, svg in found.items() if svg}


def _tradeoff(models: Sequence[Mapping[str, Any]], pareto: Mapping[str, Any]) -> str:
    accuracy, latency, driving = pareto["axes"]
    known = [model for model in models if {accuracy, latency} <= model["metrics"].keys()]
    if not known:
        return ""
    at = [(model["metrics"][latency], model["metrics"][accuracy]) for model in known]
    x = axis_of(f"{METRICS[latency].label} [ms]", [point[0] for point in at], log=True)
    unit = f" [{METRICS[accuracy].unit}]" if METRICS[accuracy].unit else ""
    better = "" if METRICS[accuracy].better > 0 else ", lower is better"
    y = axis_of(METRICS[accuracy].label + unit + better, [point[1] for point in at])
    plot = Plot(x, y, f"{METRICS[accuracy].label} against latency, coloured by driving score")
    for model, point in zip(known, at, strict=True):
        score = model["metrics"].get(driving)
        told = "did not drive" if score is None else f"driving score {score:.2f}"
        colour = "#8a8f98" if score is None else shade(score)
        plot.dot(point, colour, f"{model['name']}: {told}", ring=model["name"] in pareto["models"])
        plot.text(point, model["name"] if score is None else f"{model['name']} ({score:.2f})", right=15)
    return plot.svg()


def _corruptions(models: Sequence[Mapping[str, Any]], colours: Mapping[str, str], score: str, label: str) -> str:
    curves: dict[str, list[Point]] = {}
    for model in models:
        found = model["parts"]["robust"].get(score, {}).get("corruptions")
        if not found or found["clean"] is None:
            continue
        points = [(0.0, found["clean"])]
        for severity in found["severities"]:
            each = [row[str(severity)] for row in found["by_corruption"].values() if row[str(severity)] is not None]
            points += [(float(severity), fmean(each))] if each else []
        curves[model["name"]] = points
    alt = f"{label} over the severity of corruption, mean of 15 corruptions"
    return _curves(curves, colours, Axis("severity (0: clean)", -0.2, 5.2), _share_axis(label), alt)


def _attacks(models: Sequence[Mapping[str, Any]], colours: Mapping[str, str], score: str, label: str) -> str:
    plot, most = None, 0.0
    for model in models:
        found = model["parts"]["robust"].get(score, {}).get("attacks")
        if not found or found["clean"] is None:
            continue
        most = max(found["epsilons_px"])
        if plot is None:
            x = Axis("largest change of a pixel [grey values of 255]", 0.0, most * 1.03)
            plot = Plot(x, _share_axis(label), f"{label} under FGSM (solid) and PGD (dashed)")
        for attack, dash in (("fgsm", ""), ("pgd", "6 4")):
            values = [found["clean"], *found[attack]]
            points = [
                (x, y) for x, y in zip([0.0, *found["epsilons_px"]], values, strict=True) if y is not None and x <= most
            ]
            plot.line(points, colours[model["name"]], "" if dash else model["name"], dash)
    return "" if plot is None else plot.svg()


def _delay(
    models: Sequence[Mapping[str, Any]], colours: Mapping[str, str], key: str, label: str, bar: float | None = None
) -> str:
    curves: dict[str, list[Point]] = {}
    for model in models:
        if sweep := model["parts"]["drives"].get("delays"):
            curves[model["name"]] = [(row["delay_s"], row[key]) for row in sweep]
    most = max((point[0] for curve in curves.values() for point in curve), default=1.0) or 1.0
    return _curves(
        curves, colours, Axis("delay [s]", 0.0, most * 1.03), _share_axis(label), f"{label} over the delay", bar
    )


def _curves(
    curves: Mapping[str, Sequence[Point]],
    colours: Mapping[str, str],
    x: Axis,
    y: Axis,
    alt: str,
    bar: float | None = None,
) -> str:
    if not curves:
        return ""
    plot = Plot(x, y, alt)
    for name, points in curves.items():
        plot.line(points, colours[name], name)
    if bar is not None:
        plot.level(bar)
    return plot.svg()


def _correlations(rows: Sequence[Mapping[str, Any]], target: str) -> str:
    known = [
        (METRICS[r["metric"]].label, r["spearman"], r["low"], r["high"]) for r in rows if r["spearman"] is not None
    ]
    if not known:
        return ""
    return intervals(known, "rank correlation (Spearman)", f"Rank correlations with {target}, and their intervals")


def _share_axis(label: str) -> Axis:
    return Axis(label, 0.0, 1.02)
