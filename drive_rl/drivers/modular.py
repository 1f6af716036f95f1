"""A driver of two modules: a perception model tells the lane state, and geometry drives by it. No policy learns.

It knows the eyes and the reference driver's geometry. It does not know how the model learned, nor who scores it.
"""

import numpy as np

from drive_rl.config.spec import Actions, CarSpec, Observation, ReferenceSpec
from drive_rl.drivers.lane_estimator import Eyes
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.reference import ReferenceDriver


class ModularDriver:
    """The reference driver, led by what a perception model sees instead of by the truth (a `Driver`).

    Args:
        eyes: The model, and what it makes of observations.
        car: The car's axles and steering range.
    """

    observation: Observation = "camera+state"
    actions: Actions = "continuous"

    def __init__(self, eyes: Eyes, car: CarSpec) -> None:
        self.name = eyes.trained.name
        self._eyes = eyes
        self._geometry = ReferenceDriver(ReferenceSpec(name=self.name, algorithm="reference"), car)

    def act(self, observations: Batch) -> np.ndarray:
        """Return (B, 2) steering and pedal in [-1, 1] for B pictures and what the car measures of itself."""
        assert isinstance(observations, dict), "camera+state is a dictionary"
        return self._geometry.act(self._eyes.state(observations))
