"""Fitting a perception model by its recipe, or resuming a stopped run: the opening of a run. It knows no command line.

What follows is elsewhere: `loop` (when to do what), `session` (one step; save and restore), `checkpoints`.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

import torch

from drive_rl.config.perception_spec import PerceptionSpec
from drive_rl.config.plugin_spec import copies, recorded
from drive_rl.config.reader import dump, read_perception
from drive_rl.perception.training.loop import Display, Echo, run_session
from drive_rl.perception.training.session import Session
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.allocator import keep_freed_memory
from drive_rl.run.process.device import choose_device, describe_device
from drive_rl.run.process.threads import learning_threads
from drive_rl.run.provenance import provenance
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
    keep_freed_memory()
    torch.set_num_threads(learning_threads())
    chosen = choose_device(device)
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    with ExitStack() as held:
        run = RunFolder.stopped(resume, "fit its recipe again") if resume is not None else None
        if run is not None:
            held.enter_context(run.writing())
            spec = read_perception(run.spec, [] if samples is None else [f"fit.samples={samples}"])
        assert spec is not None, "fit needs a recipe or a run to resume"
        check_tracker(spec.track, spec.project)
        session = Session.of(spec, chosen, echo, fresh=run is None)
        held.callback(session.batches.close)
        if run is None:
            made, session.spec = provenance(spec.world.camera.renderer), recorded(spec)
            run = RunFolder.create(
                runs_dir, spec.name, spec.seed, dump(session.spec), command or sys.argv, made, copies(session.spec)
            )
            held.enter_context(run.beginning())
        else:
            session.restore(run)
        echo(f"run: {run.path}")
        run_session(session, run, display, echo)
        return run
