"""A trained driver as a folder of `agents/`: weights, spec, scores, manifest and model card.

It knows the folder's files; none is a pickle. It does not know how drivers are trained or evaluated.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from drive_rl.config.reader import dump, is_perception_spec, read_run
from drive_rl.config.specs.base import Controls
from drive_rl.config.specs.copies import copies
from drive_rl.config.specs.driver import DaggerSpec, Help, LearnerSpec, PpoSpec, helps
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.checkpoint import weights_only
from drive_rl.learn.pretrained import INITIAL_POLICY, PERCEPTION_MODEL
from drive_rl.perception.models.export import export_model, plugin_lines, score_lines, write_model
from drive_rl.perception.models.load import load_trained
from drive_rl.run.folder import RunFolder, write_copies
from drive_rl.run.own_spec import read_own_run
from drive_rl.run.scores import asked_scores, own_scores
from drive_rl.run.storage.atomic import write_directory, write_json, write_text
from drive_rl.run.storage.json_values import JsonTable
from drive_rl.run.storage.manifest import DriverManifest, verify_driver, write_manifest
from drive_rl.run.storage.tensors import read_tensors, write_tensors

_CONTROLS: dict[Controls, str] = {
    "steering": "steering, at a speed that the world holds",
    "steering+pedal": "steering and pedal",
}
_NEEDED = ("weights.safetensors", "spec.yaml")
_HELP: dict[Help, str] = {
    "pixels": "none (`pixels`): pictures and rewards alone",
    "asymmetric": "values of the true state (`asymmetric`), never in driving",
    "guided": "the true lane state (`guided`), never in driving",
    "imitation": "a teacher's actions (`imitation`), never in driving",
    "perception model": "a perception model, which it drives by",
    "state": "none: it observes the true state (`state`)",
}


def export_driver(run: RunFolder, folder: Path, overwrite: bool = False) -> Path:
    """Write the best (or else the last) driver of a run to `folder`, whole or not at all; return `folder`.

    Its scores are those on the most held-out roads, from `drive-rl eval` or the run itself. For a perception run, the
    model is exported.

    Raises:
        DriveRLError: the run has no checkpoint, the folder exists, or no space is left.
    """
    if is_perception_spec(run.spec):
        return export_model(run, folder, overwrite)
    if folder.exists() and not overwrite:
        raise DriveRLError(f"{folder}: exists already; fix: another folder, or remove it first")
    spec = read_own_run(run.path)
    source = run.shipped
    weights, made = weights_only(source), verify_driver(source)
    scores = _scores(run)
    with write_directory(folder) as new:
        write_tensors(new / "weights.safetensors", weights)
        write_text(new / "spec.yaml", dump(spec))
        if scores is not None:
            write_json(new / "eval.json", scores)
        write_text(new / "README.md", _card(folder.name, spec, made, scores, _start(run, spec)))
        write_manifest(new, {"algorithm": made.algorithm, "num_timesteps": made.num_timesteps})
        write_copies(new, copies(spec))
        if spec.agent.help == "perception model":
            write_model(load_trained(str(run.path / PERCEPTION_MODEL)), new / PERCEPTION_MODEL)
    return folder


def read_export(folder: Path) -> tuple[RunSpec, dict[str, Tensor]]:
    """Return the spec and the weights of an exported driver.

    Raises:
        DriveRLError: a file is missing, cut short or edited.
    """
    verify_driver(folder, _NEEDED)
    return read_run(folder / "spec.yaml"), read_tensors(folder / "weights.safetensors")


def _scores(run: RunFolder) -> JsonTable | None:
    """Return the scores on the most roads: those of `drive-rl eval`, or the run's own."""
    asked, own = asked_scores(run), own_scores(run)
    if asked is None or own is None:
        return asked or own
    return asked if len(asked["episodes"]) >= own["score"]["episodes"] else own


def _card(name: str, spec: RunSpec, made: DriverManifest, scores: Any, start: str) -> str:
    """Return the model card."""
    agent, world = spec.agent, spec.world
    observes = world.camera.in_words
    if agent.help == "perception model":
        observes = f"{observes}, its own speed, yaw rate and steering angle"
    elif agent.observation == "motion":
        observes = f"what changes in {observes}"
    elif agent.observation != "camera":
        observes = "the lane state" if agent.observation == "state" else f"{observes} and the lane state"
    offline = isinstance(agent, DaggerSpec) and agent.offline
    counted = "draws of recorded samples" if offline else "environment steps on the train roads"
    steps = f"{made.num_timesteps:,} {counted}, seed {spec.seed}"
    lines = [
        f"# {name}",
        "",
        f"{made.algorithm} in the world `{world.name}` ({world.description}).",
        *_learned_in(spec),
        "",
        f"- observes: {observes}",
        f"- controls: {_CONTROLS[world.task.controls]}, {agent.actions}"
        + ", by rate" * (world.task.steering == "rate"),
        f"- {_encoder(agent)}",
        f"- trained: {steps}{start}",
        f"- help in training: {'; '.join(_HELP[each] for each in helps(agent))}",
        "- weights: safetensors, no code; `manifest.json` holds the SHA-256 of every file",
        *plugin_lines(spec),
        "",
        *score_lines(scores, "Scores of"),
        f"Drive it: `drive-rl eval {name} --split test`, `drive-rl render {name} --out drive.mp4`.",
        "",
        f"Made for this simulator's roads{_fit(spec)} not fit to drive a real vehicle.",
    ]
    return "\n".join(lines) + "\n"


def _learned_in(spec: RunSpec) -> list[str]:
    """Return the card's line about the worlds that the driver learned in, if they are others than its own."""
    return ["", f"Worlds that it learned in: {', '.join(spec.world_names)}."] if spec.train_worlds else []


def _fit(spec: RunSpec) -> str:
    """Return the card's last words: where there were no streets, there was no traffic."""
    streets = any(world.streets for world in spec.training_worlds)
    return ", and" if streets else ". It has met no other traffic, and is"


def _start(run: RunFolder, spec: RunSpec) -> str:
    """Return what a policy started from, for the card; empty where it started at random."""
    if not isinstance(spec.agent, PpoSpec) or spec.agent.init_from is None:
        return ""
    folder = run.path / INITIAL_POLICY
    theirs, made = read_export(folder)[0], verify_driver(folder, _NEEDED)
    return f", from the policy of {theirs.agent.algorithm} after {made.num_timesteps:,} steps"


def _encoder(agent: LearnerSpec) -> str:
    """Return the card's line about the network that reads the pictures."""
    if not isinstance(agent, DaggerSpec) and agent.perception_model is not None:
        return f"perception: the model {Path(agent.perception_model).name}, in the folder `{PERCEPTION_MODEL}`"
    encoder = agent.encoder
    start = "" if encoder.init_from is None else f", from the perception model {Path(encoder.init_from).name}"
    return f"encoder: {encoder.kind}, {encoder.features} features{start}{', frozen' if encoder.frozen else ''}"
