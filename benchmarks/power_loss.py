"""Claim: a power loss at any moment of training leaves a run that resumes to the result of an unbroken one.

Tiny runs of PPO, DQN and a perception fit, each on its own disk: an ext4 image. At random moments training is paused
while the image is copied: the disk's contents without the system's pending writes. Every other time the journal has
just been committed, so that renames are on the disk but the bytes of unsynced files are not. Each copy is mounted (its
journal is replayed), every checkpoint in it is verified, and the run is resumed to its end and compared. Needs root.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from record import ROOT, Bar, Bench, show
from tiny_runs import Job, differences, finish, has_ended, jobs, only_run, start, wait, warm_up

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import sweep
from drive_rl.run.storage.manifest import verify

sys.path.append(str(ROOT / "tests" / "support"))
from disk_image import IMPOSSIBLE, WHY, lose_power, make_image, mounted

_DISK_MB = 48
_LENGTH = 4  # of the shortest runs
_MOST_PAUSE_S = 0.7


def checkpoints(run: Path) -> list[Path]:
    """Return every checkpoint of a run, as a process that opens it for writing would find them."""
    for folder in (run, run / "checkpoints"):
        sweep(folder)
    return [path for path in (run / "last", run / "best", *(run / "checkpoints").glob("step_*")) if path.is_dir()]


def damaged(run: Path) -> list[str]:
    """Return the checkpoints that do not verify, and why."""
    found = []
    for path in checkpoints(run):
        try:
            verify(path, ("weights.safetensors",))
        except DriveRLError as error:
            found.append(f"{path.name} is unusable: {error}")
    return found


def copies(job: Job, place: Path, count: int, rng: random.Random) -> Iterator[Path]:
    """Train on a disk, again and again, and yield copies of it; the first finished run goes to `place/unbroken`."""
    made = 0
    while made < count:
        make_image(place / "image", _DISK_MB)
        with mounted(place / "image", place / "disk") as disk:
            child = start(job.begin(disk / "runs"), place / "log")
            while (run := only_run(disk / "runs")) is None or not (run / "last").is_dir():
                if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    sys.exit(f"{job.name}: it ended before its first checkpoint:\n{(place / 'log').read_text()}")
                time.sleep(0.01)
            while made < count and not has_ended(run):
                time.sleep(rng.uniform(0, _MOST_PAUSE_S))
                copy = place / f"copy-{made}"
                try:
                    lose_power(place / "image", disk, child, copy, commit=made % 2 == 0)
                except (ProcessLookupError, FileNotFoundError, ChildProcessError):
                    break  # it has ended
                made += 1
                yield copy
            if code := wait(child):
                sys.exit(f"{job.name}: exit code {code} of an unbroken run:\n{(place / 'log').read_text()}")
            if not (place / "unbroken").exists():
                shutil.copytree(run, place / "unbroken")


def after(job: Job, copy: Path, place: Path) -> dict[str, Any]:
    """Resume the run on a copy of the disk to its end, and return the outcome."""
    log = place / "log-after"
    log.unlink(missing_ok=True)
    with mounted(copy, place / "after") as disk:
        run = only_run(disk / "runs")
        if run is None:
            return {"job": job.name, "wrong": ["no run"], "log": ""}
        wrong, ended = damaged(run), has_ended(run)
        code = 0 if ended else finish(job.resume(run), log)[0]
        wrong += [f"exit code {code}"] if code else []
        wrong += differences(run, place / "unbroken")
    output = log.read_text()[-4000:] if wrong and log.exists() else ""
    return {"job": job.name, "ended_before": ended, "wrong": wrong, "log": output}


def main() -> None:
    """Lose power, mount, resume and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=[job.name for job in jobs()], help="some of the jobs")
    parser.add_argument("--seed", type=int, default=0)
    bench = Bench("power_loss", parser)
    args, rng, samples = bench.args, random.Random(bench.args.seed), []
    if IMPOSSIBLE:
        sys.exit(f"power_loss: {WHY}")
    chosen = [job for job in jobs(_LENGTH) if not args.only or job.name in args.only]
    warm_up()
    for number, job in enumerate(chosen):
        count = args.losses // len(chosen) + (number < args.losses % len(chosen))
        with tempfile.TemporaryDirectory() as folder:
            for copy in list(copies(job, Path(folder), count, rng)):
                samples.append(after(job, copy, Path(folder)))
                for line in samples[-1]["wrong"]:
                    print(f"{job.name}, {copy.name}: {line}", flush=True)
                copy.unlink()
    rows = [(job.name, *(_count(samples, job, fault) for fault in ("", *_FAULTS.values()))) for job in chosen]
    show("Power losses", ["job", "losses", *_FAULTS], rows)
    figures = {name: sum(_has(row, text) for row in samples) for name, text in _FAULTS.items()}
    bench.finish({"losses": len(samples), **figures}, samples, [Bar(name, figures[name], most=0) for name in _FAULTS])


_FAULTS = {
    "unusable runs": "unusable",
    "runs that cannot be finished": "exit code",
    "leftovers": "leftover",
    "other than unbroken": "other",
}


def _has(row: dict[str, Any], text: str) -> bool:
    return any(text in line for line in row["wrong"]) or (text == "unusable" and "no run" in row["wrong"])


def _count(samples: list[dict[str, Any]], job: Job, text: str) -> int:
    return sum(row["job"] == job.name and (not text or _has(row, text)) for row in samples)


if __name__ == "__main__":
    main()
