"""Trained perception models, loaded by name or path. No pickle. It knows specs and weights, not how a model learns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drive_rl.config.shelf import unknown
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.models.perception_model import PerceptionModel, build_perception
from drive_rl.run.own_spec import read_own_perception
from drive_rl.run.resolve import TrainedFolder, known_models, resolve
from drive_rl.run.storage.manifest import verify_model
from drive_rl.run.storage.tensors import load_weights, read_tensors

_NEEDED = ("weights.safetensors",)


@dataclass(frozen=True)
class Trained:
    """A trained perception model."""

    name: str
    spec: PerceptionSpec
    model: PerceptionModel  # in evaluation mode, on the CPU
    weights: Path


def load_trained(name: str) -> Trained:
    """Return a trained perception model.

    Args:
        name: A model on the shelf `agents/`, its folder, a perception run or a folder of runs (its best checkpoint, or
            else the last), or a checkpoint in a run.

    Raises:
        DriveRLError: no such model, with the nearest match; or a driver; or it is damaged.
    """
    found = resolve(name, "perception model")
    if not isinstance(found, TrainedFolder):
        raise unknown("perception model", name, known_models())
    if not found.is_perception:
        raise DriveRLError(
            f"{name}: is a driver, which predicts neither lane state nor masks; expected a perception model; fix: name"
            f" one of {', '.join(known_models()) or 'your own, made by `drive-rl perception fit`'}"
        )
    spec = read_own_perception(found.home)
    weights = found.weights / "weights.safetensors"
    verify_model(found.weights, _NEEDED)
    model = build_perception(spec)
    load_weights(model, read_tensors(weights), weights)
    return Trained(found.name if found.on_shelf else spec.name, spec, model.eval(), weights)


def check_any_loads(names: Sequence[str]) -> None:
    """Refuse names of which not one is a trained perception model, with the reason for each.

    Raises:
        DriveRLError: none of them can be loaded.
    """
    reasons: list[str] = []
    for name in names:
        try:
            load_trained(name)
        except DriveRLError as error:
            reasons.append(str(error))
        else:
            return
    raise DriveRLError("\n".join(reasons) or "no model is named; fix: drive-rl bench perception MODEL...")


def init_encoder(model: PerceptionModel, start: str) -> None:
    """Give a model the encoder of a trained one.

    Raises:
        DriveRLError: no such model, or its encoder or camera is another.
    """
    trained = load_trained(start)
    load_weights(model.encoder, trained.model.encoder.state_dict(), trained.weights)
