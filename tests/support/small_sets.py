"""Small data sets of rendered pictures, and what the renderer says of them."""

from pathlib import Path

import numpy as np

from drive_rl.config.reader import load_world
from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.config.specs.perception import DataSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.rendered_dataset import road_samples
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.data.writer import write_data

PER_ROAD = 3
DATA = DataSpec(per_road=PER_ROAD, weather=True)


def cars(**camera: object) -> WorldSpec:
    """Return a short road with many parked cars, seen in 96 x 48 RGB."""
    keys = {"width_px": 96, "height_px": 48, "channels": "rgb", "frame_stack": 1, **camera}
    changes = [f"camera.{key}={value}" for key, value in keys.items()]
    return load_world("parked_cars", [*changes, "road.length_m=120", "road.parked_cars_per_km=50"])


def write(out: Path, world: WorldSpec, split: Split = "train", samples: int = 7) -> Path:
    """Write a small data set."""
    return write_data(world, DATA, split, samples, out)


def rendered(world: WorldSpec, split: Split = "train", samples: int = 7) -> Samples:
    """Return what `write` writes; lines that meet fewer than two anchor rows are none there."""
    roads = SPLITS[split][: -(-samples // PER_ROAD)]
    want = Samples.joined([road_samples(world, DATA, seed, PER_ROAD) for seed in roads]).take(slice(0, samples))
    want.lines[np.isfinite(want.lines).sum(axis=2) < 2] = np.nan
    return want
