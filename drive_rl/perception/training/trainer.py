"""Fitting a perception model by its recipe, or resuming a stopped run: the opening of a run. It knows no command line.

What follows is elsewhere: `loop` (when to do what), `session` (one step; save and restore), `checkpoints`.
"""

from contextlib import ExitStack
from pathlib import Path

from drive_rl.config.specs.copies import recorded
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.perception.training.loop import Display, run_session
from drive_rl.perception.training.session import Session
from drive_rl.run.folder import RunFolder
from drive_rl.run.own_spec import read_own_perception
from drive_rl.run.session import Echo, new_run, prepare_process, stopped_run
from drive_rl.run.tracking.tracker import check_tracker


def fit(
    spec: PerceptionSpec | None,
    runs_dir: Path,
    display: Display,
    echo: Echo = print,
    device: str = "auto",
    resume: Path | None = None,
    command: list[str] | None = None,
    samples: int | None = None,
) -> RunFolder:
    """Fit a model; return its run folder.

    Args:
        spec: The recipe; None when resuming, where the run has its own.
        runs_dir: Where run folders are made.
        display: Shows progress.
        echo: Prints a line for people.
        device: `auto`, `cpu` or `cuda`.
        resume: A run to resume, exactly where it stopped.
        command: The command line, for the record.
        samples: When resuming, another `fit.samples` than the run's own.

    Raises:
        TrainingInterrupted: SIGINT, SIGTERM or SIGHUP came, and a resumable checkpoint is written.
        DriveRLError: the recipe cannot be fitted, the run cannot be resumed, or learning diverged.
    """
    chosen = prepare_process(device, echo)
    with ExitStack() as held:
        run = held.enter_context(stopped_run(resume, "fit its recipe again"))
        if run is not None:
            spec = read_own_perception(run.path, [] if samples is None else [f"fit.samples={samples}"])
        assert spec is not None, "fit needs a recipe or a run to resume"
        check_tracker(spec.track, spec.project)
        session = Session.of(spec, chosen, echo, fresh=run is None)
        held.callback(session.batches.close)
        if run is None:
            session.spec = recorded(spec)
            run = held.enter_context(new_run(session.spec, runs_dir, command))
        else:
            session.restore(run)
        echo(f"run: {run.path}")
        run_session(session, run, display, echo)
        return run
