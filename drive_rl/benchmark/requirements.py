"""What every model of a benchmark must reach, such as `ego_lane_iou>=0.9`."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from drive_rl.benchmark.metrics import METRICS, add_plugin_metrics
from drive_rl.benchmark.part import Number
from drive_rl.config.extensions import registered
from drive_rl.config.shelf import nearest
from drive_rl.errors import DriveRLError


class Requirement(NamedTuple):
    """A bound on one metric."""

    metric: str
    at_least: bool
    bound: float

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.bound:g}"

    def holds(self, value: Number) -> bool:
        """Return whether a value meets it."""
        return value >= self.bound if self.at_least else value <= self.bound


def parse_requirement(text: str) -> Requirement:
    """Return the requirement that a text such as `ego_lane_iou>=0.9` stands for.

    Raises:
        DriveRLError: another form, an unknown metric, or not a number.
    """
    found = re.fullmatch(r"\s*(\w+)\s*(>=|<=)\s*(\S+)\s*", text)
    if found is None:
        expected = "METRIC>=NUMBER or METRIC<=NUMBER; fix: such as ego_lane_iou>=0.9"
        raise DriveRLError(f"--require {text!r}: expected {expected}")
    name, sign, number = found.groups()
    add_plugin_metrics()
    if name not in METRICS:
        raise DriveRLError(f"--require {text!r}: {_unknown(name)}")
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        raise DriveRLError(f"--require {text!r}: {number!r} is not a number; fix: such as {name}{sign}0.9")
    return Requirement(name, sign == ">=", bound)


def _unknown(name: str) -> str:
    """Return what is wrong with a name that no metric of the benchmark has, and the fix."""
    if name in registered("metric"):
        return f"{name} is a metric of episodes, which `drive-rl eval` shows; fix: a metric of the benchmark"
    near = nearest(name, METRICS)
    one = f"{near} fix: that" if near.endswith("?") else near
    return f"unknown metric {name!r}; {one}, or --plugin FILE.py with the plugin that registers {name!r}"


def missed_requirements(
    metrics: Iterable[tuple[str, Mapping[str, Number]]], requirements: Sequence[Requirement]
) -> list[str]:
    """Return one line for each requirement that a model, given as (name, metrics), misses; not measured is missed."""
    missed = []
    for model, values in metrics:
        for requirement in requirements:
            value = values.get(requirement.metric)
            if value is None:
                missed.append(f"{model}: {requirement.metric} was not measured, required: {requirement}")
            elif not requirement.holds(value):
                missed.append(f"{model}: {requirement.metric} = {value:.4g}, required: {requirement}")
    return missed
