"""The folder `runs/<experiment>/seeds-<UTC time>/`: which runs are the seeds of one training.

It knows the layout. The runs themselves are ordinary run folders beside it.
"""

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder, is_run
from drive_rl.run.storage.atomic import new_directory, read_json, settle, write_json
from drive_rl.run.storage.schema import Table, read_table

_FILE = "seeds.json"
_FIX = "fix: give a folder that `drive-rl train --seeds` made, such as runs/quickstart/seeds-20261125T211512Z"


class _Seeds(Table):
    """`seeds.json`."""

    words: list[str]
    runs: dict[str, str | None]


@dataclass
class SeedGroup:
    """The seeds of one training."""

    path: Path
    words: list[str]
    """The words after `drive-rl train` that each seed was trained with, the seed and the folder of runs left out."""
    names: dict[int, str | None]
    """Seed -> the name of its run; None before it has one."""

    @classmethod
    def create(cls, runs_dir: Path, experiment: str, words: list[str], seeds: range) -> Self:
        """Make the folder.

        Raises:
            DriveRLError: no space left, or it cannot be written.
        """
        names: dict[int, str | None] = dict.fromkeys(seeds)

        def fill(folder: Path) -> None:
            write_json(folder / _FILE, _content(words, names))

        path = new_directory(runs_dir / experiment, f"seeds-{datetime.now(UTC):%Y%m%dT%H%M%SZ}", fill)
        return cls(path, words, names)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the folder.

        Raises:
            DriveRLError: it is none, or damaged.
        """
        file = read_table(path / _FILE, _Seeds, _FIX)
        try:
            names = {int(seed): name for seed, name in file.runs.items()}
        except ValueError as error:
            raise DriveRLError(f"{path / _FILE}: runs: expected seeds as keys ({error}); {_FIX}") from error
        if not names or any(name is not None and Path(name).name != name for name in names.values()):
            raise DriveRLError(f"{path / _FILE}: runs: expected the names of runs in {path.parent}; {_FIX}")
        return cls(path, file.words, names)

    def begun(self, seed: int, run: Path) -> None:
        """Note the run of a seed."""
        if self.names[seed] != run.name:
            self.names[seed] = run.name
            write_json(self.path / _FILE, _content(self.words, self.names))

    def run(self, seed: int) -> RunFolder | None:
        """Return the run of a seed; None where there is none that holds a checkpoint to resume from."""
        name = self.names[seed]
        if name is None or not is_run(self.path.parent / name):
            return None
        run = RunFolder(self.path.parent / name)
        settle(run.last)
        return run if run.history.is_file() else None

    def log(self, seed: int) -> Path:
        """What the process that trains a seed prints."""
        return self.path / f"s{seed}.log"

    @property
    def summary(self) -> Path:
        """The seeds' scores together."""
        return self.path / "summary.json"

    @property
    def curves(self) -> Path:
        """The picture of the learning curves."""
        return self.path / "curves.png"


def is_group(path: Path) -> bool:
    """Whether `path` is the folder of a group of seeds, by its files."""
    return (path / _FILE).is_file()


def is_finished(run: RunFolder) -> bool:
    """Whether a run has trained to its end: what it says it finished at is its last checkpoint.

    Raises:
        DriveRLError: a file of it is damaged.
    """
    if not run.finished.is_file():
        return False
    fix = f"fix: resume it with drive-rl train --resume {shlex.quote(str(run.path))}"
    step = read_json(run.last / "manifest.json", fix).get("num_timesteps")
    return read_json(run.finished, "fix: delete it") == {"step": step}


def _content(words: list[str], names: dict[int, str | None]) -> dict[str, object]:
    return {"words": words, "runs": {str(seed): name for seed, name in names.items()}}
