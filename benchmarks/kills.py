"""Claim: a run killed anywhere resumes to the result of an unbroken one, and nothing is left over.

Tiny runs: PPO and DQN with both engines, and a perception fit. A third of the kills is SIGKILL at a random time, a
third SIGKILL at a random file operation (opening, renaming, deleting), a third SIGTERM at a random time. A run is
killed up to three times, then resumed to its end and compared: weights bit for bit, rows of metrics.csv without the
clock, scores, `best/`, the film, and hidden files.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import Bar, Bench, show
from tiny_runs import Job, differences, finish, has_ended, jobs, only_run, start, wait, warm_up

HOWS = ("time", "file", "term")
_OPERATIONS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
_DELETIONS = ("os.remove", "os.rmdir")


def operations_under(folder: Path, then: Callable[[int], None]) -> None:
    """Call `then` with the number of every file operation of this process under `folder`, before it happens."""
    count, inside = 0, str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        within = event in _DELETIONS and arguments[1] >= 0  # by shutil.rmtree, which passes no folder
        if event in _OPERATIONS and (within or str(arguments[0]).startswith(inside)):
            count += 1
            then(count)

    sys.addaudithook(hook)


def die_at(folder: Path, number: int) -> None:
    """Kill this process at a file operation under `folder`."""

    def hook(count: int) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    operations_under(folder, hook)


def count_operations(folder: Path, into: Path) -> None:
    """Write the number of file operations under `folder` to a file outside it."""
    out = os.open(into, os.O_WRONLY | os.O_CREAT)

    def hook(count: int) -> None:
        os.pwrite(out, f"{count:9d}".encode(), 0)

    operations_under(folder, hook)


class Unbroken:
    """An unbroken run of a job, its seconds, and its file operations."""

    def __init__(self, job: Job, folder: Path) -> None:
        begin, counted = time.perf_counter(), folder / "counted"
        child = start(job.begin(folder / "runs"), folder / "log", lambda: count_operations(folder / "runs", counted))
        if code := wait(child):
            sys.exit(f"{job.name}: exit code {code} of an unbroken run:\n{(folder / 'log').read_text()}")
        self.seconds = time.perf_counter() - begin
        self.operations = int(counted.read_text())
        self.run = only_run(folder / "runs")
        assert self.run is not None


def broken(job: Job, unbroken: Unbroken, folder: Path, hows: list[str], rng: random.Random) -> dict[str, Any]:
    """Kill a run in some ways, resume it to its end, and return the outcome."""
    log, runs = folder / "log", folder / "runs"
    kills: list[str] = []
    again = 0
    for how in hows:
        run = only_run(runs)
        if run is not None and has_ended(run):
            break
        if run is not None and not (run / "last").exists():
            again, run = again + 1, None  # killed before its first checkpoint: nothing to lose
            shutil.rmtree(runs)
        kills.append(kill(job, how, run, runs, unbroken, log, rng))
    run = only_run(runs)
    if run is None or not (run / "last").exists():
        shutil.rmtree(runs, ignore_errors=True)
        code, _ = finish(job.begin(runs), log)
    elif has_ended(run):
        code = 0
        (run / ".lock").unlink(missing_ok=True)  # killed when finished: it cannot be resumed, and nobody holds the lock
    else:
        code, _ = finish(job.resume(run), log)
    run = only_run(runs)
    assert unbroken.run is not None
    wrong = [f"exit code {code}"] if code else []
    wrong += ["no run"] if run is None else differences(run, unbroken.run)
    return {
        "job": job.name,
        "kills": kills,
        "begun_again": again,
        "wrong": wrong,
        "log": log.read_text() if wrong else "",
    }


def kill(job: Job, how: str, run: Path | None, runs: Path, unbroken: Unbroken, log: Path, rng: random.Random) -> str:
    """Start or resume a run and kill it; return what happened."""
    words = job.begin(runs) if run is None else job.resume(run)
    if how == "file":
        number = rng.randint(1, unbroken.operations)
        ended = wait(start(words, log, lambda: die_at(runs, number)))
        return f"file operation {number}: {ended}"
    child, seconds = start(words, log), rng.uniform(0.1, 1.0) * unbroken.seconds
    time.sleep(seconds)
    number = signal.SIGTERM if how == "term" else signal.SIGKILL
    os.kill(child, number)
    return f"{number.name} after {seconds:.2f} s: {wait(child)}"


def main() -> None:
    """Kill and resume, job after job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=[job.name for job in jobs()], help="some of the jobs")
    parser.add_argument("--seed", type=int, default=0)
    bench = Bench("kills", parser)
    args, rng = bench.args, random.Random(bench.args.seed)
    chosen = [job for job in jobs() if not args.only or job.name in args.only]
    samples: list[dict[str, Any]] = []
    warm_up()
    with tempfile.TemporaryDirectory() as place:
        unbroken = {}
        for job in chosen:
            (Path(place) / job.name).mkdir()
            unbroken[job] = Unbroken(job, Path(place) / job.name)
        done = 0
        while done < args.kills:
            job, folder = chosen[len(samples) % len(chosen)], Path(place) / f"broken-{len(samples)}"
            folder.mkdir()
            hows = [HOWS[(done + i) % len(HOWS)] for i in range(min(rng.randint(1, 3), args.kills - done))]
            samples.append(broken(job, unbroken[job], folder, hows, rng))
            done += len(samples[-1]["kills"])
            for line in samples[-1]["wrong"]:
                print(f"{job.name}, run {len(samples) - 1} ({'; '.join(samples[-1]['kills'])}): {line}", flush=True)
            print(samples[-1]["log"], end="", flush=True)
            shutil.rmtree(folder)
    finish_bench(bench, chosen, samples)


def finish_bench(bench: Bench, chosen: list[Job], samples: list[dict[str, Any]]) -> None:
    """Print and record the outcomes."""
    ends = Counter(kill.rsplit(": ", 1)[1] for row in samples for kill in row["kills"])
    wrong = [line for row in samples for line in row["wrong"]]
    figures = {
        "kills": sum(len(row["kills"]) for row in samples),
        "runs": len(samples),
        "exit_codes_of_killed": dict(ends),
        "killed_before_the_first_checkpoint": sum(row["begun_again"] for row in samples),
        "unusable": sum("unusable" in line for line in wrong),
        "not_finished": sum("exit code" in line or line == "no run" for line in wrong),
        "leftovers": sum(line.startswith("leftover") for line in wrong),
        "other_than_unbroken": sum("other" in line or "no film" in line or "best/ is" in line for line in wrong),
    }
    rows = [
        (job.name, *(sum(len(row[key]) for row in samples if row["job"] == job.name) for key in ("kills", "wrong")))
        for job in chosen
    ]
    show("Killed and resumed", ["job", "kills", "faults"], rows)
    names = ("unusable", "not_finished", "leftovers", "other_than_unbroken")
    bench.finish(figures, samples, [Bar(name.replace("_", " "), figures[name], most=0) for name in names])


if __name__ == "__main__":
    main()
