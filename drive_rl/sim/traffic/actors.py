"""The state of all actors of one map, and where they begin. Knows how to place them, not how they drive.

Everything that depends on an order follows the actors' ids, and every choice is a hash of seed, id and a count, so that
neither the order of the arrays nor the number of threads matters.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.traffic.idm import allowed_speed
from drive_rl.sim.traffic.population import Vehicles
from drive_rl.sim.traffic.streets import APPROACH, JUNCTION, LANE_LENGTH, LANE_SPEED, NONE, TAIL, Streets

HOLDS = 6
"""Connections that an actor can have the right of way on, or its body in, at once."""

ID, DRIVES, LANE, BEFORE, LEAVING, GOALS, WAITED, STOPPED, WANT, WANT_GOALS, ASKS = range(11)
"""Columns of `Traffic.whole`: what ties and choices depend on; who drives it; where its centre is (NONE: off the
streets, nobody sees it), the lane before, the other one that it takes up while it changes lanes, or walks to, there at
`TO_START`; goals reached so far; steps of standing; where on its lane it has stood, `AT_LINE` and `AT_BUS_STOP`; and of
this step: the next connection that it needs the right of way for, goals reached on the way there, whether it is near
enough to ask."""
S, SHIFT, SPEED, ACCELERATION, TO_LINE, TO_START, PUSH, GAP, LEAD_SPEED = range(9)
"""Columns of `Traffic.real`: s of its centre [m], what is left of a lane change, left-positive from where it ends [m],
speed [m/s], acceleration [m/s^2]; and of this step: from its front to the stop line, and from its centre to the
connection that it wants [m] (of who walks: s on the lane that it walks to), its next acceleration [m/s^2], the gap to
the one ahead whom it minds most [m], that one's speed [m/s]."""
AT_LINE, AT_BUS_STOP = 1, 2
"""Bits of `STOPPED`: before the stop line, and, for as long as it takes, at the bus stop."""
AHEAD = 6
"""Lanes ahead of an actor that are kept in `Traffic.way`."""
WAY = 3 + 2 * AHEAD
"""Columns of `Traffic.way`: `LANE`, `GOALS` and `DRIVES` that the rest is true for; then lane and goals, lane after
lane."""
FIRST, HELD, WANTED = range(3)
"""Columns of `Traffic.by_lane`: the first entries of three lists of each lane: who is on it; who holds it, as
`i * HOLDS + slot`; and who wants it (`WANT`)."""
NEXT_WANTED, QUEUE = HOLDS, HOLDS + 1
"""Columns of `Traffic.claim` after those of the slots, which link who holds a lane: who wants the same lane; and, not
by actor, who asks for the right of way."""
OTHERS_MOVE, OWN, EGO, ON_ROUTE, ON_FOOT, ASIDE, EGO_ASIDE = 0, 1, 2, 3, 4, 8, 10
"""Values of `DRIVES`: moved by others; by itself; as the ego car, which others move along `Traffic.route` and which
asks for the right of way as drivers do; by itself along that route (so one bit says who moves it, the next one whether
it is on that route); a pedestrian, moved by others, to whom junctions are nothing; one beside the lanes, whom no driver
minds; the ego car as such a one."""


class Traffic(NamedTuple):
    """All of one map's traffic: N actors. A step writes every array but `streets`, `driver` and `by_id`."""

    streets: Streets
    driver: NDArray[np.float64]  # (N, 15), population.DRIVER
    whole: NDArray[np.int64]  # (N, 11)
    real: NDArray[np.float64]  # (N, 9)
    hold: NDArray[np.int64]  # (N, HOLDS), connections that it may use; NONE: a free slot
    hold_s: NDArray[np.float64]  # (N, HOLDS), s of its centre along that connection, negative before it [m]
    by_id: NDArray[np.int64]  # (N,), rows in the order of ids
    route: NDArray[np.int64]  # (R,), lanes of the ego car's route, NONE after the last; `GOALS` of it counts them
    route_m: NDArray[np.float64]  # (R, 3), street_route.StreetRoute.spans
    way: NDArray[np.int64]  # (N, WAY), the lanes ahead of each actor, as `follow.find_way` found them
    by_lane: NDArray[np.int64]  # (L, 3)
    claim: NDArray[np.int64]  # (N, HOLDS + 2)
    link: NDArray[np.int64]  # (2 N,), the next entry of the list; entry N + i is actor i on the lane that it leaves
    place: NDArray[np.float64]  # (2 N,), s of an entry [m]
    seed: int
    dt_s: float


