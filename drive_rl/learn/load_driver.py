"""Loading a driver by name or path: its files are read once, and then it fits any world with its interface.

It knows specs and weights. It does not know how drivers are trained or scored.
"""

from pathlib import Path
from typing import get_args

import gymnasium
import torch

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver, PolicyDriver, RecurrentDriver
from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.sb3_zip import is_recurrent, load_foreign
from drive_rl.learn.own_drivers import LoadedDriver, open_own
from drive_rl.run.resolve import ForeignZip, resolve
from drive_rl.sim.task.spaces import action_space, observation_space


def load_driver(
    name: str,
    world: WorldSpec | None = None,
    device: torch.device | str = "cpu",
    trust: bool = False,
) -> tuple[Driver, WorldSpec]:
    """Return a driver and the world to drive in: `world`, steered as the driver learned to, or else the driver's own.

    Args:
        name: A driver or a perception model, as `resolve` takes it; a perception model becomes a modular driver.
        world: Another world than the driver's own.
        device: Torch device of the networks.
        trust: Whether a stable-baselines3 zip may run its author's code.

    Raises:
        DriveRLError: no such driver, with the nearest match; or it is damaged, untrained or not trusted, or does not
            fit the world.
    """
    loaded = open_driver(name, torch.device(device), trust)
    place = steered_as(loaded.own_world, world or loaded.world)
    return loaded.in_world(place), place


def steered_as(own: WorldSpec | None, world: WorldSpec) -> WorldSpec:
    """Return a world with a driver's own way of steering, by angle or by rate, as it has learned no other.

    Args:
        own: The world that it was trained in; None: none.
        world: The world to drive in.
    """
    if own is None or own.task.steering == world.task.steering:
        return world
    task = world.task.model_copy(update={"steering": own.task.steering, "steer_grid": own.task.steer_grid})
    return world.model_copy(update={"task": task})


def open_driver(name: str, device: torch.device, trust: bool = False) -> LoadedDriver:
    """Read a driver's files; arguments and errors as `load_driver`."""
    found = resolve(name)
    loaded = _foreign(found.path, device, trust) if isinstance(found, ForeignZip) else open_own(name, found, device)

    def in_world(world: WorldSpec) -> Driver:
        driver = loaded.in_world(world)
        driver.name = found.name
        return driver

    return LoadedDriver(loaded.own_world, in_world)


def _foreign(path: Path, device: torch.device, trust: bool) -> LoadedDriver:
    model = load_foreign(path, trust, str(device))
    space = model.observation_space
    kind = RecurrentDriver if is_recurrent(model) else PolicyDriver
    actions: Actions = "discrete" if isinstance(model.action_space, gymnasium.spaces.Discrete) else "continuous"

    def in_world(world: WorldSpec) -> Driver:
        observation = _observed(space, world)
        for what, own, theirs in (
            ("observation", space, observation_space(world, observation)),
            ("action", model.action_space, action_space(world, actions)),
        ):
            if own != theirs:
                raise DriveRLError(
                    f"{path}: trained with {what} space {own}, but {world.name} has {theirs}; fix: choose a world with"
                    " the driver's own camera and actions"
                )
        return kind(path.stem, model.policy.predict, observation, actions)

    return LoadedDriver(None, in_world)


def _observed(space: gymnasium.Space, world: WorldSpec) -> Observation:
    """Return what of this world has a foreign driver's space; if nothing has, what the world's id returns."""
    fitting = [each for each in get_args(Observation) if observation_space(world, each) == space]
    return fitting[0] if fitting else world.observation
