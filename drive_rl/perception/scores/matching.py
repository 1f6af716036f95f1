"""One-to-one matching of true and predicted lanes, as the CULane evaluator does it. It knows only a matrix.

The Hungarian method (Kuhn 1955; Munkres 1957) with a tolerance: an edge within 0.01 of the best counts as best, and the
first such is taken. So the sum need not be the greatest, and an exact solver (scipy's) gives other counts when two
predictions are about equally good and the threshold lies between them. Published numbers include this; so do ours.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

TOLERANCE = 1e-2
NO_EDGE = -1e5  # label of a row that may be matched with nothing


def match(similarity: Floats) -> Ints:
    """(T,) the column matched with each row of `similarity` (T, P), -1 for none.

    NaN forbids a pair. A row that finds no partner ends the search, and the rows after it stay without one.
    """
    rows, columns = similarity.shape
    if rows <= columns:
        return _inverse(_owners(similarity), rows)
    return _owners(similarity.T)


def _inverse(owner: Ints, rows: int) -> Ints:
    matched = np.full(rows, -1, dtype=np.int64)
    taken = np.flatnonzero(owner >= 0)
    matched[owner[taken]] = taken
    return matched


def _owners(similarity: Floats) -> Ints:
    """(P,) the row that each column is given to, -1 for none; needs T <= P."""
    rows, columns = similarity.shape
    row_label = np.fmax.reduce(similarity, axis=1, initial=NO_EDGE)
    column_label = np.zeros(columns)
    owner = np.full(columns, -1, dtype=np.int64)
    for row in range(rows):
        while True:
            slack = row_label[:, None] + column_label - similarity  # (T, P), NaN where forbidden
            in_tree, reached = np.zeros(rows, dtype=bool), np.zeros(columns, dtype=bool)
            if _placed(row, np.abs(slack) < TOLERANCE, owner, in_tree, reached):
                break
            least = np.fmin.reduce(slack[in_tree][:, ~reached], axis=None, initial=np.inf)
            if np.isinf(least):
                return owner
            row_label[in_tree] -= least
            column_label[reached] += least
    return owner


def _placed(row: int, tight: Bools, owner: Ints, in_tree: Bools, reached: Bools) -> bool:
    """Whether `row` could be given a column over tight edges, moving earlier rows on; writes `owner` if so.

    Marks the rows and columns that the search came by.
    """
    in_tree[row] = True
    for column in np.flatnonzero(tight[row]):
        if reached[column]:
            continue
        reached[column] = True
        if owner[column] < 0 or _placed(int(owner[column]), tight, owner, in_tree, reached):
            owner[column] = row
            return True
    return False
