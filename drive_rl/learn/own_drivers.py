"""Our own drivers: recipes, trained folders and perception models. Foreign files are for `load_driver`.

It knows specs and weights. It does not know how drivers are trained or scored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import torch

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.shelf import DEFAULT_WORLD
from drive_rl.config.specs.driver import DaggerSpec, ExpertSpec, LearnerSpec, PluginDriverSpec, ReferenceSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver, PolicyDriver, Stateful
from drive_rl.drivers.expert import ExpertDriver
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.drivers.modular import ModularDriver
from drive_rl.drivers.plugin_driver import plugin_driver
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_policy, policy_driver
from drive_rl.learn.checkpoint.checkpoint import weights_only
from drive_rl.learn.checkpoint.export import read_export
from drive_rl.learn.pretrained import load_perception_model
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.run.own_spec import read_own_run
from drive_rl.run.resolve import ForeignZip, Recipe, TrainedFolder, resolve
from drive_rl.run.storage.tensors import load_weights


@dataclass(frozen=True)
class LoadedDriver:
    """A driver with its files read."""

    own_world: WorldSpec | None
    """The world it was trained in, if any."""
    in_world: Callable[[WorldSpec], Driver]
    """Returns the driver for a world, or raises a `DriveRLError` where the world does not fit."""

    @property
    def world(self) -> WorldSpec:
        """The world it was trained in, or else the default one."""
        return self.own_world or load_world(DEFAULT_WORLD)


def open_own(name: str, found: Recipe | TrainedFolder, device: torch.device) -> LoadedDriver:
    """Read the files of one of our own drivers, `found` by its name.

    Raises:
        DriveRLError: it is damaged, or untrained.
    """
    if isinstance(found, Recipe):
        return _recipe(name)
    return _modular(name, device) if found.is_perception else _trained(found, device)


def load_teacher(agent: LearnerSpec, world: WorldSpec) -> Driver | None:
    """Return the driver that an agent imitates, for a world; None for one that learns from rewards, or offline.

    Raises:
        DriveRLError: no such driver; it is damaged, untrained, or does not fit the world; or it has discrete actions,
            observes motion, or has a memory.
    """
    if not isinstance(agent, DaggerSpec) or agent.offline:
        return None
    try:
        found = resolve(agent.teacher)
        if isinstance(found, ForeignZip):
            raise DriveRLError("a stable-baselines3 zip cannot teach; fix: a driver of drive-rl, such as reference")
        teacher = open_own(agent.teacher, found, torch.device("cpu")).in_world(world)
    except DriveRLError as error:
        raise DriveRLError(f"agent.teacher = {agent.teacher}: {error}") from error
    if wrong := _unfit(teacher):
        raise DriveRLError(f"agent.teacher = {agent.teacher}: {wrong}, such as reference")
    return teacher


def _unfit(teacher: Driver) -> str | None:
    """Return why a driver cannot teach, and the fix."""
    if teacher.actions != "continuous":
        return "has discrete actions, but agent.actions = continuous; fix: a teacher that steers continuously"
    if teacher.observation == "motion":
        return "observes motion, but a teacher is shown the camera and the true state; fix: a teacher of these"
    if isinstance(teacher, Stateful):
        return "remembers its episode, which no checkpoint keeps; fix: a teacher without memory"
    return None


def modular_driver(
    trained: Trained, world: WorldSpec | None = None, device: torch.device | str = "cpu"
) -> ModularDriver:
    """Return the modular driver of a perception model, for a world (its own by default).

    Raises:
        DriveRLError: the model does not predict the lane state.
    """
    world = world or trained.spec.world
    return ModularDriver(LaneEstimator(trained, world.task, device), world)


def restore_driver(
    spec: RunSpec, weights: dict[str, torch.Tensor], path: Path, device: torch.device, home: Path | None = None
) -> PolicyDriver:
    """Return the driver of a run's spec with its weights.

    Args:
        spec: The run's.
        weights: The policy's state dict.
        path: Where the weights were read, for messages.
        device: Torch device of the networks.
        home: The folder that holds the driver's perception model, if it has one.

    Raises:
        DriveRLError: the weights do not fit the spec.
    """
    policy = build_policy(spec.agent, spec.world, device)
    load_weights(policy, weights, path)
    policy.set_training_mode(False)
    return policy_driver(spec.agent, policy, load_perception_model(spec, home, device))


def read_trained(found: TrainedFolder) -> tuple[RunSpec, dict[str, torch.Tensor]]:
    """Return the spec and the weights of a trained driver.

    Raises:
        DriveRLError: a file is missing, cut short or edited.
    """
    if found.is_export:
        return read_export(found.home)
    return read_own_run(found.home), weights_only(found.weights)


def _recipe(name: str) -> LoadedDriver:
    spec = load_agent(name)
    if isinstance(spec, PluginDriverSpec):
        return LoadedDriver(None, lambda world: plugin_driver(spec, world))
    if isinstance(spec, ExpertSpec):
        return LoadedDriver(None, lambda world: ExpertDriver(spec, world.car, world.task))
    if not isinstance(spec, ReferenceSpec):
        raise DriveRLError(
            f"driver {name!r} is a recipe and has no weights; fix: `drive-rl train` an experiment with it and name the"
            " run folder, or name a trained driver"
        )
    return LoadedDriver(None, lambda world: ReferenceDriver(spec, world.car, world.task))


def _modular(name: str, device: torch.device) -> LoadedDriver:
    trained = load_trained(name)
    own = trained.spec.world
    return LoadedDriver(
        own, lambda world: _checked(modular_driver(trained, world, device), own, world, trained.weights)
    )


def _trained(found: TrainedFolder, device: torch.device) -> LoadedDriver:
    spec, weights = read_trained(found)
    driver = restore_driver(spec, weights, found.weights / "weights.safetensors", device, found.home)
    return LoadedDriver(spec.world, lambda world: _checked(driver, spec.world, world, found.weights))


def _checked(driver: Driver, own: WorldSpec, world: WorldSpec, path: Path) -> Driver:
    """Refuse a world whose pictures, state or actions the driver cannot use.

    Args:
        driver: The driver.
        own: The world it was trained in.
        world: The world to drive in.
        path: The driver's folder, for messages.
    """
    theirs, wanted = _interface(own, driver), _interface(world, driver)
    if theirs != wanted:
        changes = _changes(own, world, driver)
        raise DriveRLError(
            f"{path}: trained in {own.name} with {theirs}, but {world.name} has {wanted}; fix: choose a world with the"
            f" driver's own camera, controls, action grid and state{', or ' * bool(changes)}{changes}"
        )
    return driver


def _changes(own: WorldSpec, world: WorldSpec, driver: Driver) -> str:
    """Return the KEY=VALUE that give a world the driver's pictures and actions."""
    keys = ["camera.frame_stack", "camera.frame_ages", "camera.channels", "camera.width_px", "camera.height_px"]
    keys = (
        ([] if driver.observation == "state" else keys)
        + ["task.controls", "task.steering"] * isinstance(driver, PolicyDriver)
        + (["task.steer_grid", "task.pedal_grid"] if driver.actions == "discrete" else [])
    )
    pairs = [(key, attrgetter(key)(own), attrgetter(key)(world)) for key in keys]
    return " ".join(
        f"world.{key}={'null' if value is None else list(value) if isinstance(value, tuple) else value}".replace(
            " ", ""
        )
        for key, value, here in pairs
        if value != here
    )


def _interface(world: WorldSpec, driver: Driver) -> str:
    """Return what the driver reads and does in a world, in words."""
    camera, task = world.camera, world.task
    parts = ["the lane state" if driver.observation == "state" else camera.in_words]
    if isinstance(driver, PolicyDriver):  # what has learned one set of controls does not know another
        parts.insert(0, f"controls {task.controls}" + " by rate" * (task.steering == "rate"))
        if "state" in driver.observation and world.streets and world.streets.has_passing_fields:
            parts.append("fields of an obstacle")
    if driver.actions == "discrete":
        grids = [task.steer_grid, task.pedal_grid][: len(task.command_names)]
        parts.append(f"actions {' x '.join(str(list(grid)) for grid in grids)}")
    return ", ".join(parts)
