"""What a car with a perception model knows: the environment's lane state, told from pictures instead of read.

It knows the model, the car's own sensors and the pace of the world. It knows no driver, algorithm or reward.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drive_rl.config.world_spec import TaskSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import CURVATURES_AHEAD_M, LANE_FIELDS
from drive_rl.perception.models.load import Trained
from drive_rl.sim.task.outcome import STATE_FIELDS

OWN_SENSORS = ("speed_mps", "yaw_rate_radps", "steer_rad")
"""What any car measures of itself: wheels, gyro, steering. Side slip it does not: the lateral speed is told as 0."""

_STRAIGHT = 1e-6  # curvature [1/m] below which a bend sets no limit, as in sim/pace.py
_STEP_M = 1.0

_SEEN = [STATE_FIELDS.index(name) for name in LANE_FIELDS]
_OWN = [STATE_FIELDS.index(name) for name in OWN_SENSORS]
_TARGET = STATE_FIELDS.index("target_speed_mps")


class LaneEstimator:
    """{camera, state} observations -> the lane state in SI units, (B, fields) of `STATE_FIELDS`.

    Offset, heading and curvatures are the model's; the target speed follows from the curvatures; of the given state
    nothing but `OWN_SENSORS` is read. It stands in for the true state wherever that is taken.

    Args:
        trained: The model; it is moved to the device.
        task: The speeds that the world asks for.
        device: Where the model runs.

    Raises:
        DriveRLError: the model does not tell the lane state.
    """

    def __init__(self, trained: Trained, task: TaskSpec, device: torch.device | str = "cpu") -> None:
        _check_lane(trained)
        self.trained = trained
        self._model, self._device = trained.model.to(device), torch.device(device)
        self._task = task

    def state(self, observations: Mapping[str, Any]) -> Any:
        """Return the lane states, an array or a tensor as the given state is."""
        given = torch.as_tensor(observations["state"], device=self._device)
        told = torch.zeros_like(given)
        told[..., _OWN] = given[..., _OWN]
        with torch.no_grad():
            lane = self._model(torch.as_tensor(observations["camera"], device=self._device))["lane"]
        told[..., _SEEN] = lane
        told[..., _TARGET] = visible_target_speed(lane[..., 2:], self._task)
        return told if isinstance(observations["state"], Tensor) else told.cpu().numpy()


def visible_target_speed(curvatures: Tensor, task: TaskSpec) -> Tensor:
    """Return the speed asked for [m/s], (B,), by the rule of `sim.pace` as far as one can see.

    A bend's limit is sqrt(a_lat / |curvature|), and `v^2 = u^2 + 2 a s` tells how fast one may be `s` before it.

    Args:
        curvatures: (B, 4) of the lane [1/m], CURVATURES_AHEAD_M ahead; linear between them.
        task: Target speed, and accelerations.
    """
    told_m = CURVATURES_AHEAD_M
    at_m = np.arange(told_m[0], told_m[-1] + _STEP_M / 2, _STEP_M)
    parts = np.stack([np.interp(at_m, told_m, row) for row in np.eye(len(told_m))])  # (4, places)
    along = curvatures @ torch.as_tensor(parts, dtype=curvatures.dtype, device=curvatures.device)
    limits = task.lateral_accel_mps2 / along.abs().clamp(min=_STRAIGHT)  # squares of speeds
    way_m = torch.as_tensor(at_m, dtype=curvatures.dtype, device=curvatures.device)
    return (limits + 2 * task.braking_mps2 * way_m).amin(dim=-1).sqrt().clamp(max=task.target_speed_mps)


def _check_lane(trained: Trained) -> None:
    model = trained.spec.model
    if "lane" not in model.heads:
        raise DriveRLError(
            f"{trained.name}: model.heads = {list(model.heads)}: it tells no lane state, which driving needs; fix: a"
            " model that was fitted with the head lane"
        )
    if trained.spec.fit.task != "labels":
        raise DriveRLError(
            f"{trained.name}: fit.task = {trained.spec.fit.task}: its encoder alone has learned, and its lane head has"
            " not; fix: fit a model with fit.task=labels and model.init_from naming this one"
        )
