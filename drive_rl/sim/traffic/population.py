"""Drivers drawn from populations, and vehicles by their kinds. Knows no roads."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import Split
from drive_rl.config.specs.car import CarSpec
from drive_rl.config.specs.streets.hazard import ObstacleBody
from drive_rl.config.specs.streets.traffic import POPULATIONS, PopulationSpec, TrafficSpec, VehicleKind

KINDS: tuple[VehicleKind, ...] = get_args(VehicleKind)
"""Kinds of vehicles; `Vehicles.kind` holds places in it."""
PEDESTRIAN = len(KINDS)
"""What `Vehicles.kind` holds for a pedestrian."""
WORKS = PEDESTRIAN + 2
"""The same for works in the road; the one between is a pedestrian with the other leg before."""
DOOR = WORKS + 1
"""The same for a car's door that stands open."""
EMERGENCY = DOOR + 1
"""The same for an emergency vehicle."""
CROSSING_CYCLIST = EMERGENCY + 1
"""The same for a cyclist who crosses the street: it faces across the lane, so that it is wider than long."""


class Body(NamedTuple):
    """What a kind of vehicle is like: its size [m], and the most that it can do [m/s, m/s^2]."""

    length_m: float
    width_m: float
    height_m: float
    top_speed_mps: float
    acceleration_mps2: float


BODIES: dict[VehicleKind, Body] = {
    "car": Body(4.4, 1.8, 1.45, 50.0, 5.0),
    "van": Body(5.5, 2.0, 2.3, 42.0, 2.5),
    "lorry": Body(8.0, 2.4, 3.3, 25.0, 1.2),
    "bus": Body(10.5, 2.5, 3.1, 25.0, 1.2),
    "motorcycle": Body(2.2, 0.8, 1.5, 50.0, 5.0),
    "cyclist": Body(1.8, 0.6, 1.75, 7.0, 1.0),
}


_BUS_STOPS_S = 10.0
_EMERGENCY_GAP_S, _EMERGENCY_BRAKING_MPS2 = 0.7, 3.0
_WORKS = Body(7.0, 2.2, 1.1, 0.0, 0.0)
_DOOR = Body(0.15, 1.1, 1.25, 0.0, 0.0)
_ON_FOOT = Body(0.5, 0.5, 1.75, 0.0, 0.0)


class Vehicles(NamedTuple):
    """N vehicles and their drivers."""

    kind: NDArray[np.int64]  # (N,), places in KINDS
    length_m: NDArray[np.float64]  # (N,)
    width_m: NDArray[np.float64]  # (N,)
    top_speed_mps: NDArray[np.float64]  # (N,)
    speed_factor: NDArray[np.float64]  # (N,), and what follows as `PopulationSpec` has it
    time_gap_s: NDArray[np.float64]
    min_gap_m: NDArray[np.float64]
    acceleration_mps2: NDArray[np.float64]
    braking_mps2: NDArray[np.float64]
    politeness: NDArray[np.float64]
    accepted_gap_s: NDArray[np.float64]
    patience_s: NDArray[np.float64]
    offset_m: NDArray[np.float64]
    speed_swing: NDArray[np.float64]
    inattention_s: NDArray[np.float64]
    dwell_s: NDArray[np.float64]  # mean time at a bus stop, 0: does not call there


(
    LENGTH, WIDTH, TOP_SPEED, SPEED_FACTOR, TIME_GAP, MIN_GAP, MOST_ACCELERATION, BRAKING, POLITENESS, ACCEPTED_GAP,
    PATIENCE, OFFSET, SPEED_SWING, INATTENTION, DWELL,
) = range(15)  # fmt: skip
"""Columns of vehicles as compiled code reads them: the fields of `Vehicles` but the first."""

_RANGES = tuple(PopulationSpec.model_fields)


