"""Recording a run in a tracker afterwards: one that failed during training, or another one.

It knows the run folder and its spec. It does not train.
"""

from collections.abc import Callable
from pathlib import Path

from drive_rl.config.reader import is_perception_spec, read_perception, read_run
from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import read_rows
from drive_rl.run.tracking.tracker import record_all


def track(path: Path, kind: str | None = None, echo: Callable[[str], None] = print) -> RunFolder:
    """Record all of a run that is not training: every row of its `metrics.csv`, its films and models.

    It replaces what an earlier process recorded in that tracker.

    Args:
        path: The run, or a folder of runs (its newest).
        kind: `wandb` or `tensorboard`; by default the spec's own.
        echo: Prints where the run can be viewed, a line a call.

    Raises:
        DriveRLError: no run, a run without rows or in training, no tracker, or one that does not start.
    """
    run = RunFolder.open(path)
    spec = read_perception(run.spec) if is_perception_spec(run.spec) else read_run(run.spec)
    kind = kind or spec.track
    if kind in ("csv", "none"):
        raise DriveRLError(f"{run.path}: track = {kind}: nothing to record in; fix: --track wandb or tensorboard")
    rows = read_rows(run.metrics)
    if not rows:
        raise DriveRLError(f"{run.metrics}: no rows yet, so nothing to record; fix: train the run first")
    with run.writing():
        record_all(kind, run, spec.model_dump(mode="json"), spec.project, echo, rows)
    return run
