"""Metrics of plugins over driven episodes, beside the score. It knows episodes alone."""

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

from drive_rl.config.extensions import Extension, MetricAbout, registered, reserve
from drive_rl.config.plugin_call import called
from drive_rl.errors import DriveRLError
from drive_rl.sim.task.scoring import EpisodeMetrics, Score

reserve("metric", Score.__dataclass_fields__)


class MetricValue(NamedTuple):
    """A metric of some episodes, as tables show it."""

    label: str
    unit: str
    value: float | None  # None: not defined for these episodes


def episode_metrics(rows: Sequence[EpisodeMetrics]) -> dict[str, MetricValue]:
    """Return what the loaded plugins' metrics say of some episodes, by name.

    Raises:
        DriveRLError: one of them fails, or returns something else than a finite number or None.
    """
    found: dict[str, MetricValue] = {}
    for name, extension in registered("metric").items():
        about: MetricAbout = extension.about
        if about.of == "episodes":
            found[name] = MetricValue(about.label, about.unit, metric_value(extension, rows))
    return found


def metric_value(extension: Extension, measured: object) -> float | None:
    """Return the value of a plugin's metric.

    Raises:
        DriveRLError: it fails, or returns something else than a finite number or None.
    """
    what = f"{extension.plugin}: metric {extension.name}"
    with called(what, "fails", "correct it"):
        value = extension.make(copy.deepcopy(measured))  # a plugin's to edit
        number = None if value is None else float(value)
    if number is not None and not math.isfinite(number):
        raise DriveRLError(f"{what} = {number}: expected a finite number, or None where it is not defined; fix: None")
    return number
