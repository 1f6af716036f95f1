"""Runs drivers over the same roads in the batch engine, and scores what they drove. It prints and writes nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from drive_rl.benchmark.driving.recorder import DriveRecorder
from drive_rl.benchmark.driving.scores import DriveScores, Measure, measures, score_drive
from drive_rl.config.specs.base import Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.evaluate import CARS, drive_batch, split_seeds
from drive_rl.run.process.threads import driving
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.task.scoring import EpisodeMetrics


@dataclass(frozen=True)
class DriverResult:
    """What a driver drove, road by road, and what it amounts to."""

    name: str
    measures: tuple[Measure, ...]
    episodes: tuple[EpisodeMetrics, ...]
    roads: tuple[DriveScores, ...]


def drive_and_score(
    driver: Driver,
    world: WorldSpec,
    split: Split,
    episodes: int,
    progress: Callable[[EpisodeMetrics], None] | None = None,
    threads: int | None = None,
) -> DriverResult:
    """Drive the first roads of a split once each, and score every drive. The result depends on no number of threads.

    Args:
        driver: The driver.
        world: The world.
        split: The roads'.
        episodes: How many of them.
        progress: Called with each episode as it ends.
        threads: Of the simulation; None: one a core.

    Raises:
        DriveRLError: the split has fewer roads, or the batch engine cannot run the world.
    """
    seeds, found = split_seeds(split, episodes), dict[int, DriveScores]()
    batch = cpu_batch(world, CARS, driver.observation, threads)

    def keep(scores: DriveScores) -> None:
        found[scores.road_seed] = scores

    recorder = DriveRecorder(batch, lambda record: keep(score_drive(record)))
    try:
        with driving():
            rows = drive_batch(driver, batch, seeds, progress, recorder)
    finally:
        batch.close()
    roads = [found[seed] for seed in seeds]
    return DriverResult(driver.name, tuple(measures(rows, roads)), tuple(rows), tuple(roads))
