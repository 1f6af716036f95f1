"""Runs drivers over the same roads in the batch engine, and scores what they drove. It prints and writes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from drive_rl.benchmark.driving.infractions import red_lights, stop_signs
from drive_rl.benchmark.driving.record import DriveRecord, Floats
from drive_rl.benchmark.driving.recorder import DriveRecorder
from drive_rl.benchmark.driving.scores import DriveScores, Measure, measures, score_drive
from drive_rl.benchmark.driving.success import failure
from drive_rl.config.specs.base import Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.evaluate import CARS, drive_batch, split_seeds
from drive_rl.run.process.copies import in_copies
from drive_rl.run.process.threads import driving
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.task.scoring import EpisodeMetrics

_NEARBY_M = 60.0


class Trace(NamedTuple):
    """Where a drive went: what a picture of it shows."""

    pose: Floats  # (T, 3), x, y [m] and yaw [rad] of the car
    half_m: tuple[float, float]  # its half length and half width
    others: Floats  # (K, 5), pose, half length and half width of the others nearby as it ended
    hit: int  # which of them it hit; -1: none
    marks: Floats  # (M, 2), where it ran a light or a stop sign


@dataclass(frozen=True)
class Drive:
    """One drive."""

    world: str
    episode: EpisodeMetrics
    """As `eval` has it, but for its success, which is the benchmark's."""
    scores: DriveScores
    failure: str
    """Why it failed; empty: it succeeded."""
    trace: Trace


@dataclass(frozen=True)
class DriverResult:
    """What a driver drove, world by world and road by road."""

    name: str
    roads: tuple[Drive, ...]

    def measures(self, of: str | None = None) -> list[Measure]:
        """Return what the drives in one world amount to; None: all drives."""
        roads = [drive for drive in self.roads if of in (None, drive.world)]
        return measures([drive.episode for drive in roads], [drive.scores for drive in roads])


def drive_all(
    chosen: Sequence[Sequence[tuple[Driver, WorldSpec]]],
    split: Split,
    episodes: int,
    progress: Callable[[EpisodeMetrics], None] | None = None,
) -> list[DriverResult]:
    """Drive the first roads of a split in every world with every driver, several worlds side by side.

    Args:
        chosen: For each world, the drivers in the same order, each with the world as it steers there.
        split: The roads'.
        episodes: How many of them in each world.
        progress: Called with each episode; in worlds but the first, once all there have ended.

    Raises:
        DriveRLError: as `drive_and_score`.
    """
    found = [_drive_in_world(chosen[0], split, episodes, progress)]  # what this compiles, the copies have
    for in_world in in_copies([partial(_drive_in_world, each, split, episodes) for each in chosen[1:]]):
        found.append(in_world)
        for drive in chain(*in_world):
            if progress is not None:
                progress(drive.episode)
    of_driver = zip(*found, strict=True)
    names = [driver.name for driver, _ in chosen[0]]
    return [DriverResult(name, tuple(chain(*each))) for name, each in zip(names, of_driver, strict=True)]


def _drive_in_world(
    drivers: Sequence[tuple[Driver, WorldSpec]],
    split: Split,
    episodes: int,
    progress: Callable[[EpisodeMetrics], None] | None = None,
) -> list[list[Drive]]:
    return [drive_and_score(driver, world, split, episodes, progress) for driver, world in drivers]


def drive_and_score(
    driver: Driver,
    world: WorldSpec,
    split: Split,
    episodes: int,
    progress: Callable[[EpisodeMetrics], None] | None = None,
    threads: int | None = None,
) -> list[Drive]:
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
    seeds, found = split_seeds(split, episodes), dict[int, tuple[DriveScores, Trace]]()
    batch = cpu_batch(world, CARS, driver.observation, threads)

    def keep(record: DriveRecord) -> None:
        scores = score_drive(record)
        found[record.road_seed] = scores, _trace(record, scores)

    def outcome(episode: EpisodeMetrics) -> Drive:
        scores, trace = found[episode.road_seed]
        why = failure(episode, scores, world.scenario)
        return Drive(world.name, replace(episode, success=not why), scores, why, trace)

    def report(episode: EpisodeMetrics) -> None:
        if progress is not None:
            progress(outcome(episode).episode)

    try:
        with driving():
            rows = drive_batch(driver, batch, seeds, report, DriveRecorder(batch, keep))
    finally:
        batch.close()
    return [outcome(row) for row in rows]


def _trace(record: DriveRecord, scores: DriveScores) -> Trace:
    pose, others, car = record.ego.pose, record.others, record.car
    apart = np.hypot(*(others.pose[-1, :, :2] - pose[-1, :2]).T)
    near = np.flatnonzero(others.present[-1] & (apart < _NEARBY_M))
    hit = np.flatnonzero(near == scores.collisions[-1].other) if scores.collisions else []
    steps = red_lights(record) + stop_signs(record)
    return Trace(
        pose=pose,
        half_m=(car.half_length_m, car.half_width_m),
        others=np.column_stack([others.pose[-1, near], others.half_m[near]]),
        hit=int(hit[0]) if len(hit) else -1,
        marks=pose[steps, :2],
    )
