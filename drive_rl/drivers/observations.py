"""Batches of observations: an array or a dictionary of arrays, one row an environment."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

Batch = np.ndarray | dict[str, np.ndarray]


def stacked(rows: Sequence[Any], space: gymnasium.Space) -> Batch:
    """Return the observations of several environments as one fresh batch."""
    if isinstance(space, spaces.Dict):
        return {key: np.stack([row[key] for row in rows]) for key in space.spaces}
    return np.stack(rows)


def copied(observation: Any) -> Any:
    """Return an observation that later steps cannot change."""
    if isinstance(observation, dict):
        return {key: value.copy() for key, value in observation.items()}
    return observation.copy()
