"""Hazards on the way: what each does, by numbers worked out beside it; both engines are one world; states resume."""

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.envs.street_views import street_driver_view
from drive_rl.sim.map.geometry import project
from drive_rl.sim.map.lane_geometry import light_at
from drive_rl.sim.map.network import Light
from drive_rl.sim.task.outcome import ARRIVED, COLLISION, SPEED, TARGET_SPEED
from drive_rl.sim.task.street_episode import built_map, draw_street_episode
from drive_rl.sim.traffic.actors import DRIVES, LANE
from drive_rl.sim.traffic.contacts import contacts
from drive_rl.sim.traffic.hazards.hazard import (
    ACTS,
    AT,
    AT_S,
    CONNECTION,
    FROM_M,
    GOES_ON,
    OVER,
    PHASE,
    SPEED_MPS,
    WAITS,
)
from drive_rl.sim.vehicle import CarState

WORLDS = {
    "hard_brake": ["streets.hazard={kind: hard_brake}"],
    "blocked_lane": ["streets.hazard={kind: blocked_lane}"],
    "takes_priority": ["streets.hazard={kind: takes_priority}", "streets.junction={control: none}"],
    "runs_red_light": ["streets.hazard={kind: runs_red_light}", "streets.junction={control: signal, light: green}"],
    "crossing_pedestrian": ["streets.hazard={kind: crossing_pedestrian}"],
    "cut_in": ["streets.hazard={kind: cut_in}"],
    "crossing_cyclist": ["streets.hazard={kind: crossing_pedestrian, who: cyclist, beside_m: [2, 3]}"],
}
Act = Callable[[np.ndarray], np.ndarray]


def world_of(kind: str, *changes: str) -> WorldSpec:
    return load_world("town", [*WORLDS[kind], "streets.traffic.actors=16", *changes])


def streets_of(world: WorldSpec) -> StreetsSpec:
    return cast(StreetsSpec, world.streets)


def reference(world: WorldSpec) -> Act:
    driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
    return lambda state: driver.act(state).astype(float)


class Trace:
    """What the hazard of one car did, a row a step, from the moment before the first."""

    def __init__(self, world: WorldSpec, seed: int, act: Act, steps: int = 600) -> None:
        self.batch = cast(StreetBatch, cpu_batch(world, 1, "state", 1))
        self.batch.begin([0], [seed])
        self.episode, self.plan = self.batch.scene.episodes[0], self.batch.scene.cars.hazard_plan[0]
        rows = [self._row()]
        for _ in range(steps):
            if len(self.batch.step(act(self.batch.cars.state))):
                break
            rows.append(self._row())
        self.end = int(self.batch.cars.end[0])
        self.phase, self.lane, self.speed, self.pose, self.car = (
            np.array(column) for column in zip(*rows, strict=True)
        )

    def _row(self) -> tuple[int, int, float, np.ndarray, np.ndarray]:
        cars, metrics = self.batch.scene.cars, self.batch.cars.metrics[0]
        phase, lane, speed = cars.hazard[0, PHASE], cars.whole[0, -1, LANE], cars.real[0, -1, 2]
        return int(phase), int(lane), float(speed), self.batch.actors(0)[-1], metrics[[SPEED, TARGET_SPEED]].copy()


@pytest.mark.parametrize("kind", WORLDS)
def test_both_engines_meet_the_same_hazard(kind: str) -> None:
    """Positions, pictures, target speeds and ends, with the reference driver; the hazard begins."""
    world, seed = world_of(kind), 10_000
    env, batch = (
        cast(StreetEnv, make_env(world, observation="camera+state")),
        cast(StreetBatch, cpu_batch(world, 1, "camera+state", 1)),
    )
    act, phases = reference(world), set[int]()
    seen, _ = env.reset(options={"road_seed": seed})
    batch.begin([0], [seed])
    for _ in range(300):
        assert np.array_equal(seen["camera"], batch.pictures[0])
        action = act(seen["state"][None])
        seen, reward, terminated, truncated, info = env.step(action[0])
        batch.step(action)
        phases.add(int(batch.scene.cars.hazard[0, PHASE]))
        assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
        assert info["target_speed_mps"] == pytest.approx(float(batch.cars.metrics[0, TARGET_SPEED]), abs=1e-6)
        assert reward == pytest.approx(float(batch.cars.reward[0]), abs=1e-9)
        assert info["end_reason"] == batch.cars.end[0]
        if terminated or truncated:
            break
    assert len(phases) > 1
    env.close()
    batch.close()


@pytest.mark.parametrize("kind", WORLDS)
def test_the_reference_driver_stops_for_it(kind: str) -> None:
    world = world_of(kind)
    batch, act = cast(StreetBatch, cpu_batch(world, 8, "state", 1)), reference(world)
    batch.begin(range(8), range(10_000, 10_008))
    began, ends = np.zeros(8, bool), np.zeros(8, int)
    for _ in range(1500):
        ended = batch.step(act(batch.cars.state))
        began |= batch.scene.cars.hazard[:, PHASE] > WAITS
        for car in ended.tolist():
            ends[car] = batch.cars.end[car]
            batch.idle(car)
        if ends.all():
            break
    assert (ends == ARRIVED).all()
    assert began.sum() >= 6
    batch.close()


