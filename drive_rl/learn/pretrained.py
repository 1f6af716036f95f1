"""Drivers that begin with what a perception model has learned: its encoder, or the whole of it.

It knows trained models and where policies keep encoders. It does not know how drivers learn.
"""

from pathlib import Path

import torch
from torch import nn

from drive_rl.config.driver_spec import DqnSpec, PpoSpec
from drive_rl.config.experiment_spec import RunSpec
from drive_rl.config.world_spec import WorldSpec
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.errors import DriveRLError
from drive_rl.learn.sb3.feature_extractors import ImageEncoder
from drive_rl.perception.models.export import write_model
from drive_rl.perception.models.load import load_trained
from drive_rl.run.storage.tensors import load_weights

PERCEPTION_MODEL = "perception_model"
"""Folder in a run, or in an exported driver, that holds the perception model which its policy sees by."""

_SHAPE = ("width_px", "height_px", "channels", "frame_stack")
_MOUNT = ("fov_rad", "forward_m", "height_m", "pitch_rad")


def init_encoders(policy: nn.Module, agent: PpoSpec | DqnSpec, world: WorldSpec) -> None:
    """Give a policy's image encoders the weights that its spec tells them to start from, if any.

    Raises:
        DriveRLError: no such perception model, or its encoder or its pictures are others.
    """
    if agent.encoder.init_from is None:
        return
    trained = load_trained(agent.encoder.init_from)
    theirs, mine = trained.spec.model.encoder, agent.encoder
    pairs = {f"agent.encoder.{key}": (getattr(theirs, key), getattr(mine, key)) for key in ("kind", "features")}
    _check(f"agent.encoder.init_from = {mine.init_from}", pairs | _cameras(trained.spec.world, world, _SHAPE))
    for encoder in _encoders(policy):
        load_weights(encoder, trained.model.encoder.state_dict(), trained.weights)


def freeze_encoders(policy: nn.Module) -> None:
    """Leave a policy's image encoders as they are from now on."""
    for encoder in _encoders(policy):
        encoder.freeze()


def load_perception_model(spec: RunSpec, home: Path | None, device: torch.device) -> LaneEstimator | None:
    """Return what a run's policy sees by, or None if it sees for itself.

    Args:
        spec: The run's.
        home: The run, or the exported driver, which holds a copy of its own; None: a run that is yet to begin.
        device: Where the model runs.

    Raises:
        DriveRLError: no such perception model, it tells no lane state, or its camera is another.
    """
    if spec.agent.perception_model is None:
        return None
    trained = load_trained(spec.agent.perception_model if home is None else str(home / PERCEPTION_MODEL))
    _check(
        f"agent.perception_model = {spec.agent.perception_model}",
        _cameras(trained.spec.world, spec.world, _SHAPE + _MOUNT),
    )
    return LaneEstimator(trained, spec.world.task, device)


def keep_perception_model(estimator: LaneEstimator | None, home: Path) -> None:
    """Put a copy of the perception model, if there is one, where `load_perception_model` finds them."""
    if estimator is not None:
        write_model(estimator.trained, home / PERCEPTION_MODEL)


def _encoders(policy: nn.Module) -> list[ImageEncoder]:
    return [module for module in policy.modules() if isinstance(module, ImageEncoder)]


def _cameras(theirs: WorldSpec, mine: WorldSpec, keys: tuple[str, ...]) -> dict[str, tuple[object, object]]:
    return {f"world.camera.{key}": (getattr(theirs.camera, key), getattr(mine.camera, key)) for key in keys}


def _check(what: str, pairs: dict[str, tuple[object, object]]) -> None:
    """Refuse values that differ: key -> the perception model's and the driver's."""
    other = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    if other:
        told = ", ".join(f"{key} = {theirs} there and {mine} here" for key, (theirs, mine) in other.items())
        mend = " ".join(f"{key}={theirs}" for key, (theirs, _) in other.items())
        raise DriveRLError(f"{what}: {told}; fix: {mend}")
