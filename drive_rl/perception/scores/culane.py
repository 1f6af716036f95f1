"""The CULane benchmark's rule: lanes as wide strokes, matched by overlap; precision, recall, F1.

Equal to `tools/lane_evaluation` of github.com/XingangPan/SCNN (Pan et al. 2018, "Spatial as deep", arXiv 1712.06080),
down to its matching (see `matching`). It knows nothing of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from drive_rl.errors import DriveRLError
from drive_rl.perception.scores.matching import match

Lanes = Sequence[ArrayLike]  # each (P, 2): column and row [px]

STEPS = 50  # points drawn from each given point to the next
FARTHEST_PX = 1e9  # points beyond are drawn there: the original's 32 bits end at 2e9


@dataclass(frozen=True)
class LaneCounts:
    """Lanes found (tp), predicted but wrong (fp), missed (fn); of several pictures, ``sum(counts, LaneCounts())``."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: "LaneCounts") -> "LaneCounts":
        return LaneCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of predicted lanes that are right; NaN if none was predicted (the original prints -1)."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of true lanes that were found; NaN if there are none (the original prints -1)."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two; 0 if no lane was found (the original prints nan), NaN if there was none at all."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def count_lanes(
    predicted: Lanes,
    truth: Lanes,
    width: int = 1640,
    height: int = 590,
    iou_threshold: float = 0.5,
    line_width_px: int = 30,
) -> LaneCounts:
    """One picture of `width` x `height` px: a true lane is found if its match overlaps it by more than `iou_threshold`.

    Raises DriveRLError for a lane that is not made of finite (column, row) points.
    """
    if not len(predicted) or not len(truth):
        return LaneCounts(0, len(predicted), len(truth))
    iou = lane_iou(predicted, truth, width, height, line_width_px)
    matched = match(iou)  # (T,)
    overlap = iou[np.arange(len(truth)), matched]  # a -1 reads the last column, and is masked below
    tp = int(((matched >= 0) & (overlap > iou_threshold)).sum())
    return LaneCounts(tp, len(predicted) - tp, len(truth) - tp)


def lane_iou(
    predicted: Lanes, truth: Lanes, width: int = 1640, height: int = 590, line_width_px: int = 30
) -> NDArray[np.float64]:
    """(T, P) overlap of each true lane with each predicted lane, drawn `line_width_px` wide.

    A lane of fewer than two points overlaps nothing. NaN for two lanes of which neither touches the picture.
    """
    iou = np.zeros((len(truth), len(predicted)))
    rows = [_stroke("true", i, lane, width, height, line_width_px) for i, lane in enumerate(truth)]
    columns = [_stroke("predicted", i, lane, width, height, line_width_px) for i, lane in enumerate(predicted)]
    for t, row in enumerate(rows):
        for p, column in enumerate(columns):
            if row is not None and column is not None:
                both = cv2.countNonZero(row & column)
                iou[t, p] = _share(both, cv2.countNonZero(row) + cv2.countNonZero(column) - both)
    return iou


def spline(points: NDArray[np.float32], steps: int = STEPS) -> NDArray[np.float32]:
    """Points (S, 2) along the natural cubic spline through `points` (P, 2), with chord length as its parameter.

    `steps` from each point to the next, and the last point. Repeated points count once (the original divides by their
    distance, 0); with fewer than three different points, the straight line. float32 as in the original, because
    the points are rounded to pixels afterwards.
    """
    points = points[np.append(True, np.any(np.diff(points, axis=0) != 0, axis=1))]
    if len(points) < 3:
        return points[[0, -1]]
    chord = np.diff(points, axis=0).astype(np.float64)  # (P - 1, 2)
    length = np.hypot(chord[:, 0], chord[:, 1])[:, None]  # (P - 1, 1)
    slope = chord / length
    bend = np.zeros((len(points), 2))  # second derivative at the points; 0 at both ends: "natural"
    bend[1:-1] = np.linalg.solve(_continuity(length[:, 0]), 6 * np.diff(slope, axis=0))
    start = slope - length * (2 * bend[:-1] + bend[1:]) / 6  # first derivative at each point
    along = (length / steps * np.arange(steps))[:, :, None]  # (P - 1, steps, 1)
    square = (bend[:-1] / 2)[:, None]
    cubic = (np.diff(bend, axis=0) / (6 * length))[:, None]
    curve = points[:-1, None] + start[:, None] * along + square * along**2 + cubic * along**3
    return np.vstack([curve.reshape(-1, 2), points[-1:]]).astype(np.float32)


def _continuity(length: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P - 2, P - 2) equations that make the first derivative continuous at the inner points."""
    inner = length[1:-1]
    return np.diag(2 * (length[:-1] + length[1:])) + np.diag(inner, 1) + np.diag(inner, -1)


def _stroke(
    whose: str, index: int, lane: ArrayLike, width: int, height: int, line_width_px: int
) -> NDArray[np.uint8] | None:
    """(height, width) 1 where the lane is drawn; None for a lane of fewer than two points."""
    given = np.asarray(lane, dtype=np.float64)
    if len(given) < 2:
        return None
    if given.ndim != 2 or given.shape[1] != 2 or not np.isfinite(given).all():
        raise DriveRLError(
            f"{whose} lane {index}: expected finite (column, row) points; fix: leave out points that do not exist"
        )
    points = given.clip(-FARTHEST_PX, FARTHEST_PX).astype(np.float32)
    curve = (spline(points) if len(points) > 2 else points).clip(-2 * FARTHEST_PX, 2 * FARTHEST_PX)
    picture = np.zeros((height, width), dtype=np.uint8)
    cv2.polylines(picture, [np.rint(curve).astype(np.int32)], False, (1,), line_width_px)
    return picture


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
