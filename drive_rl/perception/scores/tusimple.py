"""The TuSimple lane benchmark's rule: accuracy, false positives and false negatives of a picture and of a data set.

Equal to `evaluate/lane.py` of github.com/TuSimple/tusimple-benchmark, with its oddities (see `score_picture`).
It knows nothing of files, and not which prediction belongs to which picture.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError

Lanes = Sequence[Sequence[float] | NDArray[np.floating]] | NDArray[np.floating]
Floats = NDArray[np.float64]

PIXEL_THRESHOLD = 20.0  # [px] across the lane
POINT_THRESHOLD = 0.85  # share of rows that must agree for a lane to be found
SLOWEST_MS = 200.0
SPARE_LANES = 2  # lanes that may be predicted beyond the true ones
COUNTED_LANES = 4  # true lanes that count; of more, the worst is forgiven
NOWHERE = -100.0  # the column that stands for "no lane in this row", on both sides


class TuSimpleScore(NamedTuple):
    """Shares of a picture's lanes, or their means over pictures."""

    accuracy: float
    fp: float  # wrong lanes / predicted lanes
    fn: float  # missed lanes / true lanes


def score_picture(
    predicted: Lanes, truth: Lanes, h_samples: Sequence[float], run_time_ms: float = 0.0
) -> TuSimpleScore:
    """Score one picture.

    predicted (P, R), truth (T, R): columns [px] where each lane meets the R rows `h_samples` [px]; negative: not there.

    A row agrees where both columns are within 20 px / cos(angle of the true lane), or neither lane is there. A true
    lane is found if some prediction agrees in 85 % of the rows. Slower than 200 ms, or more than two lanes too many:
    (0, 0, 1). As in the original, one prediction may find two true lanes, so that `fp` can be negative; a picture
    without true lanes has accuracy 0; and of five or more true lanes one miss is forgiven.

    Raises DriveRLError if a lane has another number of rows than `h_samples`.
    """
    rows = np.asarray(h_samples, dtype=np.float64)
    found = _lanes("predicted", predicted, len(rows))
    wanted = _lanes("true", truth, len(rows))
    if run_time_ms > SLOWEST_MS or len(found) > len(wanted) + SPARE_LANES:
        return TuSimpleScore(0.0, 0.0, 1.0)
    best = _agreement(found, wanted, rows).max(axis=1, initial=0.0)  # (T,)
    missed = int((best < POINT_THRESHOLD).sum())
    wrong = len(found) - (len(wanted) - missed)
    total = float(best.sum())
    if len(wanted) > COUNTED_LANES:
        missed = max(missed - 1, 0)
        total -= float(best.min())
    counted = max(min(len(wanted), COUNTED_LANES), 1)
    return TuSimpleScore(total / counted, wrong / max(len(found), 1), missed / counted)


def mean_score(scores: Iterable[TuSimpleScore]) -> TuSimpleScore:
    """The data set's score: the mean over its pictures (every picture weighs the same, however many lanes it has)."""
    pictures = np.array(list(scores), dtype=np.float64)  # (N, 3)
    if not len(pictures):
        return TuSimpleScore(np.nan, np.nan, np.nan)
    return TuSimpleScore(*(float(mean) for mean in pictures.mean(axis=0)))


def _lanes(whose: str, lanes: Lanes, rows: int) -> Floats:
    """(L, R) columns, `NOWHERE` where there is no lane."""
    for index, lane in enumerate(lanes):
        if len(lane) != rows:
            raise DriveRLError(
                f"{whose} lane {index} has {len(lane)} columns: expected {rows}, one for each row of h_samples; "
                "fix: give -2 where the lane is not in the row"
            )
    columns = np.array(lanes, dtype=np.float64).reshape(len(lanes), rows)
    return np.where(columns >= 0, columns, NOWHERE)


def _agreement(found: Floats, wanted: Floats, rows: Floats) -> Floats:
    """(T, P) share of rows in which a true lane (T) and a predicted lane (P) agree."""
    tolerance = np.array([PIXEL_THRESHOLD / np.cos(_angle(lane, rows)) for lane in wanted])  # (T,) [px]
    apart = np.abs(wanted[:, None, :] - found[None, :, :])  # (T, P, R) [px]
    return (apart < tolerance[:, None, None]).mean(axis=2)


def _angle(lane: Floats, rows: Floats) -> float:
    """[rad] between a lane and the vertical, by least squares; 0 for fewer than two points."""
    there = lane >= 0
    if there.sum() < 2:
        return 0.0
    height = rows[there] - rows[there].mean()
    return float(np.arctan(height @ lane[there] / (height @ height)))
