"""A bay to pull out of: who is parked around it, waiting for a gap; both engines are one world; states resume."""

from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.task.outcome import ARRIVED, COMPLETION, OFF_ROAD, OFFSET, RUNNING, TARGET_SPEED
from drive_rl.sim.task.street_episode import built_map, draw_street_episode
from drive_rl.sim.traffic.actors import DRIVES
from drive_rl.sim.traffic.contacts import contacts
from drive_rl.sim.traffic.hazards.hazard import ACTS, OVER, PHASE, WAITS

NAME, SEED = "scenarios/parking_exit", 10_000
WORLD = load_world(NAME, ["streets.maps=2"])
STREETS = cast(StreetsSpec, WORLD.streets)
DRIVER = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), WORLD.car, WORLD.task)


def test_it_begins_between_two_parked_cars_beside_the_lane() -> None:
    hazard = STREETS.hazard
    assert hazard is not None
    assert hazard.kind == "parking_exit"
    for seed in (0, SEED, 20_000):
        episode = draw_street_episode(WORLD, STREETS, seed)
        network, real = built_map(STREETS.map, episode.map_seed).network, episode.traffic.real
        lane = int(episode.route.lanes[0])
        beside_m = -float(network.width_m[lane]) / 2 - 0.3 - 0.9  # a car is 1.8 m wide
        assert episode.start.vx_mps == 0
        assert real[[0, -2, -1], 1] == pytest.approx(beside_m)
        for room_m in (real[-2, 0] - real[0, 0] - 4.4, real[0, 0] - real[-1, 0] - 4.4):
            assert hazard.room_m[0] - 1e-9 <= room_m <= hazard.room_m[1] + 1e-9
        assert not contacts(episode.traffic, network).any()


def test_both_engines_pull_out_alike() -> None:
    env = cast(StreetEnv, make_env(WORLD, observation="camera+state"))
    batch = cast(StreetBatch, cpu_batch(WORLD, 1, "camera+state", 1))
    seen, info = env.reset(options={"road_seed": SEED})
    batch.begin([0], [SEED])
    phases = set[int]()
    for _ in range(WORLD.task.max_steps):
        assert np.array_equal(seen["camera"], batch.pictures[0])
        action = DRIVER.act(seen["state"][None])
        seen, reward, terminated, truncated, info = env.step(action[0])
        batch.step(action)
        phases.add(int(batch.scene.cars.hazard[0, PHASE]))
        assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
        assert reward == pytest.approx(float(batch.cars.reward[0]), abs=1e-9)
        if terminated or truncated:
            break
    assert info["end_reason"] == batch.cars.end[0] == ARRIVED
    assert info["is_success"]
    assert {ACTS, OVER} <= phases
    env.close()
    batch.close()


def test_it_waits_for_who_comes_and_may_be_beside_the_lane_until_it_was_in_it() -> None:
    world = load_world(NAME, ["streets.maps=2", "streets.traffic.actors=0"])
    batch = cast(StreetBatch, cpu_batch(world, 1, "state", 1))
    batch.begin([0], [SEED])
    cars = batch.scene.cars
    batch.step(np.zeros((1, 2)))
    assert cars.hazard[0, PHASE] == WAITS
    assert batch.cars.metrics[0, TARGET_SPEED] == 0
    assert cars.real[0, 1, 2] > 7  # who comes does not brake for a parked car
    for _ in range(40):
        batch.step(np.zeros((1, 2)))
    assert cars.hazard[0, PHASE] == ACTS
    assert batch.cars.metrics[0, TARGET_SPEED] > 1
    assert batch.cars.metrics[0, OFFSET] < -2.5
    assert batch.cars.end[0] == RUNNING
    while cars.hazard[0, PHASE] != OVER or batch.cars.metrics[0, COMPLETION] < 0.5:
        batch.step(DRIVER.act(batch.cars.state).astype(float))
    yaw = float(batch.cars.body[2, 0])
    batch.cars.body[:2, 0] += 2.7 * np.sin(yaw), -2.7 * np.cos(yaw)
    batch.step(np.zeros((1, 2)))
    assert batch.cars.end[0] == OFF_ROAD
    batch.close()


def test_it_resumes_exactly_and_damage_is_refused() -> None:
    batch, twin = (cast(StreetBatch, cpu_batch(WORLD, 2, "state", 1)) for _ in range(2))
    batch.begin([0, 1], [SEED, SEED + 1])
    while batch.scene.cars.hazard[0, PHASE] == WAITS:
        batch.step(DRIVER.act(batch.cars.state).astype(float))
    twin.set_state(state := batch.get_state())
    for one in (batch, twin):
        for _ in range(60):
            one.step(DRIVER.act(one.cars.state).astype(float))
    for name, array in batch.get_state().items():
        assert np.array_equal(array, twin.get_state()[name]), name
    state["traffic.whole"][0, 0, DRIVES] = 10
    with pytest.raises(DriveRLError, match="expected the actors of road 10000"):
        twin.set_state(state)


def test_bays_that_cannot_be_are_refused() -> None:
    with pytest.raises(DriveRLError, match=r"room_m = \[8.0, 6.0\]: expected two values"):
        load_world(NAME, ["streets.hazard.room_m=[8, 6]"])
    world = load_world("town", ["streets.junction={approach_m: 20}", "streets.hazard={kind: parking_exit}"])
    with pytest.raises(DriveRLError, match=r"found no route that begins in a rightmost lane .* fix: a smaller"):
        draw_street_episode(world, cast(StreetsSpec, world.streets), 0)