@njit_scalar
def draw(seed: int, who: int, count: int) -> np.int64:
    """Return a number in [0, 2^31) that depends on these three alone (splitmix64, Steele et al. 2014)."""
    z = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + np.uint64(who) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(count) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(0x94D049BB133111EB)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(33))


class Ego(NamedTuple):
    """Where the ego car begins."""

    route: NDArray[np.int64]  # Traffic.route
    route_m: NDArray[np.float64]  # Traffic.route_m
    s_m: float  # on its first lane
    speed_mps: float
    shift_m: float = 0.0  # value of `SHIFT`
    drives: int = EGO  # value of `DRIVES`


_NO_EGO = Ego(np.zeros(0, np.int64), np.zeros((0, 3)), 0.0, 0.0)


class Scripted(NamedTuple):
    """Where an actor begins that a script moves."""

    lane: int
    s_m: float
    shift_m: float  # value of `SHIFT`
    speed_mps: float
    drives: int  # value of `DRIVES`
    goals: int  # value of `GOALS`
    free: NDArray[np.float64]  # (K, 3), lane, from and to [m]: nobody else begins there


def new_traffic(
    streets: Streets,
    vehicles: Vehicles,
    seed: int,
    dt_s: float = 0.1,
    ego: Ego = _NO_EGO,
    scripted: Sequence[Scripted] = (),
) -> Traffic:
    """Return traffic that begins somewhere on the streets, outside junctions, at moderate speed: all can stop before
    the next junction.

    Args:
        streets: The streets.
        vehicles: The vehicles and their drivers.
        seed: Of the places where they begin and of all they choose later.
        dt_s: Time step.
        ego: Where the first vehicle begins if it is the ego car's.
        scripted: Where the last ones begin, which a script moves.

    Raises:
        DriveRLError: there are more vehicles than the lanes hold.
    """
    count, random = len(vehicles.kind), np.random.default_rng(seed)
    whole, real = np.full((count, 11), NONE, np.int64), np.zeros((count, 9))
    whole[:, ID], whole[:, DRIVES] = np.arange(count), OWN
    whole[:, [GOALS, WAITED, STOPPED, WANT_GOALS, ASKS]] = 0
    whole[:, LANE], real[:, S] = _places(streets, vehicles, random, ego, scripted)
    moderate = np.minimum(0.7 * streets.lane[whole[:, LANE], LANE_SPEED], vehicles.top_speed_mps)
    real[:, SPEED] = np.minimum(moderate, _stop_from(streets, whole[:, LANE], real[:, S] + vehicles.length_m / 2))
    if ego.route.size:
        whole[0, DRIVES], real[0, SHIFT], real[0, SPEED] = ego.drives, ego.shift_m, ego.speed_mps
    for i, each in enumerate(scripted, count - len(scripted)):
        whole[i, DRIVES], whole[i, GOALS] = each.drives, each.goals
        real[i, SHIFT], real[i, SPEED] = each.shift_m, each.speed_mps
    return Traffic(
        streets=streets,
        driver=np.column_stack(vehicles[1:]),
        whole=whole,
        real=real,
        hold=np.full((count, HOLDS), NONE, np.int64),
        hold_s=np.zeros((count, HOLDS)),
        by_id=np.arange(count),
        route=ego.route,
        route_m=ego.route_m,
        way=np.full((count, WAY), NONE, np.int64),
        by_lane=np.zeros((len(streets.lane), 3), np.int64),
        claim=np.zeros((count, HOLDS + 2), np.int64),
        link=np.zeros(2 * count, np.int64),
        place=np.zeros(2 * count),
        seed=seed,
        dt_s=dt_s,
    )


