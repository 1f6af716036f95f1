"""`drive-rl train --seeds N`: an experiment trained with several seeds, and a folder of seeds resumed."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from drive_rl.cli.names import load_with_names
from drive_rl.cli.options import longer
from drive_rl.errors import DriveRLError

if TYPE_CHECKING:
    from drive_rl.scale.seed_group import SeedGroup
    from drive_rl.scale.seed_summary import Summary

_MOST = 1000
"""More seeds than anybody trains; beyond it, a typing mistake."""


def train_seeds(
    experiment: str,
    changes: list[str],
    seeds: int | None,
    resume: Path | None,
    runs: Path,
    device: str,
    shared: Sequence[str],
) -> None:
    """Train a new group of seeds, or resume one, and print what they say together.

    Args:
        experiment: The experiment, unless a group is resumed.
        changes: All changes, as the command line gives them.
        seeds: How many.
        resume: The folder of seeds to resume.
        runs: Where run folders are made.
        device: Where every seed's network runs.
        shared: Other options that every seed's command gets, and one that resumes them again.
    """
    again = "".join(f" {shlex.quote(word)}" for word in shared)
    if resume is not None and seeds is not None:
        raise DriveRLError("train --resume: what is resumed knows its seeds; fix: leave --seeds out")
    from drive_rl.report.progress import seed_lines
    from drive_rl.run.process.signals import TrainingInterrupted
    from drive_rl.scale.seed_group import SeedGroup
    from drive_rl.scale.train_seeds import Shared, train_seeds

    budget = longer("train", "budget_steps", changes) if resume is not None else None
    options = Shared(["--device", device, *shared], [f"budget_steps={budget}"] if budget is not None else [])
    group = SeedGroup.open(resume) if resume is not None else _new(experiment, changes, seeds or 0, runs)
    try:
        with seed_lines(sorted(group.names)) as report:
            summary = train_seeds(group, options, report, typer.echo)
    except TrainingInterrupted as stopped:
        typer.echo(f"{stopped}{again}", err=True)
        raise typer.Exit(stopped.exit_code) from None
    _print(group, summary)


def _new(experiment: str, changes: list[str], seeds: int, runs: Path) -> "SeedGroup":
    if not 1 <= seeds <= _MOST:
        raise DriveRLError(f"--seeds {seeds}: expected 1 to {_MOST}; fix: --seeds 5")
    from drive_rl.config.reader import load_run
    from drive_rl.run.tracking.tracker import check_tracker
    from drive_rl.scale.seed_group import SeedGroup

    spec = load_with_names(load_run, experiment, changes)
    numbers = range(spec.seed, spec.seed + seeds)
    load_run(experiment, [*changes, f"seed={numbers[-1]}"])  # the last seed may be one too many
    check_tracker(spec.track, spec.project)
    words = [experiment, *(change for change in changes if not change.startswith("seed="))]
    return SeedGroup.create(runs, spec.name, words, numbers)


def _print(group: "SeedGroup", summary: "Summary") -> None:
    for row in summary.seeds:
        typer.echo(
            f"seed {row.seed}: best held-out success {row.success:.0%} at step {row.best_step:,}, {row.train_s:.0f} s"
            f" of training: {group.path.parent / row.run}"
        )
    best, count = summary.best_success, len(summary.seeds)
    typer.echo(
        f"{count} seed{'s' if count > 1 else ''}: best held-out success {best.value:.1%} (interquartile mean, 95 %"
        f" interval {best.low:.1%} to {best.high:.1%}, on {summary.roads} val roads),"
        f" {summary.mean_train_s:.0f} s of training each"
    )
    typer.echo(f"summary: {group.summary}\ncurves: {group.curves}")
    typer.echo(f"next: drive-rl compare {shlex.quote(str(group.path))} DRIVER --split test")
