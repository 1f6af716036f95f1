"""What every training shares, whatever it trains: the process's settings, the run folder, the tracker, stopping.

It knows run folders, signals and trackers. It does not know what is trained, or when to save.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from drive_rl.config.reader import dump
from drive_rl.config.specs.copies import copies, kept
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.own_spec import KEY
from drive_rl.run.process.allocator import keep_freed_memory
from drive_rl.run.process.device import choose_device, describe_device
from drive_rl.run.process.signals import StopAsked, StopRequest, TrainingInterrupted
from drive_rl.run.process.threads import learning_threads
from drive_rl.run.provenance import provenance
from drive_rl.run.save_clock import SaveClock
from drive_rl.run.tracking.tracker import Tracker, make_tracker

Echo = Callable[[str], None]
"""Prints a line for people."""


def prepare_process(device: str, echo: Echo) -> torch.device:
    """Set up memory and threads for training; return the device for `auto`, `cpu` or `cuda`, and print it.

    Raises:
        DriveRLError: no such device.
    """
    keep_freed_memory()
    torch.set_num_threads(learning_threads())
    chosen = choose_device(device)
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    return chosen


@contextmanager
def stopped_run(resume: Path | None, fix: str) -> Iterator[RunFolder | None]:
    """Open a stopped run and be its only writer; None: there is none to resume.

    Raises:
        DriveRLError: it cannot be resumed, with the fix; or another process writes to it.
    """
    if resume is None:
        yield None
        return
    run = RunFolder.stopped(resume, fix)
    with run.writing():
        yield run


@contextmanager
def new_run(spec: RunSpec | PerceptionSpec, runs_dir: Path, command: list[str] | None) -> Iterator[RunFolder]:
    """Make a run folder and be its only writer; if the block fails before the first checkpoint, delete it.

    Args:
        spec: The resolved spec, with the plugins it needs (`recorded`) and the sums of its maps (`with_sums`).
        runs_dir: Where run folders are made.
        command: The command line; None: this process's.
    """
    made = {**provenance(spec.world.camera.renderer), KEY: kept(spec).model_dump(mode="json")}
    run = RunFolder.create(runs_dir, spec.name, spec.seed, dump(spec), command or sys.argv, made, copies(spec))
    with run.beginning():
        yield run


@contextmanager
def recording(
    spec: RunSpec | PerceptionSpec, run: RunFolder, rows: int, echo: Echo
) -> Iterator[tuple[MetricsFile, Tracker]]:
    """Open `metrics.csv`, cut to `rows`, and start the tracker, which is closed at the end.

    Raises:
        DriveRLError: the file is damaged, or the tracker does not start.
    """
    metrics = MetricsFile(run.metrics, rows)
    tracker = make_tracker(spec.track, run, spec.model_dump(mode="json"), spec.project, echo, metrics.rows())
    try:
        yield metrics, tracker
    finally:
        tracker.close()


@contextmanager
def stoppable(verb: str, run: RunFolder, stop: StopRequest, saved: Callable[[], str | None]) -> Iterator[None]:
    """Turn the end that a signal brings to the block into `TrainingInterrupted`.

    Args:
        verb: The command of `drive-rl` that resumes such a run.
        run: The run.
        stop: The request, noted by `stop_on_signals`.
        saved: Returns what is saved, in words; None: nothing.

    Raises:
        TrainingInterrupted: the block raised `StopAsked`, or patience ran out.
    """
    try:
        yield
    except BaseException as error:
        if not (isinstance(error, StopAsked) or stop.caused(error)):
            raise
        assert stop.signal is not None
        raise TrainingInterrupted(verb, run, stop.signal, saved()) from None


@contextmanager
def saving(clock: SaveClock, stop: StopRequest, metrics: MetricsFile) -> Iterator[None]:
    """Time a save, which no signal breaks off; the rows that it counts on are on the disk before it."""
    with clock.saving(), stop.saving():
        metrics.sync()
        yield
