"""The plots of a benchmark of perception models, as SVG. It knows results; `svg` knows axes and marks."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from drive_rl.benchmark.closed_loop import Driven
from drive_rl.benchmark.metrics import METRICS
from drive_rl.benchmark.parts.robustness import ScoreRobustness
from drive_rl.benchmark.results import BenchResults, Correlation, ModelResult, Pareto
from drive_rl.benchmark.svg import COLOURS, Axis, Plot, Point, axis_of, intervals, shade
from drive_rl.benchmark.verdict import SCORES

ROBUSTNESS = {
    "ego_lane_iou": "ego-lane IoU",
    "lane_within": "share of pictures within 0.2 m and 2°",
    "lines_f1": "lines F1",
}
"""The labels of `verdict.SCORES`."""


def plots(results: BenchResults) -> dict[str, str]:
    """Return the plots by name, without those that there is no data for.

    `tradeoff`, `corruptions_<score>`, `attacks_<score>`, `delay_score`, `delay_success`, `correlations_<target>`.
    """
    models, comparison = results.models, results.comparison
    colours = {model.name: COLOURS[i % len(COLOURS)] for i, model in enumerate(models)}
    found = {"tradeoff": _tradeoff(models, comparison.pareto)}
    for name, label in ROBUSTNESS.items():
        robustness = {model.name: each for model in models if (each := _robustness(model, name)) is not None}
        found[f"corruptions_{name}"] = _corruptions(robustness, colours, label)
        found[f"attacks_{name}"] = _attacks(robustness, colours, label)
    found["delay_score"] = _delay(models, colours, lambda it: it.driving_score, "driving score")
    found["delay_success"] = _delay(models, colours, lambda it: it.success, "success rate", threshold=0.5)
    for target, rows in comparison.correlations.items():
        found[f"correlations_{target}"] = _correlations(rows, METRICS[target].label)
    return {name: svg for name, svg in found.items() if svg}


def _tradeoff(models: Sequence[ModelResult], pareto: Pareto) -> str:
    accuracy, latency, driving = pareto.axes
    known = [model for model in models if {accuracy, latency} <= model.metrics.keys()]
    if not known:
        return ""
    at = [(model.metrics[latency], model.metrics[accuracy]) for model in known]
    x = axis_of(f"{METRICS[latency].label} [ms]", [point[0] for point in at], log=True)
    unit = f" [{METRICS[accuracy].unit}]" if METRICS[accuracy].unit else ""
    better = "" if METRICS[accuracy].better > 0 else ", lower is better"
    y = axis_of(METRICS[accuracy].label + unit + better, [point[1] for point in at])
    plot = Plot(x, y, f"{METRICS[accuracy].label} against latency, coloured by driving score")
    for model, point in zip(known, at, strict=True):
        _dot(plot, point, model.name, model.metrics.get(driving), ring=model.name in pareto.models)
    return plot.svg()


def _dot(plot: Plot, point: Point, name: str, score: float | None, ring: bool) -> None:
    if score is None:
        plot.dot(point, "#8a8f98", f"{name}: did not drive", ring=ring)
        plot.text(point, name, right=15)
    else:
        plot.dot(point, shade(score), f"{name}: driving score {score:.2f}", ring=ring)
        plot.text(point, f"{name} ({score:.2f})", right=15)


def _robustness(model: ModelResult, name: str) -> ScoreRobustness | None:
    """Return how much of a score is left; None if it is not known of clean pictures."""
    found = SCORES[name](model.parts.robustness) if model.parts.robustness else None
    return found if found and math.isfinite(found.corruptions.clean) else None


def _corruptions(robustness: Mapping[str, ScoreRobustness], colours: Mapping[str, str], label: str) -> str:
    curves: dict[str, list[Point]] = {}
    for name, found in robustness.items():
        scores = found.corruptions
        curves[name] = [(0.0, scores.clean)]
        for severity in scores.severities:
            each = [row[severity] for row in scores.by_corruption.values() if math.isfinite(row[severity])]
            curves[name] += [(float(severity), fmean(each))] if each else []
    alt = f"{label} over the severity of corruption, mean of 15 corruptions"
    return _curves(curves, colours, Axis("severity (0: clean)", -0.2, 5.2), _share_axis(label), alt)


def _attacks(robustness: Mapping[str, ScoreRobustness], colours: Mapping[str, str], label: str) -> str:
    attacks = {name: found.attacks for name, found in robustness.items() if found.attacks is not None}
    if not attacks:
        return ""
    most = max(next(iter(attacks.values())).epsilons_px)
    x = Axis("largest change of a pixel [grey values of 255]", 0.0, most * 1.03)
    plot = Plot(x, _share_axis(label), f"{label} under FGSM (solid) and PGD (dashed)")
    for name, scores in attacks.items():
        for values, dash in ((scores.fgsm, ""), (scores.pgd, "6 4")):
            pairs = zip((0.0, *scores.epsilons_px), (scores.clean, *values), strict=True)
            points = [(epsilon, value) for epsilon, value in pairs if math.isfinite(value)]
            plot.line(points, colours[name], "" if dash else name, dash)
    return plot.svg()


def _delay(
    models: Sequence[ModelResult],
    colours: Mapping[str, str],
    value: Callable[[Driven], float],
    label: str,
    threshold: float | None = None,
) -> str:
    curves: dict[str, list[Point]] = {}
    for model in models:
        if model.parts.closed_loop is not None:
            curves[model.name] = [(row.delay_s, value(row.driven)) for row in model.parts.closed_loop.delays]
    most = max((point[0] for curve in curves.values() for point in curve), default=1.0) or 1.0
    axis, alt = Axis("delay [s]", 0.0, most * 1.03), f"{label} over the delay"
    return _curves(curves, colours, axis, _share_axis(label), alt, threshold)


def _curves(
    curves: Mapping[str, Sequence[Point]],
    colours: Mapping[str, str],
    x: Axis,
    y: Axis,
    alt: str,
    threshold: float | None = None,
) -> str:
    if not curves:
        return ""
    plot = Plot(x, y, alt)
    for name, points in curves.items():
        plot.line(points, colours[name], name)
    if threshold is not None:
        plot.level(threshold)
    return plot.svg()


def _correlations(rows: Sequence[Correlation], target: str) -> str:
    known = [(METRICS[r.metric].label, r.spearman, r.low, r.high) for r in rows if math.isfinite(r.spearman)]
    if not known:
        return ""
    return intervals(known, "rank correlation (Spearman)", f"Rank correlations with {target}, and their intervals")


def _share_axis(label: str) -> Axis:
    return Axis(label, 0.0, 1.02)
