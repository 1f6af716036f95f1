"""What stable-baselines3 logs, sent to `metrics.csv` and the tracker.

It knows stable-baselines3's logger. It does not know what is tracked where.
"""

from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger

from drive_rl.run.metrics import MetricsFile
from drive_rl.run.tracker import Tracker


class TrackerWriter(KVWriter):
    """Writes the numbers of each record; films and models go to the tracker by other ways."""

    def __init__(self, metrics: MetricsFile, tracker: Tracker) -> None:
        self._metrics, self._tracker = metrics, tracker

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write one record at training step `step`."""
        numbers = (int, float, np.integer, np.floating)
        scalars = {name: float(value) for name, value in key_values.items() if isinstance(value, numbers)}
        if scalars:
            self._metrics.append(step, scalars)
            self._tracker.log(scalars, step)

    def close(self) -> None:
        """Leave the tracker open: the film and the model come after training."""


def make_logger(metrics: MetricsFile, tracker: Tracker) -> Logger:
    """A logger for `model.set_logger`: silent on the terminal, for the progress bar speaks there."""
    return Logger(folder=None, output_formats=[TrackerWriter(metrics, tracker)])
