"""Obstacles to pass: where they stand, what the state says of them; both engines are one world; states resume."""

from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ExpertSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.expert import ExpertDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.geometry import project
from drive_rl.sim.task.outcome import (
    ARRIVED,
    COMPLETION,
    OFFSET,
    RUNNING,
    STATE_FIELDS,
    TARGET_SPEED,
    WRONG_WAY,
    state_fields,
)
from drive_rl.sim.task.street_episode import StreetEpisode, built_map, draw_street_episode
from drive_rl.sim.traffic.actors import DRIVES, LANE
from drive_rl.sim.traffic.contacts import contacts

WORLDS = {name: load_world(f"scenarios/{name}") for name in ("accident_two_ways", "hazard_at_side_lane", "accident")}
SEED = 10_000


def streets_of(world: WorldSpec) -> StreetsSpec:
    return cast(StreetsSpec, world.streets)


def expert(world: WorldSpec) -> ExpertDriver:
    return ExpertDriver(cast(ExpertSpec, load_agent("expert")), world.car, world.task)


def drawn(world: WorldSpec, seed: int) -> StreetEpisode:
    return draw_street_episode(world, streets_of(world), seed)


@pytest.mark.parametrize("name", ["accident_two_ways", "hazard_at_side_lane", "vehicle_opens_door_two_ways"])
def test_both_engines_pass_alike(name: str) -> None:
    """Positions, pictures, states and ends; the expert passes, over the line to the other lane."""
    world = load_world(f"scenarios/{name}")
    env = cast(StreetEnv, make_env(world, observation="camera+state"))
    batch = cast(StreetBatch, cpu_batch(world, 1, "camera+state", 1))
    driver, farthest_m = expert(world), 0.0
    seen, info = env.reset(options={"road_seed": SEED})
    batch.begin([0], [SEED])
    for _ in range(world.task.max_steps):
        assert np.array_equal(seen["camera"], batch.pictures[0])
        assert seen["state"] == pytest.approx(batch.cars.state[0], abs=1e-4)
        action = driver.act(seen["state"][None])
        seen, reward, terminated, truncated, info = env.step(action[0])
        batch.step(action)
        farthest_m = max(farthest_m, float(info["offset_m"]))
        assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
        assert reward == pytest.approx(float(batch.cars.reward[0]), abs=1e-9)
        if terminated or truncated:
            break
    assert info["end_reason"] == batch.cars.end[0] == ARRIVED
    assert info["is_success"]
    assert farthest_m > 1
    env.close()
    batch.close()


@pytest.mark.parametrize("name", WORLDS)
def test_it_stands_where_the_spec_says(name: str) -> None:
    """Rears and left edges along the route; the lane on the left is of the kind asked for; nobody touches."""
    world = WORLDS[name]
    hazard = streets_of(world).hazard
    assert hazard is not None
    assert hazard.kind == "obstacle"
    for seed in (0, SEED, 20_000):
        episode = drawn(world, seed)
        network = built_map(streets_of(world).map, episode.map_seed).network
        lane, first = int(episode.route.lanes[0]), len(episode.vehicles.kind) - hazard.actors
        assert network.right[lane] < 0
        assert (network.left[lane] >= 0) == (hazard.beside == "own")
        assert (network.opposite[lane] >= 0) == (hazard.beside == "oncoming")
        assert not contacts(episode.traffic, network).any()
        rear_m = episode.route.start_m + hazard.distance_m[0]
        for body in range(first, first + hazard.actors):
            vehicles, real = episode.vehicles, episode.traffic.real[body]
            left_m = real[1] + vehicles.offset_m[body] + vehicles.width_m[body] / 2
            assert hazard.into_m[0] <= left_m + network.width_m[lane] / 2 <= hazard.into_m[1]
            at_m = real[0] + float(episode.route.from_m[0]) - vehicles.length_m[body] / 2
            assert rear_m <= at_m + 1e-9
            rear_m = at_m + vehicles.length_m[body]


def test_the_state_says_where_it_is() -> None:
    """By projections of its corners on the route's line, and the speed from which a car stops 2 m before it."""
    world = WORLDS["accident_two_ways"]
    batch = cast(StreetBatch, cpu_batch(world, 1, "state", 1))
    batch.begin([0], [SEED])
    episode, state = batch.scene.episodes[0], dict(zip(state_fields(world), batch.cars.state[0].tolist(), strict=True))
    knots, (x, y, _), half_m = episode.road.knots, batch.actors(0)[-2], episode.vehicles.length_m[-2] / 2
    s, d, _, _ = project(knots, x, y, episode.route.start_m + 40)
    assert state["obstacle_m"] == pytest.approx(s - half_m - episode.route.start_m - world.car.length_m / 2, abs=0.05)
    edge_m = [project(knots, float(each[0]), float(each[1]), s)[1] + 0.9 for each in batch.actors(0)[-2:]]
    assert state["obstacle_left_m"] == pytest.approx(max(edge_m), abs=0.05)
    assert state["beside_direction"] == -1
    assert state["beside_left_m"] == pytest.approx(3 * state["lane_left_m"], abs=0.3)
    fastest = (4 + 4 * (state["obstacle_m"] - 2)) ** 0.5 - 2
    assert batch.cars.metrics[0, TARGET_SPEED] == pytest.approx(min(fastest, state["free_speed_mps"]), abs=1e-4)
    assert d + 0.9 <= max(edge_m) + 1e-9
    batch.close()


