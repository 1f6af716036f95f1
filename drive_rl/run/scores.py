"""Scores of a run's driver on roads that someone asked for: `RUN/eval-test-200.json`, a file for each set of roads.

They stand beside `eval.json`, which belongs to the run. It knows files and weights, not how a driver is scored.
"""

from pathlib import Path
from typing import Any

from drive_rl.errors import DriveRLError
from drive_rl.run.files import read_json, write_json
from drive_rl.run.folder import RunFolder
from drive_rl.run.manifest import sha256_of

_WEIGHTS = "weights_sha256"
_FIX = "delete it, and evaluate the run again"


def write_scores(run: RunFolder, split: str, episodes: int, engine: str, found: dict[str, Any]) -> Path:
    """Write what an evaluation of a run's driver found, with the hash of its weights; return the file."""
    name = f"eval-{split}-{episodes}" + ("" if engine == "bullet" else f"-{engine}")
    path = run.path / f"{name}.json"
    write_json(path, {**found, _WEIGHTS: sha256_of(run.shipped / "weights.safetensors")})
    return path


def best_known_scores(run: RunFolder) -> dict[str, Any] | None:
    """Return the evaluation that says most of a run's driver as it is now, if there is one.

    That is on test roads rather than others, and on more roads rather than fewer.

    Raises:
        DriveRLError: a file is damaged.
    """
    weights = sha256_of(run.shipped / "weights.safetensors")
    found = [_read(path) for path in sorted(run.path.glob("eval-*.json"))]
    ours = [scores for scores in found if scores[_WEIGHTS] == weights and scores["split"] != "train"]
    return max(ours, key=lambda scores: (scores["split"] == "test", len(scores["episodes"])), default=None)


def _read(path: Path) -> dict[str, Any]:
    found = read_json(path, _FIX)
    if not isinstance(found, dict) or not {_WEIGHTS, "split", "episodes"} <= found.keys():
        raise DriveRLError(f"{path}: expected scores as `drive-rl eval` writes them; fix: {_FIX}")
    return found
