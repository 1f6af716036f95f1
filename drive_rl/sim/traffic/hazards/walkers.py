"""People who cross at zebra crossings, back and forth, whenever whoever comes can stop for them. No hazard."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.map.network import Control, Light, RoadNetwork
from drive_rl.sim.traffic.actors import (
    ASIDE,
    DRIVES,
    FIRST,
    ID,
    LEAVING,
    ON_FOOT,
    SPEED,
    TO_START,
    WAITED,
    Scripted,
    draw,
)
from drive_rl.sim.traffic.follow import list_by_lane
from drive_rl.sim.traffic.hazards.strips import (
    MIDDLE,
    MOST_STRIPS,
    SIDE,
    STRIP_LANE,
    STRIP_S,
    UNTIL,
    place_on_strips,
    strips_across,
)
from drive_rl.sim.traffic.population import LENGTH, Vehicles, joined, who_crosses
from drive_rl.sim.traffic.streets import CONTROL, END_BEFORE, FIRST_BEFORE, LANE_LENGTH, NONE, TAIL, light_of

MOST_LANES = 2
"""People cross no streets of more lanes: drivers mind them on the lane that they are on and the next one."""
ROW, SPEED_MPS, END_M = range(3)
"""Columns of `Walkers.plan`: the actor, how fast it walks [m/s], and how long its way is [m]."""
WALKS, STEPS, RESTS = range(3)
"""Columns of `Walkers.now`: how many ways it has gone, steps walked on this one, and for how many it waits."""
_BESIDE_M = 1.2
_WALKS_MPS, _RESTS_S = (1.1, 1.6), (4.0, 25.0)
_REACTION_S, _BRAKES_MPS2, _ROOM_M = 1.0, 2.0, 2.5
"""Who comes brakes so hard after so long, and stops so far before them."""
_STANDS_MPS, _STANDS_M, _BEYOND_M = 0.1, 0.5, 1.5
"""Who stands does so at least so far before them, or with its rear so far beyond."""
_COMES_WITHIN_M = 60.0
_PATIENT_S, _NEXT_M = 12.0, 8.0
"""Who has stood before them for longer, so near, is let go first, but at a red light."""


class Walkers(NamedTuple):
    """P people; `now` alone changes."""

    plan: NDArray[np.float64]  # (P, 3)
    strips: NDArray[np.float64]  # (P, 2, MOST_STRIPS, 5), in the order in which they are crossed, there and back
    now: NDArray[np.int64]  # (P, 3)


class DrawnWalkers(NamedTuple):
    """People as an episode begins."""

    walkers: Walkers
    bodies: Vehicles
    scripted: tuple[Scripted, ...]


def draw_walkers(network: RoadNetwork, count: int, first: int, dt_s: float, rng: np.random.Generator) -> DrawnWalkers:
    """Draw people at a map's zebra crossings.

    Args:
        network: The map.
        count: How many.
        first: The row of the first one.
        dt_s: Time step [s].
        rng: Source of randomness.

    Raises:
        DriveRLError: there is no crossing.
    """
    body = who_crosses("pedestrian")
    reach_m = float(body.width_m[0]) / 2
    places = _places(network, 2 * reach_m)
    if not places:
        raise DriveRLError(
            f"streets.traffic.pedestrians = {count}: the map has no zebra crossings of streets with at most"
            f" {MOST_LANES} lanes; fix: 0, or another streets.map"
        )
    plan, strips, now = np.zeros((count, 3)), np.zeros((count, 2, MOST_STRIPS, 5)), np.zeros((count, 3), np.int64)
    scripted = []
    for i in range(count):
        lane, from_m, to_m = places[int(rng.integers(len(places)))]
        s_m = float(rng.uniform(from_m + reach_m, to_m - reach_m))
        ways = [strips_across(network, lane, s_m, (_BESIDE_M, reach_m), left) for left in (False, True)]
        for back, (rows, _) in enumerate(ways):
            strips[i, back, : len(rows)] = rows
        plan[i] = first + i, rng.uniform(*_WALKS_MPS), ways[0][1]
        now[i] = rng.integers(2), 0, rng.integers(int(_RESTS_S[1] / dt_s))
        row = strips[i, now[i, WALKS], 0]
        place = int(row[STRIP_LANE]), float(row[STRIP_S]), float(-row[SIDE] * row[MIDDLE])
        scripted.append(Scripted(*place, 0.0, ASIDE, 0, np.zeros((0, 3))))
    return DrawnWalkers(Walkers(plan, strips, now), joined([body] * count), tuple(scripted))


def _places(network: RoadNetwork, wide_m: float) -> list[tuple[int, float, float]]:
    """Return the crossings where people walk: the rightmost lane of a street, and from where to where on it [m]."""
    found = []
    for lane in np.flatnonzero((network.junction < 0) & (network.right < 0)).tolist():
        for k in range(network.first_crossing[lane], network.first_crossing[lane + 1]):
            from_m, to_m = float(network.crossing_s_m[k]), float(network.crossing_end_s_m[k])
            lanes = strips_across(network, lane, (from_m + to_m) / 2, (_BESIDE_M, wide_m / 2), False)[0]
            if to_m - from_m > wide_m and len(lanes) <= MOST_LANES:
                found.append((lane, from_m, to_m))
    return found


@njit_scalar
def walk_across(traffic, walkers, step):
    """Move all people by one step, before `step_traffic` moves the others; `step` is the clock of the signals."""
    listed = False
    for p in range(walkers.plan.shape[0]):
        i, now = int(walkers.plan[p, ROW]), walkers.now[p]
        if now[RESTS] > 0:
            now[RESTS] -= 1
            continue
        if now[STEPS] == 0:
            if not listed:
                list_by_lane(traffic)
                listed = True
            if not _may_step_out(i, traffic, walkers.strips[p, now[WALKS] % 2], step):
                continue
        now[STEPS] += 1
        way = walkers.plan[p, SPEED_MPS] * now[STEPS] * traffic.dt_s
        if way < walkers.plan[p, END_M]:
            traffic.whole[i, DRIVES] = ON_FOOT
        else:
            traffic.whole[i, DRIVES] = ASIDE
            now[WALKS], now[STEPS], way = now[WALKS] + 1, 0, 0.0
            share = draw(traffic.seed, traffic.whole[i, ID], now[WALKS]) / 2147483648.0
            now[RESTS] = int((_RESTS_S[0] + share * (_RESTS_S[1] - _RESTS_S[0])) / traffic.dt_s)
        strips = walkers.strips[p, now[WALKS] % 2]
        place_on_strips(i, traffic, strips, way)
        comes = now[STEPS] > 0 and way <= strips[0, UNTIL] and strips[1, UNTIL] > 0.0
        traffic.whole[i, LEAVING] = int(strips[1, STRIP_LANE]) if comes else NONE
        traffic.real[i, TO_START] = strips[1, STRIP_S]


@njit_scalar
def _may_step_out(i, traffic, strips, step):
    """Return whether all who come can stop, and those who wait at the line before the crossing have a red light."""
    streets = traffic.streets
    for k in range(MOST_LANES):
        lane, s = int(strips[k, STRIP_LANE]), strips[k, STRIP_S]
        if strips[k, UNTIL] == 0.0:
            break
        behind_line = s > streets.lane[lane, LANE_LENGTH] - streets.lane[lane, TAIL]
        has_signal = behind_line and streets.tie[lane, CONTROL] == Control.SIGNAL
        if has_signal and light_of(streets, lane, step * traffic.dt_s) != Light.RED:
            return False
        if not _can_stop(traffic, lane, s - 0.5 * traffic.driver[i, LENGTH], has_signal):
            return False
    return True


@njit_scalar
def _can_stop(traffic, lane, s, is_red):
    """Return whether nobody is at a place on a lane, and all can stop who come to it on that lane or the two before."""
    if not _stop_on(traffic, lane, 0.0, s, is_red):
        return False
    streets = traffic.streets
    for at in range(streets.tie[lane, FIRST_BEFORE], streets.tie[lane, END_BEFORE]):
        before = streets.previous[at]
        away = streets.lane[before, LANE_LENGTH]
        if s < _COMES_WITHIN_M and not _stop_on(traffic, before, away, s, False):
            return False
        for further in range(streets.tie[before, FIRST_BEFORE], streets.tie[before, END_BEFORE]):
            first = streets.previous[further]
            away_first = away + streets.lane[first, LANE_LENGTH]
            if s + away < _COMES_WITHIN_M and not _stop_on(traffic, first, away_first, s, False):
                return False
    return True


@njit_scalar
def _stop_on(traffic, lane, away, s, is_red):
    """Return whether all drivers on a lane that begins so far before another one can stop before `s` on that, or are
    past, and none has stood there for long without a red light.
    """
    entry, count = traffic.by_lane[lane, FIRST], traffic.whole.shape[0]
    while entry != NONE:
        j = entry % count
        left = s + away - traffic.place[entry] - 0.5 * traffic.driver[j, LENGTH]
        speed = traffic.real[j, SPEED]
        needs = (
            _ROOM_M + speed * _REACTION_S + speed * speed / (2.0 * _BRAKES_MPS2) if speed > _STANDS_MPS else _STANDS_M
        )
        if not is_red and 0.0 < left < _NEXT_M and traffic.whole[j, WAITED] * traffic.dt_s > _PATIENT_S:
            return False
        if traffic.whole[j, DRIVES] != ON_FOOT and -traffic.driver[j, LENGTH] - _BEYOND_M < left < needs:
            return False
        entry = traffic.link[entry]
    return True
