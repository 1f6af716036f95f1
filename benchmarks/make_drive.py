"""Claim: `make drive` on a fresh clone takes <= 3 minutes to the film; its driver drives >= 95 % of 100 unseen roads.

Packages come from pip's cache or the user's index; the first run fills the cache.
"""

import argparse
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from record import ROOT, Bar, Bench, median, run, run_json, show, spread

CONFIG = "configs/quickstart.yaml"


def drive(episodes: int, budget_steps: int | None, python: str | None, cores: int) -> dict[str, Any]:
    """Clone, `make drive`, and score the driver on test roads."""
    with tempfile.TemporaryDirectory(prefix="drive-rl-clone-") as folder:
        clone = Path(folder) / "drive-rl"
        run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone])
        commit = run(["git", "rev-parse", "HEAD"], cwd=clone)[0].strip()
        if budget_steps is not None:
            _shorten(clone / CONFIG, budget_steps)
        begin = time.time()
        _, seconds = run(["make", "drive", *([f"PYTHON={python}"] if python else [])], cwd=clone)
        film = clone / "drive.mp4"
        command = [".venv/bin/drive-rl", "eval", "runs/quickstart", "--split", "test", "--episodes", str(episodes)]
        scored = run_json([*command, "--json"], cwd=clone)
        return {
            "commit": commit,
            "cores": cores,
            "seconds": seconds,
            "installed_after_s": (clone / ".venv/.core-installed").stat().st_mtime - begin,
            "film_after_s": film.stat().st_mtime - begin,
            "film_bytes": film.stat().st_size,
            "success": scored["score"]["success"],
            "failed_roads": [row["road_seed"] for row in scored["episodes"] if not row["success"]],
        }


def _shorten(config: Path, budget_steps: int) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(re.sub(r"(?m)^budget_steps:.*$", f"budget_steps: {budget_steps}", text), encoding="utf-8")


def main() -> None:
    """Run it several times, each on a fresh clone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--cores", type=int, default=2, help="cores to use")
    parser.add_argument("--budget-steps", type=int, help="train for fewer steps (to try this script)")
    parser.add_argument("--python", help="the Python 3.11 for make")
    bench = Bench("make_drive", parser)
    args = bench.args
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    os.environ.pop("VIRTUAL_ENV", None)
    os.environ.pop("MAKEFLAGS", None)  # `make bench` calls this script
    os.environ.setdefault("WANDB_MODE", "offline")  # a benchmark is not an experiment
    samples = [drive(args.episodes, args.budget_steps, args.python, args.cores) for _ in range(args.runs)]
    seconds, rates = [row["seconds"] for row in samples], [row["success"]["value"] for row in samples]
    figures = {"seconds": spread(seconds), "success": spread(rates)}
    show(
        f"make drive on a fresh clone, success on {args.episodes} unseen roads",
        ["run", "installed after s", "film after s", "whole s", "success (95 %)"],
        [
            (i, row["installed_after_s"], row["film_after_s"], row["seconds"], _rate(row["success"]))
            for i, row in enumerate(samples, 1)
        ],
    )
    bars = [
        Bar("make drive on a fresh clone [s], median", median(seconds), most=180),
        Bar(f"its driver's success on {args.episodes} test roads, median", median(rates), least=0.95),
    ]
    bench.finish(figures, samples, bars)


def _rate(success: dict[str, float]) -> str:
    return f"{success['value']:.0%} ({success['low']:.0%} to {success['high']:.0%})"


if __name__ == "__main__":
    main()
