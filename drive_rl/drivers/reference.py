"""A privileged driver by geometry: pure-pursuit steering and proportional speed control.

It reads the true lane state, not the camera, and is not trained: the baseline for trained drivers.

Sources: Coulter 1992, Implementation of the Pure Pursuit Path Tracking Algorithm (CMU-RI-TR-92-01); Snider
2009, Automatic Steering Methods for Autonomous Automobile Path Tracking (CMU-RI-TR-09-08).
"""

import numpy as np

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.car import CarSpec
from drive_rl.config.specs.driver import ExpertSpec, ReferenceSpec
from drive_rl.config.specs.task import TaskSpec
from drive_rl.drivers.observations import Batch
from drive_rl.sim.task.outcome import STATE_FIELDS

_AT_M = (0.0, 5.0, 10.0, 20.0)
"""Distances ahead at which the state holds the lane's curvature [m]."""
_SEGMENTS = 16

Fields = dict[str, np.ndarray]
"""Fields of the state by name, (B,) each."""


class ReferenceDriver:
    """Steers the rear axle on a circle to a point of the lane's centre line ahead (a `Driver`).

    Args:
        spec: Lookahead and gain.
        car: The car's axles and steering range.
        task: What the world's actions control, and how.
    """

    observation: Observation = "state"
    actions: Actions = "continuous"

    def __init__(self, spec: ReferenceSpec | ExpertSpec, car: CarSpec, task: TaskSpec) -> None:
        self.name = spec.name
        self._spec, self._car, self._task = spec, car, task

    def act(self, observations: Batch) -> np.ndarray:
        """Return (B, 2) steering and pedal in [-1, 1], or (B, 1) steering, for (B, F) lane states."""
        state = np.asarray(observations, np.float64)  # (B, F)
        fields: Fields = {name: state[:, i] for i, name in enumerate(STATE_FIELDS)}
        return self._actions(fields, np.zeros(len(state)), self._lookahead_m(fields))

    def _lookahead_m(self, fields: Fields) -> np.ndarray:
        return np.maximum(self._spec.min_lookahead_m, self._spec.lookahead_s * fields["speed_mps"])

    def _actions(self, fields: Fields, aside_m: np.ndarray, lookahead_m: np.ndarray) -> np.ndarray:
        """Return the actions that lead to a point so far ahead and so far left of the centre line [m]."""
        steer = np.clip(self._command(fields, self._steer_rad(fields, aside_m, lookahead_m)), -1, 1)
        if self._task.controls == "steering":
            return steer[:, None].astype(np.float32)
        pedal = np.clip(self._spec.speed_gain * (fields["target_speed_mps"] - fields["speed_mps"]), -1, 1)
        return np.stack([steer, pedal], axis=1).astype(np.float32)

    def _command(self, fields: Fields, wanted_rad: np.ndarray) -> np.ndarray:
        """Return the steering command for the wanted angle: itself, or the rate that reaches it in a step."""
        car = self._car
        if self._task.steering == "angle":
            return wanted_rad / car.max_steer_rad
        return (wanted_rad - fields["steer_rad"]) * self._task.control_hz / car.steer_rate_radps

    def _steer_rad(self, fields: Fields, aside_m: np.ndarray, lookahead_m: np.ndarray) -> np.ndarray:
        """Return the front wheels' angle for the circle through the rear axle and the goal (Coulter, eq. 3)."""
        car = self._car
        goal_x_m, goal_y_m = _centre_line(fields, lookahead_m)
        x_m, y_m = _to_car(goal_x_m, goal_y_m + aside_m - fields["offset_m"], fields["heading_error_rad"])
        x_m = x_m + car.cg_to_rear_m
        curvature = 2 * y_m / (x_m**2 + y_m**2)
        return np.arctan(curvature * (car.cg_to_front_m + car.cg_to_rear_m))


def _centre_line(fields: Fields, distance_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the point of the lane's centre line a distance ahead: x along the road here, y to its left."""
    curvatures = np.stack([fields[f"curvature_{at_m:g}m"] for at_m in _AT_M], axis=1)  # (B, 4)
    step_m = (distance_m / _SEGMENTS)[:, None]
    half_turn = 0.5 * _interpolated(curvatures, (np.arange(_SEGMENTS) + 0.5) * step_m) * step_m
    heading_rad = np.cumsum(np.repeat(half_turn, 2, axis=1), axis=1)[:, ::2]  # in the middle of each segment
    return _last_sum(np.cos(heading_rad) * step_m), _last_sum(np.sin(heading_rad) * step_m)


def _interpolated(curvatures: np.ndarray, at_m: np.ndarray) -> np.ndarray:
    """Return each row's curvatures, linear between the known distances and constant beyond the last (B, distances)."""
    k = np.minimum(np.searchsorted(_AT_M, at_m, side="right") - 1, len(_AT_M) - 2)
    rows, known_m = np.arange(len(at_m))[:, None], np.array(_AT_M)
    low, high = curvatures[rows, k], curvatures[rows, k + 1]
    linear = (high - low) / (known_m[k + 1] - known_m[k]) * (at_m - known_m[k]) + low
    return np.where(at_m >= known_m[-1], curvatures[:, -1:], linear)


def _last_sum(values: np.ndarray) -> np.ndarray:
    """Return each row's sum, added one after the other: as `sum` adds, its last bits would depend on their number."""
    return np.cumsum(values, axis=1)[:, -1]


def _to_car(x_m: np.ndarray, y_m: np.ndarray, yaw_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn road axes into vehicle axes (x forward, y left)."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return cos * x_m + sin * y_m, cos * y_m - sin * x_m
