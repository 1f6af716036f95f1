"""Trackers, which record a run's numbers, films and models outside its folder: W&B, TensorBoard, or none.

It knows the trackers and the run folder. It does not know where the numbers come from, or write `metrics.csv`, which
the run always does itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.tracking.steady_tracker import Backend, Row, SteadyTracker, replay

Config = Mapping[str, object]
"""A resolved spec as plain values."""


class Tracker(Protocol):
    """Records a run. No call raises or waits long: a tracker that fails is dropped."""

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Record scalars at a training step. Steps may repeat."""
        ...

    def film(self, path: Path, step: int) -> None:
        """Record the film at `path`."""
        ...

    def model(self, folder: Path, name: str) -> None:
        """Record a checkpoint folder as the model `name`."""
        ...

    def close(self) -> None:
        """Finish; a second call does nothing."""
        ...


class NoTracker:
    """Tracking off (`none`), or metrics.csv only (`csv`)."""

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Do nothing."""

    def film(self, path: Path, step: int) -> None:
        """Do nothing."""

    def model(self, folder: Path, name: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def check_tracker(kind: str, project: str = "drive-rl") -> None:
    """Refuse settings with which a tracker could not start, before a run folder is made.

    Raises:
        DriveRLError: a variable, a file or a project that W&B cannot use.
    """
    if kind == "wandb":
        from drive_rl.run.tracking.wandb_settings import load_settings  # here: wandb takes a second to import

        load_settings(project)


def make_tracker(
    kind: str,
    run: RunFolder,
    config: Config,
    project: str = "drive-rl",
    echo: Callable[[str], None] = print,
    rows: Sequence[Row] = (),
) -> Tracker:
    """Start a tracker, and record in it everything that the run has recorded so far.

    A resumed run is recorded again from its start: the tracker then holds exactly `rows` and the earlier films and
    models, whatever an earlier process wrote or failed to write.

    Args:
        kind: `wandb`, `tensorboard`, `csv` or `none`.
        run: The run. The tracker writes only into its folder.
        config: The resolved spec as plain values.
        project: The W&B project.
        echo: Prints where the run can be viewed, a line a call.
        rows: The rows of `metrics.csv` (`MetricsFile.rows`).

    Raises:
        DriveRLError: an unknown kind, or the tracker does not start; there is no silent fallback.
    """
    if kind in ("csv", "none"):
        return NoTracker()
    return SteadyTracker(_replayed(kind, run, config, project, echo, rows), run, echo)


def record_all(
    kind: str,
    run: RunFolder,
    config: Config,
    project: str,
    echo: Callable[[str], None],
    rows: Sequence[Row],
) -> None:
    """Record all of a run that is not training. Arguments as in `make_tracker`.

    Raises:
        DriveRLError: the tracker does not start, or fails before all is recorded.
    """
    backend = _replayed(kind, run, config, project, echo, rows)
    with _explained(backend, run):
        backend.close()


def _replayed(
    kind: str,
    run: RunFolder,
    config: Config,
    project: str,
    echo: Callable[[str], None],
    rows: Sequence[Row],
) -> Backend:
    """Return a tracker with `rows` and the earlier films and models recorded."""
    backend = _start(kind, run, config, project, echo)
    with _explained(backend, run):
        replay(backend, run, rows)
        backend.replace_older()
    return backend


@contextmanager
def _explained(backend: Backend, run: RunFolder) -> Iterator[None]:
    """Turn whatever a backend raises into a `DriveRLError`."""
    try:
        yield
    except Exception as error:  # of any kind: backends are third-party code
        backend.abandon()
        if isinstance(error, DriveRLError):
            raise
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise DriveRLError(
            f"{run.path}: {backend.name} does not take what the run has recorded so far ({why}); fix: remove the"
            " cause, or choose track=csv"
        ) from error


def _start(kind: str, run: RunFolder, config: Config, project: str, echo: Callable[[str], None]) -> Backend:
    if kind == "wandb":
        from drive_rl.run.tracking.wandb_tracker import WandbTracker  # here: wandb takes a second to import

        return WandbTracker(run, config, project, echo)
    if kind == "tensorboard":
        from drive_rl.run.tracking.tensorboard_tracker import TensorBoardTracker  # here: it takes seconds to import

        return TensorBoardTracker(run, config)
    raise DriveRLError(f"tracker = {kind!r}: expected wandb, tensorboard, csv or none; fix: one of them")