def test_the_other_lane_is_free_near_the_obstacle_alone() -> None:
    """3.4 m to the left is the middle of the oncoming lane, 6.4 m more than 2.5 m beside that."""
    world, ends = WORLDS["accident_two_ways"], list[int]()
    for aside_m, completion in ((3.4, 0.05), (6.4, 0.05), (3.4, 0.95)):
        batch, driver = cast(StreetBatch, cpu_batch(world, 1, "state", 1)), expert(world)
        batch.begin([0], [SEED])
        while batch.cars.metrics[0, COMPLETION] < completion:
            batch.step(driver.act(batch.cars.state).astype(float))
        yaw, more_m = float(batch.cars.body[2, 0]), aside_m - float(batch.cars.metrics[0, OFFSET])
        batch.cars.body[:2, 0] += -more_m * np.sin(yaw), more_m * np.cos(yaw)
        batch.step(np.zeros((1, 2)))
        ends.append(int(batch.cars.end[0]))
        batch.close()
    assert ends == [RUNNING, WRONG_WAY, WRONG_WAY]


def test_an_obstacle_resumes_exactly_and_damage_is_refused() -> None:
    world = WORLDS["hazard_at_side_lane"]
    batch, twin = (cast(StreetBatch, cpu_batch(world, 2, "state", 1)) for _ in range(2))
    driver = expert(world)
    batch.begin([0, 1], [SEED, SEED + 1])
    for _ in range(60):
        batch.step(driver.act(batch.cars.state).astype(float))
    state = batch.get_state()
    twin.set_state(state)
    for one in (batch, twin):
        for _ in range(60):
            one.step(driver.act(one.cars.state).astype(float))
    for name, array in batch.get_state().items():
        assert np.array_equal(array, twin.get_state()[name]), name
    state["traffic.whole"][0, -2, DRIVES] = 1
    with pytest.raises(DriveRLError, match="expected the actors of road 10000"):
        twin.set_state(state)
    with pytest.raises(DriveRLError, match="state: "):
        twin.set_state({**state, "state": state["state"][:, : len(STATE_FIELDS)]})


@pytest.mark.parametrize(
    ("hazard", "message"),
    [
        ("bodies: []", "bodies"),
        ("bodies: [tank]", "bodies"),
        ("bodies: [works], rides_mps: [2, 3]", "rides_mps of works: expected null; fix: rides_mps = null"),
        ("distance_m: [300, 400]", "hazard.distance_m = .* expected less than route_m"),
        ("into_m: [2, 5]", r"into_m = \[2.0, 5.0\]: expected two values"),
        ("opens_m: [2, 12]", r"opens_m = \[2.0, 12.0\]: expected two values"),
        ("bodies: [car, works], opens_m: [12, 20]", r"opens_m = \[12.0, 20.0\] of bodies = .* fix: bodies = \[car\]"),
        ("rides_mps: [2, 3], opens_m: [12, 20]", r"rides_mps = \[2.0, 3.0\]: expected one that stands and has doors"),
    ],
)
def test_obstacles_that_a_world_cannot_have_are_refused(hazard: str, message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_world("town", [f"streets.hazard={{kind: obstacle, {hazard}}}"])


def test_an_obstacle_without_room_is_refused() -> None:
    world = load_world("town", ["streets.hazard={kind: obstacle, distance_m: [120, 120]}"])
    with pytest.raises(DriveRLError, match=r"found no route that begins in a lane with room for.*fix: a smaller"):
        drawn(world, 0)


def test_more_parked_vehicles_than_a_street_has_room_for_are_refused() -> None:
    hazard = "{kind: crossing_pedestrian, side: right, behind: [lorry, bus, lorry, bus]}"
    with pytest.raises(DriveRLError, match=r"found no place .* fix: fewer in streets.hazard.behind, a smaller"):
        drawn(load_world("town", [f"streets.hazard={hazard}"]), 0)


def test_parked_vehicles_hide_a_pedestrian() -> None:
    """They stand right of the lane, before who walks; a state in which one of them drives is refused."""
    world = load_world("scenarios/parking_crossing_pedestrian")
    for seed in (0, SEED, 20_000):
        episode = drawn(world, seed)
        network = built_map(streets_of(world).map, episode.map_seed).network
        assert not contacts(episode.traffic, network).any()
        van, car, walks = episode.traffic.real[-3:]
        lane = int(episode.traffic.whole[-1, LANE])
        assert (episode.traffic.whole[-3:, LANE] == lane).all()
        edge_m = -float(network.width_m[lane]) / 2
        assert van[1] + 1.0 == pytest.approx(edge_m - 0.3)
        assert car[1] + 0.9 == pytest.approx(edge_m - 0.3)
        assert walks[1] > van[1] - 1.0
        assert 0 < walks[0] - (van[0] + 2.75) < 1
        assert car[0] + 2.2 < van[0] - 2.75
    batch, twin = (cast(StreetBatch, cpu_batch(world, 1, "state", 1)) for _ in range(2))
    batch.begin([0], [SEED])
    twin.set_state(state := batch.get_state())
    state["traffic.whole"][0, -2, DRIVES] = 1
    with pytest.raises(DriveRLError, match="expected the actors of road 10000"):
        twin.set_state(state)


def test_only_on_the_right_they_hide_somebody() -> None:
    with pytest.raises(DriveRLError, match=r"behind = \['car'\], with side = null: expected side = right.*; fix: side"):
        load_world("town", ["streets.hazard={kind: crossing_pedestrian, behind: [car]}"])
