"""Trained perception models: finding one by name or path, and the folders that hold them. No pickle.

It knows run folders, the shelf of trained drivers, and weights. It does not know how a model learns.
"""

from dataclasses import dataclass
from pathlib import Path

from drive_rl.config.perception_spec import PerceptionSpec
from drive_rl.config.reader import is_perception_spec, read_perception
from drive_rl.config.shelf import entries, home, unknown
from drive_rl.errors import DriveRLError
from drive_rl.perception.models.perception_model import PerceptionModel, build_perception
from drive_rl.run.folder import RunFolder, is_run, runs_in
from drive_rl.run.storage.manifest import verify
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
    spec_path, folder = _find(name)
    if not is_perception_spec(spec_path):
        raise DriveRLError(
            f"{name}: is a driver, which predicts neither lane state nor masks; expected a perception model; fix: name"
            f" one of {', '.join(known_models()) or 'your own, made by `drive-rl perception fit`'}"
        )
    spec = read_perception(spec_path)
    weights = folder / "weights.safetensors"
    verify(folder, _NEEDED, ("perception",))
    model = build_perception(spec)
    load_weights(model, read_tensors(weights), weights)
    return Trained(name if name in entries("agents") else spec.name, spec, model.eval(), weights)


def init_encoder(model: PerceptionModel, start: str) -> None:
    """Give a model the encoder of a trained one.

    Raises:
        DriveRLError: no such model, or its encoder or camera is another.
    """
    trained = load_trained(start)
    load_weights(model.encoder, trained.model.encoder.state_dict(), trained.weights)


def known_models() -> list[str]:
    """Return the names of the perception models on the shelf."""
    return [name for name, path in entries("agents").items() if path.is_dir() and _is_perception(path)]


def is_perception(name: str) -> bool:
    """Whether a name or path is a perception model's rather than a driver's; False where nothing is found."""
    try:
        return is_perception_spec(_find(name)[0])
    except DriveRLError:
        return False


def _is_perception(path: Path) -> bool:
    try:
        return is_perception_spec(path / "spec.yaml")
    except DriveRLError:
        return False


def _find(name: str) -> tuple[Path, Path]:
    """Return the spec.yaml and the folder of weights that a name stands for."""
    path = entries("agents").get(name, home(name))
    if (path / "manifest.json").is_file() and (path / "spec.yaml").is_file():
        return path / "spec.yaml", path
    if path.is_dir() and (is_run(path) or runs_in(path)):
        run = RunFolder.open(path)
        for folder in (run.best, run.last):
            if (folder / "manifest.json").is_file():
                return run.spec, folder
        raise DriveRLError(f"{run.path}: holds no checkpoint yet (neither best/ nor last/); fix: train it further")
    run = next((parent for parent in path.resolve().parents[:2] if is_run(parent)), None)
    if run is not None and (path / "manifest.json").is_file():
        return run / "spec.yaml", path
    raise unknown("perception model", name, known_models())
