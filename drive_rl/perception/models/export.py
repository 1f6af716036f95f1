"""A trained perception model as a folder of `agents/`: weights, spec, what was measured, manifest and model card.

It knows the folder's files, the same as a driver's; none is a pickle. It does not know training or scoring.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from drive_rl.config.reader import dump
from drive_rl.config.specs.copies import copies
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.models.load import Fitted, load_trained
from drive_rl.run.folder import RunFolder, write_copies
from drive_rl.run.scores import asked_scores, own_scores
from drive_rl.run.storage.atomic import read_json, write_directory, write_json, write_text
from drive_rl.run.storage.manifest import write_manifest
from drive_rl.run.storage.tensors import write_tensors

DRIVES = "drive.json"
"""Scores of a car that drives by the model; `eval.json` beside it has the model's own scores on pictures."""

_FIX = "fix: take another run"


def export_model(run: RunFolder, folder: Path, overwrite: bool = False) -> Path:
    """Write the best (or else the last) model of a perception run to `folder`, whole or not at all; return `folder`.

    Raises:
        DriveRLError: the run has no checkpoint, the folder exists, or no space is left.
    """
    if folder.exists() and not overwrite:
        raise DriveRLError(f"{folder}: exists already; fix: another folder, or remove it first")
    trained = load_trained(str(run.path))
    measured = {run.evaluation.name: own_scores(run), DRIVES: asked_scores(run)}
    measured = {name: scores for name, scores in measured.items() if scores is not None}
    card = _card(folder.name, trained, measured)
    write_model(trained, folder, measured, card)
    return folder


def write_model(
    trained: Fitted, folder: Path, measured: Mapping[str, Any] = MappingProxyType({}), card: str | None = None
) -> None:
    """Write a model to a folder that `load_trained` reads, whole or not at all.

    Args:
        trained: The model.
        folder: Where to; an older folder there is replaced.
        measured: Further files, name -> their content, written as JSON.
        card: The model card.
    """
    with write_directory(folder) as new:
        write_tensors(new / "weights.safetensors", trained.model.state_dict())
        write_text(new / "spec.yaml", dump(trained.spec))
        for name, value in measured.items():
            write_json(new / name, value)
        if card is not None:
            write_text(new / "README.md", card)
        write_manifest(new, {"algorithm": "perception", "num_samples": _samples(trained)})
        write_copies(new, copies(trained.spec))


def _samples(trained: Fitted) -> int:
    """Return the number of pictures that a model has learned from."""
    return int(read_json(trained.weights.parent / "manifest.json", _FIX)["num_samples"])


def _card(name: str, trained: Fitted, measured: Mapping[str, Any]) -> str:
    """Return the model card."""
    spec = trained.spec
    world, model = spec.world, spec.model
    camera, weights = world.camera, sum(p.numel() for p in trained.model.parameters())
    lines = [
        f"# {name}",
        "",
        f"A perception model of the world `{world.name}` ({world.description}).",
        "",
        f"- input: {camera.in_words}",
        f"- predicts: {', '.join(model.heads)}",
        f"- encoder: {model.encoder.kind}, {model.encoder.features} features; {weights:,} weights in all",
        f"- learned from: {_learned(spec, _samples(trained))}",
        "- weights: safetensors, no code; `manifest.json` holds the SHA-256 of every file",
        *plugin_lines(spec),
        "",
        *_validation_lines(measured.get("eval.json"), spec),
        *score_lines(measured.get(DRIVES), "Scores of a car driven by it, of"),
        *([f"Drive by it: `drive-rl eval {name}`, `drive-rl render {name}`.", ""] if "lane" in model.heads else []),
        "Made for this simulator's roads. It knows no moving traffic, and is not fit to drive a real vehicle.",
    ]
    return "\n".join(lines) + "\n"


def _learned(spec: PerceptionSpec, samples: int) -> str:
    source = "rendered on the train roads" if spec.data.folder is None else f"of {Path(spec.data.folder).name}"
    start = "" if spec.model.init_from is None else f", from the encoder of {Path(spec.model.init_from).name}"
    labels = "without labels" if spec.fit.task != "labels" else "with labels"
    return f"{samples:,} pictures {source}{_worlds(spec)}, {labels}, seed {spec.seed}{start}"


def _worlds(spec: PerceptionSpec) -> str:
    """Return in which worlds the roads of a recipe are, where it names several."""
    shares = [f"{100 * share:.3g} % in `{name}`" for name, share in spec.worlds.items()]
    return f" ({', '.join(shares)})" if len(shares) > 1 else ""


def _validation_lines(scores: Any, spec: PerceptionSpec) -> list[str]:
    """Return the lines of a run's `eval.json`."""
    if not isinstance(scores, dict):
        return []
    rows = [f"| {key} | {value:.4g} |" for key, value in scores.items() if isinstance(value, float)]
    head = f"On held-out pictures of the {scores.get('split')} split{_worlds(spec)} (SI units):"
    return [head, "", "| what | value |", "|---|---|", *rows, ""]


def plugin_lines(spec: RunSpec | PerceptionSpec) -> list[str]:
    """Return a card's line about the plugin files that are kept in its folder; none without."""
    named = " ".join(f"--plugin {plugin.file}" for plugin in spec.plugins if plugin.file)
    return [f"- needs the code in this folder, to read and then to name: `{named}`"] if named else []


def score_lines(scores: Any, what: str) -> list[str]:
    """Return a card's lines of a mapping that holds a `score` as `Score.to_dict` gives it; none of another."""
    if not isinstance(scores, dict) or not isinstance(scores.get("score"), dict):
        return []
    table = scores["score"]
    roads = "1 road" if table.get("episodes") == 1 else f"{table.get('episodes')} roads"
    head = f"{what} {roads} of the {scores.get('split')} split (95 % interval):"
    rows = [
        f"| {key} | {value['value']:.3f} | {value['low']:.3f} to {value['high']:.3f} |"
        for key, value in table.items()
        if isinstance(value, dict)
    ]
    return [head, "", "| metric | value | interval |", "|---|---|---|", *rows, ""]
