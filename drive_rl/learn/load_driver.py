"""Who drives: the `Driver` protocol, policies as drivers, and finding a driver by name or path.

It knows shelves, run folders and weights. It does not know how drivers are trained or scored.
"""

from pathlib import Path

import gymnasium
import torch

from drive_rl.config.driver_spec import PluginDriverSpec, ReferenceSpec
from drive_rl.config.experiment_spec import RunSpec
from drive_rl.config.reader import load_agent, load_world, read_run
from drive_rl.config.shelf import entries, home, unknown
from drive_rl.config.spec import Actions, Observation
from drive_rl.config.world_spec import WorldSpec
from drive_rl.drivers.driver import Driver, PolicyDriver
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.drivers.modular import ModularDriver
from drive_rl.drivers.plugin_driver import plugin_driver
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_policy
from drive_rl.learn.checkpoint.checkpoint import weights_only
from drive_rl.learn.checkpoint.export import is_export, read_export
from drive_rl.learn.checkpoint.sb3_zip import load_foreign
from drive_rl.learn.pretrained import load_perception_model
from drive_rl.perception.models.load import Trained, is_perception, load_trained
from drive_rl.run.folder import RunFolder, is_run, runs_in
from drive_rl.run.storage.tensors import load_weights
from drive_rl.sim.task.spaces import action_space, observation_space

DEFAULT_WORLD = "lane_follow"


def load_driver(
    name: str,
    world: WorldSpec | None = None,
    device: torch.device | str = "cpu",
    trust: bool = False,
) -> tuple[Driver, WorldSpec]:
    """Return a driver and the world to drive in: `world`, or else the one it learned in.

    Args:
        name: A driver on the shelf (`reference`, `ppo-lane-follow`), its folder, a run folder or a folder of
            runs (its best checkpoint, or else the last), a checkpoint in a run, or a stable-baselines3 zip. A
            perception model, named in the same ways, becomes a modular driver.
        world: Another world than the driver's own.
        device: Torch device of the policy.
        trust: Whether a stable-baselines3 zip may run code of its author.

    Raises:
        DriveRLError: no such driver, with the nearest match; or it is damaged, untrained or not trusted.
    """
    driver, place = _find(name, world, torch.device(device), trust)
    driver.name = _own_name(name)
    return driver, place


def _find(name: str, world: WorldSpec | None, device: torch.device, trust: bool) -> tuple[Driver, WorldSpec]:
    path = home(name)
    shelf = entries("agents")
    if path.suffix == ".zip":
        return _foreign(path, world, device, trust)
    if is_perception(name):
        return _modular(name, world, device)
    if name in shelf:
        path = shelf[name]
    if path.suffix in (".yaml", ".yml"):
        return _recipe(name, world)
    if is_export(path):
        return _export(path, world, device)
    if is_run(path) or runs_in(path):
        return _run(RunFolder.open(path), world, device)
    run = next((parent for parent in path.resolve().parents[:2] if is_run(parent)), None)
    if run is not None and (path / "manifest.json").is_file():
        return _checkpoint(RunFolder.open(run), path, world, device)
    raise unknown("driver", name, [*shelf, *_known_runs()])


def _own_name(name: str) -> str:
    """Return what a driver goes by: its name on the shelf, its run as `quickstart/20261125T211512Z-s0`, or its file."""
    path = home(name)
    if name in entries("agents"):
        return name
    if is_run(path) or runs_in(path):
        return "/".join(RunFolder.open(path).path.resolve().parts[-2:])
    if is_run(path.resolve().parent) or is_run(path.resolve().parent.parent):  # a checkpoint
        run = next(parent for parent in path.resolve().parents if is_run(parent))
        return "/".join((*run.parts[-2:], path.resolve().name))
    return path.stem if path.is_file() else path.resolve().name


def drive_by(trained: Trained, world: WorldSpec | None = None, device: torch.device | str = "cpu") -> ModularDriver:
    """Return the modular driver of a perception model, for a world (its own by default).

    Raises:
        DriveRLError: the model does not tell the lane state.
    """
    world = world or trained.spec.world
    return ModularDriver(LaneEstimator(trained, world.task, device), world.car)


