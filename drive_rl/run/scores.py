"""Scores of a run from `drive-rl eval`: `RUN/eval-test-200.json`, one file for each set of roads.

They lie beside `eval.json`, the run's own. It knows files and weights, not how a driver is evaluated.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ConfigDict, Field

from drive_rl.run.folder import RunFolder
from drive_rl.run.storage.atomic import read_json, write_json
from drive_rl.run.storage.json_values import JsonTable
from drive_rl.run.storage.manifest import sha256_of
from drive_rl.run.storage.schema import Table, check_table

_FIX = "fix: delete it, and evaluate the run again"


class _Scores(Table):
    """The checked keys of a file of scores; there are others."""

    model_config = ConfigDict(extra="ignore")

    weights_sha256: str
    split: str
    episodes: list[JsonTable]


class _Own(Table):
    """The checked keys of a run's own `eval.json`: the step, or the number of pictures, of what it scores."""

    model_config = ConfigDict(extra="ignore")

    step: int | None = Field(default=None)
    samples: int | None = Field(default=None)


def weights_hash(run: RunFolder) -> str:
    """Return the SHA-256 of the weights of a run's `shipped` checkpoint."""
    return sha256_of(run.shipped / "weights.safetensors")


def write_scores(
    run: RunFolder, weights: str, split: str, episodes: int, engine: str, found: Mapping[str, object]
) -> Path:
    """Write the scores of a run's driver with these weights (their SHA-256); return the file."""
    name = f"eval-{split}-{episodes}" + ("" if engine == "bullet" else f"-{engine}")
    path = run.path / f"{name}.json"
    write_json(path, {**found, "weights_sha256": weights})
    return path


def asked_scores(run: RunFolder) -> JsonTable | None:
    """Return the evaluation of a run's current driver on the most held-out roads; of equals, that on test roads.

    Raises:
        DriveRLError: a file is damaged.
    """
    weights = weights_hash(run)
    found: list[tuple[int, bool, JsonTable]] = []
    for path in sorted(run.path.glob("eval-*.json")):
        raw = read_json(path, _FIX)
        scores = check_table(path, raw, _Scores, _FIX)
        if scores.weights_sha256 == weights and scores.split != "train":
            found.append((len(scores.episodes), scores.split == "test", raw))
    return max(found, key=lambda row: row[:2], default=(0, False, None))[2]


def own_scores(run: RunFolder) -> JsonTable | None:
    """Return the run's own `eval.json`; None where it is not of the current checkpoint, as after a kill.

    Raises:
        DriveRLError: the file is damaged.
    """
    if not run.evaluation.is_file():
        return None
    raw = read_json(run.evaluation, _FIX)
    own = check_table(run.evaluation, raw, _Own, _FIX)
    made = read_json(run.shipped / "manifest.json", _FIX)
    return raw if (own.step, own.samples) == (made.get("num_timesteps"), made.get("num_samples")) else None
