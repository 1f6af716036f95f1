"""A driver of two modules: a perception model tells the lane state, and geometry drives by it. No policy learns.

It knows the lane estimator and the reference driver's geometry. It knows nothing of fitting or scoring.
"""

import numpy as np

from drive_rl.config.car_spec import CarSpec
from drive_rl.config.driver_spec import ReferenceSpec
from drive_rl.config.spec import Actions, Observation
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.reference import ReferenceDriver


class ModularDriver:
    """The reference driver, led by what a perception model sees instead of by the truth (a `Driver`).

    Args:
        estimator: What the model makes of observations.
        car: The car's axles and steering range.
    """

    observation: Observation = "camera+state"
    actions: Actions = "continuous"

    def __init__(self, estimator: LaneEstimator, car: CarSpec) -> None:
        self.name = estimator.trained.name
        self._estimator = estimator
        self._geometry = ReferenceDriver(ReferenceSpec(name=self.name, algorithm="reference"), car)

    def act(self, observations: Batch) -> np.ndarray:
        """Return (B, 2) steering and pedal in [-1, 1] for B pictures and what the car measures of itself."""
        assert isinstance(observations, dict), "camera+state is a dictionary"
        return self._geometry.act(self._estimator.state(observations))
