"""Names and paths of drivers and perception models -> what they stand for: a recipe, a zip, or a trained folder.

It knows the shelf `agents/`, run folders and exported folders. It reads no weights.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drive_rl.config.extensions import registered
from drive_rl.config.kinds import SHELF, is_adapter
from drive_rl.config.reader import is_perception_spec
from drive_rl.config.shelf import NO_USES, Shelf, Uses, entries, home, named, unknown
from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder, is_run, runs_in


@dataclass(frozen=True)
class Recipe:
    """A YAML file, which has no weights."""

    name: str
    path: Path


@dataclass(frozen=True)
class ForeignZip:
    """A model saved by stable-baselines3 itself."""

    name: str
    path: Path


@dataclass(frozen=True)
class TrainedFolder:
    """Weights and the spec that they were trained with: an exported folder, a run, or a checkpoint in a run."""

    name: str
    """Its name on the shelf; else `quickstart/20261125T211512Z-s0` (a run), the same and `/last`, or its folder's."""
    spec: Path
    """`spec.yaml`."""
    weights: Path
    """The folder of `weights.safetensors` and `manifest.json`."""
    home: Path
    """The exported folder or the run."""
    run: RunFolder | None
    """The run, where the whole run was named."""
    on_shelf: bool

    @property
    def is_perception(self) -> bool:
        """Whether it is a perception model rather than a driver.

        Raises:
            DriveRLError: the spec cannot be read.
        """
        return is_perception_spec(self.spec)

    @property
    def is_export(self) -> bool:
        """Whether it was exported: one folder holds all of it."""
        return self.weights == self.home


Resolved = Recipe | ForeignZip | TrainedFolder


Expected = Literal["driver", "perception model", "world, driver, experiment or run"]


def resolve(name: str, kind: Expected = "driver", uses: Uses = NO_USES, needs_weights: bool = True) -> Resolved:
    """Return what a name or path stands for.

    Args:
        name: An entry of the shelf `agents/`, its folder, a YAML file, a zip, a run folder, a folder of runs (its
            newest), or a checkpoint in a run. Of a run it is the best checkpoint, or else the last.
        kind: What is expected, for messages.
        uses: What to do with a name that is something else, as `unknown` takes it.
        needs_weights: Refuse a run without a checkpoint.

    Raises:
        DriveRLError: nothing of that name, with the nearest match; or a run without a checkpoint.
    """
    shelf = entries("agents")
    path = shelf.get(name, home(name))
    if path.suffix == ".zip":
        return ForeignZip(path.stem, path)
    if path.suffix in (".yaml", ".yml"):
        return Recipe(name if name in shelf else path.stem, path)
    if is_export(path):
        own = name if name in shelf else path.resolve().name
        return TrainedFolder(own, path / "spec.yaml", path, path, None, name in shelf)
    if is_run(path) or runs_in(path):
        return _run(RunFolder.open(path), needs_weights)
    if (checkpoint := _checkpoint(path)) is not None:
        return checkpoint
    if path.is_dir():
        RunFolder.open(path)  # its error says what is missing
    raise unknown(kind, name, _known(kind), uses)


def _known(kind: Expected) -> list[str]:
    if kind == "perception model":
        return known_models()
    shelves: tuple[Shelf, ...] = ("agents",) if kind == "driver" else tuple(SHELF.values())
    return [*{name for shelf in shelves for name in named(shelf)}, *_known_runs()]


def known_models() -> list[str]:
    """Return the names of the perception models on the shelf, and of those of plugins."""
    on_shelf = [name for name, path in entries("agents").items() if _is_perception(path)]
    return [*on_shelf, *registered("perception_model")]


def is_export(path: Path) -> bool:
    """Whether `path` is an exported driver or model by the files it holds (a run has no manifest of its own)."""
    return (path / "manifest.json").is_file() and (path / "spec.yaml").is_file()


def _run(run: RunFolder, needs_weights: bool) -> TrainedFolder:
    if needs_weights and not (run.shipped / "manifest.json").is_file():
        raise DriveRLError(f"{run.path}: holds no checkpoint yet (neither best/ nor last/); fix: train it further")
    return TrainedFolder(_run_name(run), run.spec, run.shipped, run.path, run, False)


def _checkpoint(path: Path) -> TrainedFolder | None:
    """Return a checkpoint in a run; None where `path` is none."""
    parent = next((parent for parent in path.resolve().parents[:2] if is_run(parent)), None)
    if parent is None or not (path / "manifest.json").is_file():
        return None
    run = RunFolder.open(parent)
    return TrainedFolder(f"{_run_name(run)}/{path.resolve().name}", run.spec, path, run.path, None, False)


def _run_name(run: RunFolder) -> str:
    return "/".join(run.path.resolve().parts[-2:])


def _is_perception(path: Path) -> bool:
    try:
        return is_adapter(path) if path.is_file() else is_perception_spec(path / "spec.yaml")
    except DriveRLError:
        return False


def _known_runs(root: Path = Path("runs")) -> list[str]:
    return [str(folder) for folder in sorted(root.iterdir()) if runs_in(folder)] if root.is_dir() else []