def test_who_brakes_hard_stops_in_the_way_that_physics_allows() -> None:
    world = world_of("hard_brake", "streets.hazard.stands_s=[2.5, 2.5]")
    trace = Trace(world, 10_000, reference(world))
    first = int(np.argmax(trace.phase == ACTS))
    before, speed = trace.pose[first - 1], trace.speed[first - 1]
    stopped = int(np.argmax(trace.phase == GOES_ON))
    assert speed > 4
    assert stopped - first + 1 == math.ceil(speed / 8 / 0.1)
    way = trace.pose[first - 1 : stopped + 1, :2]
    assert np.hypot(*np.diff(way, axis=0).T).sum() == pytest.approx(speed**2 / 16, abs=0.02)
    assert math.dist(before[:2], trace.pose[stopped, :2]) == pytest.approx(speed**2 / 16, abs=0.1)
    on = int(np.argmax(trace.phase == OVER))
    assert on - stopped == 25
    assert (trace.speed[stopped:on] == 0).all()
    assert trace.speed[on + 20] > 1
    target = trace.car[stopped : on + 1, 1]
    assert target[-1] < 0.2  # the car behind it comes to stand
    assert (np.diff(target) < 0).all()


def test_a_blocked_lane_is_behind_the_junction_and_frees_itself() -> None:
    world = world_of("blocked_lane", "streets.hazard.stands_s=[4, 4]", "streets.hazard.distance_m=[6, 6]")
    for seed in (0, 10_001, 20_002):
        episode = draw_street_episode(world, streets_of(world), seed)
        network, route = built_map(streets_of(world).map, episode.map_seed).network, episode.route
        first = next(k for k, lane in enumerate(route.lanes) if network.junction[lane] >= 0)
        assert episode.traffic.whole[-1, LANE] == route.lanes[first + 1]
        assert episode.traffic.real[-1, 0] == pytest.approx(6 + 4.4 / 2)
    trace = Trace(world, 10_001, reference(world))
    near, on = (int(np.argmax(trace.phase == phase)) for phase in (GOES_ON, OVER))
    assert on - near == 40
    assert np.ptp(trace.pose[:on], axis=0).max() == 0
    assert trace.speed[on + 20] > 1


@pytest.mark.parametrize("kind", ["takes_priority", "runs_red_light"])
def test_who_crosses_meets_a_car_that_minds_nobody(kind: str) -> None:
    """It is on its connection, on red where it runs a light, and hits who drives on; the reference it does not."""
    world = world_of(kind, "streets.traffic.actors=0")
    act, met = reference(world), 0
    for seed in range(10_000, 10_008):
        trace = Trace(world, seed, lambda state: act(np.where(np.arange(11) == 6, 8.0, state)), 250)
        crosses = trace.lane == int(trace.plan[CONNECTION])
        assert crosses.any()
        network = built_map(streets_of(world).map, trace.episode.map_seed).network
        approach = network.predecessor[network.first_predecessor[int(trace.plan[CONNECTION])]]
        if kind == "runs_red_light":
            time_s = (trace.episode.first_step + int(np.argmax(crosses))) / world.task.control_hz
            assert light_at(network, int(network.signal[approach]), time_s) == Light.RED
        met += trace.end == COLLISION
    assert met >= 6


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_pedestrian_crosses_the_route_when_it_was_predicted(side: str) -> None:
    world = world_of("crossing_pedestrian", f"streets.hazard.side={side}", "streets.hazard.early_s=[0, 0]")
    trace = Trace(world, 10_000, reference(world))
    knots, plan = trace.episode.road.knots, trace.plan
    first = int(np.argmax(trace.phase == ACTS))
    near_m = float(trace.episode.route.from_m[int(plan[AT])] + plan[AT_S])
    beside = np.array([project(knots, x, y, near_m)[1] for x, y, _ in trace.pose])
    assert (beside[0] > 0) == (side == "left")
    assert np.ptp(beside[: first + 1]) < 1e-9
    assert 1 <= plan[SPEED_MPS] <= 1.8
    due = abs(beside[0]) / plan[SPEED_MPS] * 10  # steps until it is in the middle of the lane
    assert plan[FROM_M] == pytest.approx(abs(beside[0]), abs=1e-3)
    crosses = int(np.flatnonzero(np.sign(beside) == -np.sign(beside[0]))[0])
    assert crosses - first == math.ceil(due)
    walked = trace.pose[first : first + int(due)]
    assert np.hypot(*np.diff(walked[:, :2], axis=0).T) == pytest.approx(plan[SPEED_MPS] / 10, abs=1e-4)
    assert trace.end in (0, ARRIVED)
    assert trace.phase[-1] == OVER


def test_a_pedestrian_is_hit_by_who_does_not_look() -> None:
    world = world_of("crossing_pedestrian", "streets.traffic.actors=0")
    act, hit = reference(world), 0
    for seed in range(10_000, 10_008):
        hit += Trace(world, seed, lambda state: act(np.where(np.arange(11) == 6, 8.0, state)), 250).end == COLLISION
    assert hit >= 6


