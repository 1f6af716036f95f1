"""The `Driver` protocol, and a stable-baselines3 policy as a driver. It knows no file, world or engine."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.drivers.lane_state import LaneStateSource
from drive_rl.drivers.observations import Batch
from drive_rl.errors import DriveRLError


class Driver(Protocol):
    """Maps observations to actions, deterministically."""

    name: str
    observation: Observation
    actions: Actions

    def act(self, observations: Batch) -> np.ndarray:
        """Return one action for each row of a batch of observations."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """A driver with memory of each row of the batch."""

    def begin(self, rows: Sequence[int]) -> None:
        """Forget some rows: an episode begins there."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A driver that refuses actions of its own, and says whose mistake they are."""

    def check(self, actions: np.ndarray) -> None:
        """Refuse actions that its contract does not allow."""
        ...


def actions_of(driver: Driver, observations: Batch, rows: Sequence[int]) -> np.ndarray:
    """Return one action for each row of a batch of observations.

    Args:
        driver: The driver.
        observations: (B, ...).
        rows: The rows in which a car drives; the others' actions are 0, whatever the driver makes of them.

    Raises:
        DriveRLError: an action is NaN or infinite, or beyond what the driver's contract allows.
    """
    given = driver.act(observations)
    chosen = given[list(rows)]
    if isinstance(driver, Checking):
        driver.check(chosen)
    if not np.isfinite(chosen).all():
        raise DriveRLError(f"driver {driver.name}: gave a NaN or infinite action; fix: use another checkpoint")
    actions = np.zeros_like(given)
    actions[list(rows)] = chosen
    return actions


def begin_episodes(driver: Driver, rows: Sequence[int]) -> None:
    """Let a driver with memory know that episodes begin in some rows of the batch."""
    if isinstance(driver, Stateful):
        driver.begin(rows)


State = tuple[np.ndarray, ...] | None
"""A recurrent policy's, (layers, rows, units) each; None: every episode has just begun."""


class Predict(Protocol):
    """The `predict` of a stable-baselines3 policy."""

    def __call__(self, observation: Any, state: State = None, /, *, deterministic: bool) -> tuple[np.ndarray, State]:
        """Return actions, one a row, and a recurrent policy's state after them."""
        ...


class PolicyDriver:
    """A stable-baselines3 policy as a `Driver`.

    Args:
        name: What the driver is called.
        predict: The policy's.
        observation: What the driver reads.
        actions: What the policy returns.
        source: Predicts the lane state that `predict` takes; None: `predict` takes the observations.
    """

    def __init__(
        self,
        name: str,
        predict: Predict,
        observation: Observation,
        actions: Actions,
        source: LaneStateSource | None = None,
    ) -> None:
        self.name = name
        self.observation: Observation = observation
        self.actions: Actions = actions
        self._predict, self._source = predict, source

    def act(self, observations: Batch) -> np.ndarray:
        """Return the policy's best action for each row."""
        return self._predict(self._read(observations), deterministic=True)[0]

    def _read(self, observations: Batch) -> Any:
        return observations if self._source is None else self._source.lane_state(observations)


class RecurrentDriver(PolicyDriver):
    """A recurrent stable-baselines3 policy as a `Driver`, which remembers the episode of each row (`Stateful`)."""

    _state: State = None

    def begin(self, rows: Sequence[int]) -> None:
        """Forget some rows: an episode begins there."""
        for part in self._state or ():
            part[:, [row for row in rows if row < part.shape[1]]] = 0

    def act(self, observations: Batch) -> np.ndarray:
        """Return the policy's best action for each row; in a batch of another size, every episode has just begun."""
        read = self._read(observations)
        rows = len(next(iter(read.values())) if isinstance(read, dict) else read)
        if self._state is not None and self._state[0].shape[1] != rows:
            self._state = None
        actions, self._state = self._predict(read, self._state, deterministic=True)
        return actions
