"""Drivers of plugins: a recipe's options -> a `Driver`. It knows the protocol alone."""

import inspect
from typing import Any, get_args

import numpy as np

from drive_rl.config.extensions import Extension, find
from drive_rl.config.shelf import nearest
from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.driver import PluginDriverSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.observations import Batch
from drive_rl.errors import DriveRLError

_WIDTH: dict[Actions, tuple[int, ...]] = {"continuous": (2,), "discrete": ()}


class PluginDriver:
    """A plugin's driver, its actions checked (a `Driver`)."""

    def __init__(self, name: str, driver: Any, extension: Extension) -> None:
        self.name, self._driver, self._plugin = name, driver, extension.plugin
        self.observation: Observation = driver.observation
        self.actions: Actions = driver.actions

    def act(self, observations: Batch) -> np.ndarray:
        """Return one action for each row.

        Raises:
            DriveRLError: the plugin fails, or its actions are not as many, or of another shape.
        """
        rows = len(next(iter(observations.values())) if isinstance(observations, dict) else observations)
        expected = (rows, *_WIDTH[self.actions])
        try:
            actions = np.asarray(self._driver.act(observations))
        except Exception as error:
            raise DriveRLError(
                f"{self._plugin}: driver {self.name}: act fails: {type(error).__name__}: {error};"
                " fix: correct the plugin"
            ) from error
        if actions.shape != expected:
            raise DriveRLError(
                f"{self._plugin}: driver {self.name}: act returned {actions.shape} for {rows} {self.actions} actions:"
                f" expected {expected}; fix: one action a row"
            )
        return actions


class RememberingPluginDriver(PluginDriver):
    """A plugin's driver that keeps something of each row."""

    def begin(self, rows: Any) -> None:
        """Forget what is kept of some rows."""
        self._driver.begin(rows)


def plugin_driver(spec: PluginDriverSpec, world: WorldSpec) -> Driver:
    """Return the driver of a recipe, for a world.

    Raises:
        DriveRLError: an option is unknown or missing, the plugin's class fails, or it is not a driver.
    """
    extension = find("driver", spec.algorithm)
    assert extension is not None, "the recipe's reader has checked it"
    _check_options(spec, extension)
    what = f"{extension.plugin}: driver {spec.algorithm}"
    try:
        driver = extension.make(world, **spec.options)
    except Exception as error:
        raise DriveRLError(
            f"{what}: cannot be made with options {spec.options}: {type(error).__name__}: {error}; fix: other options,"
            " or correct the plugin"
        ) from error
    for key, known in (("observation", get_args(Observation)), ("actions", get_args(Actions))):
        if (found := getattr(driver, key, None)) not in known:
            raise DriveRLError(f"{what}: {key} = {found!r}: expected one of {', '.join(known)}; fix: set it")
    if not callable(getattr(driver, "act", None)):
        raise DriveRLError(f"{what}: has no act(observations); fix: add it, as drive_rl.drivers.driver.Driver has it")
    kind = RememberingPluginDriver if callable(getattr(driver, "begin", None)) else PluginDriver
    return kind(spec.name, driver, extension)


def _check_options(spec: PluginDriverSpec, extension: Extension) -> None:
    """Refuse options that the plugin's class does not take, and leave none out that it needs."""
    taken = list(inspect.signature(extension.make).parameters.values())
    if not taken:
        raise DriveRLError(
            f"{extension.plugin}: driver {spec.algorithm}: takes nothing, but is made for a world; fix: make its first"
            " parameter the world"
        )
    first, *others = taken
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
            raise DriveRLError(f"{spec.name}: options.{each.name}: is missing; fix: add it")
