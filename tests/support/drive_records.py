"""Drives along the x axis whose scores can be worked out by hand: a step is 0.1 s, the route is from 0 to 100 m."""

from typing import Any

import numpy as np

from drive_rl.benchmark.driving.record import ROAD_USERS, Car, DriveRecord, Ego, Others, Place, StopLines
from drive_rl.sim.map.network import Control

STEP_S = 0.1
CAR = Car(2.0, 1.0, 1.5)


def drive(x_m: Any, **changes: Any) -> DriveRecord:
    """Return a drive of a car 4 m x 2 m whose centre was at x (T,), in the middle of a lane 4 m wide, alone."""
    x = np.asarray(x_m, float)
    rows, zeros = len(x), np.zeros(len(x))
    pose = np.column_stack([x, zeros, zeros])
    values: dict[str, Any] = {  # what tests change
        "end_reason": "arrived",
        "vx_mps": np.gradient(x, STEP_S) if rows > 1 else zeros,
        "others": nobody(rows),
        "lines": StopLines(np.zeros(0), np.zeros(0, np.int64), np.zeros((rows, 0), np.int64)),
    } | changes
    place = {
        "offset_m": zeros,
        "half_lane_m": np.full(rows, 2.0),
        "limit_mps": np.full(rows, np.inf),
        "in_junction": np.zeros(rows, bool),
        "in_one_lane": np.ones(rows, bool),
        "off_pavement_m": zeros,
        "direction": np.ones(rows),
    }
    place |= {name: np.broadcast_to(values.pop(name), rows) for name in place.keys() & values.keys()}
    ego = Ego(pose, np.broadcast_to(values.pop("vx_mps"), rows), zeros, zeros, x)
    return DriveRecord(
        road_seed=0, step_s=STEP_S, start_s_m=0.0, end_s_m=100.0, car=CAR, ego=ego, place=Place(**place), **values
    )


def nobody(rows: int) -> Others:
    return Others(
        np.zeros((rows, 0, 3)),
        np.zeros((rows, 0)),
        np.zeros((rows, 0), bool),
        np.zeros((0, 2)),
        np.zeros(0, int),
        np.zeros(0, bool),
    )


def other(
    x_m: Any, y_m: Any = 0.0, yaw_rad: float = 0.0, speed_mps: Any = 0.0, who: Any = "vehicle", emergency: bool = False
) -> Others:
    """Return one other, 4 m x 2 m, whose middle was at x, y (T,)."""
    x, y, speed = np.broadcast_arrays(np.asarray(x_m, float), np.asarray(y_m, float), np.asarray(speed_mps, float))
    pose = np.stack([x, y, np.full(x.shape, yaw_rad)], axis=-1)[:, None]
    half = np.array([[2.0, 1.0]])
    return Others(
        pose, speed[:, None], np.ones((len(x), 1), bool), half, np.array([ROAD_USERS.index(who)]), np.array([emergency])
    )


def line(s_m: float, light: Any, control: Control = Control.SIGNAL) -> StopLines:
    """Return one stop line with its light (T,)."""
    return StopLines(np.array([s_m]), np.array([int(control)]), np.asarray(light, int)[:, None])
