"""Predicted lines -> lanes in a data set's own form and pixels, for the scorers of the lane benchmarks.

It knows anchor rows and pixels. It knows no model and no files.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drive_rl.perception.data.records import Floats
from drive_rl.perception.data.samples import anchor_rows

_FEWEST_ROWS = 2  # of a lane: a single one has no direction


def predicted_points(
    columns: NDArray[np.floating], there: NDArray[np.floating], shown_height: int, width: int, height: int
) -> list[Floats]:
    """Return the lanes of one picture as CULane has them, (P, 2) column and row [px] from the top left pixel's centre.

    A line is there where the logit is positive; rows between its first and last are filled by straight lines. It is
    predicted at anchor rows alone, and so ends somewhere between its last one and the next: taken to be half way, by a
    straight line. Perfect labels of roads up to the horizon then reach a TuSimple accuracy of 0.99 and a CULane F1 of
    0.94 (100 pictures of `lane_follow`); what lies above the first anchor row is lost.

    Args:
        columns: `lines` of a model, (LINES, ROWS) column / width.
        there: `lines_there` of a model, (LINES, ROWS) logits.
        shown_height: Height of the model's input pictures [px].
        width: Of the data set's picture [px].
        height: Of the data set's picture [px].
    """
    rows = anchor_rows(shown_height) / shown_height * height
    lanes = []
    for line, known in zip(columns, there > 0, strict=True):
        if known.sum() >= _FEWEST_ROWS:
            points = np.stack([line[known] * width, rows[known]], axis=1).astype(np.float64)
            lanes.append(_lengthened(points, (rows[1] - rows[0]) / 2, height) - 0.5)
    return lanes


def predicted_columns(
    columns: NDArray[np.floating],
    there: NDArray[np.floating],
    shown_height: int,
    h_samples: ArrayLike,
    width: int,
    height: int,
) -> Floats:
    """Return the lanes of one picture as TuSimple has them: (L, R) columns [px] at the R rows `h_samples`; -2: none.

    Arguments as for `predicted_points`, whose lanes these are; a lane that crosses none of the rows is left out.
    """
    rows = np.asarray(h_samples, np.float64)
    lanes = columns_of_points(predicted_points(columns, there, shown_height, width, height), rows, width)
    return np.array(lanes).reshape(-1, len(rows))


def columns_of_points(lanes: list[Floats], rows: Floats, width: int) -> list[Floats]:
    """Return where lanes (P, 2) cross rows [px]: (R,) columns, -2 beyond a lane's ends and the picture's sides.

    A lane that crosses none of the rows inside the picture is left out.
    """
    columns = [_columns_at(lane[np.argsort(lane[:, 1], kind="stable")], rows) for lane in lanes if len(lane)]
    inside = [np.where(lane > width - 0.5, -2.0, lane) for lane in columns]
    return [lane for lane in inside if (lane >= 0).any()]


def _columns_at(points: Floats, rows: Floats) -> Floats:
    """Return the columns at which a lane (P, 2), top to bottom, crosses rows; -2 beyond its ends and left of all."""
    found = np.interp(rows, points[:, 1], points[:, 0], left=-2.0, right=-2.0)
    return np.where(found < 0, -2.0, found)


def _lengthened(points: Floats, by: float, height: int) -> Floats:
    """Return a lane (P, 2), top to bottom, longer by so many rows at both ends, inside the picture."""
    top, bottom = max(points[0, 1] - by, 0.0), min(points[-1, 1] + by, float(height))
    return np.vstack([_on_line(points[1], points[0], top), points, _on_line(points[-2], points[-1], bottom)])


def _on_line(a: Floats, b: Floats, row: float) -> Floats:
    """Return where the straight line through two points meets a row."""
    return a + (b - a) * (row - a[1]) / (b[1] - a[1])
