"""The `info` of environments: one flat dictionary of NumPy scalars and arrays, with the same keys at every step.

Strings, nested dictionaries and objects break the tools that turn `info` into arrays (Gymnasium's `NumpyToTorch`,
TorchRL's `auto_register_info_dict`), and so do Python's own numbers and keys that come and go. Codes stand for names:
`end_reason` indexes `metadata["end_reasons"]`, `tier` indexes `metadata["tiers"]`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.task.outcome import END_REASONS, METRICS, RUNNING
from drive_rl.sim.task.scoring import EpisodeMetrics, Info

END_NAMES = ("running", *END_REASONS)
"""The names of `info["end_reason"]`; that of an episode that has not ended is the first."""

SUMMARY = (
    "mean_speed_mps",
    "max_offset_m",
    "median_abs_offset_m",
    "outside_lane",
    "comfort",
    "steering_reversals_hz",
    "driving_score",
)
"""What `info` adds when an episode ends: fields of `scoring.EpisodeMetrics`."""


def reward_key(term: str) -> str:
    """Return the key of a reward term: `lane` -> `reward_lane`."""
    return f"reward_{term}"


def code_names(world: WorldSpec) -> dict[str, tuple[str, ...]]:
    """Return what `metadata` says of the codes in `info`."""
    return {"end_reasons": END_NAMES, "tiers": world.tiers}


def step_info(
    metrics: NDArray[np.float64], term_names: tuple[str, ...], terms: NDArray[np.float64], road_seed: Any, tier: Any
) -> Info:
    """Return the `info` of a running episode, or with rows of N cars the arrays (N,) of all of them.

    Args:
        metrics: (14,) or (N, 14), `outcome.METRICS`. Values of a single car are copied, arrays are views.
        term_names: Names of the reward terms.
        terms: (terms,) or (N, terms).
        road_seed: int64, or (N,).
        tier: int64, or (N,): code of the road's tier.
    """
    keys = (*METRICS, *map(reward_key, term_names))
    values = (*metrics.T, *terms.T)
    shape = metrics.shape[:-1]
    return {
        **dict(zip(keys, values, strict=True)),
        "road_seed": road_seed,
        "tier": tier,
        "is_success": np.zeros(shape, np.bool_),
        "end_reason": np.full(shape, RUNNING, np.int64)[()],
    }


def end_info(episode: EpisodeMetrics) -> Info:
    """Return what `info` says of an episode when it ends, beside the last step's own values."""
    return {
        "is_success": np.array(episode.success),
        "end_reason": np.int64(END_NAMES.index(episode.end_reason)),
        **{name: np.float64(getattr(episode, name)) for name in SUMMARY},
    }
