"""Lanes as data sets have them -> the columns at anchor rows that models learn.

It knows geometry in the picture. It knows no files.
"""

import numpy as np

from drive_rl.perception.data.records import Floats, LaneTruth
from drive_rl.perception.data.samples import LINES, ROWS, anchor_rows

_LOWEST_POINTS = 5  # that give a lane's direction below its end


def line_columns(truth: LaneTruth, height: int) -> Floats:
    """Return `Samples.lines` of a picture resized to `height` pixels: (LINES, ROWS) column / width, NaN: none.

    Which line is which: as `truth.slots` gives it; else by where the lanes, made longer by a straight line, meet the
    picture's bottom. The first at or right of the middle is the ego lane's right line, the first left of the middle its
    left line, and then comes the one left of that. The last is the line right of the ego lane's right line, so that two
    lines either side have a place each; without it, the second one left of the left line. Without a line left of the
    left one, the second one right of the right line takes its place. Others are left out, here and not in `truth`.

    A lane is there between its ends alone. Sampled in rows, it ends half a step beyond its last samples; and if it
    reaches the last of `h_samples`, it continues to the bottom: TuSimple's rows end ten pixels above that.
    """
    found = np.full((LINES, ROWS), np.nan)
    lanes = _points(truth)
    slots = truth.slots if truth.slots is not None else _slots([_at_bottom(lane, truth) for lane in lanes], truth)
    for slot, points in zip(slots, lanes, strict=True):
        if 0 <= slot < LINES and len(points):
            found[slot] = _at_anchors(points, truth, height)
    return found


def _points(truth: LaneTruth) -> list[Floats]:
    """Return each lane's points (P, 2), continuous column and row (pixel centres at .5), top to bottom."""
    rows = truth.h_samples
    if rows is None:
        lanes = [lane.reshape(-1, 2) + 0.5 for lane in truth.lanes]
        return [lane[np.argsort(lane[:, 1], kind="stable")] for lane in lanes]
    order = np.argsort(rows)
    step = float(np.median(np.diff(rows[order]))) if len(rows) > 1 else 0.0
    return [_lengthened(np.stack([lane, rows], axis=1)[order], step, truth) for lane in truth.lanes]


def _lengthened(sampled: Floats, step: float, truth: LaneTruth) -> Floats:
    """Return a lane of samples (R, 2) as continuous points that end where the lane is taken to end."""
    points = sampled[sampled[:, 0] >= 0] + 0.5
    if len(points) < 2:
        return points
    ends = []
    for at, before in ((0, 1), (-1, -2)):
        end, inner = points[at], points[before]
        ends.append(end + (end - inner) * step / 2 / max(abs(end[1] - inner[1]), 1e-9))
    if sampled[-1, 0] >= 0 and ends[1][1] < truth.height:
        ends[1] = np.array([_at_bottom(points, truth), truth.height])
    return np.vstack([ends[0], points, ends[1]])


def _at_bottom(points: Floats, truth: LaneTruth) -> float:
    """Return the column at which a lane meets the picture's bottom, by a straight line through its lowest points.

    NaN for fewer than two points.
    """
    low = points[-_LOWEST_POINTS:]
    if len(low) < 2:
        return np.nan
    rows = low[:, 1] - low[:, 1].mean()
    slope = rows @ low[:, 0] / (rows @ rows) if (rows @ rows) > 0 else 0.0
    return float(low[:, 0].mean() + slope * (truth.height - low[:, 1].mean()))


def _slots(bottoms: list[float], truth: LaneTruth) -> list[int]:
    """Return the slot of each lane by its column at the bottom; -1: it has none, as a lane whose column is NaN."""
    middle = truth.width / 2
    right = [int(n) for n in np.argsort(bottoms) if bottoms[n] >= middle]
    left = [int(n) for n in np.argsort(bottoms)[::-1] if bottoms[n] < middle]
    slots = [-1] * len(bottoms)
    for lanes, nth, slot in ((right, 0, 0), (left, 0, 1), (left, 1, 2), (right, 1, 3), (left, 2, 3), (right, 2, 2)):
        if nth < len(lanes) and slot not in slots:
            slots[lanes[nth]] = slot
    return slots


def _at_anchors(points: Floats, truth: LaneTruth, height: int) -> Floats:
    rows = anchor_rows(height) / height * truth.height
    columns = np.interp(rows, points[:, 1], points[:, 0], left=np.nan, right=np.nan) / truth.width
    return np.where((columns < 0) | (columns > 1), np.nan, columns)
