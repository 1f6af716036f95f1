"""Claim: in 1,000 km of a town's traffic the expert causes no collision, memory stays, and no number is NaN.

Whose fault a collision is, nuPlan's rule says. More than a million steps of the batch engine, on roads of the
training split: the expert learns nothing.
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from record import Bar, Bench, show
from soak import resident_mb

from drive_rl.benchmark.driving.collisions import find_collisions
from drive_rl.benchmark.driving.infractions import red_lights, stop_signs
from drive_rl.benchmark.driving.record import DriveRecord
from drive_rl.benchmark.driving.recorder import DriveRecorder
from drive_rl.config.specs.base import SPLITS
from drive_rl.drivers.evaluate import drive_batch
from drive_rl.learn.choose_driver import choose
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.cpu_batch import cpu_batch

CARS = 64
ROADS = 256
"""Roads between two looks at memory."""
LEAST_KM = 1000


class Watch:
    """Watches a batch (an `evaluate.Recorder`): what is hit, and how far was driven."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._recorder = DriveRecorder(batch, self._score)
        self.km, self.steps, self.wrong = 0.0, 0, 0
        self.ends = Counter[str]()
        self.hit, self.ran, self.late = list[dict[str, object]](), list[int](), list[int]()

    def begin(self, cars: Sequence[int]) -> None:
        """Take note: episodes have begun."""
        self._recorder.begin(cars)

    def step(self, ended: NDArray[np.int64]) -> None:
        """Take note of a step."""
        cars = self._batch.cars
        self.wrong += sum(int(np.count_nonzero(~np.isfinite(part))) for part in (cars.state, cars.metrics, cars.body))
        self._recorder.step(ended)

    def _score(self, record: DriveRecord) -> None:
        self.km += float(record.moved_m.sum()) / 1000
        self.steps += len(record.moved_m) - 1
        self.ends[record.end_reason] += 1
        self.ran += [record.road_seed] * len(red_lights(record) + stop_signs(record))
        self.late += [record.road_seed] if record.end_reason == "timeout" else []
        for each in find_collisions(record):
            found = {"who": each.who, "kind": each.kind, "at_fault": each.at_fault, "step": each.step}
            self.hit.append({"road_seed": record.road_seed, **found})


def main() -> None:
    """Drive until the kilometres are full."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", default="expert")
    parser.add_argument("--world", default="town")
    parser.add_argument("--km", type=float, default=LEAST_KM)
    bench = Bench("town", parser)
    driver, world = choose(bench.args.driver, [f"world={bench.args.world}"], "cpu", False, print)
    batch = cpu_batch(world, CARS, driver.observation)
    watch, memory, seeds = Watch(batch), list[float](), iter(SPLITS["train"])
    while watch.km < bench.args.km and (roads := list(itertools.islice(seeds, ROADS))):
        drive_batch(driver, batch, roads, None, watch)
        memory.append(resident_mb())
    batch.close()
    caused = sum(bool(each["at_fault"]) for each in watch.hit)
    settled = memory[len(memory) // 4 :]  # the maps of all road seeds are built by then
    figures = {
        "km": watch.km,
        "steps": watch.steps,
        "end_reasons": dict(watch.ends),
        "collisions": len(watch.hit),
        "collisions_caused": caused,
        "lights_and_signs_run": len(watch.ran),
        "wrong_numbers": watch.wrong,
        "growth_mb": settled[-1] - settled[0],
    }
    show(f"{driver.name} in {world.name}", ["figure", "value"], [(key, str(value)) for key, value in figures.items()])
    bars = [
        Bar("km", watch.km, least=LEAST_KM),
        Bar("steps", watch.steps, least=1_000_000),
        Bar("collisions that it caused", caused, most=0),
        Bar("growth of resident memory [MB]", figures["growth_mb"], most=10),
        Bar("NaN or infinite numbers", watch.wrong, most=0),
    ]
    roads = {"collisions": watch.hit, "ran a light or sign": watch.ran, "late": watch.late}
    bench.finish(figures, {"resident_mb": memory, **roads}, bars)


if __name__ == "__main__":
    main()
