"""Savitzky-Golay filters: a polynomial fitted to a moving window, as nuPlan smooths and differentiates.

The results are those of `scipy.signal.savgol_filter` in its default mode, which nuPlan calls; SciPy is no dependency.
Source: Savitzky and Golay 1964, Analytical Chemistry 36(8).
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from drive_rl.benchmark.driving.record import Floats


def smoothed(values: Floats, window: int, order: int, derivative: int = 0, step_s: float = 1.0) -> Floats:
    """Return evenly spaced values (n,) smoothed, or their derivative.

    The ends are those of the polynomials fitted to the first and the last window. Fewer values than the window has make
    it shorter, and a shorter window the order lower.

    Args:
        values: (n,), n >= 1.
        window: How many values are fitted at a time; of an even number the fit is read between the two in the middle.
        order: Of the polynomial.
        derivative: Which derivative; 0: the values themselves.
        step_s: Spacing of the values.
    """
    window = min(window, len(values))
    order, half = min(order, window - 1), window // 2
    if derivative > order:
        return np.zeros(len(values))
    places: Floats = np.arange(window, dtype=np.float64) - (window - 1) / 2
    fit = np.linalg.pinv(places[:, None] ** np.arange(order + 1))  # (order + 1, window): coefficients of a window
    scale = 1 / step_s**derivative
    found = np.empty(len(values))
    windows = sliding_window_view(values, window)  # (n - window + 1, window)
    inner = windows[window % 2 == 0 :] @ fit[derivative] * math.factorial(derivative)
    found[half : len(values) - half] = inner[: len(values) - 2 * half]
    found[:half] = _along(fit @ values[:window], places[:half], derivative)
    found[len(values) - half :] = _along(fit @ values[-window:], places[window - half :], derivative)
    return found * scale


def _along(coefficients: Floats, places: Floats, derivative: int) -> Floats:
    """Return a derivative of a polynomial, lowest power first, at some places."""
    of = np.polynomial.polynomial.polyder(coefficients, derivative) if derivative else coefficients
    return np.asarray(np.polynomial.polynomial.polyval(places, of), np.float64)
