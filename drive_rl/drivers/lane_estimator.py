"""The lane state of a car with a perception model: predicted from pictures instead of read from the simulator.

It knows the model, the car's own sensors and the world's target speeds. It knows no driver, algorithm or reward.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.task import TaskSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import CURVATURES_AHEAD_M, LANE_FIELDS
from drive_rl.perception.models.load import Trained
from drive_rl.sim.task.outcome import STATE_FIELDS

OWN_SENSORS = ("speed_mps", "yaw_rate_radps", "steer_rad")
"""What any car measures of itself: wheels, gyro, steering. It cannot measure side slip: lateral speed is set to 0."""

_STRAIGHT = 1e-6  # curvature [1/m] below which a bend sets no limit, as in sim/map/speed_profile.py
_STEP_M = 1.0

_PREDICTED = [STATE_FIELDS.index(name) for name in LANE_FIELDS]
_OWN = [STATE_FIELDS.index(name) for name in OWN_SENSORS]
_TARGET = STATE_FIELDS.index("target_speed_mps")


class LaneEstimator:
    """{camera, state} observations -> the lane state in SI units, (B, fields) of `STATE_FIELDS`.

    The model predicts offset, heading and curvatures; the target speed follows from the curvatures; of the given state
    only `OWN_SENSORS` is read. A `LaneStateSource`.

    Args:
        trained: The model; it is moved to the device.
        task: The world's target speeds.
        device: Where the model runs.

    Raises:
        DriveRLError: the model does not predict the lane state.
    """

    def __init__(self, trained: Trained, task: TaskSpec, device: torch.device | str = "cpu") -> None:
        _check_lane(trained)
        self.trained = trained
        self._model, self._device = trained.model.to(device), torch.device(device)
        self._task = task

    def lane_state(self, observations: Mapping[str, Any]) -> Any:
        """Return lane states (B, fields), an array or a tensor as the given state is."""
        given = torch.as_tensor(observations["state"], device=self._device)
        state = torch.zeros_like(given)
        state[..., _OWN] = given[..., _OWN]
        with torch.no_grad():
            lane = self._model(torch.as_tensor(observations["camera"], device=self._device))["lane"]
        state[..., _PREDICTED] = lane
        state[..., _TARGET] = visible_target_speed(lane[..., 2:], self._task)
        return state if isinstance(observations["state"], Tensor) else state.cpu().numpy()


def visible_target_speed(curvatures: Tensor, task: TaskSpec) -> Tensor:
    """Return the target speed [m/s], (B,), by the rule of `sim.map.speed_profile`, for the stretch in view.

    A bend's limit is u = sqrt(a_lat / |curvature|); a distance s before it, `v^2 = u^2 + 2 a s` still allows braking.

    Args:
        curvatures: (B, 4) of the lane [1/m], CURVATURES_AHEAD_M ahead; linear in between.
        task: Target speed and accelerations.
    """
    ahead_m = CURVATURES_AHEAD_M
    at_m = np.arange(ahead_m[0], ahead_m[-1] + _STEP_M / 2, _STEP_M)
    parts = np.stack([np.interp(at_m, ahead_m, row) for row in np.eye(len(ahead_m))])  # (4, places)
    along = curvatures @ torch.as_tensor(parts, dtype=curvatures.dtype, device=curvatures.device)
    limits = task.lateral_accel_mps2 / along.abs().clamp(min=_STRAIGHT)  # squares of speeds
    way_m = torch.as_tensor(at_m, dtype=curvatures.dtype, device=curvatures.device)
    return (limits + 2 * task.braking_mps2 * way_m).amin(dim=-1).sqrt().clamp(max=task.target_speed_mps)


def _check_lane(trained: Trained) -> None:
    spec, heads = trained.spec, trained.heads
    if "lane" not in heads:
        raise DriveRLError(
            f"{trained.name}: model.heads = {list(heads)}: it predicts no lane state, which driving needs; fix: a"
            " model with the head lane"
        )
    if isinstance(spec, PerceptionSpec) and spec.fit.task != "labels":
        raise DriveRLError(
            f"{trained.name}: fit.task = {spec.fit.task}: its encoder is trained, but its lane head is not;"
            " fix: fit a model with fit.task=labels and model.init_from naming this one"
        )
