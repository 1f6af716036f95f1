"""How well a car drives on a perception model's predictions: the score, with a delay and with corrupted pictures.

It knows trained models and closed-loop scores. It knows neither how a delay is measured nor which corruptions exist.
"""

from dataclasses import dataclass
from statistics import fmean
from typing import Literal, Protocol

from drive_rl.config.specs.base import Engine, Split
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.perturbed import CorruptedDriver, Corruption, PerturbedDriver
from drive_rl.learn.own_drivers import modular_driver
from drive_rl.perception.models.load import Trained


@dataclass(frozen=True)
class Driven:
    """How a model drove some roads, once each."""

    driving_score: float
    """Mean over roads, in [0, 1], as `route_completion`."""
    route_completion: float
    success: float
    """A rate in [0, 1]."""
    mean_max_offset_m: float
    """Mean over roads of the largest distance of the car's centre from its lane's centre line [m]."""
    worst_max_offset_m: float
    driving_scores: tuple[float, ...] = ()
    """Of each road, in order, as `max_offsets_m`; empty: unknown, so there are no intervals."""
    max_offsets_m: tuple[float, ...] = ()


class Drive(Protocol):
    """Drives a model over the first roads of a split."""

    def __call__(
        self,
        trained: Trained,
        split: Literal["val", "test"],
        episodes: int,
        delay_s: float,
        corrupt: Corruption | None,
        /,
    ) -> Driven:
        """Return how it drove."""
        ...


def drive_model(
    trained: Trained,
    split: Split,
    episodes: int,
    delay_s: float = 0.0,
    corrupt: Corruption | None = None,
    engine: Engine = "batch",
) -> Driven:
    """Drive the first roads of a split in the model's own world, once each.

    Args:
        trained: A model that predicts the lane state; a geometric controller steers by it.
        split: Which roads.
        episodes: How many of them.
        delay_s: How long after a picture its command takes effect [s].
        corrupt: (B, C, H, W) uint8 pictures -> what the model is shown instead.
        engine: Which engine simulates.

    Raises:
        DriveRLError: the model predicts no lane state, the split has fewer roads, or the engine cannot run the world.
    """
    world = trained.spec.world
    driver: Driver = modular_driver(trained)
    if corrupt is not None:
        driver = CorruptedDriver(driver, corrupt)
    if delay_s:
        driver = PerturbedDriver(driver, delay_s, world.task.control_hz)
    found, rows = evaluate(driver, world, split, episodes, engine=engine)
    offsets_m = tuple(float(row.max_offset_m) for row in rows)
    return Driven(
        driving_score=found.driving_score.value,
        route_completion=found.route_completion.value,
        success=found.success.value,
        mean_max_offset_m=fmean(offsets_m),
        worst_max_offset_m=max(offsets_m),
        driving_scores=tuple(row.driving_score for row in rows),
        max_offsets_m=offsets_m,
    )
