"""A head of one's own: how far the car's centre is from the nearer line of its lane, for lane-departure warnings."""

import numpy as np
from torch import Tensor, nn

from drive_rl import extend
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.samples import LANE_FIELDS, Samples

OFFSET = LANE_FIELDS.index("offset_m")


@extend.head("line_distance", scores={"mae_m": -1})
class LineDistance:
    def __init__(self, world: WorldSpec) -> None:
        self.half_lane_m = world.road.lane_width_m / 2

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(nn.Linear(shape[0], 32), nn.ReLU(), nn.Linear(32, 1))

    def target(self, samples: Samples) -> np.ndarray:
        return self.half_lane_m - np.abs(samples.lane[:, [OFFSET]])

    def loss(self, predicted: Tensor, target: Tensor) -> Tensor:
        return (predicted - target).abs().mean()

    def score(self, predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
        return {"mae_m": np.abs(predicted - target).mean()}
