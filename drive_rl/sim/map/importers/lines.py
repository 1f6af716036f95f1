"""Polylines of a foreign map -> centre lines that are smooth, evenly spaced and without kinks where lanes join."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from drive_rl.sim.map.geometry import Knots
from drive_rl.sim.map.network import Floats

_STEP_M = 1.0
_DENSE = 8  # points between two of a polyline
_LEAST_M = 0.02  # points closer than this are one


def centre_lines(lines: Sequence[Floats], successors: Sequence[Sequence[int]]) -> list[tuple[Knots, float]]:
    """Return evenly spaced points and the length [m] of each line.

    Lanes that join share the mean of their headings there.

    Args:
        lines: Points (n, 2) [m] of each lane's centre, in driving direction.
        successors: Indices of the lanes after each.
    """
    lines = [_cleaned(line) for line in lines]
    starts, ends = ([_unit(line[at[1]] - line[at[0]]) for line in lines] for at in ((0, 1), (-2, -1)))
    for joined in joints(successors):
        both = [starts[lane] for lane, at_end in joined if not at_end] + [
            ends[lane] for lane, at_end in joined if at_end
        ]
        mean = _unit(np.sum(both, axis=0))
        for lane, at_end in joined:
            (ends if at_end else starts)[lane] = mean
    return [_even(line, start, end) for line, start, end in zip(lines, starts, ends, strict=True)]


def midway(left: Floats, right: Floats) -> Floats:
    """Return the line in the middle of two bounds (n, 2) [m], each followed at the same share of its length."""
    share = [np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))]) for line in (left, right)]
    share = [along / max(along[-1], 1e-9) for along in share]
    at = share[0] if len(left) > len(right) else share[1]
    sides = [
        np.stack([np.interp(at, along, column) for column in line.T], axis=1)
        for along, line in zip(share, (left, right), strict=True)
    ]
    return (sides[0] + sides[1]) / 2


def joints(successors: Sequence[Sequence[int]]) -> list[set[tuple[int, bool]]]:
    """Return the sets of ends (lane, True) and starts (lane, False) of lanes that meet.

    Args:
        successors: Indices of the lanes after each.
    """
    joint: dict[tuple[int, bool], set[tuple[int, bool]]] = {}
    for lane, after in enumerate(successors):
        merged = {(lane, True), *((other, False) for other in after)}
        for end in list(merged):
            merged |= joint.get(end, set())
        joint |= dict.fromkeys(merged, merged)
    return list({id(ends): ends for ends in joint.values()}.values())


def _cleaned(line: Floats) -> Floats:
    """Return a line without points that lie on the one before; the last is kept."""
    kept = [line[0]]
    for point in line[1:]:
        if np.hypot(*(point - kept[-1])) > _LEAST_M:
            kept.append(point)
    if len(kept) > 1:
        kept[-1] = line[-1]
    else:
        kept.append(line[-1] + (_LEAST_M, 0))
    return np.array(kept)


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.hypot(*vector)), 1e-9)


def _even(line: Floats, start: Floats, end: Floats) -> tuple[Knots, float]:
    """Return a cubic through the points of a line, evenly spaced; its first and last direction are given."""
    sizes = np.hypot(*np.diff(line, axis=0).T)
    chords = np.diff(line, axis=0) / sizes[:, None]
    inner = [_unit(one * b + other * a) for (one, other), (a, b) in zip(pairwise(chords), pairwise(sizes), strict=True)]
    along = np.array([start, *inner, end])
    u = np.arange(_DENSE)[:, None] / _DENSE
    places, slopes = [], []
    for i, size in enumerate(sizes):
        chord = (line[i + 1] - line[i]) / size
        places.append(
            line[i]
            + size * (u * u * (3 - 2 * u) * chord + u * (1 - u) ** 2 * along[i] + u * u * (u - 1) * along[i + 1])
        )
        slopes.append(6 * u * (1 - u) * chord + (1 - u) * (1 - 3 * u) * along[i] + u * (3 * u - 2) * along[i + 1])
    dense, slope = np.concatenate([*places, line[-1:]]), np.concatenate([*slopes, end[None]])
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(dense, axis=0).T))])
    table = np.column_stack([dense, np.unwrap(np.arctan2(slope[:, 1], slope[:, 0]))])
    at = np.linspace(0, s[-1], max(math.ceil(s[-1] / _STEP_M), 2) + 1)
    x, y, yaw = (np.interp(at, s, column) for column in table.T)
    return np.column_stack([x, y, yaw, np.gradient(yaw, at)]), float(s[-1])
