"""Claim: safety is cheap: the share of training time that syncs and locks take, and all saving.

The shipped experiments unchanged, seed 0, without film or tracker, one process each. The calls themselves are timed
(`fsync`, `syncfs`, `flock`, each write of `last/`) on the disk that holds the runs: the machine's speed cancels out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import Bar, Bench, show

EXPERIMENTS = ("quickstart", "ppo-batch", "dqn-lane-follow")


def measure(experiment: str, changes: list[str], runs: Path) -> dict[str, float]:
    """Train in this process; return its seconds, those in syncs and locks, those of saving, and the number of saves."""
    from drive_rl.config.reader import load_run
    from drive_rl.learn.checkpoint import checkpoint
    from drive_rl.learn.train import train
    from drive_rl.run.storage import atomic as files
    from drive_rl.run.storage import flock

    spent: dict[str, list[float]] = {"safety": [], "saving": []}

    def timed(of: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                spent[of].append(time.perf_counter() - begin)

        return wrapper

    os.fsync = timed("safety", os.fsync)
    files._sync_filesystem = timed("safety", files._sync_filesystem)
    flock.fcntl.flock = timed("safety", flock.fcntl.flock)
    checkpoint.save = timed("saving", checkpoint.save)
    spec = load_run(experiment, ["track=none", *changes])
    begin = time.perf_counter()
    train(spec, runs, "cpu")
    return {
        "train_s": time.perf_counter() - begin,
        "safety_s": sum(spent["safety"]),
        "saving_s": sum(spent["saving"]),
        "saves": len(spent["saving"]),
    }


def main() -> None:
    """Measure each experiment in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", nargs="+", default=list(EXPERIMENTS), help="which ones")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes, for a smoke run")
    parser.add_argument("--disk", type=Path, help="the folder for the runs (default: this checkout)")
    if sys.argv[1:2] == ["--one"]:
        print("\n" + json.dumps(measure(sys.argv[2], sys.argv[4:], Path(sys.argv[3]))))
        return
    bench = Bench("save_cost", parser)
    found: dict[str, dict[str, float]] = {}
    for experiment in bench.args.experiments:
        with tempfile.TemporaryDirectory(dir=bench.args.disk or Path(__file__).parents[1]) as runs:
            command = [sys.executable, __file__, "--one", experiment, runs, *bench.args.set]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[experiment] = json.loads(done.stdout.splitlines()[-1])
    shares = {name: row["safety_s"] / row["train_s"] for name, row in found.items()}
    show(
        "Share of training time for safety",
        (
            "experiment",
            "training [s]",
            "syncs and locks [s]",
            "all saving [s]",
            "saves",
            "their share [%]",
        ),
        [
            (name, row["train_s"], row["safety_s"], row["saving_s"], row["saves"], 100 * shares[name])
            for name, row in found.items()
        ],
    )
    bench.finish({"share": shares}, found, [Bar("largest share of syncs and locks", max(shares.values()), most=0.02)])


if __name__ == "__main__":
    main()
