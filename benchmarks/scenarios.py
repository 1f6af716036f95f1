"""Claim: the expert succeeds in >= 95 % of the scenarios' test variants, in every run with the same table to the byte.

`drive-rl bench driving expert reference --scenarios`, on all cores and again on one. Then the first driver with
`--fair`, which knows only others and signals that the standard camera showed in the last second.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import Bar, Bench, run, show


def bench_driving(words: list[str], split: str, episodes: int, cores: set[int], out: Path) -> float:
    """Drive in all scenarios on some cores; return the seconds. The words are drivers, and `--fair`."""
    os.sched_setaffinity(0, cores)
    command = [sys.executable, "-m", "drive_rl", "bench", "driving", *words, "--scenarios"]
    begin = time.perf_counter()
    run([*command, "--split", split, "--episodes", str(episodes), "--out", str(out)])
    return time.perf_counter() - begin


def main() -> None:
    """Drive twice, compare, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drivers", nargs="+", default=["expert", "reference"])
    parser.add_argument("--split", default="test")
    parser.add_argument("--episodes", type=int, default=10)
    bench = Bench("scenarios", parser)
    cores, args = os.sched_getaffinity(0), bench.args
    with tempfile.TemporaryDirectory() as folder:
        several, one, fair = (Path(folder) / name for name in ("several", "one", "fair"))
        bench_driving(args.drivers[:1], args.split, 1, cores, several)  # compiles
        seconds = {
            f"{len(cores)} cores": bench_driving(args.drivers, args.split, args.episodes, cores, several),
            "1 core": bench_driving(args.drivers, args.split, args.episodes, {min(cores)}, one),
        }
        bench_driving([args.drivers[0], "--fair"], args.split, args.episodes, cores, fair)
        text, again, seen = ((path / "results.json").read_text(encoding="utf-8") for path in (several, one, fair))
        differs = text != again
    found: list[dict[str, Any]] = json.loads(text)["drivers"]
    found += [{**driver, "name": f"{driver['name']} --fair"} for driver in json.loads(seen)["drivers"]]
    figures = {driver["name"]: _figures(driver) for driver in found}
    rows = [[name, *_shares(row)] for name, row in figures.items()]
    show("success [%]", ["driver", "total", "mean of abilities", *found[0]["abilities"]], rows)
    show("seconds", ["cores", "s"], list(seconds.items()))
    bars = [
        Bar(f"success of {args.drivers[0]}", figures[args.drivers[0]]["success"]["value"], least=0.95),
        Bar("runs whose results differ", float(differs), most=0.0),
        Bar("minutes a driver on all cores", next(iter(seconds.values())) / 60 / len(args.drivers), most=3.0),
    ]
    bench.finish({"seconds": seconds, "drivers": figures}, {each["name"]: _failures(each) for each in found}, bars)


def _figures(driver: dict[str, Any]) -> dict[str, Any]:
    kept = {key: driver[key] for key in ("success", "mean_of_abilities", "abilities")}
    infractions = {key: driver[key] for key in driver if key.endswith("_per_km")}
    return kept | infractions | {"worlds": {name: row["success"] for name, row in driver["worlds"].items()}}


def _shares(row: dict[str, Any]) -> list[float]:
    return [100 * each["value"] for each in (row["success"], row["mean_of_abilities"], *row["abilities"].values())]


def _failures(driver: dict[str, Any]) -> list[str]:
    failed = [drive for drive in driver["roads"] if not drive["success"]]
    return [f"{drive['world']}, road {drive['road_seed']}: {drive['failure']}" for drive in failed]


if __name__ == "__main__":
    main()
