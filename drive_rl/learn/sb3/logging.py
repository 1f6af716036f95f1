"""What stable-baselines3 logs, sent to `metrics.csv` and the tracker.

It knows stable-baselines3's logger. It does not know what is tracked where.
"""

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger

from drive_rl.run.metrics import MetricsFile
from drive_rl.run.tracking.tracker import Tracker


class TrackerWriter(KVWriter):
    """Writes the numbers of each record; films and models go to the tracker by other ways."""

    def __init__(self, metrics: MetricsFile, tracker: Tracker) -> None:
        self._metrics, self._tracker = metrics, tracker

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write one record at training step `step`."""
        if scalars := _numbers(key_values):
            self._metrics.append(step, scalars)
            self._tracker.log(scalars, step)

    def close(self) -> None:
        """Leave the tracker open: the film and the model come after training."""


def make_logger(metrics: MetricsFile, tracker: Tracker, logged: dict[str, float] | None = None) -> Logger:
    """Make a logger for `model.set_logger`: silent on the terminal, for the progress bar speaks there.

    Args:
        metrics: Where rows are written.
        tracker: Where they are written, too.
        logged: When resuming, what was logged for the next row already (`pending`).
    """
    logger = Logger(folder=None, output_formats=[TrackerWriter(metrics, tracker)])
    for name, value in (logged or {}).items():
        logger.record(name, value)
    return logger


def pending(model: BaseAlgorithm) -> dict[str, float]:
    """Return what a model has logged for its next row: an update's losses wait for the rollout after it."""
    logger = getattr(model, "_logger", None)  # absent before a model first learns
    return _numbers(logger.name_to_value) if logger is not None else {}


def _numbers(key_values: dict[str, Any]) -> dict[str, float]:
    numbers = (int, float, np.integer, np.floating)
    return {name: float(value) for name, value in key_values.items() if isinstance(value, numbers)}
