"""What the numbers of a benchmark have to do with how its models drive. It knows results; the statistics are
`relations`'.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.benchmark.metrics import METRICS, OFFLINE
from drive_rl.run.storage.json_values import plain
from drive_rl.stats import pareto_front, percentile_interval, rank_correlation, resampled

TARGET = "driving_score"
TARGETS = {TARGET: "driving_scores", "mean_max_offset_m": "max_offsets_m"}
"""What offline metrics are tried as predictors of -> where it lies road by road.

Models that drive every road have one score; how far they stray from the lane's middle still tells them apart.
"""
FEWEST = 3  # models that a rank correlation needs
_SEED = 0
_ACCURACIES = ("ego_lane_iou", "offset_mae_m", "miou", "lines_f1")

Model = Mapping[str, Any]
"""`name`, `metrics`, `parts`."""
Draws = NDArray[np.float64] | None


def relations(models: Sequence[Model]) -> dict[str, Any]:
    """Return `correlations` of offline metrics with each of TARGETS, the `pareto` front, and `intervals` of the driving
    score of each model that told it road by road.
    """
    alike = {target: correlations(models, target) for target in TARGETS}
    return plain({"correlations": alike, "pareto": front(models), "intervals": intervals(models)})


def correlations(models: Sequence[Model], target: str) -> list[dict[str, Any]]:
    """Return for each offline metric its rank correlation with one of TARGETS: those of most models first, and of them
    the strongest.

    The sign is turned where lower is better, so that 1 always says "better offline, better on the road". `resampled`
    names what the interval accounts for: pictures, roads, or both. Metrics that fewer than three models have are left
    out.
    """
    rows = []
    for name in OFFLINE:
        chosen = [model for model in models if {name, target} <= model["metrics"].keys()]
        if len(chosen) < FEWEST:
            continue
        seen, driven = _picture_draws(name, chosen), _road_draws(chosen, target)
        values, scores = (np.array([model["metrics"][key] for model in chosen]) for key in (name, target))
        up, better = METRICS[name].better, METRICS[target].better
        draws = None if seen is None else up * seen, None if driven is None else better * driven
        found = rank_correlation(up * values, better * scores, *draws)
        over = [what for what, draws in (("pictures", seen), ("roads", driven)) if draws is not None]
        rows.append({"metric": name, **found._asdict(), "resampled": over})
    return sorted(rows, key=lambda row: (-row["models"], -np.nan_to_num(abs(row["spearman"]), nan=-1)))


def intervals(models: Sequence[Model]) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of each model's driving score: its mean over resampled roads."""
    found = {}
    for model in models:
        draws = _road_draws([model], TARGET) if TARGET in model["metrics"] else None
        if draws is not None:
            found[model["name"]] = percentile_interval(draws[:, 0])
    return found


def front(models: Sequence[Model]) -> dict[str, Any]:
    """Return which models no other beats in accuracy, latency and driving at once: `models`, and by which `axes`.

    Accuracy is the first of a few that most models have.
    """
    counts = [sum(name in model["metrics"] for model in models) for name in _ACCURACIES]
    axes = (_ACCURACIES[int(np.argmax(counts))], "onnx_p50_ms", TARGET)
    costs = np.array(
        [[-METRICS[axis].better * model["metrics"].get(axis, np.nan) for axis in axes] for model in models]
    ).reshape(len(models), len(axes))
    on = pareto_front(costs)
    left_out = [model["name"] for model, row in zip(models, costs, strict=True) if not np.isfinite(row).all()]
    return {
        "axes": list(axes),
        "models": [model["name"] for model, stays in zip(models, on, strict=True) if stays],
        "left_out": left_out,
    }


def _picture_draws(name: str, models: Sequence[Model]) -> Draws:
    """(resamples, M) of a metric; None for one that is no mean of ratios of sums over pictures."""
    tables = [model["parts"]["sees"].get("by_road", {}) for model in models]
    roads = [table.get("roads") for table in tables]
    ratios = [table.get("ratios", {}).get(name) for table in tables]
    if any(each is None for each in ratios) or any(each != roads[0] for each in roads):
        return None
    if len({len(each) for each in ratios}) > 1:  # mIoU over other classes: no model had the same
        return None
    return resampled(np.array(ratios, dtype=np.float64), _SEED)


def _road_draws(models: Sequence[Model], target: str) -> Draws:
    scores = [model["parts"]["drives"]["clean"].get(TARGETS[target]) for model in models]
    if any(each is None for each in scores) or len({len(each) for each in scores}) > 1:
        return None
    each = np.array(scores, dtype=np.float64)  # (M, R)
    return resampled(np.stack([each, np.ones_like(each)], axis=-1)[:, None], _SEED + 1)
