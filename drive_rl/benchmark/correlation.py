"""How offline metrics relate to how the models drive: rank correlations, intervals, the Pareto front.

It knows results; `drive_rl.stats` knows the statistics.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from drive_rl.benchmark.metrics import METRICS, predictors
from drive_rl.benchmark.parts.closed_loop import ClosedLoop
from drive_rl.benchmark.results import Comparison, Correlation, Interval, ModelResult, Pareto
from drive_rl.benchmark.verdict import certainty_verdict, mean_corruption_errors, pairs_of, verdict_of
from drive_rl.stats import bounded_mean, fisher_interval, pareto_front, rank_correlation, resampled, swap

TARGET = "driving_score"
TARGETS: dict[str, Callable[[ClosedLoop], tuple[float, ...] | None]] = {
    TARGET: lambda it: it.clean.driving_scores,
    "excess_offset_m": lambda it: it.excess_offsets_m,
}
"""What offline metrics are tried as predictors of -> its value on each road.

Models that drive every road have one score; how far they stray from the lane's middle still sets them apart.
"""
FEWEST = 3  # models that a rank correlation needs
_SEED = 0
_ACCURACIES = ("ego_lane_iou", "offset_mae_m", "miou", "lines_f1")

Draws = NDArray[np.float64] | None


def compare(models: Sequence[ModelResult]) -> Comparison:
    """Return correlations with each of TARGETS, the Pareto front, intervals of driving scores, and the verdict."""
    pairs = pairs_of(models)
    return Comparison(
        correlations={target: correlations(models, target) for target in TARGETS},
        pareto=front(models),
        intervals=intervals(models),
        pairs=pairs or None,
        verdict=(*verdict_of(models, pairs), *certainty_verdict(models)) or None,
        mce=mean_corruption_errors(models) or None,
    )


def correlations(models: Sequence[ModelResult], target: str) -> tuple[Correlation, ...]:
    """Return for each offline metric its rank correlation with one of TARGETS.

    Those of most models come first, and among them the strongest. The sign is flipped where lower is better, so that 1
    always means "better offline, better on the road". Metrics that fewer than three models have are left out.
    """
    every = [(name, [model for model in models if {name, target} <= model.metrics.keys()]) for name in predictors()]
    rows = [_correlation(name, target, chosen) for name, chosen in every if len(chosen) >= FEWEST]
    return tuple(sorted(rows, key=lambda row: (-row.models, -np.nan_to_num(abs(row.spearman), nan=-1))))


def _correlation(name: str, target: str, models: Sequence[ModelResult]) -> Correlation:
    offline, driven = _picture_draws(name, models), _road_draws(models, target)
    values, scores = (np.array([model.metrics[key] for model in models]) for key in (name, target))
    up, better = METRICS[name].better, METRICS[target].better
    draws = None if offline is None else up * offline, None if driven is None else better * driven
    found = rank_correlation(up * values, better * scores, *draws)
    over = tuple(what for what, draws in (("pictures", offline), ("roads", driven)) if draws is not None)
    if over and found.high - found.low < swap(found.models):
        # every resample orders the models alike: what is left is that they are few
        low, high = fisher_interval(found.spearman, found.models)
        return Correlation(name, **found._replace(low=low, high=high)._asdict(), resampled=("models",))
    return Correlation(name, **found._asdict(), resampled=over)


def intervals(models: Sequence[ModelResult]) -> dict[str, Interval]:
    """Return the 95 % interval of each model's driving score (`stats.bounded_mean`)."""
    found = {}
    for model in models:
        if TARGET in model.metrics and model.parts.closed_loop and model.parts.closed_loop.clean.driving_scores:
            estimate = bounded_mean(model.parts.closed_loop.clean.driving_scores)
            found[model.name] = Interval(estimate.low, estimate.high)
    return found


def front(models: Sequence[ModelResult]) -> Pareto:
    """Return the Pareto front of accuracy, latency and driving.

    Accuracy is the first of ego-lane IoU, offset error, mIoU and line F1 that most models have.
    """
    counts = [sum(name in model.metrics for model in models) for name in _ACCURACIES]
    axes = (_ACCURACIES[int(np.argmax(counts))], "onnx_p50_ms", TARGET)
    costs = np.array(
        [[-METRICS[axis].better * model.metrics.get(axis, np.nan) for axis in axes] for model in models]
    ).reshape(len(models), len(axes))
    on = pareto_front(costs)
    return Pareto(
        axes,
        models=tuple(model.name for model, stays in zip(models, on, strict=True) if stays),
        left_out=tuple(model.name for model, row in zip(models, costs, strict=True) if not np.isfinite(row).all()),
    )


def _picture_draws(name: str, models: Sequence[ModelResult]) -> Draws:
    """(resamples, M) of a metric; None if it is not a mean of ratios of sums over the same roads for all models."""
    counts = [model.parts.accuracy.by_road if model.parts.accuracy else None for model in models]
    known = [each for each in counts if each is not None and name in each.ratios]
    if len(known) < len(models) or any(not np.array_equal(each.roads, known[0].roads) for each in known):
        return None
    ratios = [each.ratios[name] for each in known]
    if len({len(each) for each in ratios}) > 1:  # mIoU over other classes: no model had the same
        return None
    return resampled(np.array(ratios, dtype=np.float64), _SEED)


def _road_draws(models: Sequence[ModelResult], target: str) -> Draws:
    """(resamples, M) of a measure of driving; None if it is not known for each road."""
    found = [TARGETS[target](model.parts.closed_loop) for model in models if model.parts.closed_loop]
    scores = [each for each in found if each]
    if len(scores) < len(models) or len({len(each) for each in scores}) > 1:
        return None
    each = np.array(scores, dtype=np.float64)  # (M, R)
    return resampled(np.stack([each, np.ones_like(each)], axis=-1)[:, None], _SEED + 1)
