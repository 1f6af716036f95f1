"""Training the seeds of an experiment: begin or continue each, and report what they say together."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.signals import TrainingInterrupted
from drive_rl.run.process.threads import learning_threads
from drive_rl.run.storage.atomic import remove_directory
from drive_rl.scale.seed_group import SeedGroup, is_finished
from drive_rl.scale.seed_processes import Job, Report, at_once, run_jobs
from drive_rl.scale.seed_summary import Summary, summarise

_FAILURE_LINES = 6


@dataclass(frozen=True)
class Shared:
    """Words for every process, whether it begins a run or resumes one."""

    words: Sequence[str] = ()
    """Such as `--device cpu`."""
    longer: Sequence[str] = ()
    """`budget_steps=N` for all; empty: each trains for its own."""


def train_seeds(group: SeedGroup, shared: Shared, report: Report, echo: Callable[[str], None]) -> Summary:
    """Train all seeds of a group that are not finished, as many at once as cores allow.

    Args:
        group: The group.
        shared: Words for each process.
        report: Shows a seed's newest line.
        echo: Prints a line for people.

    Raises:
        TrainingInterrupted: a signal came, and what had begun is saved.
        DriveRLError: a seed failed; the others have trained on, and the summary of all that did is written.
    """
    jobs = {seed: job for seed in group.names if (job := _job(group, seed, shared)) is not None}
    if not jobs:
        raise DriveRLError(
            f"{group.path}: all {len(group.names)} seeds are finished; fix: a larger budget, such as drive-rl train"
            f" --resume {shlex.quote(str(group.path))} budget_steps=N"
        )
    most = at_once(learning_threads())
    echo(f"seeds: {group.path}: {len(jobs)} to train, {min(most, len(jobs))} at once")
    codes, stopped_by = run_jobs(jobs, most, report)
    if stopped_by is not None:
        raise TrainingInterrupted("train", RunFolder(group.path), stopped_by, _saved(group))
    summary = summarise(group, echo)
    if failed := {seed: code for seed, code in sorted(codes.items()) if code}:
        raise DriveRLError(_refused(group, failed) or _failures(group, failed, summary))
    assert summary is not None, "training ends with an evaluation"
    return summary


def _job(group: SeedGroup, seed: int, shared: Shared) -> Job | None:
    run = group.run(seed)
    if run is None:
        words = [*group.words, "--seed", str(seed), "--runs", str(group.path.parent.parent), *shared.longer]
    elif is_finished(run) and not shared.longer:
        return None
    else:
        words = ["--resume", str(run.path), *shared.longer]
    return Job(["train", *words, *shared.words], group.log(seed), partial(group.begun, seed))


def _saved(group: SeedGroup) -> str:
    runs = [group.run(seed) for seed in group.names]
    done = sum(run is not None and is_finished(run) for run in runs)
    begun = sum(run is not None for run in runs) - done
    return (
        f"{done} of {len(runs)} seeds are finished, {begun} saved to be resumed, {len(runs) - done - begun} not begun"
    )


def _refused(group: SeedGroup, failed: dict[int, int]) -> str | None:
    """Return why no seed of a group could begin, and delete the group; None where one has begun, or crashed."""
    if len(failed) < len(group.names) or set(failed.values()) != {2} or any(map(group.run, group.names)):
        return None
    reasons = dict.fromkeys(_reason(group.log(seed), 2) for seed in failed)
    remove_directory(group.path)
    return "\n".join(reasons)


def _failures(group: SeedGroup, failed: dict[int, int], summary: Summary | None) -> str:
    each = [f"seed {seed}: {_reason(group.log(seed), code)}" for seed, code in failed.items()]
    done = f"; the others are in {group.summary}" if summary is not None else ""
    again = f"drive-rl train --resume {shlex.quote(str(group.path))}"
    return "\n".join([f"{len(failed)} of {len(group.names)} seeds failed{done}; fix: the cause, then {again}", *each])


def _reason(log: Path, code: int) -> str:
    """Return why a process ended, in its own words."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    begins = [i for i, line in enumerate(lines) if line.startswith("error: ")]
    ended = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    if code == 2 and begins:
        return " ".join(line.strip() for line in lines[begins[-1] :]).removeprefix("error: ")
    return (
        f"{ended}: {' / '.join(line.strip() for line in lines[-_FAILURE_LINES:]) or 'it printed nothing'} (all: {log})"
    )
