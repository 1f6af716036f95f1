"""A small plot of the last seconds, scrolling from right to left. Knows numbers, not what they mean."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.report.film.canvas import DIM, PANEL, RULE, TEXT, Box, Colour, Picture, draw_lines, fill, write

_GUTTER_PX = 34  # for the labels of the ticks
_PAD_PX = 10
_DASH = 3


@dataclass(frozen=True)
class Axis:
    """The vertical axis: its range, and its labelled values."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


class History:
    """One plot.

    Args:
        box: Its place.
        axis: Its vertical axis; the other one is time.
        samples: Its width in values.
    """

    def __init__(self, box: Box, axis: Axis, samples: int) -> None:
        self._box, self._axis = box, axis
        self._plot = Box(
            box.x + _GUTTER_PX, box.y + _PAD_PX, box.width - _GUTTER_PX - _PAD_PX, box.height - 2 * _PAD_PX
        )
        self._samples = samples
        self._values: deque[tuple[float, float]] = deque(maxlen=samples)
        self._count = 0

    def draw_ground(self, picture: Picture) -> None:
        """Draw the static parts."""
        fill(picture, self._box, PANEL)
        for value, label in self._axis.ticks:
            y = float(self._rows(np.array([value]))[0])
            draw_lines(picture, [np.array([(self._plot.x, y), (self._plot.right, y)])], RULE)
            write(picture, label, self._plot.x - 6, round(y) + 5, 13, DIM, align="right")

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()
        self._count = 0

    def add(self, value: float, target: float = float("nan")) -> None:
        """Append the next value and its target."""
        self._values.append((value, target))
        self._count += 1

    def draw(self, picture: Picture, colour: Colour) -> None:
        """Draw the values as a line, and their targets as a dashed one."""
        values, targets = np.array(self._values, np.float64).T
        columns = self._plot.right - (len(values) - 1 - np.arange(len(values))) * self._plot.width / (self._samples - 1)
        draw_lines(picture, [np.stack([columns, self._rows(values)], axis=1)], colour, 2)
        if not np.isnan(targets).any():
            draw_lines(picture, self._dashes(np.stack([columns, self._rows(targets)], axis=1)), TEXT)

    def _dashes(self, line: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Cut a line (n, 2) into dashes that move with it."""
        first = (-(self._count - len(line))) % (2 * _DASH)
        return [
            line[max(at, 0) : at + _DASH + 1] for at in range(first - 2 * _DASH, len(line), 2 * _DASH) if at > -_DASH
        ]

    def _rows(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        part = (np.clip(values, self._axis.low, self._axis.high) - self._axis.low) / (self._axis.high - self._axis.low)
        return self._plot.bottom - part * self._plot.height
