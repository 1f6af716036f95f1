"""One drive as arrays: what all scores read. It knows no engine, map or driver.

SI units, radians; row 0 is the start, and a row follows after each step: T rows of T - 1 steps. World: x east, y north;
vehicle: x forward, y left; `s` [m] runs along the route, `offset` is left-positive from the lane's centre line.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.task.scoring import EndReason

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RoadUser = Literal["pedestrian", "cyclist", "vehicle", "static"]
ROAD_USERS: tuple[RoadUser, ...] = get_args(RoadUser)
"""`Others.who` holds places in it; motorcycles are vehicles."""


class Car(NamedTuple):
    """The ego car's body, a rectangle around its centre of gravity."""

    half_length_m: float
    half_width_m: float
    rear_axle_m: float  # from the centre of gravity back


class Ego(NamedTuple):
    """Where the ego car was."""

    pose: Floats  # (T, 3), x, y [m], yaw [rad] of the centre of gravity
    vx_mps: Floats  # (T,), forward
    vy_mps: Floats  # (T,), left
    yaw_rate_radps: Floats  # (T,)
    s_m: Floats  # (T,), along the route

    @property
    def speed_mps(self) -> Floats:
        """(T,), the magnitude."""
        return np.hypot(self.vx_mps, self.vy_mps)


class Place(NamedTuple):
    """What is under the ego car, by the map."""

    offset_m: Floats  # (T,), of its centre from the middle of the route's lane, near a change of lanes of the nearer
    half_lane_m: Floats  # (T,), half the width of that lane
    limit_mps: Floats  # (T,), speed limit; infinite: none
    in_junction: Flags  # (T,)
    in_one_lane: Flags  # (T,), all corners are in lanes of the route
    off_pavement_m: Floats  # (T,), how far the farthest corner is beside the pavement; 0: none is
    direction: Floats  # (T,), of the lane under its centre along the route: 1, -1 oncoming, 0 no lane


class Others(NamedTuple):
    """The A others around it."""

    pose: Floats  # (T, A, 3), x, y [m] and yaw [rad] of the middle
    speed_mps: Floats  # (T, A)
    present: Flags  # (T, A), false: nowhere, its pose means nothing
    half_m: Floats  # (A, 2), half length and half width
    who: NDArray[np.int64]  # (A,), places in ROAD_USERS
    emergency: NDArray[np.bool_]  # (A,), whether it is an emergency vehicle


class StopLines(NamedTuple):
    """The K stop lines on the route."""

    s_m: Floats  # (K,)
    control: NDArray[np.int64]  # (K,), network.Control
    light: NDArray[np.int64]  # (T, K), network.Light; of lines without a signal it means nothing


@dataclass(frozen=True)
class DriveRecord:
    """A drive from its start to its end."""

    road_seed: int
    end_reason: EndReason
    step_s: float
    start_s_m: float
    end_s_m: float
    car: Car
    ego: Ego
    place: Place
    others: Others
    lines: StopLines

    @property
    def route_completion(self) -> float:
        """Part of the route driven, in [0, 1]."""
        driven = (self.ego.s_m[-1] - self.start_s_m) / (self.end_s_m - self.start_s_m)
        return float(min(max(driven, 0.0), 1.0))

    @property
    def moved_m(self) -> Floats:
        """(T,), how far the car moved in the step before each row; 0 at the start."""
        return np.hypot(*np.diff(self.ego.pose[:, :2], axis=0, prepend=self.ego.pose[:1, :2]).T)
