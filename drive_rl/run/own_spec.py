"""The spec that a run began with, kept in `provenance.json`: a run whose `spec.yaml` was edited since is refused.

Its results would not be those of its spec. It compares values: comments and spaces do not count, nor do the keys that a
resume may change or that change nothing of what is learned.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from drive_rl.config.explain import short
from drive_rl.config.reader import RunOrFit, read_again, read_perception, read_run
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import read_json

KEY = "spec"
"""Of `provenance.json`."""

_FREE = {
    "budget_steps", "fit.samples", "film", "track", "project", "description", "checkpoint_every", "keep_checkpoints",
}  # fmt: skip
_MOST_NAMED = 5
_FIX = "fix: restore the file"


def read_own_run(folder: Path, changes: Iterable[str] = ()) -> RunSpec:
    """Return the experiment of a run, or of an exported driver, with changes.

    Raises:
        DriveRLError: its `spec.yaml` cannot be read, or was edited since the run began.
    """
    return _unedited(folder, read_run(folder / "spec.yaml", changes))


def read_own_perception(folder: Path, changes: Iterable[str] = ()) -> PerceptionSpec:
    """Return the recipe of a perception run, or of an exported model, with changes.

    Raises:
        DriveRLError: as `read_own_run`.
    """
    return _unedited(folder, read_perception(folder / "spec.yaml", changes))


def _unedited(folder: Path, spec: RunOrFit) -> RunOrFit:
    """Return the spec; an exported folder has no record, for its manifest holds the file's SHA-256."""
    record = folder / "provenance.json"
    made = read_json(record, _FIX) if record.is_file() else {}
    if not isinstance(made, dict):
        raise DriveRLError(f"{record}: holds {type(made).__name__}, expected a mapping; {_FIX}")
    if (begun := made.get(KEY)) is None:
        return spec  # of an older version
    if not isinstance(begun, dict):
        raise DriveRLError(f"{record}: {KEY} = {short(begun)}: expected a mapping; {_FIX}")
    differing = list(_differing(read_again(spec, begun, record), spec))
    if differing:
        more = f" and {len(differing) - _MOST_NAMED} more" if len(differing) > _MOST_NAMED else ""
        raise DriveRLError(
            f"{folder / 'spec.yaml'}: was edited since the run began, whose results are of what it held then:"
            f" {'; '.join(islice(differing, _MOST_NAMED))}{more}; fix: write back what it was, or train a new run"
        )
    return spec


def _differing(begun: RunOrFit, now: RunOrFit) -> Iterator[str]:
    """Yield the keys whose values differ, in words."""
    old, new = _values(begun.model_dump(mode="json")), _values(now.model_dump(mode="json"))
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key, "nothing") != new.get(key, "nothing") and key not in _FREE:
            yield f"{key} = {_shown(new, key)}, was {_shown(old, key)}"


def _values(table: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return values by dotted key."""
    found: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
            value = {str(at): each for at, each in enumerate(value)}
        found |= _values(value, f"{above}{key}.") if isinstance(value, Mapping) and value else {f"{above}{key}": value}
    return found


def _shown(values: Mapping[str, object], key: str) -> str:
    return short(values[key]) if key in values else "nothing"
