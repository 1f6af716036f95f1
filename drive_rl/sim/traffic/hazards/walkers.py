"""People who cross at zebra crossings, back and forth, whenever whoever comes can stop for them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.map.lane_geometry import locate, pose_at
from drive_rl.sim.map.network import Control, Light, RoadNetwork
from drive_rl.sim.traffic.actors import (
    ASIDE,
    DRIVES,
    FIRST,
    ID,
    LANE,
    LEAVING,
    ON_FOOT,
    SHIFT,
    SPEED,
    TO_START,
    S,
    Scripted,
    draw,
)
from drive_rl.sim.traffic.follow import list_by_lane
from drive_rl.sim.traffic.population import LENGTH, Vehicles, who_crosses
from drive_rl.sim.traffic.streets import CONTROL, END_BEFORE, FIRST_BEFORE, LANE_LENGTH, NONE, light_of

STRIP_LANE, STRIP_S, MIDDLE, SIDE, UNTIL = range(5)
"""Columns of strips: a lane that a pedestrian crosses, s on it [m], walked when it is in its middle [m], whether that
goes to the left (1) or to the right (-1) there, walked when it leaves it [m]."""
MOST_STRIPS = 8
MOST_LANES = 2
"""People cross no streets of more lanes: drivers mind them on the lane that they are on and the next one."""
ROW, SPEED_MPS, END_M = range(3)
"""Columns of `Walkers.plan`: the actor, how fast it walks [m/s], and how long its way is [m]."""
WALKS, STEPS, RESTS = range(3)
"""Columns of `Walkers.now`: how many ways it has gone, steps walked on this one, and for how many it waits."""
_MARGIN_M = 0.25
"""Who crosses has left a lane so far beside it [m]."""
_BESIDE_M = 1.2
_WALKS_MPS, _RESTS_S = (1.1, 1.6), (4.0, 25.0)
_REACTION_S, _BRAKES_MPS2, _ROOM_M = 1.0, 2.0, 2.5
"""Who comes brakes so hard after so long, and stops so far before them."""
_COMES_WITHIN_M = 60.0


class Walkers(NamedTuple):
    """P people; `now` alone changes."""

    plan: NDArray[np.float64]  # (P, 3)
    strips: NDArray[np.float64]  # (P, 2, MOST_STRIPS, 5), in the order in which they are crossed, there and back
    now: NDArray[np.int64]  # (P, 3)


class DrawnWalkers(NamedTuple):
    """People as an episode begins."""

    walkers: Walkers
    bodies: Sequence[Vehicles]
    scripted: tuple[Scripted, ...]


def draw_walkers(network: RoadNetwork, count: int, first: int, dt_s: float, rng: np.random.Generator) -> DrawnWalkers:
    """Draw people at a map's zebra crossings; `first`: the row of the first one.

    Raises:
        DriveRLError: there is no crossing.
    """
    lanes = np.repeat(np.arange(network.length_m.size), np.diff(network.first_crossing))
    at = np.flatnonzero((network.right[lanes] < 0) & (network.left[lanes] < 0))
    if not at.size:
        raise DriveRLError(
            f"streets.traffic.pedestrians = {count}: the map has no zebra crossings of streets with {MOST_LANES} lanes;"
            " fix: 0, or another streets.map"
        )
    body = who_crosses("pedestrian")
    reach_m = float(body.width_m[0]) / 2
    plan, strips, now = np.zeros((count, 3)), np.zeros((count, 2, MOST_STRIPS, 5)), np.zeros((count, 3), np.int64)
    scripted = []
    for i in range(count):
        k = int(at[rng.integers(at.size)])
        s_m = float(rng.uniform(network.crossing_s_m[k] + reach_m, network.crossing_end_s_m[k] - reach_m))
        ways = [strips_across(network, int(lanes[k]), s_m, (_BESIDE_M, reach_m), left) for left in (False, True)]
        for back, (rows, _) in enumerate(ways):
            strips[i, back, : len(rows)] = rows
        plan[i] = first + i, rng.uniform(*_WALKS_MPS), ways[0][1]
        now[i] = rng.integers(2), 0, rng.integers(int(_RESTS_S[1] / dt_s))
        row = strips[i, now[i, WALKS], 0]
        place = int(row[STRIP_LANE]), float(row[STRIP_S]), float(-row[SIDE] * row[MIDDLE])
        scripted.append(Scripted(*place, 0.0, ASIDE, 0, np.zeros((0, 3))))
    return DrawnWalkers(Walkers(plan, strips, now), [body] * count, tuple(scripted))


def strips_across(
    network: RoadNetwork, lane: int, s_m: float, body: tuple[float, float], from_left: bool
) -> tuple[NDArray[np.float64], float]:
    """Return the strips of a straight way across a street at a place on a lane, and the whole way's length [m].

    `body`: how far beside the street it begins and ends, and how far who crosses reaches before and behind it [m].
    """
    beside_m, reach_m = body
    x, y, _ = pose_at(network, lane, s_m, 0.0)
    lanes, right, left = [lane], int(network.right[lane]), int(network.left[lane])
    while right >= 0:
        lanes, right = [right, *lanes], int(network.right[right])
    while left >= 0:
        lanes, left = [*lanes, left], int(network.left[left])
    along, oncoming = len(lanes), int(network.opposite[lanes[-1]])
    while oncoming >= 0:
        lanes, oncoming = [*lanes, oncoming], int(network.right[oncoming])
    places = [locate(network, each, x, y) for each in lanes]
    ahead = np.where(np.arange(len(lanes)) < along, 1.0, -1.0)
    d_m = -ahead * [d for _, d in places]  # of each lane's middle, left-positive from the first one's
    half_m = network.width_m[lanes] / 2
    start_m = d_m[-1] + half_m[-1] + beside_m if from_left else d_m[0] - half_m[0] - beside_m
    walks = -1.0 if from_left else 1.0
    middle = walks * (d_m - start_m)
    left_m = middle + half_m + reach_m + _MARGIN_M
    rows = np.column_stack([lanes, [s for s, _ in places], middle, ahead * walks, left_m])
    rows = rows[:: int(walks)]
    return rows, float(rows[-1, MIDDLE] + network.width_m[int(rows[-1, STRIP_LANE])] / 2 + beside_m)


@njit_scalar
def place_on_strips(i, traffic, strips, way):
    """Put actor i where it is once it has walked some way [m]."""
    k = 0
    while k + 1 < MOST_STRIPS and way > strips[k, UNTIL] and strips[k + 1, UNTIL] > 0.0:
        k += 1
    traffic.whole[i, LANE], traffic.real[i, S] = int(strips[k, STRIP_LANE]), strips[k, STRIP_S]
    traffic.real[i, SHIFT] = strips[k, SIDE] * (way - strips[k, MIDDLE])


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
    """Return whether all who come can stop, and nobody has a green light."""
    streets = traffic.streets
    for k in range(MOST_LANES):
        lane = int(strips[k, STRIP_LANE])
        if strips[k, UNTIL] == 0.0:
            break
        has_signal = streets.tie[lane, CONTROL] == Control.SIGNAL
        if has_signal and light_of(streets, lane, step * traffic.dt_s) != Light.RED:
            return False
        if not _can_stop(traffic, lane, strips[k, STRIP_S] - 0.5 * traffic.driver[i, LENGTH]):
            return False
    return True


@njit_scalar
def _can_stop(traffic, lane, s):
    """Return whether nobody is at a place on a lane, and all can stop who come to it on that lane or the one before."""
    if not _stop_on(traffic, lane, 0.0, s):
        return False
    streets = traffic.streets
    for at in range(streets.tie[lane, FIRST_BEFORE], streets.tie[lane, END_BEFORE]):
        before = streets.previous[at]
        away = streets.lane[before, LANE_LENGTH]
        if s < _COMES_WITHIN_M and not _stop_on(traffic, before, away, s):
            return False
        for further in range(streets.tie[before, FIRST_BEFORE], streets.tie[before, END_BEFORE]):
            first = streets.previous[further]
            away_first = away + streets.lane[first, LANE_LENGTH]
            if s + away < _COMES_WITHIN_M and not _stop_on(traffic, first, away_first, s):
                return False
    return True


@njit_scalar
def _stop_on(traffic, lane, away, s):
    """Return whether all on a lane that begins so far before another one can stop before `s` on that, or are past."""
    entry, count = traffic.by_lane[lane, FIRST], traffic.whole.shape[0]
    while entry != NONE:
        j = entry % count
        left = s + away - traffic.place[entry] - 0.5 * traffic.driver[j, LENGTH]
        speed = traffic.real[j, SPEED]
        needs = _ROOM_M + speed * _REACTION_S + speed * speed / (2.0 * _BRAKES_MPS2) if speed > 0.1 else 0.5
        if -traffic.driver[j, LENGTH] - 1.5 < left < needs:
            return False
        entry = traffic.link[entry]
    return True
