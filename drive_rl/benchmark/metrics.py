"""The numbers of the benchmark by name: those of its parts, and those that users add.

It knows which metrics exist. It does not know how they are measured, and draws nothing.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from drive_rl.benchmark.part import Metric, Number, R
from drive_rl.benchmark.parts import PARTS
from drive_rl.config.extensions import MetricAbout, registered, reserve, when_forgotten
from drive_rl.drivers.plugin_metrics import metric_value
from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.accuracy import Accuracy

TABLES = ("closed_loop", "accuracy", "latency", "robustness")
"""The parts with metrics, in the order of the page."""
COMPARISON = "comparison"
"""What metrics that compare a model with the others count as their part; its result: score -> mCE of one model."""


def _mce(score: str, label: str) -> Metric[Mapping[str, float]]:
    return Metric(COMPARISON, f"{label}, mCE", "", -1, lambda it: it.get(score))


_COMPARED: dict[str, Metric[Any]] = {
    "mce_ego_lane_iou": _mce("ego_lane_iou", "ego-lane IoU"),
    "mce_lane_within": _mce("lane_within", "lane within 0.2 m and 2°"),
    "mce_lines_f1": _mce("lines_f1", "lines F1"),
}
METRICS: dict[str, Metric[Any]] = {
    **{name: metric for part in TABLES for name, metric in PARTS[part].metrics.items()},
    **_COMPARED,
}
"""Every number that a requirement or a table may name; those of driving first."""
reserve("metric", METRICS)


def add_metric(
    name: str, part: str, label: str = "", unit: str = "", better: int = 1
) -> Callable[[Callable[[R], Number | None]], Callable[[R], Number | None]]:
    """Add the decorated function to METRICS: it takes the part's result, and returns a number or None.

    Args:
        name: By which requirements name it; ends in its unit, such as `_m`.
        part: One of TABLES.
        label: For people; empty: the name in words.
        unit: Empty for a share or a count.
        better: 1: higher is better, -1: lower, 0: neither.

    Raises:
        DriveRLError: the name is taken, or there is no such part.
    """
    if name in METRICS:
        raise DriveRLError(f"metric {name!r}: exists already; fix: another name")
    if part not in TABLES:
        raise DriveRLError(f"metric {name!r}: part = {part!r}: expected one of {', '.join(TABLES)}; fix: one of them")

    def add(value: Callable[[R], Number | None]) -> Callable[[R], Number | None]:
        METRICS[name] = Metric(part, label or name.replace("_", " "), unit, better, value)
        return value

    return add


_OF_PLUGINS = set[str]()


def add_plugin_metrics() -> None:
    """Add the metrics of the plugins that are loaded now, and the scores of their heads.

    Those that users added otherwise stay.

    Raises:
        DriveRLError: a head's score has the name of another metric.
    """
    _drop_plugin_metrics()
    for name, extension in registered("metric").items():
        about: MetricAbout = extension.about
        if about.of != "episodes" and name not in METRICS:
            _OF_PLUGINS.add(name)
            value = partial(metric_value, extension)
            METRICS[name] = Metric(about.of, about.label, about.unit, about.better, value)
    for head, extension in registered("head").items():
        for score, better in extension.about.items():
            _add_score(head, score, better, f"{extension.plugin}: head {head}: score {score}")


@when_forgotten
def _drop_plugin_metrics() -> None:
    while _OF_PLUGINS:
        METRICS.pop(_OF_PLUGINS.pop(), None)


def _add_score(head: str, score: str, better: int, what: str) -> None:
    name, label = f"{head}_{score}", f"{head}: {score}".replace("_", " ")
    if name in METRICS:
        raise DriveRLError(f"{what}: the benchmark has a metric {name} already; fix: another name")
    _OF_PLUGINS.add(name)
    METRICS[name] = Metric("accuracy", label, "", better, partial(_score_of, head, score))


def _score_of(head: str, score: str, accuracy: Accuracy) -> Number | None:
    if (why := (accuracy.failed or {}).get(head)) is not None:
        raise DriveRLError(why)
    return (accuracy.heads or {}).get(head, {}).get(score)


def predictors() -> list[str]:
    """Return the metrics that are known without driving, and tried as predictors of it."""
    offline = [name for name, metric in METRICS.items() if metric.part in ("accuracy", "robustness") and metric.better]
    return [name for name in offline if name != "heading_mae_rad"]  # the same in degrees


def more_columns() -> list[str]:
    """Return the metrics of the table of more metrics: those that the parts put there, and those of users."""
    return [*(name for part in TABLES for name in PARTS[part].more), *of_users()]


def of_users() -> list[str]:
    """Return the metrics that are not ours."""
    ours = {name for part in TABLES for name in PARTS[part].metrics}
    return [name for name in METRICS if name not in ours | _COMPARED.keys()]


class Found(NamedTuple):
    """The metrics of one model."""

    values: dict[str, Number]
    """Those that are measured and finite."""
    errors: dict[str, str]
    """Why others, of users, failed."""


def metrics_of(results: Iterable[tuple[str, object]]) -> Found:
    """Return the metrics of the results of a model's parts, given as (part, result)."""
    measured, found = dict(results), Found({}, {})
    for name, metric in METRICS.items():
        if metric.part not in measured:
            continue
        try:
            value = metric.value(measured[metric.part])
        except Exception as error:  # whatever it is, it concerns this metric alone
            found.errors[name] = str(error) if isinstance(error, DriveRLError) else f"{type(error).__name__}: {error}"
            continue
        if value is not None and math.isfinite(value):
            found.values[name] = value
    return found
