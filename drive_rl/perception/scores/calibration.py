"""Whether stated confidence can be trusted: of class probabilities, and of standard deviations of regressed values.

It knows neither classes nor fields by name.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError

Ints = NDArray[np.integer]
Floats = NDArray[np.floating]

BINS = 15  # Guo et al. 2017, section 4
LEVELS = np.arange(1, 20) / 20  # quantile levels 0.05 to 0.95
WITHIN = (0.68, 0.95)  # shares of the truth that central intervals should hold
_LOG_SQRT_2PI = math.log(2 * math.pi) / 2


def reliability(probabilities: Floats, truth: Ints, *, ignore: int, bins: int = BINS) -> NDArray[np.float64]:
    """(bins, 3) of each of `bins` equal bins of confidence: predictions, sum of their confidence, number right.

    probabilities (B, K, ...), in [0, 1] and summing to 1 over K; truth (B, ...), `ignore` where unknown. The prediction
    is the likeliest class, its probability the confidence; bin m holds ((m - 1) / bins, m / bins]. Tables add up over
    batches. Raises DriveRLError if the shapes do not fit or if these are not probabilities (but, for example, logits).
    """
    probabilities, truth = np.asarray(probabilities), np.asarray(truth)
    if probabilities.shape[:1] + probabilities.shape[2:] != truth.shape:
        raise DriveRLError(
            f"probabilities have shape {probabilities.shape}, true classes {truth.shape}: "
            "expected (B, K, ...) and (B, ...)"
        )
    known = truth != ignore
    rows = np.moveaxis(probabilities, 1, -1)[known]  # (N, K)
    if not ((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1.0, atol=1e-3)):
        raise DriveRLError("probabilities: expected numbers >= 0 that sum to 1 over the classes; fix: apply a softmax")
    confidence = rows.max(axis=1).astype(np.float64)
    right = rows.argmax(axis=1) == truth[known]
    upper = np.arange(1, bins) / bins  # upper edges of all bins but the last, which takes rounding above 1 too
    place = np.searchsorted(upper, confidence, side="left")
    weights = (None, confidence, right)
    return np.stack([np.bincount(place, weights=w, minlength=bins) for w in weights], axis=1).astype(np.float64)


def expected_calibration_error(table: NDArray[np.float64]) -> float:
    """Mean gap between confidence and accuracy over the bins of `reliability`, each weighed by its predictions.

    Guo et al. 2017 (arXiv 1706.04599), equation 3. In [0, 1], 0 is best; NaN without predictions.
    """
    count, confidence, right = table.T
    return float(np.abs(right - confidence).sum() / count.sum()) if count.sum() else float("nan")


class NormalScores(NamedTuple):
    """Each value under the normal distribution that was predicted for it, (N,)."""

    nll: NDArray[np.float64]  # negative log-likelihood [nat]; infinite where the deviation is 0 and the value another
    within_68: NDArray[np.bool_]  # whether it lies in the central 68 % interval
    within_95: NDArray[np.bool_]


def normal_scores(predicted: Floats, std: Floats, truth: Floats) -> NormalScores:
    """Scores of normal predictions with mean `predicted`, standard deviation `std` >= 0 and labels `truth`, all (N,).

    Of a calibrated model 68 % of the labels lie within 0.994 deviations, and 95 % within 1.960. A deviation of 0 states
    that the prediction is exact.
    """
    mean, spread, labels = (np.asarray(a, dtype=np.float64) for a in (predicted, std, truth))
    apart = np.abs(labels - mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(apart > 0, apart / spread, 0.0)
        nll = np.where(np.isinf(scaled), np.inf, scaled**2 / 2 + np.log(spread) + _LOG_SQRT_2PI)
    bounds = (NormalDist().inv_cdf((1 + level) / 2) * spread for level in WITHIN)
    return NormalScores(nll, *(apart <= bound for bound in bounds))


class RegressionCalibration(NamedTuple):
    """How well predicted normal distributions fit, per field; NaN for a field without labels."""

    error: NDArray[np.float64]  # (F,) mean of |observed - level| over LEVELS; 0 is best
    squared_error: NDArray[np.float64]  # (F,) sum of their squares: Kuleshov et al. 2018, equation 9, all weights 1
    nll: NDArray[np.float64]  # (F,) mean negative log-likelihood [nat], of values in the field's own unit
    observed: NDArray[np.float64]  # (19, F) share of the truth below each quantile level
    n: NDArray[np.int64]  # (F,) labels


def regression_calibration(predicted: Floats, std: Floats, truth: Floats) -> RegressionCalibration:
    """Calibration of normal predictions with mean `predicted`, standard deviation `std` and labels `truth`, all (B, F).

    Kuleshov et al. 2018 (arXiv 1807.00263): of a calibrated model, a share p of the truth lies below the predicted
    p-quantile, for every p. NaN labels are left out. Raises DriveRLError for other shapes, or where a label has a
    prediction that is not finite or a standard deviation that is not > 0.
    """
    mean, spread, labels = (np.asarray(a, dtype=np.float64) for a in (predicted, std, truth))
    if not (mean.shape == spread.shape == labels.shape and labels.ndim == 2):
        shapes = f"predicted {mean.shape}, std {spread.shape}, truth {labels.shape}"
        raise DriveRLError(f"{shapes}: expected one shape (B, F)")
    known = ~np.isnan(labels)
    if not (np.isfinite(mean[known]).all() and np.isfinite(spread[known]).all() and (spread[known] > 0).all()):
        raise DriveRLError("predicted mean and std: expected finite numbers, std > 0")
    fields = [_field(m[k], s[k], y[k]) for m, s, y, k in zip(mean.T, spread.T, labels.T, known.T, strict=True)]
    observed = np.stack([shares for shares, _ in fields], axis=1)  # (19, F)
    gap = observed - LEVELS[:, None]
    nll = np.array([value for _, value in fields])
    return RegressionCalibration(np.abs(gap).mean(axis=0), (gap**2).sum(axis=0), nll, observed, known.sum(axis=0))


def _field(mean: Floats, std: Floats, truth: Floats) -> tuple[NDArray[np.float64], float]:
    """Share of the truth below each quantile level (19,), and the mean negative log-likelihood, of one field (N,)."""
    if not len(truth):
        return np.full(len(LEVELS), np.nan), float("nan")
    scaled = (truth - mean) / std
    quantiles = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    observed = (scaled <= quantiles[:, None]).mean(axis=1)
    return observed, float(normal_scores(mean, std, truth).nll.mean())
