"""Perturbed drivers: with delayed commands, or with corrupted pictures. It knows drivers, not how they act."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.drivers.driver import Driver, begin_episodes
from drive_rl.drivers.observations import Batch
from drive_rl.errors import DriveRLError

Corruption = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""(B, C, H, W) pictures -> as many corrupted ones."""


class PerturbedDriver:
    """A driver whose commands take effect `delay_s` after the picture that they respond to (a `Driver` with memory).

    Commands are held until the next one arrives (zero-order hold). The model is pipelined: it responds to every
    picture, whatever the delay. With a delay of k + f control steps, 0 <= f < 1, the command of k + 1 steps ago holds
    for the first part f of a step, and that of k steps ago for the rest. The engines take one command a step: the mean
    f x old + (1 - f) x new, whose integral over each step is exact. Until the first command of an episode arrives, the
    car coasts with straight wheels.

    Args:
        driver: The driver, with continuous actions.
        delay_s: The delay [s].
        control_hz: Control steps a second.

    Raises:
        DriveRLError: discrete actions, which have no mean; or a delay below 0.
    """

    def __init__(self, driver: Driver, delay_s: float, control_hz: float) -> None:
        if driver.actions != "continuous":
            raise DriveRLError(
                f"driver {driver.name}: actions = {driver.actions}: a delay needs continuous actions; fix: another"
            )
        if not (delay_s >= 0 and math.isfinite(delay_s)):
            raise DriveRLError(f"delay_s = {delay_s}: expected a number >= 0; fix: such as 0.2")
        self.name = driver.name
        self.observation: Observation = driver.observation
        self.actions: Actions = driver.actions
        self._driver = driver
        whole, self._part = divmod(delay_s * control_hz, 1.0)
        self._kept = int(whole) + 2  # commands: the newest, those in the pipeline, and the one in effect before
        self._commands = np.empty((self._kept, 0, 0), np.float32)  # newest first; (kept, rows, numbers of a command)

    def begin(self, rows: Sequence[int]) -> None:
        """Drop the pending commands of some rows of the batch: an episode begins there."""
        self._widen(max(rows, default=-1) + 1, 0)
        self._commands[:, list(rows)] = 0
        begin_episodes(self._driver, rows)

    def act(self, observations: Batch) -> np.ndarray:
        """Return the commands for the next step, as the driver gives them."""
        new = np.clip(self._driver.act(observations), -1, 1)
        self._widen(*new.shape)
        self._commands = np.roll(self._commands, 1, axis=0)
        self._commands[0, : len(new)] = new
        before, now = self._commands[-1, : len(new)], self._commands[-2, : len(new)]
        return (self._part * before + (1 - self._part) * now).astype(np.float32)

    def _widen(self, rows: int, numbers: int) -> None:
        _, known_rows, known = self._commands.shape
        missing = (0, 0), (0, max(0, rows - known_rows)), (0, max(0, numbers - known))
        self._commands = np.pad(self._commands, missing)


class CorruptedDriver:
    """A driver that gets corrupted pictures (a `Driver`).

    Args:
        driver: A driver that reads pictures.
        corrupt: Corrupts them.

    Raises:
        DriveRLError: a driver that reads no pictures.
    """

    def __init__(self, driver: Driver, corrupt: Corruption) -> None:
        if "camera" not in driver.observation:
            raise DriveRLError(
                f"driver {driver.name}: observation = {driver.observation}: expected one with pictures; fix: another"
            )
        self.name = driver.name
        self.observation: Observation = driver.observation
        self.actions: Actions = driver.actions
        self._driver, self._corrupt = driver, corrupt

    def begin(self, rows: Sequence[int]) -> None:
        """Let the driver know that episodes begin in some rows of the batch."""
        begin_episodes(self._driver, rows)

    def act(self, observations: Batch) -> np.ndarray:
        """Return the driver's actions for the corrupted pictures."""
        if isinstance(observations, dict):
            return self._driver.act({**observations, "camera": self._corrupt(observations["camera"])})
        return self._driver.act(self._corrupt(observations))
