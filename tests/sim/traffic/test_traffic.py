"""Whole traffic: nobody touches anybody, nobody waits for ever, and neither order nor threads change a bit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from looped_streets import circuit, crossing

from drive_rl.config.specs.streets.map import RoundaboutsSpec, TownSpec
from drive_rl.config.specs.streets.traffic import TrafficSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.network import Control, RoadNetwork
from drive_rl.sim.map.roadside import bus_stops
from drive_rl.sim.map.streets.generate import map_of_seed
from drive_rl.sim.traffic.actors import (
    ACCELERATION,
    ASKS,
    DRIVES,
    HOLDS,
    LANE,
    LEAVING,
    SHIFT,
    SPEED,
    TO_LINE,
    WAITED,
    WANT,
    S,
    Traffic,
    new_traffic,
    reordered,
)
from drive_rl.sim.traffic.contacts import contacts
from drive_rl.sim.traffic.follow import find_way
from drive_rl.sim.traffic.population import LENGTH, PATIENCE, draw_vehicles
from drive_rl.sim.traffic.right_of_way import find_junction, take_anyway
from drive_rl.sim.traffic.step import step_traffic
from drive_rl.sim.traffic.streets import LANE_LENGTH, streets_of

NONE, STOP, YIELD, SIGNAL = Control.NONE, Control.STOP_SIGN, Control.GIVE_WAY, Control.SIGNAL
CARS = TrafficSpec(kinds={"car": 1})


def traffic_on(network: RoadNetwork, count: int, seed: int = 0, spec: TrafficSpec | None = None) -> Traffic:
    vehicles = draw_vehicles(spec or TrafficSpec(), "train", count, np.random.default_rng(seed))
    return new_traffic(streets_of(network), vehicles, seed)


@pytest.mark.parametrize("seed", range(4))
def test_all_begin_so_slowly_that_they_can_stop_before_a_junction(seed: int) -> None:
    network = map_of_seed(TownSpec(), seed).network
    traffic = traffic_on(network, 60, seed)
    near = 0
    for i, lane in enumerate(traffic.whole[:, LANE].tolist()):
        stop_s = float(network.stop_s_m[lane])
        if not np.isnan(stop_s):
            left_m = stop_s - float(traffic.real[i, S]) - float(traffic.driver[i, LENGTH]) / 2
            assert traffic.real[i, SPEED] ** 2 / (2 * 2.0) <= max(left_m, 0.0) + 1e-9, "with 2 m/s^2"
            near += left_m < 20
    assert near > 2, "some begin near a line"


@njit
def drive(traffic: Traffic, network: RoadNetwork, first: int, steps: int) -> tuple[int, float, int, float]:
    """Step; return contacts, metres driven, the longest wait [steps], and the hardest braking [m/s^2]."""
    touches, metres, longest, hardest = 0, 0.0, 0, 0.0
    for step in range(first, first + steps):
        step_traffic(traffic, step)
        if step % 2 == 0:
            touches += contacts(traffic, network).sum()
        metres += traffic.real[:, SPEED].sum() * traffic.dt_s
        longest = max(longest, traffic.whole[:, WAITED].max())
        hardest = min(hardest, traffic.real[:, ACCELERATION].min())
    return touches, metres, longest, hardest


def test_buses_call_at_their_stops_and_others_do_not() -> None:
    """Whoever passes a stop has stood with its front there for 5 to 15 s; in a town, half of them buses, for 5 min."""
    network = map_of_seed(TownSpec(), 3).network
    traffic = traffic_on(network, 30, 3, TrafficSpec(kinds={"car": 1, "bus": 1}))
    stops, half_m = bus_stops(network), traffic.driver[:, LENGTH] / 2
    buses = traffic.driver[:, LENGTH] > 10
    stood, called, passed = np.zeros(30, int), [], []
    for step in range(3000):
        lanes, before_m = traffic.whole[:, LANE].copy(), traffic.real[:, S] + half_m
        step_traffic(traffic, step)
        front_m, stop_m = traffic.real[:, S] + half_m, stops[lanes]
        stays = traffic.whole[:, LANE] == lanes
        stood += (traffic.real[:, SPEED] < 1) & stays & (abs(front_m - stop_m) < 3)
        passes = stays & (before_m < stop_m) & (front_m >= stop_m)
        called += stood[passes & buses].tolist()
        passed += stood[passes & ~buses].tolist()
        stood[passes | ~stays] = 0
    assert len(called) > 20
    assert len(passed) > 20
    assert np.median(passed) == 0
    assert np.mean(np.array(called) * traffic.dt_s >= 5) > 0.9, "but who comes too fast as it begins"
    assert np.median(called) * traffic.dt_s == pytest.approx(10, abs=3)
    assert not contacts(traffic, network).any()


def sound(traffic: Traffic) -> bool:
    """Return whether all are on the streets, with finite numbers."""
    lanes = traffic.whole[:, LANE]
    on = (lanes >= 0).all() and (lanes < len(traffic.streets.lane)).all() and (traffic.real[:, S] >= 0).all()
    on &= (traffic.real[:, S] <= traffic.streets.lane[lanes, LANE_LENGTH]).all()
    return bool(on and np.isfinite(traffic.real).all() and (traffic.real[:, SPEED] >= 0).all())


CROSSINGS = {
    "right before left": (NONE,) * 4,
    "four stop signs": (STOP,) * 4,
    "give way": (NONE, YIELD) * 2,
    "stop": (NONE, STOP) * 2,
    "signals": (SIGNAL,) * 4,
}


@pytest.mark.parametrize("name", CROSSINGS)
def test_a_crossing_flows_and_nobody_touches(name: str) -> None:
    network = crossing(CROSSINGS[name])
    traffic = traffic_on(network, 16)
    touches, metres, longest, hardest = drive(traffic, network, 0, 4000)
    assert touches == 0
    assert metres > 4000 * 0.1 * 16 * 3.0  # 3 m/s each on average
    assert longest * 0.1 < 150
    assert hardest > -6
    assert sound(traffic)


def test_who_has_stood_for_long_before_a_main_road_is_let_in() -> None:
    """Nobody is given a way across its own, once it has stood 2.5 times its patience and there is room behind.

    It is rare, and in which traffic it comes about depends on how the machine rounds sines.
    """
    network = crossing(CROSSINGS["give way"])
    waits, let_in, seeds = 0, 0, iter(range(24))
    while waits <= 20:
        of_this = _waits(network, traffic_on(network, 16, next(seeds)))
        waits, let_in = waits + len(of_this), let_in + sum(of_this)
    assert let_in == waits


def _waits(network: RoadNetwork, traffic: Traffic) -> list[bool]:
    """Return whether nobody was let in across its way, of each step in which one has stood for long."""
    found = []
    for step in range(4000):
        held = set(map(tuple, np.argwhere(traffic.hold >= 0)))
        waited = traffic.whole[:, WAITED].copy()
        step_traffic(traffic, step)
        given = {int(traffic.hold[at]) for at in set(map(tuple, np.argwhere(traffic.hold >= 0))) - held}
        for i in np.flatnonzero(waited * traffic.dt_s > 2.6 * traffic.driver[:, PATIENCE]):
            lane, want = traffic.whole[i, LANE], traffic.whole[i, WANT]
            first = want >= 0 and traffic.real[i, S] == traffic.real[traffic.whole[:, LANE] == lane, S].max()
            if not first or network.control[lane] != YIELD or traffic.real[i, TO_LINE] > 3:
                continue
            ahead = network.successor[network.first_successor[want]]
            if ahead in traffic.whole[:, LANE]:
                continue
            crossed = network.conflict_lane[network.first_conflict[want] : network.first_conflict[want + 1]]
            found.append(given.isdisjoint(crossed.tolist()))
    return found


@pytest.mark.parametrize("spec", [TownSpec(), RoundaboutsSpec()], ids=lambda spec: spec.kind)
def test_streets_flow_and_nobody_touches(spec) -> None:
    network = map_of_seed(spec, 1).network
    traffic = traffic_on(network, 32)
    touches, metres, longest, _ = drive(traffic, network, 0, 6000)
    assert touches == 0
    assert metres > 6000 * 0.1 * 32 * 3.0
    assert longest * 0.1 < 200
    assert sound(traffic)


@pytest.mark.parametrize("seed", range(4))
def test_a_bus_does_not_wait_for_ever_for_its_room_behind_a_junction(seed: int) -> None:
    """In town 2 shorter vehicles from the side took each place behind a junction before it was long enough: 480 s."""
    network = map_of_seed(TownSpec(), seed).network
    traffic = traffic_on(network, 40, seed)
    touches, _, longest, _ = drive(traffic, network, 0, 9000)
    assert touches == 0
    assert longest * 0.1 < 120


def test_lanes_are_changed_and_nobody_touches() -> None:
    network = circuit(3, length_m=1500)
    traffic = traffic_on(network, 40)
    changes, touches = 0, 0
    for step in range(3000):
        before = traffic.whole[:, LEAVING].copy()
        step_traffic(traffic, step)
        changes += int(((before < 0) & (traffic.whole[:, LEAVING] >= 0)).sum())
        touches += int(contacts(traffic, network).sum())
    assert changes > 20
    assert touches == 0
    assert np.abs(traffic.real[:, SHIFT]).max() <= 3.5
    assert sound(traffic)


def test_the_order_of_actors_does_not_matter() -> None:
    network = crossing((NONE, YIELD) * 2)
    order = np.random.default_rng(3).permutation(16)
    one = traffic_on(network, 16)
    other = reordered(traffic_on(network, 16), order)
    for traffic in (one, other):
        drive(traffic, network, 0, 3000)
    assert np.array_equal(one.real[order], other.real)
    assert np.array_equal(one.whole[order], other.whole)


def test_the_same_seed_is_the_same_traffic_on_any_thread() -> None:
    network = crossing((SIGNAL,) * 4)
    alone, *together = [traffic_on(network, 16) for _ in range(3)]
    drive(alone, network, 0, 1000)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda traffic: [step_traffic(traffic, k) for k in range(1000)], together))
    for traffic in together:
        assert np.array_equal(alone.real, traffic.real)
        assert np.array_equal(alone.whole, traffic.whole)
    assert not np.array_equal(alone.real, traffic_on(network, 16, seed=1).real)


def test_a_stop_sign_makes_everybody_stop() -> None:
    network = crossing((STOP,) * 4)
    traffic = traffic_on(network, 1, spec=CARS)
    slowest, lane = 99.0, traffic.whole[0, LANE]
    stops, passes = 0, 0
    for step in range(6000):
        step_traffic(traffic, step)
        slowest = min(slowest, traffic.real[0, SPEED])
        if traffic.whole[0, LANE] != lane:
            lane = traffic.whole[0, LANE]
            if network.junction[lane] >= 0:
                passes, stops = passes + 1, stops + (slowest < 0.3)
            slowest = 99.0
    assert passes >= 5
    assert stops == passes


def test_nobody_enters_on_red() -> None:
    network = crossing((SIGNAL,) * 4)
    traffic = traffic_on(network, 12)
    entered, red = 0, 0
    for step in range(4000):
        before = traffic.whole[:, LANE].copy()
        step_traffic(traffic, step)
        for i in np.flatnonzero((traffic.whole[:, LANE] != before) & (network.junction[traffic.whole[:, LANE]] >= 0)):
            into = (step * 0.1 - network.signal_start_s[network.signal[before[i]]]) % 40.0
            entered, red = entered + 1, red + (into > 14.0 + 3.0 + 5.0)  # the front is ahead of the centre by 5 m
    assert entered > 30
    assert red == 0


def test_drivers_brake_for_a_car_that_others_move() -> None:
    network = circuit(1, length_m=600)
    traffic = traffic_on(network, 8, spec=CARS)
    traffic.whole[0, DRIVES] = 0
    traffic.real[0, SPEED] = 0.0
    where = traffic.whole[0, LANE], traffic.real[0, S]
    touches, *_ = drive(traffic, network, 0, 1500)
    assert touches == 0
    assert (traffic.whole[0, LANE], traffic.real[0, S]) == where
    assert traffic.real[:, SPEED].max() < 0.2  # all stand behind it


def test_an_ego_car_in_a_junction_keeps_others_out() -> None:
    network = crossing()
    traffic = traffic_on(network, 12, spec=CARS)
    traffic.whole[0, DRIVES], traffic.whole[0, LANE] = 0, 9  # straight on from the east
    traffic.real[0, S], traffic.real[0, SPEED] = network.length_m[9] / 2, 0.0
    crossed = set()
    for step in range(2500):
        step_traffic(traffic, step)
        if step > 300:
            crossed |= set(traffic.whole[1:, LANE].tolist())
    conflicts = network.conflict_lane[network.first_conflict[9] : network.first_conflict[10]]
    assert not crossed & set(conflicts.tolist())


def test_who_takes_the_right_of_way_anyway_no_longer_asks_for_it() -> None:
    """Who asked on, for nothing, was served one connection after another to the end of its way, or for ever."""
    network = crossing()
    traffic = traffic_on(network, 1, spec=CARS)
    lane = int(np.flatnonzero(np.isfinite(network.stop_s_m))[0])
    traffic.whole[0, DRIVES], traffic.whole[0, LANE] = 0, lane
    traffic.real[0, S], traffic.real[0, SPEED] = network.stop_s_m[lane] - 4.0, 12.0  # cannot stop there any more
    find_way(0, traffic)
    find_junction(0, traffic)
    wanted = int(traffic.whole[0, WANT])
    assert wanted >= 0
    assert traffic.whole[0, ASKS]
    take_anyway(0, traffic)
    assert (traffic.whole[0, WANT], traffic.whole[0, ASKS]) == (-1, 0)
    assert traffic.hold[0].tolist() == [wanted, *[-1] * (HOLDS - 1)]
    step_traffic(traffic, 0)
    assert traffic.hold[0].tolist() == [wanted, *[-1] * (HOLDS - 1)]


def test_more_actors_than_the_lanes_hold_are_refused() -> None:
    with pytest.raises(DriveRLError, match=r"actors = 200: found place for \d+ on .*; fix: fewer actors"):
        traffic_on(circuit(1, length_m=400), 200)
