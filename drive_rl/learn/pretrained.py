"""Drivers that start from a trained perception model: from its encoder, or from its predictions.

It knows trained models and where policies keep encoders. It does not know how drivers are trained.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import torch
from torch import nn

from drive_rl.config.specs.driver import DaggerSpec, LearnerSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.errors import DriveRLError
from drive_rl.learn.sb3.feature_extractors import ImageEncoder
from drive_rl.perception.models.export import write_model
from drive_rl.perception.models.load import Fitted, load_trained
from drive_rl.run.storage.tensors import load_weights

PERCEPTION_MODEL = "perception_model"
"""Folder in a run, or in an exported driver, with the perception model whose predictions its policy reads."""

INITIAL_POLICY = "initial_policy"
"""Folder in a run with a copy of the driver that its policy started from."""

SHAPE = ("camera.width_px", "camera.height_px", "camera.channels", "camera.frame_stack", "camera.frame_ages")
"""Keys of a world: what its pictures look like as arrays."""
MOUNT = ("camera.fov_rad", "camera.forward_m", "camera.height_m", "camera.pitch_rad")
"""Keys of a world: from where its pictures are taken."""


def init_encoders(policy: nn.Module, agent: LearnerSpec, world: WorldSpec) -> None:
    """Load the weights that a spec's `encoder.init_from` names, if any, into a policy's image encoders.

    Raises:
        DriveRLError: no such perception model, or another encoder or another camera.
    """
    if agent.encoder.init_from is None:
        return
    trained = load_trained(agent.encoder.init_from)
    theirs, mine = trained.spec.model.encoder, agent.encoder
    pairs = {f"agent.encoder.{key}": (getattr(theirs, key), getattr(mine, key)) for key in ("kind", "features")}
    check_alike(f"agent.encoder.init_from = {mine.init_from}", pairs, trained.spec.world, world, SHAPE)
    for encoder in _encoders(policy):
        load_weights(encoder, trained.model.encoder.state_dict() | encoder.marks, trained.weights)


def freeze_encoders(policy: nn.Module) -> None:
    """Freeze a policy's image encoders."""
    for encoder in _encoders(policy):
        encoder.freeze()


def load_perception_model(spec: RunSpec, home: Path | None, device: torch.device) -> LaneEstimator | None:
    """Return the estimator of a run with a perception model; None: the policy reads the camera itself.

    Args:
        spec: The run's.
        home: The run or exported driver, which holds a copy of the model; None: a new run.
        device: The model's.

    Raises:
        DriveRLError: no such perception model, it predicts no lane state, or it has another camera.
    """
    if isinstance(spec.agent, DaggerSpec) or spec.agent.perception_model is None:
        return None
    trained = load_trained(spec.agent.perception_model if home is None else str(home / PERCEPTION_MODEL))
    what = f"agent.perception_model = {spec.agent.perception_model}"
    check_alike(what, {}, trained.spec.world, spec.world, SHAPE + MOUNT)
    return LaneEstimator(trained, spec.world.task, device)


def keep_perception_model(estimator: LaneEstimator | None, home: Path) -> None:
    """Write a copy of the perception model, if there is one, where `load_perception_model` finds it."""
    if estimator is not None:
        assert isinstance(estimator.trained, Fitted), "load_perception_model loads no other"
        write_model(estimator.trained, home / PERCEPTION_MODEL)


def check_alike(
    what: str, pairs: Mapping[str, tuple[object, object]], theirs: WorldSpec, mine: WorldSpec, keys: Sequence[str]
) -> None:
    """Refuse a start that does not fit a driver.

    Args:
        what: The key that names it, and its value.
        pairs: Key -> its own value and the driver's.
        theirs: The world it was trained in.
        mine: The driver's.
        keys: Keys of the worlds that must have the same value.

    Raises:
        DriveRLError: values differ.
    """
    of_worlds = {f"world.{key}": (attrgetter(key)(theirs), attrgetter(key)(mine)) for key in keys}
    other = {key: pair for key, pair in {**pairs, **of_worlds}.items() if pair[0] != pair[1]}
    if other:
        differences = ", ".join(f"{key} = {there} there and {here} here" for key, (there, here) in other.items())
        fix = " ".join(f"{key}={there}".replace(" ", "") for key, (there, _) in other.items())
        raise DriveRLError(f"{what}: {differences}; fix: {fix}")


def _encoders(policy: nn.Module) -> list[ImageEncoder]:
    return [module for module in policy.modules() if isinstance(module, ImageEncoder)]
