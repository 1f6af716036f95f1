"""Claim: the batch engine makes >= 20,000 steps/s in a town with some 16 actors in reach, 64x40 grey, on one core.

The table says what actors and maps cost, and how a single road fares in the same run. The reference driver drives,
outside the clock; episodes are drawn anew, inside it, as soon as one ends.
"""

import argparse
import itertools
import time
from typing import cast

import numpy as np
from record import Bar, Bench, median, one_core, show

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.base import SPLITS
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch

ACTORS, MAPS = (0, 4, 16, 40, 64, 128), (1, 4, 16)
REACH_M = 70.0
"""Actors so near to the car are in its reach."""


def town(actors: int = 40, maps: int = 16) -> WorldSpec:
    """Return the town with so many actors and maps."""
    return load_world("town", [f"streets.traffic.actors={actors}", f"streets.maps={maps}"])


class Stepping:
    """N cars of a world that the reference driver drives."""

    def __init__(self, world: WorldSpec, cars: int) -> None:
        self.batch = cpu_batch(world, cars, "camera+state", 1)
        self._driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
        self._seeds = itertools.cycle(SPLITS["train"])
        self.batch.begin(range(cars), itertools.islice(self._seeds, cars))
        self.block(0.5)  # the first episodes build the maps

    def block(self, seconds: float) -> float:
        """Step for some seconds; return steps a second, resets included."""
        spent, steps = 0.0, 0
        while spent < seconds:
            commands = self._driver.act(self.batch.cars.state).astype(np.float64)
            begin = time.perf_counter()
            ended = self.batch.step(commands)
            self.batch.begin(ended, itertools.islice(self._seeds, len(ended)))
            spent += time.perf_counter() - begin
            steps += self.batch.num_cars
        return steps / spent


def in_reach(batch: StreetBatch) -> float:
    """Return how many actors are in a car's reach, on average over the cars."""
    bodies = batch.cars.body[:2].T
    counts = [
        int((np.linalg.norm(batch.actors(car)[:, :2] - bodies[car], axis=1) < REACH_M).sum())
        for car in range(batch.num_cars)
    ]
    return float(np.mean(counts))


def main() -> None:
    """Measure every row in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--block-s", type=float, default=1.0)
    bench = Bench("streets", parser)
    one_core()
    worlds = {"lane_follow, 64 cars": (load_world("lane_follow"), 64)}
    worlds |= {f"town, {actors} actors, 64 cars": (town(actors), 64) for actors in ACTORS}
    worlds |= {f"town, 40 actors, {maps} maps, 64 cars": (town(maps=maps), 64) for maps in MAPS[:-1]}
    worlds |= {"town, 40 actors, 256 cars": (town(), 256)}
    worlds |= {"town, 40 actors, its roadside, 64 cars": (load_world("town", ["streets.roadside.signs=true"]), 64)}
    samples: dict[str, list[float]] = {}
    reach: dict[str, float] = {}
    for name, (world, cars) in worlds.items():
        stepping = Stepping(world, cars)
        samples[name] = [stepping.block(bench.args.block_s) for _ in range(bench.args.blocks)]
        if isinstance(stepping.batch, StreetBatch):
            reach[name] = in_reach(stepping.batch)
    figures = {name: median(found) for name, found in samples.items()}
    rows = [(name, round(value), round(reach.get(name, 0.0), 1)) for name, value in figures.items()]
    show("steps a second, one core", ["world", "steps/s", "actors in reach"], rows)
    crowded = f"town, {ACTORS[-1]} actors, 64 cars"
    bars = [
        Bar(f"steps/s in {crowded}, {reach[crowded]:.0f} of them in reach", figures[crowded], least=20_000),
        Bar(
            "steps/s of 256 cars over 64, 40 actors",
            figures["town, 40 actors, 256 cars"] / figures["town, 40 actors, 64 cars"],
            least=1.0,
        ),
    ]
    bench.finish({"steps_per_s": figures, "actors_in_reach": reach}, samples, bars)


if __name__ == "__main__":
    main()
