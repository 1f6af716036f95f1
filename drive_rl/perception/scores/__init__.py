"""Scores of a perception model's predictions: pure functions from NumPy arrays to numbers.

``tusimple`` and ``culane`` (with ``matching``) are the two lane benchmarks; ``confusion``,
``segmentation`` and ``classification`` count classes; ``calibration`` asks whether stated confidence can be trusted;
``lane_state`` measures the regressed lane. They know nothing of models, pictures, files or reports. A score that is not
defined (no truth to compare with) is NaN, never a made-up 0 or 1.
"""