def test_the_camera_sees_the_pedestrian() -> None:
    world = world_of("crossing_pedestrian", "streets.traffic.actors=0")
    batch, act = cast(StreetBatch, cpu_batch(world, 1, "state", 1)), reference(world)
    batch.begin([0], [10_000])
    while batch.scene.cars.hazard[0, PHASE] != GOES_ON:
        batch.step(act(batch.cars.state))
    car, steps = CarState(*batch.cars.body[:, 0].tolist()), int(batch.cars.steps[0])
    seen = street_driver_view(world, batch.scene, 0, car, steps, (128, 80)).astype(int)
    batch.scene.cars.whole[0, -1, LANE] = -1
    differs = np.abs(seen - street_driver_view(world, batch.scene, 0, car, steps, (128, 80))).max(2) > 20
    rows, columns = (np.ptp(np.flatnonzero(differs.any(axis))) for axis in (1, 0))
    assert rows > columns > 2  # upright, and more than a dot


@pytest.mark.parametrize("kind", WORLDS)
def test_nobody_touches_where_a_hazard_begins(kind: str) -> None:
    world = world_of(kind, "streets.traffic.actors=40")
    for seed in (*range(4), 10_000, 20_000, 20_001):
        episode = draw_street_episode(world, streets_of(world), seed)
        network = built_map(streets_of(world).map, episode.map_seed).network
        assert not contacts(episode.traffic, network).any()
        again = draw_street_episode(world, streets_of(world), seed)
        assert np.array_equal(again.traffic.real, episode.traffic.real)
        assert again.hazard is not None
        assert episode.hazard is not None
        assert np.array_equal(again.hazard.plan, episode.hazard.plan)


def test_a_hazard_resumes_exactly_and_damage_is_refused() -> None:
    world = world_of("crossing_pedestrian")
    batch, twin = (cast(StreetBatch, cpu_batch(world, 2, "camera", 1)) for _ in range(2))
    act = reference(world)
    batch.begin([0, 1], [10_000, 10_001])
    while batch.scene.cars.hazard[0, PHASE] != ACTS:
        batch.step(act(batch.cars.state))
    state = batch.get_state()
    twin.set_state(state)
    for one in (batch, twin):
        for _ in range(60):
            one.step(act(one.cars.state))
    assert np.array_equal(batch.pictures, twin.pictures)
    for name, array in batch.get_state().items():
        assert np.array_equal(array, twin.get_state()[name]), name
    damage: list[tuple[str, tuple[int, ...], int, str]] = [
        ("traffic.hazard", (0, PHASE), 9, "expected the actors of road 10000"),
        ("traffic.hazard", (0, PHASE), WAITS, "expected the actors of road 10000"),
        ("traffic.hazard", (0, 1), -1, "hazard: holds -1"),
        ("traffic.whole", (0, -1, DRIVES), 1, "expected the actors of road 10000"),
    ]
    for name, at, value, message in damage:
        spoilt = {key: array.copy() for key, array in state.items()}
        spoilt[name][at] = value
        with pytest.raises(DriveRLError, match=message):
            twin.set_state(spoilt)
    with pytest.raises(DriveRLError, match=r"traffic\.hazard: is missing"):
        twin.set_state({key: array for key, array in state.items() if key != "traffic.hazard"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["streets.hazard={kind: runs_red_light}"],
            "hazard.kind = runs_red_light: expected a junction .* found junction = null",
        ),
        (
            ["streets.hazard={kind: runs_red_light}", "streets.junction={control: signal, light: red}"],
            "found junction = .*'light': 'red'.*fix: junction = .control: signal, light: green",
        ),
        (["streets.hazard={kind: takes_priority}", "streets.junction={control: stop_sign}"], "'control': 'stop_sign'"),
        (["streets.hazard={kind: hard_brake, stands_s: [5, 2]}"], r"stands_s = \[5.0, 2.0\]: expected two values"),
        (["streets.hazard={kind: blocked_lane, within_m: 20}"], "within_m = 20: expected at least 60"),
        (["streets.hazard={kind: falling_tree}"], "falling_tree"),
        (["streets.hazard={kind: crossing_pedestrian, who: tank}"], "who = 'tank': expected 'pedestrian' or 'cyclist'"),
    ],
)
def test_hazards_that_a_world_cannot_have_are_refused(changes: list[str], message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_world("town", changes)


def test_hazards_that_no_route_has_are_refused() -> None:
    far = load_world("town", ["streets.route_m=100", "streets.hazard={kind: blocked_lane, distance_m: [300, 300]}"])
    country = ["streets.map={kind: country}", "streets.maps=2", "streets.junction={control: none, turn: right}"]
    cases: dict[str, Any] = {
        "found no place 302 m beyond the junction": far,
        "no such junction for streets.hazard.kind = takes_priority": load_world(
            "town", [*country, "streets.hazard={kind: takes_priority, comes_from: right}"]
        ),
    }
    for message, world in cases.items():
        with pytest.raises(DriveRLError, match=message):
            draw_street_episode(world, streets_of(world), 0)
