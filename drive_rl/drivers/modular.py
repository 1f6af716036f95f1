"""A driver of two modules: a perception model predicts the lane state, and a geometric controller acts on it.

It knows the lane estimator and the reference driver's geometry. It knows nothing of fitting or scoring.
"""

import numpy as np

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.reference import ReferenceDriver


class ModularDriver:
    """The reference driver on a predicted lane state instead of the true one (a `Driver`).

    Args:
        estimator: Predicts the lane state.
        world: Its car and controls.
    """

    observation: Observation = "camera+state"
    actions: Actions = "continuous"

    def __init__(self, estimator: LaneEstimator, world: WorldSpec) -> None:
        self.name = estimator.trained.name
        self._estimator = estimator
        spec = ReferenceSpec(name=self.name, algorithm="reference")
        self._geometry = ReferenceDriver(spec, world.car, world.task)

    def act(self, observations: Batch) -> np.ndarray:
        """Return (B, 2) steering and pedal, or (B, 1) steering, for B pictures and the car's own measurements."""
        assert isinstance(observations, dict), "camera+state is a dictionary"
        return self._geometry.act(self._estimator.lane_state(observations))
