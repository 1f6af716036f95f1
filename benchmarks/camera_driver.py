"""Claim: a driver of pictures alone learns in 15 minutes to succeed in >= 60 % of the scenarios' test variants.

In the families of lanes, of who is ahead and of signals >= 90 %; for each of 3 seeds, on two cores. It learns by
imitation of the expert (`dagger-streets`). Its test takes at most three minutes.
"""

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from learn import CLI, cost_of, train
from record import Bar, Bench, median, run, show, spread

from drive_rl.run.folder import RunFolder

EASIER = (
    "lane_change",
    "sequential_lane_change",
    "hard_break_route",
    "signalized_junction_left_turn",
    "signalized_junction_right_turn",
    "vanilla_signalized_turn_encounter_green_light",
    "vanilla_signalized_turn_encounter_red_light",
)
"""Families of lanes, of who is ahead, and of signals."""


def examined(driver: Path, split: str, episodes: int) -> dict[str, Any]:
    """Drive in all scenarios; return the driver's figures and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--scenarios", "--split", split, "--episodes", str(episodes), "--out", folder]
        _, seconds = run([*CLI, "bench", "driving", driver, *options])
        (found,) = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))["drivers"]
    families = {name.removeprefix("scenarios/"): row["success"]["value"] for name, row in found["worlds"].items()}
    kept = {key: found[key] for key in found if key.endswith("_per_km") or key in ("success", "mean_of_abilities")}
    return {
        **kept,
        "abilities": {name: rate["value"] for name, rate in found["abilities"].items()},
        "families": families,
        "easier": sum(families[name] for name in EASIER) / len(EASIER),
        "seconds": seconds,
    }


def trained(seeds: Iterable[int], changes: list[str], kept: Path) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
    """Train each seed; yield its run and its cost."""
    for seed in seeds:
        yield train("dagger-streets", seed, changes, kept)


def known(runs: Iterable[Path]) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
    """Yield finished runs and their cost: `process_s` is then without the start of the process."""
    for path in runs:
        folder = RunFolder.open(path)
        cost = cost_of(folder)
        yield folder, {**cost, "process_s": cost["wall_s"]}


def main() -> None:
    """Train and examine each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--episodes", type=int, default=10, help="roads of each scenario")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the experiment")
    parser.add_argument("--keep", type=Path, help="keep the runs in this folder")
    parser.add_argument("--examine", type=Path, nargs="*", default=[], metavar="RUN", help="finished runs, no new ones")
    bench = Bench("camera_driver", parser)
    args = bench.args
    for option, given in (("--set", args.set), ("--seeds", args.seeds != parser.get_default("seeds"))):
        if args.examine and given:
            parser.error(f"{option}: is for trainings, and --examine takes finished ones; fix: leave one of them out")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    kept = args.keep or Path(tempfile.mkdtemp(prefix="drive-rl-camera-"))
    samples = []
    try:
        for folder, cost in known(args.examine) if args.examine else trained(args.seeds, args.set, kept):
            samples.append({**cost, **examined(folder.path, args.split, args.episodes)})
    finally:
        if args.keep is None:
            shutil.rmtree(kept, ignore_errors=True)
    rows = [
        [row["seed"], *(100 * rate for rate in (row["success"]["value"], row["easier"], *row["abilities"].values()))]
        for row in samples
    ]
    show(f"success, {args.split} [%]", ["seed", "all", "easier", *samples[0]["abilities"]], rows)
    figures = {key: spread([each[key] for each in samples]) for key in ("process_s", "steps", "easier", "seconds")}
    success = [each["success"]["value"] for each in samples]
    bars = [
        Bar("success of the worst seed", min(success), least=0.6),
        Bar("its families of lanes, who is ahead and signals", min(each["easier"] for each in samples), least=0.9),
        Bar("minutes to learn", max(each["process_s"] for each in samples) / 60, most=15.0),
        Bar("minutes of a test", median([each["seconds"] for each in samples]) / 60, most=3.0),
    ]
    bench.finish({"success": spread(success), **figures}, samples, bars)


if __name__ == "__main__":
    main()
