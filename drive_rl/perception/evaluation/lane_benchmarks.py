"""The two official lane scores of what a model tells of lines: TuSimple's in 1280 x 720 px, CULane's in 1640 x 590.

Lanes are stretched from the model's own picture to the size that the rules count pixels in. It knows lines and rules.
It knows no model and no files.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.records import LaneTruth
from drive_rl.perception.data.samples import Frames
from drive_rl.perception.evaluation.predicted_lanes import predicted_columns, predicted_points
from drive_rl.perception.scores.culane import LaneCounts, count_lanes
from drive_rl.perception.scores.tusimple import TuSimpleScore, mean_score, score_picture

TUSIMPLE_PX = 1280, 720
CULANE_PX = 1640, 590
TUSIMPLE_ROWS = np.arange(160, 711, 10.0)
"""Rows of TuSimple's own labels; where the truth has rows of its own, those count."""

Lines = NDArray[np.floating]  # (LINES, ROWS), column / width, NaN where there is none
Truths = Sequence[LaneTruth | None]


def lane_scores(found: Lines, frames: Frames, truths: Truths | None = None) -> dict[str, dict[str, Any]]:
    """Return `tusimple` (accuracy, fp, fn, n) and `culane` (f1, precision, recall, n) over the labelled pictures.

    Args:
        found: (N, LINES, ROWS) as a model tells them, column / width with NaN where none is.
        frames: The pictures. Where a picture has no lanes of its own in `truths`, its `lines` are the truth.
        truths: The lanes of each picture as its data set has them.
    """
    height = frames.images.shape[2]
    columns, counts = list[TuSimpleScore](), LaneCounts()
    for told, truth, lines in _labelled(found, frames, truths):
        rows, wanted = _columns(truth, lines, height)
        columns.append(score_picture(_as_columns(told, height, rows), wanted, rows.tolist()))
        points = _as_points(lines, height) if truth is None else truth.scaled(*CULANE_PX).points()
        counts += count_lanes(_as_points(told, height), points, *CULANE_PX)
    tusimple = {**mean_score(columns)._asdict(), "n": len(columns)}
    culane = {"f1": counts.f1, "precision": counts.precision, "recall": counts.recall, "n": len(columns)}
    return {"tusimple": tusimple, "culane": culane}


def _labelled(found: Lines, frames: Frames, truths: Truths | None) -> Iterator[tuple[Lines, LaneTruth | None, Lines]]:
    for i in np.flatnonzero(frames.lined).tolist():
        yield found[i], None if truths is None else truths[i], frames.lines[i]


def _columns(truth: LaneTruth | None, lines: Lines, height: int) -> tuple[NDArray[np.float64], list[Any]]:
    """Return TuSimple's rows [px] and the true lanes' columns there."""
    if truth is None or truth.h_samples is None:  # CULane's points tell no rows: the labels at the anchor rows do
        return TUSIMPLE_ROWS, _as_columns(lines, height, TUSIMPLE_ROWS)
    scaled = truth.scaled(*TUSIMPLE_PX)
    assert scaled.h_samples is not None
    return np.asarray(scaled.h_samples, np.float64), list(scaled.lanes)


def _as_columns(lines: Lines, height: int, rows: NDArray[np.float64]) -> list[Any]:
    return list(predicted_columns(lines, _there(lines), height, rows, *TUSIMPLE_PX))


def _as_points(lines: Lines, height: int) -> list[Any]:
    return list(predicted_points(lines, _there(lines), height, *CULANE_PX))


def _there(lines: Lines) -> NDArray[np.float64]:
    """Return logits that say where a line is known."""
    return np.where(np.isfinite(lines), 1.0, -1.0)
