"""Who drives: the `Driver` protocol, and a stable-baselines3 policy as one. It knows no file, world or engine."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from stable_baselines3.common.policies import BasePolicy

from drive_rl.config.spec import Actions, Observation
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.drivers.observations import Batch


class Driver(Protocol):
    """Whoever turns observations into actions, deterministically."""

    name: str
    observation: Observation
    actions: Actions

    def act(self, observations: Batch) -> np.ndarray:
        """Return one action for each row of a batch of observations."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A driver that keeps something of each row of the batch from step to step."""

    def begin(self, rows: Sequence[int]) -> None:
        """Forget what is kept of some rows: an episode begins there."""
        ...


def begin_episodes(driver: Driver, rows: Sequence[int]) -> None:
    """Tell a driver that episodes begin in some rows of the batch; most drivers need not know."""
    if isinstance(driver, Remembers):
        driver.begin(rows)


class PolicyDriver:
    """A stable-baselines3 policy as a `Driver`; with an `estimator`, it acts on the lane state that this predicts."""

    def __init__(
        self,
        name: str,
        policy: BasePolicy,
        observation: Observation,
        actions: Actions,
        estimator: LaneEstimator | None = None,
    ) -> None:
        self.name = name
        self.observation: Observation = observation
        self.actions: Actions = actions
        self._policy, self._estimator = policy, estimator

    def act(self, observations: Batch) -> np.ndarray:
        """Return the policy's best action for each row."""
        if self._estimator is not None:
            assert isinstance(observations, dict), "a perception model takes camera+state"
            observations = self._estimator.state(observations)
        return self._policy.predict(observations, deterministic=True)[0]
