"""Masks of classes -> painted lines at the anchor rows: the borders of a lane or road, or markings followed upwards.

It knows masks and the camera's geometry. It knows no model.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.samples import LINES, ROWS, anchor_rows
from drive_rl.perception.heads.lane_fit import RoadFit
from drive_rl.sim.sensors.renderer import CLASSES, EGO_LANE

Mask = NDArray[np.bool_]  # (H, W)
Lines = NDArray[np.float32]  # (LINES, ROWS), column / width, NaN: no line

_ROAD, _MARKING = CLASSES.index("road"), CLASSES.index("marking")
_NEAREST_M, _FARTHEST_M = 0.2, 3.3
"""How far beside the car a line of its lane can be."""
_GATE_M = 0.5
"""How far a line's next point can be from where the line leads."""


class Track(NamedTuple):
    """A line followed from row to row: its last point, and where it leads."""

    ahead_m: float
    left_m: float
    slope: float


class LinesOfClasses:
    """Classes (H, W) of a picture -> its lines, by what the model knows: the ego lane, else markings, else the road.

    Args:
        known: Which classes the model predicts.
        world: Its camera and lanes.
    """

    def __init__(self, known: frozenset[str], world: WorldSpec) -> None:
        self._known = known
        fit = RoadFit(world, 2, 3.0, 1)
        self._across_m = fit.across.numpy()
        self._ahead_m = (fit.powers[:, 1] * 8.0).numpy()
        self._seen = fit.weights.numpy() > 0
        self._shoulder = (world.road.shoulder_m / fit.across.numpy()).astype(np.float32)  # in columns / width
        self._leftmost = min(world.road.lanes_ahead + world.road.lanes_oncoming, LINES - 1)

    @property
    def possible(self) -> bool:
        """Whether the classes have any lines."""
        return bool(self._known & {"ego_lane", "marking", "road"})

    def __call__(self, classes: NDArray[np.integer]) -> Lines:
        """Return the lines of a picture; of a road its edges, for right-hand traffic."""
        if "ego_lane" in self._known:
            return _borders(classes == EGO_LANE, 1)
        if "marking" in self._known:
            return self._followed(classes == _MARKING)
        lines = _borders(classes == _ROAD, self._leftmost)
        lines[0] += self._shoulder  # the road ends beside its edge lines
        lines[self._leftmost] -= self._shoulder
        return lines

    def _followed(self, mask: Mask) -> Lines:
        """Return the lines of the ego lane: the nearest marking on either side, followed from the bottom upwards."""
        lines = np.full((LINES, ROWS), np.nan, np.float32)
        tracks: dict[int, Track] = {}
        for at in range(ROWS - 1, -1, -1):
            columns = _centres(_row(mask, at)) / mask.shape[1]
            if not len(columns) or not self._seen[at]:
                continue
            left_m, ahead_m = (columns - 0.5) * self._across_m[at], float(self._ahead_m[at])
            for line, side in ((0, -1), (1, 1)):
                chosen = _next(tracks.get(line), left_m, ahead_m, side)
                if chosen is not None:
                    lines[line, at] = columns[chosen]
                    tracks[line] = _moved(tracks.get(line), ahead_m, float(left_m[chosen]))
        return lines


def _next(track: Track | None, left_m: NDArray[np.float64], ahead_m: float, side: int) -> int | None:
    """Return which of the candidates continues a line, or begins it on a side (-1: right)."""
    if track is None:
        beside_m = side * left_m
        possible = np.flatnonzero((beside_m > _NEAREST_M) & (beside_m < _FARTHEST_M))
        return int(possible[np.argmin(beside_m[possible])]) if len(possible) else None
    off_m = np.abs(left_m - (track.left_m + track.slope * (ahead_m - track.ahead_m)))
    return int(np.argmin(off_m)) if off_m.min() < _GATE_M else None


def _moved(track: Track | None, ahead_m: float, left_m: float) -> Track:
    """Return a track with its next point; the slope is a running mean."""
    if track is None or ahead_m - track.ahead_m < 1e-3:
        return Track(ahead_m, left_m, 0.0 if track is None else track.slope)
    slope = (left_m - track.left_m) / (ahead_m - track.ahead_m)
    return Track(ahead_m, left_m, 0.5 * (track.slope + slope))


def _borders(mask: Mask, left_line: int) -> Lines:
    """Return the right and the left border of the widest run of each anchor row; none where the picture cuts it off."""
    lines = np.full((LINES, ROWS), np.nan, np.float32)
    width = mask.shape[1]
    for at in range(ROWS):
        starts, ends = _runs(_row(mask, at))
        if not len(starts):
            continue
        widest = int(np.argmax(ends - starts))
        if ends[widest] < width:
            lines[0, at] = ends[widest] / width
        if starts[widest] > 0:
            lines[left_line, at] = starts[widest] / width
    return lines


def mask_points(mask: Mask) -> NDArray[np.float64]:
    """Return a lane's points (P, 2), column and row [px] from the top left pixel's centre, at the anchor rows."""
    points = []
    for row in np.unique(anchor_rows(mask.shape[0]).astype(int)):
        columns = np.flatnonzero(mask[row])
        if len(columns):
            points.append((columns.mean(), row))
    return np.array(points, np.float64).reshape(-1, 2)


def _row(mask: Mask, at: int) -> NDArray[np.bool_]:
    height = mask.shape[0]
    return mask[min(int(anchor_rows(height)[at]), height - 1)]


def _runs(row: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where runs of a row begin, and the columns after their ends."""
    edges = np.diff(np.concatenate([[0], row.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _centres(row: NDArray[np.bool_]) -> NDArray[np.float64]:
    starts, ends = _runs(row)
    return (starts + ends) / 2