def policy_driver(
    spec: RunSpec, weights: dict[str, torch.Tensor], path: Path, device: torch.device, home: Path | None = None
) -> Driver:
    """Return the driver that `weights` (read from `path`) make of a run's spec; its estimator, if any, lie in `home`.

    Raises:
        DriveRLError: the weights do not fit the spec.
    """
    policy = build_policy(spec.agent, spec.world, device)
    load_weights(policy, weights, path)
    policy.set_training_mode(False)
    estimator = load_perception_model(spec, home, device)
    return PolicyDriver(spec.agent.name, policy, spec.agent.observation, spec.agent.actions, estimator)


def _recipe(name: str, world: WorldSpec | None) -> tuple[Driver, WorldSpec]:
    spec = load_agent(name)
    if isinstance(spec, PluginDriverSpec):
        world = world or load_world(DEFAULT_WORLD)
        return plugin_driver(spec, world), world
    if not isinstance(spec, ReferenceSpec):
        raise DriveRLError(
            f"driver {name!r} is a recipe and has not learned yet; fix: `drive-rl train` an experiment with"
            " it and name the run folder, or name a trained driver"
        )
    world = world or load_world(DEFAULT_WORLD)
    return ReferenceDriver(spec, world.car), world


def _modular(name: str, world: WorldSpec | None, device: torch.device) -> tuple[Driver, WorldSpec]:
    trained = load_trained(name)
    return _checked(drive_by(trained, world, device), trained.spec.world, world, trained.weights)


def _export(path: Path, world: WorldSpec | None, device: torch.device) -> tuple[Driver, WorldSpec]:
    spec, weights = read_export(path)
    driver = policy_driver(spec, weights, path / "weights.safetensors", device, path)
    return _checked(driver, spec.world, world, path)


def _run(run: RunFolder, world: WorldSpec | None, device: torch.device) -> tuple[Driver, WorldSpec]:
    for folder in (run.best, run.last):
        if (folder / "manifest.json").is_file():
            return _checkpoint(run, folder, world, device)
    raise DriveRLError(f"{run.path}: holds no checkpoint yet (neither best/ nor last/); fix: train it further")


def _checkpoint(
    run: RunFolder, folder: Path, world: WorldSpec | None, device: torch.device
) -> tuple[Driver, WorldSpec]:
    spec = read_run(run.spec)
    driver = policy_driver(spec, weights_only(folder), folder / "weights.safetensors", device, run.path)
    return _checked(driver, spec.world, world, folder)


def _checked(driver: Driver, home: WorldSpec, world: WorldSpec | None, path: Path) -> tuple[Driver, WorldSpec]:
    """Refuse another world than the one learned in whose pictures or action grid the driver cannot use."""
    if world is None:
        return driver, home
    own, other = _interface(home, driver), _interface(world, driver)
    if own != other:
        raise DriveRLError(
            f"{path}: learned in {home.name} with {own}, but {world.name} has {other}; fix: choose a"
            " world with the driver's own camera and action grid"
        )
    return driver, world


def _interface(world: WorldSpec, driver: Driver) -> str:
    camera, task = world.camera, world.task
    seen = f"{camera.frame_stack} {camera.channels} frames of {camera.width_px}x{camera.height_px} px"
    parts = [seen if "camera" in driver.observation else "the lane state"]
    if driver.actions == "discrete":
        parts.append(f"actions {list(task.steer_grid)} x {list(task.pedal_grid)}")
    return ", ".join(parts)


def _foreign(path: Path, world: WorldSpec | None, device: torch.device, trust: bool) -> tuple[Driver, WorldSpec]:
    model = load_foreign(path, trust, str(device))
    space = model.observation_space
    flat = space.shape is not None and len(space.shape) == 1
    observation: Observation = (
        "camera+state" if isinstance(space, gymnasium.spaces.Dict) else "state" if flat else "camera"
    )
    actions: Actions = "discrete" if isinstance(model.action_space, gymnasium.spaces.Discrete) else "continuous"
    world = world or load_world(DEFAULT_WORLD)
    for what, own, theirs in (
        ("observation", space, observation_space(world, observation)),
        ("action", model.action_space, action_space(world, actions)),
    ):
        if own != theirs:
            raise DriveRLError(
                f"{path}: learned with {what} space {own}, but {world.name} has {theirs}; fix: choose a world with the"
                " driver's own camera and actions"
            )
    return PolicyDriver(path.stem, model.policy, observation, actions), world


def _known_runs(root: Path = Path("runs")) -> list[str]:
    return [str(folder) for folder in sorted(root.iterdir()) if runs_in(folder)] if root.is_dir() else []
