"""Records drives in the batch engine, a row a step, and hands each over as it ends. It drives nobody.

Only what is being driven is kept: of each car one drive.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.benchmark.driving.places import no_stop_lines, road_place, stop_lines, street_place
from drive_rl.benchmark.driving.record import ROAD_USERS, Car, DriveRecord, Ego, Floats, Others, Place, StopLines
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.task.outcome import END_REASONS, LANE_OFFSET, YAW, S, X
from drive_rl.sim.task.street_episode import built_ground, built_map
from drive_rl.sim.traffic.actors import LANE, SPEED
from drive_rl.sim.traffic.population import EMERGENCY, KINDS
from drive_rl.sim.traffic.streets import NONE

_VEHICLE, _CYCLIST, _PEDESTRIAN, _STATIC = map(ROAD_USERS.index, ("vehicle", "cyclist", "pedestrian", "static"))
_USERS = [_CYCLIST if kind == "cyclist" else _VEHICLE for kind in KINDS]
_WHO = np.array([*_USERS, _PEDESTRIAN, _PEDESTRIAN, _STATIC, _VEHICLE, _VEHICLE, _CYCLIST])
"""(kinds,), places in ROAD_USERS by `Vehicles.kind`."""


class _Row(NamedTuple):
    """A step of one car."""

    body: Floats  # (7,), vehicle.CarState
    metrics: Floats  # (14,), outcome.METRICS
    pose: Floats  # (A, 3), of the others
    speed: Floats  # (A,)
    present: NDArray[np.bool_]  # (A,)


class DriveRecorder:
    """Records the drives of a batch (an `evaluate.Recorder`).

    Args:
        batch: The batch, on the CPU.
        done: Takes each record as its drive ends.
    """

    def __init__(self, batch: Batch, done: Callable[[DriveRecord], None]) -> None:
        self._batch, self._done = batch, done
        car = batch.world.car
        self._car = Car(car.length_m / 2, car.width_m / 2, car.cg_to_rear_m)
        self._rows = dict[int, list[_Row]]()

    def begin(self, cars: Sequence[int]) -> None:
        """Record where some cars begin."""
        for car in cars:
            self._rows[car] = [self._row(car)]

    def step(self, ended: NDArray[np.int64]) -> None:
        """Record a step of all cars that drive; the drives of some have just ended."""
        for car, rows in self._rows.items():
            rows.append(self._row(car))
        for car in ended.tolist():
            self._done(self._record(car, self._rows.pop(car)))

    def _row(self, car: int) -> _Row:
        body, metrics = self._batch.cars.body[:, car].copy(), self._batch.cars.metrics[car].copy()
        return _Row(body, metrics, *_others(self._batch, car))

    def _record(self, car: int, rows: list[_Row]) -> DriveRecord:
        body, metrics, pose, speed, present = (np.array(column) for column in zip(*rows, strict=True))
        vx, vy, yaw_rate = body[:, 3:6].T  # (T,)
        ego = Ego(np.column_stack([metrics[:, X : X + 2], metrics[:, YAW]]), vx, vy, yaw_rate, metrics[:, S])
        place, lines, half_m, kind, span = _around(self._batch, car, self._car, ego, metrics[:, LANE_OFFSET])
        who, step_s = _WHO[kind], 1 / self._batch.world.task.control_hz
        crosses = np.isin(who, (_PEDESTRIAN, _CYCLIST)) & ~speed.any(axis=0)
        for each in np.flatnonzero(crosses):
            if _cross(pose[:, each], speed[:, each], step_s):
                half_m[each] = half_m[each, ::-1]
        return DriveRecord(
            road_seed=int(self._batch.road_seeds[car]),
            end_reason=END_REASONS[int(self._batch.cars.end[car]) - 1],
            step_s=step_s,
            start_s_m=span[0],
            end_s_m=span[1],
            car=self._car,
            ego=ego,
            place=place,
            others=Others(pose, speed, present, half_m, who, kind == EMERGENCY),
            lines=lines,
        )


def _others(batch: Batch, car: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return poses (A, 3), speeds (A,) [m/s] and presence (A,) of the others around a car, as they are now."""
    if isinstance(batch, StreetBatch):
        around = batch.scene.cars
        present = around.whole[car, 1:, LANE] != NONE
        return batch.actors(car), np.where(present, around.real[car, 1:, SPEED], 0.0), present
    parked = batch.maps.roads.parked[batch.slot[car]]
    count = int(batch.maps.roads.parked_count[batch.slot[car]])
    return parked[:count].copy(), np.zeros(count), np.ones(count, np.bool_)


def _cross(pose: Floats, speed: Floats, step_s: float) -> bool:
    """Enter which way and how fast somebody crosses a street, whom traffic moves from place to place facing along it:
    pose (T, 3), speed (T,); return whether that moves.
    """
    way = np.diff(pose[:, :2], axis=0)
    speed[1:] = np.hypot(*way.T) / step_s
    moves = np.flatnonzero(speed[1:])
    if moves.size:
        latest = np.searchsorted(moves, np.arange(-1, len(way)))  # before it begins, the way that it will take
        pose[:, 2] = np.arctan2(way[moves, 1], way[moves, 0])[np.minimum(latest, moves.size - 1)]
    return moves.size > 0


_Around = tuple[Place, StopLines, Floats, NDArray[np.int64], tuple[float, float]]


def _around(batch: Batch, car: int, body: Car, ego: Ego, offset_m: Floats) -> _Around:
    """Return what was under a car, stop lines, the sizes (A, 2) and kinds (A,) of others, and the route's span [m]."""
    world = batch.world
    if isinstance(batch, StreetBatch):
        assert world.streets is not None
        episode = batch.scene.episodes[car]
        which, route = (world.streets.map, episode.map_seed), episode.route
        network = built_map(*which).network
        times_s = (episode.first_step + np.arange(len(offset_m))) / world.task.control_hz
        place = street_place(network, built_ground(*which), route, body, ego, offset_m)
        sizes = np.column_stack([episode.vehicles.length_m, episode.vehicles.width_m])[1:] / 2
        lines = stop_lines(network, route, times_s)
        return place, lines, sizes, episode.vehicles.kind[1:], (route.start_m, route.end_m)
    roads, slot = batch.maps.roads, batch.slot[car]
    count = int(roads.parked_count[slot])
    place = road_place(world.road, roads.knots[slot], body, ego, offset_m)
    sizes = np.full((count, 2), [body.half_length_m, body.half_width_m])  # parked cars are of the ego car's kind
    span = float(roads.start_s[slot]), float(roads.end_s[slot])
    return place, no_stop_lines(len(offset_m)), sizes, np.full(count, KINDS.index("car")), span