def reordered(traffic: Traffic, order: NDArray[np.int64]) -> Traffic:
    """Return a copy of traffic whose actors are in another order of rows; they drive alike."""
    whole = traffic.whole[order]
    rows = {name: getattr(traffic, name)[order] for name in ("driver", "real", "hold", "hold_s", "way")}
    return traffic._replace(
        whole=whole,
        **rows,
        by_id=np.argsort(whole[:, ID]),
        by_lane=traffic.by_lane.copy(),
        claim=traffic.claim.copy(),
        link=traffic.link.copy(),
        place=traffic.place.copy(),
    )


_TRIES = 200
_START_GAP_M = 6.0
_START_GAP_S = 1.0


def _places(
    streets: Streets, vehicles: Vehicles, random: np.random.Generator, ego: Ego, scripted: Sequence[Scripted]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return lane and s [m] of each vehicle, drawn by the lanes' lengths and apart from each other."""
    count = len(vehicles.kind)
    usable = streets.lane[:, LANE_LENGTH] - streets.lane[:, TAIL] - vehicles.length_m.max(initial=0)
    usable[streets.tie[:, JUNCTION] >= 0] = 0.0
    edges = np.cumsum(np.maximum(usable, 0.0))
    lanes, places = np.zeros(count, np.int64), np.zeros(count)
    if ego.route.size:
        lanes[0], places[0] = ego.route[0], ego.s_m
    scripts = len(scripted)
    for i, each in enumerate(scripted, count - scripts):
        lanes[i], places[i] = each.lane, each.s_m
    free = np.concatenate([np.zeros((0, 3)), *(each.free for each in scripted)])
    egos = min(ego.route.size, 1)
    draws, speed_mps = random.random(_TRIES * (count - scripts - egos)), streets.lane[:, LANE_SPEED]
    drawn = slice(count - scripts)
    placed = _place(draws, egos, edges, speed_mps, vehicles.length_m, lanes[drawn], places[drawn], free)
    if placed < count - scripts:
        raise DriveRLError(
            f"traffic: actors = {count - egos - scripts}: found place for {placed - egos} on"
            f" {edges[-1]:.0f} m of lanes in {_TRIES} tries; fix: fewer actors, or a larger map"
        )
    return lanes, places


def _stop_from(streets: Streets, lanes: NDArray[np.int64], front_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fastest speeds [m/s] (N,) from which those whose fronts are there still stop before a junction that
    their lane leads to, infinite where it leads to none.
    """
    leads = np.zeros(len(streets.lane), np.bool_)
    leads[streets.tie[streets.tie[:, JUNCTION] >= 0, APPROACH]] = True
    left_m = streets.lane[lanes, LANE_LENGTH] - streets.lane[lanes, TAIL] - front_m
    return np.where(leads[lanes], [allowed_speed(left, 0.0) for left in left_m.tolist()], np.inf)


@njit
def _place(draws, egos, edges, speed_mps, length_m, lanes, places, free):
    """Fill lane and s [m] of the vehicles after the ego car's from numbers in [0, 1), none of them on rows of
    `Scripted.free`; return who found no place, or how many vehicles there are.
    """
    tried = 0
    for i in range(egos, lanes.size):
        for _ in range(_TRIES):
            at = draws[tried] * edges[-1]
            tried += 1
            lane = np.searchsorted(edges, at, side="right")
            half = length_m[i] / 2
            s, fits = edges[lane] - at + half, True
            for j in range(i):
                room = (length_m[j] + length_m[i]) / 2 + _START_GAP_M + _START_GAP_S * speed_mps[lane]
                fits = fits and (lanes[j] != lane or abs(places[j] - s) >= room)
            for k in range(free.shape[0]):
                fits = fits and (free[k, 0] != lane or s + half <= free[k, 1] or s - half >= free[k, 2])
            if fits:
                lanes[i], places[i] = lane, s
                break
        else:
            return i
    return lanes.size
