"""Predicted lines scored by the two lane benchmarks: TuSimple's in 1280 x 720 px, CULane's in 1640 x 590.

Lanes are stretched from the model's own picture to the size that the rules count pixels in. It knows lines and rules.
It knows no model and no files.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.records import Floats, LaneTruth
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.predicted_lanes import columns_of_points, predicted_columns, predicted_points
from drive_rl.perception.scores.culane import LaneCounts, count_lanes
from drive_rl.perception.scores.tusimple import TuSimpleScore, mean_score, score_picture

TUSIMPLE_PX = 1280, 720
CULANE_PX = 1640, 590
TUSIMPLE_ROWS = np.arange(160, 711, 10.0)
"""Rows of TuSimple's own labels; where the truth has rows of its own, those count."""

Lines = NDArray[np.floating]  # (LINES, ROWS), column / width, NaN where there is none
Truths = Sequence[LaneTruth | None]


class TuSimpleResult(NamedTuple):
    """TuSimple's scores, means over pictures."""

    accuracy: float
    fp: float  # wrong lanes / predicted lanes
    fn: float  # missed lanes / true lanes
    n: int  # labelled pictures


class CULaneResult(NamedTuple):
    """CULane's scores, over the lanes of all pictures."""

    f1: float
    precision: float
    recall: float
    n: int  # labelled pictures


class ScenarioResult(NamedTuple):
    """CULane's scores of one scenario. Of one without a true lane, as crossroads are, only `fp` is defined."""

    f1: float  # NaN: no picture has a true lane
    fp: int  # wrong lanes
    n: int  # labelled pictures


class LaneBenchmarks(NamedTuple):
    """Both lane benchmarks."""

    tusimple: TuSimpleResult
    culane: CULaneResult
    scenarios: dict[str, ScenarioResult]  # CULane's, of each group; empty where there is one group alone


def lane_scores(
    predicted: Lines, samples: Samples, truths: Truths | None = None, groups: Sequence[str] | None = None
) -> LaneBenchmarks:
    """Return both scores over the labelled pictures.

    Args:
        predicted: (N, LINES, ROWS), column / width with NaN where there is no line.
        samples: The pictures. Where a picture has no lanes of its own in `truths`, its `lines` are the truth.
        truths: The lanes of each picture as its data set has them.
        groups: The scenario of each picture.
    """
    height = samples.images.shape[2]
    scores, each = list[TuSimpleScore](), list[LaneCounts]()
    for lines, truth, true_lines in _labelled(predicted, samples, truths):
        rows, true_columns = _columns(truth, true_lines, height)
        scores.append(score_picture(_as_columns(lines, height, rows), true_columns, rows.tolist()))
        points = _as_points(true_lines, height) if truth is None else truth.scaled(*CULANE_PX).points()
        each.append(count_lanes(_as_points(lines, height), points, *CULANE_PX))
    tusimple, counts = TuSimpleResult(*mean_score(scores), n=len(scores)), sum(each, LaneCounts())
    culane = CULaneResult(counts.f1, counts.precision, counts.recall, len(scores))
    named = [groups[i] for i in np.flatnonzero(samples.lined).tolist()] if groups else []
    return LaneBenchmarks(tusimple, culane, _by_scenario(each, named))


def _by_scenario(counts: Sequence[LaneCounts], scenarios: Sequence[str]) -> dict[str, ScenarioResult]:
    found: dict[str, list[LaneCounts]] = {}
    for scenario, count in zip(scenarios, counts, strict=bool(scenarios)):
        found.setdefault(scenario, []).append(count)
    sums = {scenario: (sum(each, LaneCounts()), len(each)) for scenario, each in found.items()}
    rows = {name: ScenarioResult(s.f1 if s.tp + s.fn else float("nan"), s.fp, n) for name, (s, n) in sums.items()}
    return rows if len(rows) > 1 else {}


def _labelled(
    predicted: Lines, samples: Samples, truths: Truths | None
) -> Iterator[tuple[Lines, LaneTruth | None, Lines]]:
    for i in np.flatnonzero(samples.lined).tolist():
        yield predicted[i], None if truths is None else truths[i], samples.lines[i]


def _columns(truth: LaneTruth | None, lines: Lines, height: int) -> tuple[Floats, list[Floats]]:
    """Return TuSimple's rows [px] and the true lanes' columns there."""
    if truth is None:
        return TUSIMPLE_ROWS, _as_columns(lines, height, TUSIMPLE_ROWS)
    scaled = truth.scaled(*TUSIMPLE_PX)
    if scaled.h_samples is None:
        return TUSIMPLE_ROWS, columns_of_points(scaled.points(), TUSIMPLE_ROWS, TUSIMPLE_PX[0])
    return np.asarray(scaled.h_samples, np.float64), list(scaled.lanes)


def _as_columns(lines: Lines, height: int, rows: Floats) -> list[Floats]:
    return list(predicted_columns(lines, _there(lines), height, rows, *TUSIMPLE_PX))


def _as_points(lines: Lines, height: int) -> list[Floats]:
    return predicted_points(lines, _there(lines), height, *CULANE_PX)


def _there(lines: Lines) -> Floats:
    """Return logits that are positive where there is a line."""
    return np.where(np.isfinite(lines), 1.0, -1.0)
