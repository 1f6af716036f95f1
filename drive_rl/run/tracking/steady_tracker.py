"""A tracker that cannot stop training: a backend that fails or hangs is dropped, and that is reported once.

It knows the run folder and the interface of backends. It does not know any backend.
"""

import shlex
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.storage.atomic import read_json, write_json

Row = tuple[int, dict[str, float]]
"""A training step and its scalars."""


class Backend(Protocol):
    """A tracking library recording one run. Any call may raise, or never return."""

    name: str
    """Its common name."""

    close_s: float
    """Seconds that `close` may take."""

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Record scalars at a training step."""
        ...

    def film(self, path: Path, step: int) -> None:
        """Record the film at `path`."""
        ...

    def model(self, folder: Path, name: str) -> None:
        """Record a checkpoint folder as the model `name`."""
        ...

    def replace_older(self) -> None:
        """Drop the records of earlier processes, once all of them are recorded again."""
        ...

    def close(self) -> None:
        """Finish."""
        ...

    def abandon(self) -> None:
        """Abandon a library that failed or hangs, within seconds and silently."""
        ...


class SteadyTracker:
    """Passes records to a backend in its own thread (a `Tracker`).

    An exception of the backend, or a `close` that takes too long, is reported once; training continues without it.
    """

    def __init__(self, backend: Backend, run: RunFolder, echo: Callable[[str], None]) -> None:
        self._backend, self._run, self._echo = backend, run, echo
        self._jobs: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._broken = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"{backend.name} tracker", daemon=True)
        self._thread.start()

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Record scalars at a training step."""
        self._jobs.put((partial(self._backend.log, scalars, step), threading.Event()))

    def film(self, path: Path, step: int) -> None:
        """Record the film at `path`; return once it may change."""
        self._note("films", path, str(step))
        self._do(partial(self._backend.film, path, step))

    def model(self, folder: Path, name: str) -> None:
        """Record a checkpoint folder as the model `name`; return once it may change."""
        self._note("models", folder, name)
        self._do(partial(self._backend.model, folder, name))

    def close(self) -> None:
        """Finish; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._do(self._backend.close)

    def _do(self, job: Callable[[], None]) -> None:
        """Queue a job, and wait for it as long as the backend may take to close."""
        done = threading.Event()
        self._jobs.put((job, done))
        if not self._broken.is_set() and not done.wait(self._backend.close_s):
            self._give_up(f"no answer in {self._backend.close_s:.0f} s")

    def _note(self, kind: str, path: Path, key: str) -> None:
        try:
            _note(self._run, kind, path, key)
        except DriveRLError as error:
            self._echo(f"{self._backend.name}: {error}")

    def _work(self) -> None:
        job = None
        while job != self._backend.close:
            job, done = self._jobs.get()
            try:
                self._try(job)
            finally:
                done.set()

    def _try(self, job: Callable[[], None]) -> None:
        if self._broken.is_set():
            return
        try:
            job()
        except DriveRLError as error:  # this record failed; the next may succeed
            self._echo(f"{self._backend.name}: {error}")
        except Exception as error:  # of any kind: backends are third-party code
            self._give_up(f"{type(error).__name__}: {' '.join(str(error).split())}")

    def _give_up(self, why: str) -> None:
        if self._broken.is_set():
            return
        self._broken.set()
        self._echo(
            f"{self._backend.name}: stopped ({why}); training continues without it, and metrics.csv keeps every row;"
            f" to record all of it afterwards: drive-rl track {shlex.quote(str(self._run.path))}"
        )
        self._backend.abandon()


def replay(backend: Backend, run: RunFolder, rows: Sequence[Row]) -> None:
    """Record all of a run again in order: each film after the rows up to its step, models last.

    Raises:
        DriveRLError: `tracked.json` is damaged.
    """
    noted = _read_notes(run)
    films = sorted((int(key), run.path / place) for place, key in noted["films"])
    films = [(step, path) for step, path in films if path.is_file()]
    for step, scalars in rows:
        while films and films[0][0] < step:
            at, path = films.pop(0)
            backend.film(path, at)
        backend.log(scalars, step)
    for step, path in films:
        backend.film(path, step)
    for place, name in noted["models"]:
        if (run.path / place).is_dir():
            backend.model(run.path / place, name)


def _note(run: RunFolder, kind: str, path: Path, key: str) -> None:
    """Note in `RUN/tracked.json` that a film of step `key`, or a model called `key`, was recorded."""
    path, root = path.absolute(), run.path.absolute()
    place = str(path.relative_to(root) if path.is_relative_to(root) else path)
    noted = _read_notes(run)
    noted[kind] = [(other, its) for other, its in noted[kind] if its != key] + [(place, key)]
    write_json(_notes(run), noted)


def _read_notes(run: RunFolder) -> dict[str, list[tuple[str, str]]]:
    path = _notes(run)
    if not path.exists():
        return {"films": [], "models": []}
    fix = "fix: delete it, and the tracker gets only the numbers"
    noted = read_json(path, fix)
    try:
        films = [(str(place), str(int(key))) for place, key in noted["films"]]
        models = [(str(place), str(key)) for place, key in noted["models"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DriveRLError(f"{path}: expected films and models, each with its path in the run; {fix}") from error
    return {"films": films, "models": models}


def _notes(run: RunFolder) -> Path:
    return run.path / "tracked.json"
