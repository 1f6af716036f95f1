"""Scores of a run's driver on roads that someone asked for: `RUN/eval-test-200.json`, a file for each set of roads.

They stand beside `eval.json`, which belongs to the run. It knows files and weights, not how a driver is scored.
"""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from drive_rl.run.folder import RunFolder
from drive_rl.run.storage.atomic import read_json, write_json
from drive_rl.run.storage.manifest import sha256_of
from drive_rl.run.storage.schema import Table, check_table

_FIX = "delete it, and evaluate the run again"


class _Scores(Table):
    """What must be right in a file of scores, whatever else it holds."""

    model_config = ConfigDict(extra="ignore")

    weights_sha256: str
    split: str
    episodes: list[dict[str, Any]]


class _Own(Table):
    """What must be right in a run's own `eval.json`: the step, or the pictures, of what it scores."""

    model_config = ConfigDict(extra="ignore")

    step: int | None = Field(default=None)
    samples: int | None = Field(default=None)


def weights_hash(run: RunFolder) -> str:
    """Return the SHA-256 of the weights that stand for a run."""
    return sha256_of(run.shipped / "weights.safetensors")


def write_scores(run: RunFolder, weights: str, split: str, episodes: int, engine: str, found: dict[str, Any]) -> Path:
    """Write what an evaluation found of a run's driver with these weights (their hash); return the file."""
    name = f"eval-{split}-{episodes}" + ("" if engine == "bullet" else f"-{engine}")
    path = run.path / f"{name}.json"
    write_json(path, {**found, "weights_sha256": weights})
    return path


def asked_scores(run: RunFolder) -> dict[str, Any] | None:
    """Return the evaluation on most held-out roads, of equals on test roads, of a run's driver as it is now.

    Raises:
        DriveRLError: a file is damaged.
    """
    weights = weights_hash(run)
    found: list[tuple[int, bool, dict[str, Any]]] = []
    for path in sorted(run.path.glob("eval-*.json")):
        raw = read_json(path, _FIX)
        scores = check_table(path, raw, _Scores, _FIX)
        if scores.weights_sha256 == weights and scores.split != "train":
            found.append((len(scores.episodes), scores.split == "test", raw))
    return max(found, key=lambda row: row[:2], default=(0, False, None))[2]


def own_scores(run: RunFolder) -> dict[str, Any] | None:
    """Return the run's own `eval.json`, if it is of what stands for the run now: a killed run may not have written it.

    Raises:
        DriveRLError: the file is damaged.
    """
    if not run.evaluation.is_file():
        return None
    raw = read_json(run.evaluation, _FIX)
    own = check_table(run.evaluation, raw, _Own, _FIX)
    made = read_json(run.shipped / "manifest.json", _FIX)
    return raw if (own.step, own.samples) == (made.get("num_timesteps"), made.get("num_samples")) else None
