"""A rule-based privileged planner: the reference driver that also passes what stands or rides slowly in its lane.

It steers around it inside its lane where that is wide enough, and else in the lane on its left: when the gap there is
long enough for the way past and back, by the time that it needs and the others' speeds. Until then it waits. It has no
memory: who reaches into the other lane already, and is beside what it passes, goes on.
"""

import numpy as np

from drive_rl.config.specs.car import CarSpec
from drive_rl.config.specs.driver import ExpertSpec
from drive_rl.config.specs.task import TaskSpec
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.reference import Fields, ReferenceDriver
from drive_rl.sim.task.outcome import STATE_FIELDS
from drive_rl.sim.traffic.passing import FAR_M, PASSING_FIELDS

_ACCELERATION_MPS2 = 2.0
_BRAKING_MPS2 = 2.0
_REACTION_S = 1.5
_BACK_M = 10.0
"""How far behind what it passed it is back in its lane [m]."""
_ROOM_M = 10.0
"""What should be left of the gap to who comes then [m]."""
_LEAST_ONCOMING_MPS = 8.0
"""Who stands in the oncoming lane may set off [m/s]."""
_BEGINS_S, _BEGINS_M = 3.0, 12.0
"""It begins to steer out so long before, and so far [m]."""
_COMMITTED_M = 7.0
"""So near to what it passes it no longer turns back once it reaches into the other lane [m]."""
_OUT_ROOM_M = 3.0
"""`_ROOM_M` of who reaches into it farther away [m]."""
_ASIDE_MPS = 2.0
"""How fast it moves over, before it speeds up [m/s]."""


class ExpertDriver(ReferenceDriver):
    """Drives as the reference, and passes obstacles (a `Driver`); in worlds without any it is the reference.

    Args:
        spec: The reference driver's numbers, and those of passing.
        car: The car's axles, size and steering range.
        task: What the world's actions control, and how.
    """

    def __init__(self, spec: ExpertSpec, car: CarSpec, task: TaskSpec) -> None:
        super().__init__(spec, car, task)
        self._passing = spec

    def act(self, observations: Batch) -> np.ndarray:
        """Return (B, 2) steering and pedal in [-1, 1], or (B, 1) steering, for (B, F) states."""
        state = np.asarray(observations, np.float64)
        if state.shape[1] == len(STATE_FIELDS):
            return super().act(state)
        fields = {name: state[:, i] for i, name in enumerate((*STATE_FIELDS, *PASSING_FIELDS))}
        wanted_m, speed_mps = self._plan(fields)
        away_m = np.abs(wanted_m - fields["offset_m"])
        lookahead_m = np.maximum(self._lookahead_m(fields), np.where(away_m > 0.3, fields["speed_mps"] * 1.2, 0.0))
        return self._actions({**fields, "target_speed_mps": speed_mps}, wanted_m, lookahead_m)

    def _plan(self, fields: Fields) -> tuple[np.ndarray, np.ndarray]:
        """Return the offset from the lane's centre line [m] and the speed [m/s] to aim at, (B,) each."""
        spec, half_m = self._passing, self._car.width_m / 2
        way_m, slow, free = fields["obstacle_m"], fields["obstacle_speed_mps"], fields["free_speed_mps"]
        needed_m = np.maximum(fields["obstacle_left_m"] + spec.clearance_m + half_m, 0.0)
        in_lane = needed_m + half_m <= fields["lane_left_m"]
        fits = needed_m + half_m <= fields["beside_left_m"]
        out = fields["offset_m"] + half_m > fields["lane_left_m"]
        goes = in_lane | (fits & (self._gap_is_long(fields, needed_m, out) | (out & (way_m < _COMMITTED_M))))
        near = way_m < np.maximum(_BEGINS_S * np.maximum(fields["speed_mps"] - slow, 0.0), _BEGINS_M)
        passes = (way_m < FAR_M) & goes & near
        turns = passes & (needed_m - fields["offset_m"] > spec.clearance_m / 2)
        steers = np.where(turns, np.maximum(way_m / 2, 2.0) + slow, np.inf)
        past = np.minimum(np.minimum(free, spec.speed_mps + slow), steers)
        stops = _fastest(way_m - spec.stop_gap_m, slow)
        held = np.where(way_m < FAR_M, np.minimum(free, stops), free)
        keeps_m = np.minimum(fields["lane_left_m"] - spec.clearance_m - half_m, 0.0)  # right of who reaches over
        return np.where(passes, needed_m, keeps_m), np.where(passes, past, held)

    def _gap_is_long(self, fields: Fields, needed_m: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Return whether nobody in the lane on the left would be met while passing (B,).

        Args:
            fields: The state.
            needed_m: (B,), the offset that it passes at.
            out: (B,), whether it reaches into that lane.
        """
        speed, slow = fields["speed_mps"], fields["obstacle_speed_mps"]
        most = np.minimum(np.maximum(fields["free_speed_mps"], 3.0), self._passing.speed_mps + slow)
        way_m = fields["obstacle_end_m"] + _BACK_M
        time_s = _time_past(way_m, speed, np.maximum(most, slow + 1.0), slow)
        time_s = time_s + np.maximum(needed_m - fields["offset_m"], 0.0) / _ASIDE_MPS
        oncoming_mps = np.maximum(-fields["beside_ahead_mps"], _LEAST_ONCOMING_MPS)
        met_m = way_m + (slow + oncoming_mps) * time_s + np.where(out, _OUT_ROOM_M, _ROOM_M)
        closing = np.maximum(fields["beside_behind_mps"] - speed, 0.0)
        safe_m = 4.0 + closing * _REACTION_S + closing**2 / (2 * _BRAKING_MPS2)
        same = (fields["beside_ahead_m"] > 3.0) & (fields["beside_behind_m"] > safe_m)
        direction = fields["beside_direction"]
        return ((direction > 0) & same) | ((direction < 0) & (fields["beside_ahead_m"] > met_m))


def _fastest(gap_m: np.ndarray, speed_mps: np.ndarray) -> np.ndarray:
    """Return the fastest speed [m/s] from which the car comes to another one's within a gap, as Gipps' (1981)."""
    reach = _BRAKING_MPS2 * 1.0
    return np.sqrt(reach**2 + speed_mps**2 + 2 * _BRAKING_MPS2 * np.maximum(gap_m, 0.0)) - reach


def _time_past(way_m: np.ndarray, speed: np.ndarray, most: np.ndarray, slow: np.ndarray) -> np.ndarray:
    """Return the time [s] in which a car gains so much way on one that drives `slow`, from `speed` up to `most`."""
    begun, best = np.maximum(speed - slow, 0.0), most - slow
    gains_m = (best**2 - np.minimum(begun, best) ** 2) / (2 * _ACCELERATION_MPS2)
    short = (np.sqrt(begun**2 + 2 * _ACCELERATION_MPS2 * np.maximum(way_m, 0.0)) - begun) / _ACCELERATION_MPS2
    long = (best - np.minimum(begun, best)) / _ACCELERATION_MPS2 + (way_m - gains_m) / best
    return np.where(gains_m >= way_m, short, long)
