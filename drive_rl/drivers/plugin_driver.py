"""Drivers of plugins: a recipe's options -> a `Driver`. It knows the protocol alone."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from drive_rl.config.extensions import Extension, find
from drive_rl.config.plugin_call import attribute, called, parameters_of
from drive_rl.config.shelf import nearest
from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.driver import PluginDriverSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.observations import Batch, copied
from drive_rl.errors import DriveRLError
from drive_rl.sim.task.spaces import action_space

_KINDS: dict[Actions, str] = {"continuous": "fiu", "discrete": "iu"}
"""NumPy's kinds of numbers."""


class PluginDriver:
    """A plugin's driver, its actions checked (a `Driver`)."""

    def __init__(self, name: str, driver: Any, extension: Extension, world: WorldSpec) -> None:
        self.name, self._driver = name, driver
        self.observation: Observation = driver.observation
        self.actions: Actions = driver.actions
        self._what, self._space = f"{extension.plugin}: driver {name}", action_space(world, self.actions)
        numbers = f"[{', '.join(world.task.command_names)}]"
        self._each = numbers if self.actions == "continuous" else "an index into the world's grid"

    def act(self, observations: Batch) -> np.ndarray:
        """Return one action for each row.

        Raises:
            DriveRLError: the plugin fails, or its actions are not as many, or of another shape or type.
        """
        rows = len(next(iter(observations.values())) if isinstance(observations, dict) else observations)
        expected = (rows, *(self._space.shape or ()))
        with called(self._what, "act fails"):
            actions = np.asarray(self._driver.act(copied(observations)))  # pictures may be the engine's own
        if actions.shape != expected:
            raise DriveRLError(
                f"{self._what}: act returned {actions.shape} for {rows} {self.actions} actions: expected {expected};"
                f" fix: one action a row, {self._each}"
            )
        if actions.dtype.kind not in _KINDS[self.actions]:
            numbers = "integers" if self.actions == "discrete" else "numbers"
            raise DriveRLError(
                f"{self._what}: act returned {actions.dtype}: expected {numbers}; fix: return an array of them"
            )
        return actions

    def check(self, actions: np.ndarray) -> None:
        """Refuse actions outside the action space: clipped, they would hide the plugin's mistake.

        Raises:
            DriveRLError: with the first of them.
        """
        kind = np.float32 if self.actions == "continuous" else np.int64
        with np.errstate(over="ignore"):  # beyond it is beyond the space
            actions = actions.astype(kind)
        for action in actions:
            if not self._space.contains(action):
                raise DriveRLError(
                    f"{self._what}: act returned {action.tolist()}: expected an action in {self._space}; fix: correct"
                    f" the plugin, {_hint(action, self.actions)}"
                )


class RememberingPluginDriver(PluginDriver):
    """A plugin's driver that keeps something of each row."""

    def begin(self, rows: Sequence[int]) -> None:
        """Forget what is kept of some rows.

        Raises:
            DriveRLError: the plugin fails.
        """
        with called(self._what, "begin fails"):
            self._driver.begin(rows)


def _hint(action: np.ndarray, actions: Actions) -> str:
    if actions == "discrete":
        return "such as with the world's task.steer_grid and task.pedal_grid"
    return "such as with np.clip(actions, -1, 1)" if np.isfinite(action).all() else "which divides by 0 or the like"


def plugin_driver(spec: PluginDriverSpec, world: WorldSpec) -> Driver:
    """Return the driver of a recipe, for a world.

    Raises:
        DriveRLError: an option is unknown or missing, the plugin's class fails, or it is not a driver.
    """
    extension = find("driver", spec.algorithm)
    assert extension is not None, "the recipe's reader has checked it"
    _check_options(spec, extension)
    what = f"{extension.plugin}: driver {spec.algorithm}"
    with called(what, f"cannot be made with options {spec.options}", "other options, or correct the plugin"):
        driver = extension.make(world, **spec.options)
        acts, remembers = (callable(getattr(driver, method, None)) for method in ("act", "begin"))
    for key, known in (("observation", get_args(Observation)), ("actions", get_args(Actions))):
        attribute(what, driver, key, known)
    if not acts:
        raise DriveRLError(f"{what}: has no act(observations); fix: add it, as drive_rl.drivers.driver.Driver has it")
    kind = RememberingPluginDriver if remembers else PluginDriver
    return kind(spec.name, driver, extension, world)


def _check_options(spec: PluginDriverSpec, extension: Extension) -> None:
    """Refuse options that the plugin's class does not take, and leave none out that it needs."""
    taken = parameters_of(f"{extension.plugin}: driver {spec.algorithm}", extension.make)
    if not taken:
        raise DriveRLError(
            f"{extension.plugin}: driver {spec.algorithm}: takes nothing, but is made for a world; fix: make its first"
            " parameter the world"
        )
    first, *others = [each for each in taken if each.kind is not each.VAR_POSITIONAL] or taken
    if any(each.kind is each.VAR_KEYWORD for each in (first, *others)):
        return
    known = [each.name for each in others]
    for name, value in spec.options.items():
        if name not in known:
            raise DriveRLError(
                f"{spec.name}: options.{name} = {value!r}: unknown option of {spec.algorithm}; {nearest(name, known)}"
            )
    for each in others:
        if each.default is each.empty and each.name not in spec.options:
            raise DriveRLError(
                f"{spec.name}: options.{each.name}: is missing; fix: add it, as in options: {{{each.name}: VALUE}}"
            )
