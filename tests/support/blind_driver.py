"""A driver that minds nobody."""

import numpy as np

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.observations import Batch
from drive_rl.learn.load_driver import load_driver


class BlindDriver:
    """Steers as the reference driver in a world, and drives on at 8 m/s whatever is ahead."""

    name = "blind"
    observation: Observation = "state"
    actions: Actions = "continuous"

    def __init__(self, world: WorldSpec) -> None:
        self._driver = load_driver("reference", world)[0]

    def act(self, observations: Batch) -> np.ndarray:
        """Return the actions (B, 2)."""
        state = np.array(observations)
        state[:, 6] = 8.0  # target_speed_mps
        return self._driver.act(state)
