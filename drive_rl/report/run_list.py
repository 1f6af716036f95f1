"""The runs of a folder at a glance: progress, best held-out result and state of each. It reads small JSON files."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from drive_rl.config.reader import is_perception_spec
from drive_rl.errors import DriveRLError, PluginNeededError
from drive_rl.run.folder import RunFolder, runs_in
from drive_rl.run.own_spec import read_own_perception, read_own_run
from drive_rl.run.storage.atomic import read_json

MOST = 20
"""How many runs a list shows, the newest ones."""

_FIX = "the run is damaged; fix: restore the file, or resume the run"


class RunLine(NamedTuple):
    """One run in a list."""

    path: Path
    progress: str
    """Steps (of a perception run: pictures) that its `last/` checkpoint has learned from."""
    best: str
    """Its best held-out result so far."""
    state: str
    """`training`, `done`, `stopped` (it can be resumed), or its error."""


def newest_runs(root: Path) -> tuple[list[RunLine], int]:
    """Return the newest runs below `root`, the newest last, and how many older ones there are."""
    groups = [group for group in root.iterdir() if group.is_dir()] if root.is_dir() else []
    runs, closed = list[Path](), list[RunLine]()
    for group in groups:
        try:
            runs += runs_in(group)
        except OSError as error:
            closed.append(RunLine(group, "", "", f"BROKEN: cannot be read ({error.strerror})"))
    runs.sort(key=lambda run: (run.name, run.parent.name))
    return [*closed, *(_line(RunFolder(run)) for run in runs[-MOST:])], max(0, len(runs) - MOST)


def _line(run: RunFolder) -> RunLine:
    try:
        _check_spec(run)
        manifest = _read(run.last / "manifest.json")
        validation = _read(run.last / "counters.json").get("validation", {}) if "num_samples" in manifest else {}
        return RunLine(run.path, _progress(manifest), _best(_read(run.history), validation), _state(run, manifest))
    except (DriveRLError, OSError) as error:
        return RunLine(run.path, "", "", f"BROKEN: {error}")


def _check_spec(run: RunFolder) -> None:
    """Read a run's spec, as whatever uses the run would; one that only lacks a plugin is right."""
    read = read_own_perception if is_perception_spec(run.spec) else read_own_run
    with suppress(PluginNeededError):
        read(run.path)


def _state(run: RunFolder, manifest: Mapping[str, object]) -> str:
    if run.is_written_to:
        return "training"
    now = manifest.get("num_timesteps", manifest.get("num_samples"))
    return "done" if now is not None and now in _read(run.finished).values() else "stopped"


def _read(path: Path) -> Mapping[str, object]:
    """Return the contents of a JSON file; empty if there is no file yet."""
    found = read_json(path, _FIX) if path.is_file() else {}
    if not isinstance(found, dict):
        raise DriveRLError(f"{path}: holds {type(found).__name__}, expected a mapping; {_FIX}")
    return cast(dict[str, object], found)


def _progress(manifest: Mapping[str, object]) -> str:
    for key, unit in (("num_timesteps", "steps"), ("num_samples", "pictures")):
        if isinstance(count := manifest.get(key), int):
            return f"{count:,} {unit}"
    return "no checkpoint"


def _best(history: Mapping[str, object], validation: object) -> str:
    rows = history.get("evaluations")
    rates = [row.get("success") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if numbers := [rate for rate in rates if isinstance(rate, int | float)]:
        return f"success {max(numbers):.0%}"
    best = validation.get("best") if isinstance(validation, dict) else None
    scores = best.get("scores") if isinstance(best, dict) else None
    loss = scores.get("loss") if isinstance(scores, dict) else None
    return f"val loss {loss:.3g}" if isinstance(loss, int | float) else ""