def draw_vehicles(traffic: TrafficSpec, split: Split, count: int, random: np.random.Generator) -> Vehicles:
    """Return `count` vehicles and their drivers, drawn from the populations of a split.

    Each takes as many draws as any other, so that one more vehicle changes none before it.
    """
    draws = random.random((count, 2 + len(_RANGES)))
    kinds = [list(traffic.kinds)[k] for k in _choices(traffic.kinds, draws[:, 0])]
    shares = traffic.shares(split)
    drivers = [POPULATIONS[list(shares)[k]] for k in _choices(shares, draws[:, 1])]
    bounds = np.array([[getattr(driver, name) for name in _RANGES] for driver in drivers]).reshape(
        count, len(_RANGES), 2
    )
    drawn = bounds[..., 0] + (bounds[..., 1] - bounds[..., 0]) * draws[:, 2:]
    drivers_by_name = dict(zip(_RANGES, np.ascontiguousarray(drawn.T), strict=True))
    bodies = np.array([BODIES[kind] for kind in kinds]).reshape(count, len(Body._fields)).T.copy()
    drivers_by_name["acceleration_mps2"] = np.minimum(drivers_by_name["acceleration_mps2"], bodies[4])
    kind = np.array([KINDS.index(kind) for kind in kinds], np.int64)
    dwell_s = np.where(kind == KINDS.index("bus"), _BUS_STOPS_S, 0.0)
    return Vehicles(kind, bodies[0], bodies[1], bodies[3], **drivers_by_name, dwell_s=dwell_s)


def with_ego(vehicles: Vehicles, car: CarSpec) -> Vehicles:
    """Return the vehicles behind the ego car, whom others take for a normal driver in the middle of its lane."""
    own = _normal(car.length_m, car.width_m, BODIES["car"].top_speed_mps)
    return joined([own, vehicles])


def one_of(body: ObstacleBody, top_speed_mps: float) -> Vehicles:
    """Return one vehicle of a kind, or works, with a normal driver and another top speed."""
    size = _WORKS if body == "works" else BODIES[body]
    kind = WORKS if body == "works" else KINDS.index(body)
    return _normal(size.length_m, size.width_m, top_speed_mps)._replace(kind=np.array([kind]))


def door() -> Vehicles:
    """Return an open door as one vehicle of kind `DOOR`."""
    return _normal(_DOOR.length_m, _DOOR.width_m, 0.0)._replace(kind=np.array([DOOR]))


def who_crosses(who: Literal["pedestrian", "cyclist"]) -> Vehicles:
    """Return who crosses a street as one vehicle of kind `PEDESTRIAN` or `CROSSING_CYCLIST`: its length is along the
    lane that it crosses.
    """
    body, kind = (BODIES["cyclist"], CROSSING_CYCLIST) if who == "cyclist" else (_ON_FOOT, PEDESTRIAN)
    return _normal(body.width_m, body.length_m, 0.0)._replace(kind=np.array([kind]))


def emergency_vehicle(speed_factor: float) -> Vehicles:
    """Return an emergency vehicle as one vehicle of kind `EMERGENCY`, with a brisk driver."""
    van = BODIES["van"]
    return _normal(van.length_m, van.width_m, BODIES["car"].top_speed_mps)._replace(
        kind=np.array([EMERGENCY]),
        speed_factor=np.array([speed_factor]),
        acceleration_mps2=np.array([van.acceleration_mps2]),
        braking_mps2=np.array([_EMERGENCY_BRAKING_MPS2]),
        time_gap_s=np.array([_EMERGENCY_GAP_S]),
    )


def _normal(length_m: float, width_m: float, top_speed_mps: float) -> Vehicles:
    """Return a car of a size [m] and a top speed [m/s] whose driver is in the middle of the normal population."""
    middle = [sum(getattr(POPULATIONS["normal"], name)) / 2 for name in _RANGES]
    row = (length_m, width_m, top_speed_mps, *middle, 0.0)
    return Vehicles(np.array([KINDS.index("car")]), *(np.array([value], np.float64) for value in row))


def joined(parts: Sequence[Vehicles]) -> Vehicles:
    """Return the vehicles of all parts, one after another."""
    columns: list[NDArray[Any]] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Vehicles(*columns)


def _choices(weights: Mapping[Any, float], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which entry of `weights` each draw in [0, 1) hits."""
    edges = np.cumsum(np.array(list(weights.values()), np.float64))
    return np.searchsorted(edges / edges[-1], draws, side="right").astype(np.int64)
