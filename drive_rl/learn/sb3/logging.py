"""stable-baselines3's logger, writing to `metrics.csv` and the tracker. It does not know which tracker."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger

from drive_rl.run.metrics import MetricsFile
from drive_rl.run.tracking.tracker import Tracker


class TrackerWriter(KVWriter):
    """Writes the numbers of each record; films and models reach the tracker elsewhere."""

    def __init__(self, metrics: MetricsFile, tracker: Tracker) -> None:
        self._metrics, self._tracker = metrics, tracker

    def write(self, key_values: Mapping[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write one record at training step `step`."""
        if scalars := _numbers(key_values):
            self._metrics.append(step, scalars)
            self._tracker.log(scalars, step)

    def close(self) -> None:
        """Leave the tracker open for the film and the model, which come after training."""


def make_logger(metrics: MetricsFile, tracker: Tracker, logged: dict[str, float] | None = None) -> Logger:
    """Make a logger for `model.set_logger`: silent on the terminal, where the progress bar is.

    Args:
        metrics: Receives the rows.
        tracker: Receives them, too.
        logged: When resuming, what is already logged for the next row (`pending`).
    """
    logger = Logger(folder=None, output_formats=[TrackerWriter(metrics, tracker)])
    for name, value in (logged or {}).items():
        logger.record(name, value)
    return logger


def pending(model: BaseAlgorithm) -> dict[str, float]:
    """Return what a model has logged for its next row: an update's losses are written after the next rollout."""
    logger = getattr(model, "_logger", None)  # absent before a model first learns
    return _numbers(logger.name_to_value) if logger is not None else {}


def _numbers(key_values: Mapping[str, Any]) -> dict[str, float]:
    numbers = (int, float, np.integer, np.floating)
    return {name: float(value) for name, value in key_values.items() if isinstance(value, numbers)}
