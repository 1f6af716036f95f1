"""Claim: traffic costs <= 1 us a step and actor on one core, and its drivers do not touch each other in 1,000 km.

Towns, roundabouts, country roads and motorways: of the training split with normal drivers, of the test split with all
populations. Whatever touches is counted as bodies on the ground, which drivers know nothing of.
"""

import argparse
import time
from typing import NamedTuple

import numpy as np
from record import Bar, Bench, median, one_core, show

from drive_rl.config.specs.base import Split
from drive_rl.config.specs.streets.map import CountrySpec, MapSpec, MotorwaySpec, RoundaboutsSpec, TownSpec
from drive_rl.config.specs.streets.traffic import TrafficSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.streets.generate import map_of_seed
from drive_rl.sim.traffic.actors import LANE, LEAVING, SPEED, WAITED, Traffic, new_traffic
from drive_rl.sim.traffic.contacts import contacts
from drive_rl.sim.traffic.population import draw_vehicles
from drive_rl.sim.traffic.step import step_traffic
from drive_rl.sim.traffic.streets import streets_of

SPECS: tuple[MapSpec, ...] = (TownSpec(), RoundaboutsSpec(), CountrySpec(), MotorwaySpec())
FIRST_SEED: dict[Split, int] = {"train": 0, "test": 20_000}
_DRAWN = 100


class Figures(NamedTuple):
    """What came of driving one map."""

    km: float
    hours: float
    collisions: int
    standing_share: float
    longest_wait_s: float
    lane_changes: int
    finite: bool
    us_per_actor_step: float


@njit
def _drive(traffic: Traffic, steps: int) -> None:
    for step in range(steps):
        step_traffic(traffic, step)


@njit
def _watch(traffic: Traffic, network: RoadNetwork, steps: int) -> tuple[float, int, float, float, int]:
    """Step; return metres, collisions, sum of standing shares, longest wait [steps], and lane changes."""
    count = traffic.whole.shape[0]
    before, leaving = np.zeros((count, count), np.bool_), traffic.whole[:, LEAVING].copy()
    metres, collisions, standing, longest, changes = 0.0, 0, 0.0, 0.0, 0
    for step in range(steps):
        step_traffic(traffic, step)
        metres += traffic.real[:, SPEED].sum() * traffic.dt_s
        standing += (traffic.real[:, SPEED] < 0.1).mean()
        longest = max(longest, traffic.whole[:, WAITED].max())
        for i in range(count):
            changes += leaving[i] < 0 <= traffic.whole[i, LEAVING]
            leaving[i] = traffic.whole[i, LEAVING]
        touching = contacts(traffic, network)
        for i in range(count):
            for j in range(i):
                collisions += touching[i, j] and not before[i, j]
        before = touching
    return metres, collisions, standing, longest, changes


def measure(spec: MapSpec, seed: int, split: Split, actors: int, steps: int) -> Figures:
    """Drive one map twice: watched, and against the clock."""
    network = map_of_seed(spec, seed).network
    streets = streets_of(network)
    vehicles = draw_vehicles(TrafficSpec(), split, actors, np.random.default_rng(seed))
    watched, timed = (new_traffic(streets, vehicles, seed) for _ in range(2))
    metres, collisions, standing, longest, changes = _watch(watched, network, steps)
    _drive(timed, 1)
    begin = time.perf_counter()
    _drive(timed, steps // 10)
    spent = time.perf_counter() - begin
    on_streets = (watched.whole[:, LANE] >= 0).all() and np.isfinite(watched.real).all()
    hours = steps * watched.dt_s / 3600 * actors
    return Figures(
        metres / 1000,
        hours,
        int(collisions),
        standing / steps,
        longest * watched.dt_s,
        int(changes),
        bool(on_streets),
        spent / (steps // 10) / actors * 1e6,
    )


def drawing_ms(spec: MapSpec) -> float:
    """Return the CPU time [ms] of drawing a map of a seed, median of the first maps of the training split."""
    times = []
    for seed in range(_DRAWN):
        begin = time.process_time()
        map_of_seed(spec, seed)
        times.append(1000 * (time.process_time() - begin))
    return median(times)


def main() -> None:
    """Drive every kind of map, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actors", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100_000, help="of 0.1 s, a map")
    parser.add_argument("--maps", type=int, default=1, help="of each kind and split")
    bench = Bench("traffic", parser)
    samples: dict[str, list[Figures]] = {}
    one_core()
    for split, first in FIRST_SEED.items():
        for spec in SPECS:
            seeds = range(first, first + bench.args.maps)
            runs = [measure(spec, seed, split, bench.args.actors, bench.args.steps) for seed in seeds]
            samples[f"{split} {spec.kind}"] = runs
    figures = {name: _together(found) for name, found in samples.items()}
    show("traffic", ["streets", *_COLUMNS], [[name, *row.values()] for name, row in figures.items()])
    drawn_ms = {spec.kind: drawing_ms(spec) for spec in SPECS}
    show("drawing a map", ["kind", "ms, median"], list(drawn_ms.items()))
    normal = [found for name, runs in samples.items() if name.startswith("train") for found in runs]
    everything = [found for runs in samples.values() for found in runs]
    per_1000_km = sum(found.collisions for found in normal) / sum(found.km for found in normal) * 1000
    bars = [
        Bar("microseconds a step and actor", max(found.us_per_actor_step for found in everything), most=1.0),
        Bar("collisions of normal drivers in 1,000 km", per_1000_km, most=0.0),
        Bar("km driven by normal drivers", sum(found.km for found in normal), least=1000),
        Bar("maps on which a number is not finite or a lane is left", sum(not f.finite for f in everything), most=0),
    ]
    bench.finish(
        figures | {"drawing_ms": drawn_ms},
        {name: [found._asdict() for found in runs] for name, runs in samples.items()},
        bars,
    )


_COLUMNS = ("km", "mean_speed_mps", "collisions", "standing_share", "longest_wait_s", "lane_changes_per_km", "us")


def _together(found: list[Figures]) -> dict[str, float]:
    km, hours = sum(f.km for f in found), sum(f.hours for f in found)
    values = (
        km,
        km / hours / 3.6,
        sum(f.collisions for f in found),
        float(np.mean([f.standing_share for f in found])),
        max(f.longest_wait_s for f in found),
        sum(f.lane_changes for f in found) / km,
        float(np.mean([f.us_per_actor_step for f in found])),
    )
    return dict(zip(_COLUMNS, (round(value, 4) for value in values), strict=True))


if __name__ == "__main__":
    main()
