"""Learning curves as a picture: each seed thin, their interquartile mean thick, its interval shaded.

It knows shares over steps. It does not know runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.report.film.canvas import Box, Colour, Picture, blank, draw_lines, draw_shape, text_width, write
from drive_rl.stats import Estimate

WIDTH, HEIGHT = 1200, 720
_PLOT = Box(110, 90, 1050, 500)
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (40, 44, 52)
_DIM: Colour = (104, 112, 125)
_GRID: Colour = (226, 229, 234)
_BAND: Colour = (201, 221, 250)
_LINE: Colour = (31, 99, 214)
_SEED: Colour = (150, 160, 176)
_MOST_TICKS = 8
_HALF = np.array([6.0, 0.0])  # [px]


@dataclass(frozen=True)
class Curves:
    """What is drawn; shares in [0, 1]."""

    title: str
    label: str
    band: Sequence[tuple[int, Estimate]]
    """Step, and the share over all seeds."""
    each: Sequence[Sequence[tuple[int, float]]]
    """Step and share, of each seed."""


def draw(curves: Curves) -> Picture:
    """Return the picture, (HEIGHT, WIDTH, 3) RGB uint8."""
    picture = blank(WIDTH, HEIGHT, _PAPER)
    steps, values = [step for step, _ in curves.band], [value for _, value in curves.band]
    most = max(steps + [step for points in curves.each for step, _ in points])
    low, mean, high = (
        _points(steps, shares, most)
        for shares in zip(*((value.low, value.value, value.high) for value in values), strict=True)
    )
    write(picture, curves.title, _PLOT.x, 50, 26, _INK, 600)
    if len(steps) == 1:  # a band of one evaluation would have no width
        low, high = (np.concatenate([ends - _HALF, ends + _HALF]) for ends in (low, high))
    draw_shape(picture, np.concatenate([high, low[::-1]]), _BAND)
    _axes(picture, most)
    for points in curves.each:
        draw_lines(picture, [_points([step for step, _ in points], [share for _, share in points], most)], _SEED, 1)
    draw_lines(picture, [mean], _LINE, 4)
    for at in mean:
        _dot(picture, at)
    _legend(picture, curves.label)
    return picture


def _axes(picture: Picture, most: int) -> None:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        ends = _points([0, most], [share, share], most)
        draw_lines(picture, [ends], _GRID)
        write(picture, f"{share:.0%}".replace("%", " %"), _PLOT.x - 14, round(ends[0, 1]) + 6, 18, _DIM, align="right")
    for step in _ticks(most):
        x = _points([step], [0], most)[0, 0]
        draw_lines(picture, [np.array([(x, _PLOT.y), (x, _PLOT.bottom)])], _GRID)
        _centred(picture, f"{step:,}", round(x), _PLOT.bottom + 30, 18, _DIM)
    _centred(picture, "environment steps", _PLOT.x + _PLOT.width // 2, _PLOT.bottom + 64, 20, _INK)


def _centred(picture: Picture, text: str, x: int, baseline: int, size: int, colour: Colour) -> None:
    write(picture, text, x - text_width(text, size) // 2, baseline, size, colour)


def _legend(picture: Picture, label: str) -> None:
    x, y = _PLOT.x, HEIGHT - 24
    draw_shape(picture, np.array([(x, y - 14), (x + 44, y - 14), (x + 44, y + 2), (x, y + 2)], np.float64), _BAND)
    draw_lines(picture, [np.array([(x, y - 6.0), (x + 44, y - 6.0)])], _LINE, 4)
    write(picture, label, x + 56, y, 18, _INK)
    x += 56 + text_width(label, 18) + 40
    draw_lines(picture, [np.array([(x, y - 6.0), (x + 44, y - 6.0)])], _SEED, 1)
    write(picture, "each seed", x + 56, y, 18, _INK)


def _dot(picture: Picture, at: NDArray[np.float64], radius: float = 5) -> None:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    draw_shape(picture, at + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1), _LINE)


def _points(steps: Sequence[float], shares: Sequence[float], most: int) -> NDArray[np.float64]:
    """(n, 2) places in the picture [px]."""
    x = _PLOT.x + np.asarray(steps, np.float64) / most * _PLOT.width
    y = _PLOT.bottom - np.asarray(shares, np.float64) * _PLOT.height
    return np.stack([x, y], axis=1)


def _ticks(most: int) -> list[int]:
    """Return round steps from 0 up to `most`."""
    power = 10 ** max(len(str(most)) - 2, 0)
    step = next(m * power for m in (1, 2, 5, 10, 20) if most / (m * power) <= _MOST_TICKS)
    return list(range(0, most + 1, step))
