"""Chooses the batch engine of a world, on the CPU."""

from drive_rl.config.specs.base import Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.streets.batch import StreetBatch


def cpu_batch(
    world: WorldSpec, num_cars: int, observation: Observation = "camera", threads: int | None = None
) -> Batch:
    """Return a batch of N cars of a world; its arguments and errors are those of `Batch`."""
    return (StreetBatch if world.streets else Batch)(world, num_cars, observation, threads)
