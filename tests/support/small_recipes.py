"""A perception recipe that learns in seconds."""

from drive_rl.config.reader import load_perception
from drive_rl.config.specs.perception import PerceptionSpec

SMALL = (
    "world.camera.width_px=64",
    "world.camera.height_px=40",
    "fit.samples=192",
    "fit.batch_size=16",
    "fit.evaluate_every=96",
    "fit.val_samples=16",
    "fit.head_finetune_samples=0",
    "data.per_road=4",
    "track=none",
)


def recipe(*changes: str) -> PerceptionSpec:
    return load_perception("unet", [*SMALL, *changes])
