"""Whether a model's stated deviations can be trusted, over all pictures and in each group of them.

It knows predicted values with deviations, and roads. It knows no model and no condition by name.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.heads.head import Stated
from drive_rl.perception.scores.calibration import NormalScores, normal_scores
from drive_rl.stats import bounded_mean


class CertaintyScores(NamedTuple):
    """Scores of stated deviations."""

    nll: float
    """Mean negative log-likelihood [nat]; it falls by ln 2 where all errors and deviations are halved."""
    within_68: float
    """Share of labels within the stated 68 % intervals."""
    within_95: float
    """The same of 95 %."""
    low_95: float
    """The 95 % interval of `within_95` over roads, whose pictures resemble each other."""
    high_95: float
    n: int
    """Labels."""


class Certainty(NamedTuple):
    """Scores of one quantity."""

    all: CertaintyScores
    groups: dict[str, CertaintyScores]
    """Of each group that has labels, in the order of the first pictures."""


def certainty_of(stated: Stated, groups: Sequence[str], roads: NDArray[np.int64]) -> Certainty | None:
    """Return the scores of a quantity; None: no prediction of it has a label.

    Args:
        stated: The predictions and labels of N pictures.
        groups: The group of each picture.
        roads: The road of each picture.
    """
    known = np.isfinite(stated.truth) & np.isfinite(stated.mean)  # (N, K)
    if not known.any():
        return None
    road = np.broadcast_to(roads[:, None], known.shape)[known]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    group = np.broadcast_to(np.array([numbers[name] for name in groups])[:, None], known.shape)[known]
    scores = normal_scores(*(each[known] for each in stated))
    each = {name: _scores(scores, road, group == i) for name, i in numbers.items() if (group == i).any()}
    return Certainty(_scores(scores, road, np.ones(len(road), np.bool_)), each)


def _scores(scores: NormalScores, roads: NDArray[np.int64], chosen: NDArray[np.bool_]) -> CertaintyScores:
    nll, within_68, within_95 = (each[chosen] for each in scores)
    _, place = np.unique(roads[chosen], return_inverse=True)
    held, counts = np.bincount(place, within_95), np.bincount(place)
    share = float(within_95.mean())
    # linear in each road's sums, as Taylor's variance of a ratio is: roads have different numbers of labels
    interval = bounded_mean(share + (held - share * counts) / counts.mean())
    return CertaintyScores(
        float(nll.mean()), float(within_68.mean()), share, interval.low, interval.high, int(chosen.sum())
    )
