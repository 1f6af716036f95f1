"""The grid of irregular blocks that towns and networks of roundabouts are drawn on."""

import math

import numpy as np

from drive_rl.config.specs.streets.map import GridSpec
from drive_rl.sim.map.streets.curves import Curve, Pose, bezier
from drive_rl.sim.map.streets.graph import are_joined

Place = tuple[int, int]
"""Column and row of a node."""
Edge = tuple[Place, Place]
Places = dict[Place, tuple[float, float]]
"""Nodes and where they lie [m]."""

_JITTER = 0.14  # of the smallest block: how far nodes are moved


def draw_places(spec: GridSpec, is_test: bool, rng: np.random.Generator) -> Places:
    """Return the nodes of a grid whose blocks differ, each moved a little."""
    block_m = spec.test_block_m if is_test else spec.block_m
    x, y = (np.concatenate([[0.0], np.cumsum(rng.uniform(*block_m, n - 1))]) for n in (spec.columns, spec.rows))
    moved = rng.uniform(-_JITTER, _JITTER, (spec.columns, spec.rows, 2)) * block_m[0]
    return {
        (i, j): (float(x[i] + moved[i, j, 0]), float(y[j] + moved[i, j, 1]))
        for i in range(spec.columns)
        for j in range(spec.rows)
    }


def draw_edges(spec: GridSpec, kept_row: int | None, rng: np.random.Generator) -> list[Edge]:
    """Return the neighbours that a street joins: all but a share of them; those along `kept_row` stay."""
    edges: list[Edge] = [((i, j), (i + 1, j)) for i in range(spec.columns - 1) for j in range(spec.rows)]
    edges += [((i, j), (i, j + 1)) for i in range(spec.columns) for j in range(spec.rows - 1)]
    kept, surplus = edges, round(spec.missing * len(edges))
    for at in rng.permutation(len(edges)).tolist():
        one, other = edges[at]
        if surplus and not (one[1] == other[1] == kept_row):
            fewer = [edge for edge in kept if edge != edges[at]]
            if are_joined({node for edge in edges for node in edge}, fewer):
                kept, surplus = fewer, surplus - 1
    return kept


def curve_of(places: Places, edge: Edge) -> Curve:
    """Return the curve of a street, which passes a node in the direction from the node before to the node after."""
    (i, j), (k, m) = edge
    poses = []
    for column, row in edge:
        before = places.get((column - (k - i), row - (m - j)), places[column, row])
        after = places.get((column + (k - i), row + (m - j)), places[column, row])
        poses.append(Pose(*places[column, row], math.atan2(after[1] - before[1], after[0] - before[0])))
    return bezier(*poses)
