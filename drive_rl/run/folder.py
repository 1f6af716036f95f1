"""The run folder `runs/<experiment>/<UTC time>-s<seed>/`: its layout, making one, and finding one again.

It knows the layout. It does not know what a spec means, how training works, or what a checkpoint holds.
"""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Self

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import (
    new_directory,
    read_json,
    remove_directory,
    settle,
    sweep,
    write_bytes,
    write_json,
    write_text,
)
from drive_rl.run.storage.lock import is_held, only_writer

_LOCK = ".lock"
_NEEDED = ("spec.yaml", "provenance.json")
_FIX = "fix: give a folder that `drive-rl train` made, such as runs/quickstart"


@dataclass(frozen=True)
class RunFolder:
    """One run on disk: `spec.yaml`, `command.txt`, `provenance.json`, and what training adds."""

    path: Path

    @classmethod
    def create(
        cls,
        root: Path,
        experiment: str,
        seed: int,
        spec_yaml: str,
        command: list[str],
        provenance: Mapping[str, object],
        copies: Mapping[str, bytes] = MappingProxyType({}),
    ) -> Self:
        """Make `root/experiment/<UTC time>-s<seed>`: written under a temporary name, then renamed.

        `copies` are the files that the spec names, path in the run -> content.

        Raises:
            DriveRLError: no space left, or the folder cannot be written.
        """

        def fill(folder: Path) -> None:
            write_text(folder / "spec.yaml", spec_yaml)
            write_text(folder / "command.txt", shlex.join(command) + "\n")
            write_json(folder / "provenance.json", provenance)
            write_copies(folder, copies)

        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-s{seed}"
        return cls(new_directory(root / experiment, stem, fill))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run, or the newest run with a checkpoint in a folder of runs (`runs/quickstart`).

        Raises:
            DriveRLError: `path` does not exist, or is neither a run nor a folder of runs.
        """
        return cls._open(path, "best")

    @classmethod
    def stopped(cls, path: Path, fix: str) -> Self:
        """Open a run, or the newest run in a folder of runs that can be resumed.

        Raises:
            DriveRLError: as `open`; or it has no checkpoint to resume from, with the fix.
        """
        run = cls._open(path, "last")
        settle(run.last)
        if not run.last.is_dir():
            raise DriveRLError(f"{run.path}: holds no last/ checkpoint to resume from; fix: {fix}")
        return run

    @classmethod
    def _open(cls, path: Path, wanted: str) -> Self:
        path = Path(path)
        if not path.is_dir():
            found = "is a file" if path.exists() else "no such folder"
            raise DriveRLError(f"{path}: {found}, where a run folder was expected; {_FIX}{_known_runs(path)}")
        if not is_run(path):
            path = _newest_run(path, wanted)
        read_json(path / "provenance.json", f"the run is damaged; {_FIX}")
        return cls(path)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer of the run within the block; first delete what killed writers left half-written.

        Raises:
            DriveRLError: another process writes to it, or the folder cannot be written.
        """
        with only_writer(self.path / _LOCK, self.path):
            for folder in (self.path, self.checkpoints, self.films):
                sweep(folder)
            yield

    @property
    def is_written_to(self) -> bool:
        """Whether a process is writing to the run, as while it trains."""
        return is_held(self.path / _LOCK)

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Be the writer of a new run, as `writing`; delete a run that fails before its first checkpoint."""
        with self.writing():
            try:
                yield
            except BaseException:
                settle(self.last)
                if not self.last.exists():
                    self.remove()
                raise

    @property
    def spec(self) -> Path:
        """The fully resolved spec."""
        return self.path / "spec.yaml"

    @property
    def command(self) -> Path:
        """The command line that began the run."""
        return self.path / "command.txt"

    @property
    def provenance(self) -> Path:
        """Commit, versions, hardware and renderer."""
        return self.path / "provenance.json"

    @property
    def metrics(self) -> Path:
        """Scalars over training steps."""
        return self.path / "metrics.csv"

    @property
    def evaluation(self) -> Path:
        """Held-out score of `best/`, of the run's own evaluations."""
        return self.path / "eval.json"

    @property
    def shipped(self) -> Path:
        """The run's checkpoint for evaluation and export: `best/`, or else `last/`."""
        return self.best if (self.best / "manifest.json").is_file() else self.last

    @property
    def checkpoints(self) -> Path:
        """The folder of `step_<n>/` checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint with the best held-out score."""
        return self.path / "best"

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / "last"

    @property
    def history(self) -> Path:
        """Held-out evaluations and the clock, as of the checkpoint to resume from."""
        return self.last / "training.json"

    @property
    def finished(self) -> Path:
        """The step at which the run was finished."""
        return self.path / "finished.json"

    @property
    def films(self) -> Path:
        """The folder of films."""
        return self.path / "films"

    def checkpoint(self, step: int) -> Path:
        """The checkpoint folder of training step `step`."""
        return self.checkpoints / f"step_{step}"

    def steps(self) -> list[int]:
        """The training steps that have a checkpoint, in order."""
        names = (folder.name.removeprefix("step_") for folder in self.checkpoints.glob("step_*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def remove(self) -> None:
        """Delete the whole run."""
        remove_directory(self.path)


def write_copies(folder: Path, copies: Mapping[str, bytes]) -> None:
    """Write the files that a folder's spec names, path in the folder -> content."""
    for name, content in copies.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_bytes(folder / name, content)


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder, by its files."""
    return all((path / name).is_file() for name in _NEEDED)


def runs_in(path: Path) -> list[Path]:
    """Return the runs directly inside `path`, oldest first (their names begin with the UTC time)."""
    if not path.is_dir():
        return []
    return sorted(run for run in path.iterdir() if not run.name.startswith(".") and is_run(run))


def _newest_run(path: Path, wanted: str) -> Path:
    """Return the newest run with the wanted checkpoint, or with any; a run that failed early is passed over."""
    runs = runs_in(path)
    for checkpoint in (wanted, "last", "best"):
        for run in runs:
            settle(run / checkpoint)
        if having := [run for run in runs if (run / checkpoint / "manifest.json").is_file()]:
            return having[-1]
    if runs:
        return runs[-1]
    missing = [name for name in _NEEDED if not (path / name).is_file()]
    raise DriveRLError(
        f"{path}: not a run folder: {' and '.join(missing)} not found, and no run inside; {_FIX}{_known_runs(path)}"
    )


def _known_runs(path: Path) -> str:
    """Return the folders beside `path` that hold runs, in words, to help with a typo."""
    beside = path.parent
    if not beside.is_dir():
        return ""
    names = [str(folder) for folder in sorted(beside.iterdir()) if is_run(folder) or runs_in(folder)]
    return f" (found here: {', '.join(names[-5:])})" if names else ""
