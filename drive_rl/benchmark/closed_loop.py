"""How well a car drives on what a perception model sees: the score, with a delay and with corrupted pictures.

It knows trained models and closed-loop scores. It knows neither how a delay is measured nor what corruptions there are.
"""

from statistics import fmean
from typing import Any

from drive_rl.config.spec import Engine, Split
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.perturbed import CorruptedDriver, Corruption, PerturbedDriver
from drive_rl.learn.load_driver import modular_driver
from drive_rl.perception.models.load import Trained


def drive_model(
    trained: Trained,
    split: Split,
    episodes: int,
    delay_s: float = 0.0,
    corrupt: Corruption | None = None,
    engine: Engine = "batch",
) -> dict[str, Any]:
    """Drive the first roads of a split in the model's own world, once each; return plain numbers.

    `driving_score`, `route_completion` (means over episodes) and `success` (a rate) are in [0, 1]; the deviations are
    each episode's largest distance of the car's centre from its lane's centre line: their mean and the worst [m].
    `driving_scores` and `max_offsets_m` are those of each road, in order.

    Args:
        trained: A model that tells the lane state; geometry drives by it.
        split: Which roads.
        episodes: How many of them.
        delay_s: How long after a picture its command takes effect [s].
        corrupt: (B, C, H, W) uint8 pictures -> what the model is shown instead.
        engine: Which engine drives.

    Raises:
        DriveRLError: the model tells no lane state, the split has fewer roads, or the engine cannot run the world.
    """
    world = trained.spec.world
    driver: Driver = modular_driver(trained)
    if corrupt is not None:
        driver = CorruptedDriver(driver, corrupt)
    if delay_s:
        driver = PerturbedDriver(driver, delay_s, world.task.control_hz)
    found, rows = evaluate(driver, world, split, episodes, engine=engine)
    deviations = [float(row.max_offset_m) for row in rows]
    return {
        "driving_score": found.driving_score.value,
        "route_completion": found.route_completion.value,
        "success": found.success.value,
        "mean_max_offset_m": fmean(deviations),
        "worst_max_offset_m": max(deviations),
        "driving_scores": [row.driving_score for row in rows],
        "max_offsets_m": deviations,
    }
