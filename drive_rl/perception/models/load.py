"""Trained perception models, loaded by name or path. No pickle. It knows specs and weights, not how a model learns."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from drive_rl.config.shelf import unknown
from drive_rl.config.specs.adapter import AdapterSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.models.perception_model import PerceptionModel, PictureModel, build_perception
from drive_rl.run.own_spec import read_own_perception
from drive_rl.run.resolve import TrainedFolder, known_models, resolve
from drive_rl.run.storage.manifest import sha256_of, verify_model
from drive_rl.run.storage.tensors import load_weights, read_tensors

_NEEDED = ("weights.safetensors",)


@dataclass(frozen=True)
class Trained:
    """A trained perception model, ours or one that others made."""

    name: str
    spec: PerceptionSpec | AdapterSpec
    model: PictureModel  # in evaluation mode, on the CPU
    weights: Path
    more_files: tuple[Path, ...] = ()
    """That the model consists of, beside `weights`."""

    @property
    def network(self) -> str:
        """What computes the predictions, in a word: the encoder's kind, or what the model came as."""
        return self.spec.network if isinstance(self.spec, AdapterSpec) else self.spec.model.encoder.kind

    @property
    def heads(self) -> tuple[str, ...]:
        """What it predicts."""
        return tuple(self.model.heads) if isinstance(self.spec, AdapterSpec) else self.spec.model.heads

    @property
    def sha256(self) -> str:
        """SHA-256 of its file; of several, of theirs one after the other."""
        each = [sha256_of(file) for file in (self.weights, *self.more_files)]
        return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


@dataclass(frozen=True)
class Fitted(Trained):
    """A perception model that `drive-rl perception fit` has trained."""

    spec: PerceptionSpec
    model: PerceptionModel


def load_trained(name: str) -> Fitted:
    """Return a perception model that this package has trained.

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
    return Fitted(found.name if found.on_shelf else spec.name, spec, model.eval(), weights)


def init_encoder(model: PerceptionModel, start: str) -> None:
    """Give a model the encoder of a trained one.

    Raises:
        DriveRLError: no such model, or its encoder or camera is another.
    """
    trained = load_trained(start)
    load_weights(model.encoder, trained.model.encoder.state_dict(), trained.weights)
