"""Writes `golden_rliable.json`: what rliable 1.2.0 (Agarwal et al. 2021) makes of some scores.

rliable is not a dependency of the tests: its bootstrap comes from arch 7.2, which does not import with pandas 3. To
write the file again, in an environment of its own:

    pip install rliable==1.2.0 arch==7.2.0 "pandas<3"
    python tests/golden_rliable.py
"""

import json
from pathlib import Path

import numpy as np
from rliable import library, metrics  # pyright: ignore[reportMissingImports]

REPS = 50_000


def scores(seed: int, runs: int, tasks: int, ties: bool) -> np.ndarray:
    """Scores (runs, tasks) in [0, 1]; with ties: twentieths, as success on 20 roads is."""
    drawn = np.random.default_rng(seed).beta(4, 2, (runs, tasks))
    return np.round(drawn * 20) / 20 if ties else np.round(drawn, 6)


def main() -> None:
    """Write the file."""
    cases = []
    for seed, (runs, others, tasks) in enumerate([(3, 3, 1), (5, 5, 1), (5, 4, 3), (10, 7, 4), (8, 8, 6)]):
        for ties in (False, True):
            first, second = scores(seed, runs, tasks, ties), scores(seed + 100, others, tasks, ties)
            np.random.seed(seed)  # its bootstrap draws from NumPy's global generator
            points, intervals = library.get_interval_estimates(
                {"first": first}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=REPS
            )
            cases.append(
                {
                    "first": first.tolist(),
                    "second": second.tolist(),
                    "iqm": float(points["first"][0]),
                    "low": float(intervals["first"][0, 0]),
                    "high": float(intervals["first"][1, 0]),
                    "probability_of_improvement": float(metrics.probability_of_improvement(first, second)),
                }
            )
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"rliable": "1.2.0", "reps": REPS, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
