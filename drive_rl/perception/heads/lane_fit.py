"""Curves through predicted lines: columns in the picture -> where the car is on the road, by least squares.

It knows the camera as it should be mounted and the lanes' width. What it finds is near the truth and easy to learn
from; the mount's errors, and bends that no such curve fits, are left to the head that reads it.
"""

import math

import torch
from torch import Tensor, nn

from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.samples import LINES, anchor_rows
from drive_rl.sim.sensors.pinhole import focal_px

_UNIT_M = 8.0  # the distance at which all powers count alike
_FARTHEST_M = 25.0
_RIDGE = 1e-3


class RoadFit(nn.Module):
    """Columns (B, LINES, ROWS) / width, and how sure it is that a line is there, -> coefficients (B, order).

    A point of line k at anchor row r lies y = -depth * (column - 0.5) * width / focal left of the car on flat ground.
    Weighted least squares of y - y_k over x, where y_k is the line's place in the lane.

    Args:
        world: Its camera and its lanes' width.
        order: Coefficients: lateral position, slope, and bending.
        near_m: Weights fall as 1 / (1 + (x / near_m)^2)^steep.
        steep: See `near_m`.
    """

    powers: Tensor
    products: Tensor
    weights: Tensor
    across: Tensor
    places: Tensor

    def __init__(self, world: WorldSpec, order: int, near_m: float, steep: int) -> None:
        super().__init__()
        camera = world.camera
        cos, sin, focal = math.cos(camera.pitch_rad), math.sin(camera.pitch_rad), focal_px(camera)
        up = (camera.height_px / 2 - torch.tensor(anchor_rows(camera.height_px))) / focal
        depth = camera.height_m / (sin - up * cos).clamp(min=1e-3)
        ahead = depth * (cos + up * sin) + camera.forward_m
        weights = torch.where(ahead < _FARTHEST_M, 1 / (1 + (ahead / near_m) ** 2) ** steep, 0)
        powers = (ahead.clamp(max=_FARTHEST_M) / _UNIT_M)[:, None] ** torch.arange(order)  # (ROWS, order)
        constants = {
            "powers": powers,
            "products": powers[:, :, None] * powers[:, None, :],
            "weights": weights,
            "across": -depth * camera.width_px / focal,
            "places": (torch.arange(LINES) - 0.5) * world.road.lane_width_m,
        }
        for name, value in constants.items():
            self.register_buffer(name, value.float(), persistent=False)

    def forward(self, lines: Tensor, there: Tensor) -> Tensor:
        """Return the coefficients of (x / 8 m) ** 0, 1, ... [m]; 0 where no line is."""
        beside = (lines - 0.5) * self.across - self.places[:, None]
        weights = there * self.weights  # (B, LINES, ROWS)
        normal = torch.einsum("blr,rij->bij", weights, self.products)
        right = torch.einsum("blr,ri->bi", weights * beside, self.powers)
        return _solve(normal, right)


def _solve(normal: Tensor, right: Tensor) -> Tensor:
    """Solve (normal + ridge) x = right, (B, n, n) and (B, n), by Cholesky's method written out: ONNX has no solver."""
    n = right.shape[1]
    low = [[right[:, 0]] * n for _ in range(n)]
    for i in range(n):
        for j in range(i):
            low[i][j] = (normal[:, i, j] - _dot(low[i][:j], low[j][:j])) / low[j][j]
        low[i][i] = (normal[:, i, i] + _RIDGE - _dot(low[i][:i], low[i][:i])).clamp(min=0.1 * _RIDGE).sqrt()
    half: list[Tensor] = []
    for i in range(n):
        half.append((right[:, i] - _dot(low[i][:i], half)) / low[i][i])
    found: list[Tensor] = []  # the last first
    for i in reversed(range(n)):
        below = [low[k][i] for k in range(n - 1, i, -1)]
        found.append((half[i] - _dot(below, found)) / low[i][i])
    return torch.stack(found[::-1], dim=1)


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor | float:
    return torch.stack([x * y for x, y in zip(a, b, strict=True)]).sum(dim=0) if a else 0.0
