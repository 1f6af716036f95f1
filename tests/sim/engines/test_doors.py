"""A parked car's door that opens before the ego car: when, how far, who passes it, and that states resume."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ExpertSpec
from drive_rl.config.specs.streets.hazard import ObstacleSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.drivers.expert import ExpertDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.street_views import street_driver_view
from drive_rl.sim.task.outcome import ARRIVED, COLLISION, state_fields
from drive_rl.sim.task.street_episode import built_map
from drive_rl.sim.traffic.actors import DRIVES, LANE, SHIFT, S
from drive_rl.sim.traffic.hazards.hazard import ACTS, GOES_ON, PHASE, WAITS
from drive_rl.sim.traffic.population import LENGTH, WIDTH
from drive_rl.sim.vehicle import CarState

WORLD = load_world("scenarios/vehicle_opens_door_two_ways")
STREETS = cast(StreetsSpec, WORLD.streets)
EXPERT = ExpertDriver(cast(ExpertSpec, load_agent("expert")), WORLD.car, WORLD.task)
CAR, DOOR = -2, -1
SEED = 10_000


def begun(seeds: range) -> StreetBatch:
    batch = cast(StreetBatch, cpu_batch(WORLD, len(seeds), "state", 1))
    batch.begin(range(len(seeds)), seeds)
    return batch


def act(state: np.ndarray) -> np.ndarray:
    return EXPERT.act(state).astype(float)


def blind(state: np.ndarray) -> np.ndarray:
    """Keep the lane at 8 m/s, as if there were nothing in it."""
    return act(np.where(np.arange(11) == 6, 8.0, state[:, :11]))


def left_m(batch: StreetBatch, body: int) -> float:
    """Return how far a body reaches to the left of its lane's centre line."""
    cars = batch.scene.cars
    return float(cars.real[0, body, SHIFT] + cars.driver[0, body, WIDTH] / 2)


def test_it_opens_when_the_car_is_near() -> None:
    """Until then it is inside the parked car; then it comes out of its side at 2 m/s, by 1.1 m."""
    hazard = cast(ObstacleSpec, STREETS.hazard)
    batch = begun(range(SEED, SEED + 1))
    cars = batch.scene.cars
    network = built_map(STREETS.map, batch.scene.episodes[0].map_seed).network
    parked_m, half_m = left_m(batch, CAR), float(network.width_m[cars.whole[0, CAR, LANE]]) / 2
    assert hazard.into_m[0] <= parked_m + half_m <= hazard.into_m[1]
    assert abs(cars.real[0, DOOR, S] - cars.real[0, CAR, S]) < 1
    phases, lefts, gaps = list[int](), list[float](), list[float]()
    while not phases or phases[-1] != GOES_ON:
        gaps.append(float(np.diff(cars.real[0, [0, DOOR], S])[0] - cars.driver[0, [0, DOOR], LENGTH].sum() / 2))
        batch.step(act(batch.cars.state))
        phases.append(int(cars.hazard[0, PHASE]))
        lefts.append(left_m(batch, DOOR))
    closed = phases.count(WAITS)
    assert hazard.opens_m is not None
    assert hazard.opens_m[0] - 1 < gaps[closed] <= hazard.opens_m[1] < gaps[0]
    assert np.ptp(lefts[:closed]) == 0
    assert lefts[0] < parked_m
    assert np.diff(lefts[closed - 1 : -1]) == pytest.approx(0.2)
    assert phases.count(ACTS) == int((1.1 + parked_m - lefts[0]) / 0.2)
    assert lefts[-1] == pytest.approx(parked_m + 1.1)
    state = dict(zip(state_fields(WORLD), batch.cars.state[0].tolist(), strict=True))
    assert state["obstacle_left_m"] == pytest.approx(lefts[-1], abs=1e-5)
    batch.close()


@pytest.mark.parametrize(("driver", "end"), [(act, ARRIVED), (blind, COLLISION)])
def test_who_looks_passes_it_and_who_does_not_hits_it(driver: Callable[[np.ndarray], np.ndarray], end: int) -> None:
    batch, ends = begun(range(SEED, SEED + 6)), np.zeros(6, int)
    for _ in range(WORLD.task.max_steps):
        for car in batch.step(driver(batch.cars.state)).tolist():
            ends[car] = batch.cars.end[car]
            batch.idle(car)
        if ends.all():
            break
    assert (ends == end).all()
    batch.close()


def test_the_camera_sees_it_open() -> None:
    batch = begun(range(SEED, SEED + 1))
    while batch.scene.cars.hazard[0, PHASE] != GOES_ON:
        batch.step(act(batch.cars.state))
    car, steps = CarState(*batch.cars.body[:, 0].tolist()), int(batch.cars.steps[0])
    opened = street_driver_view(WORLD, batch.scene, 0, car, steps, (128, 80)).astype(int)
    batch.scene.cars.real[0, DOOR, SHIFT] = batch.scene.cars.real[0, CAR, SHIFT]
    closed = street_driver_view(WORLD, batch.scene, 0, car, steps, (128, 80))
    batch.scene.cars.whole[0, DOOR, LANE] = -1
    assert (np.abs(opened - closed).max(2) > 20).sum() > 10
    assert np.array_equal(closed, street_driver_view(WORLD, batch.scene, 0, car, steps, (128, 80)))
    batch.close()


def test_a_door_resumes_exactly_and_damage_is_refused() -> None:
    batch, twin = (begun(range(SEED, SEED + 2)) for _ in range(2))
    while batch.scene.cars.hazard[0, PHASE] != ACTS:
        batch.step(act(batch.cars.state))
    state = batch.get_state()
    twin.set_state(state)
    for one in (batch, twin):
        for _ in range(40):
            one.step(act(one.cars.state))
    for name, array in batch.get_state().items():
        assert np.array_equal(array, twin.get_state()[name]), name
    state["traffic.hazard"][0, PHASE] = WAITS
    with pytest.raises(DriveRLError, match="expected the actors of road 10000"):
        twin.set_state(state)
    assert batch.scene.cars.whole[0, DOOR, DRIVES] == batch.scene.cars.whole[0, CAR, DRIVES]
    batch.close()
    twin.close()
