"""Streets: both engines are one world, a state resumes exactly, and nobody who drives by the rules is hit."""

import copy
import pickle
from typing import Any, cast

import gymnasium
import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.streets.generate import map_of_seed
from drive_rl.sim.task.outcome import END_REASONS
from drive_rl.sim.task.street_episode import map_seed_of
from drive_rl.sim.traffic.actors import LANE, SPEED

TOWN = load_world("town")
STREETS = cast(StreetsSpec, TOWN.streets)


def reference() -> ReferenceDriver:
    return ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), TOWN.car, TOWN.task)


def drive(batch: StreetBatch, steps: int) -> None:
    """Drive by the reference; who arrives begins on another road."""
    driver = reference()
    for _ in range(steps):
        ended = batch.step(driver.act(batch.cars.state).astype(float))
        batch.begin(ended, (batch.road_seeds[ended] + 100).tolist())


def town_batch(cars: int, threads: int = 1) -> StreetBatch:
    return cast(StreetBatch, cpu_batch(TOWN, cars, "camera+state", threads))


@pytest.mark.parametrize("seeds", [range(6), range(10_000, 10_002), range(20_000, 20_003)])
def test_both_engines_drive_alike(seeds: range) -> None:
    """Positions of the car and all actors, pictures, rewards and ends, with a driver that also makes mistakes."""
    env, batch, driver = cast(StreetEnv, make_env(TOWN, observation="camera+state")), town_batch(1), reference()
    random, ends = np.random.default_rng(0), set[str]()
    for seed in seeds:
        seen, info = env.reset(options={"road_seed": seed})
        batch.begin([0], [seed])
        wander, errs = 0.0, seed % 2
        for _ in range(700):
            assert np.array_equal(seen["camera"], batch.pictures[0])
            wander = 0.95 * wander + 0.1 * errs * random.normal()
            action = np.clip(driver.act(seen["state"][None])[0] + [wander, 4 * abs(wander)], -1, 1)
            seen, reward, terminated, truncated, info = env.step(action)
            batch.step(action[None].astype(float))
            car = env.car
            assert batch.cars.body[:3, 0] == pytest.approx([car.x_m, car.y_m, car.yaw_rad], abs=1e-6)
            assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
            assert reward == pytest.approx(float(batch.cars.reward[0]), abs=1e-9)
            assert info["end_reason"] == batch.cars.end[0]
            if terminated or truncated:
                ends.add(END_REASONS[info["end_reason"] - 1])
                break
    assert ends
    env.close()
    batch.close()


def test_a_state_resumes_exactly_on_any_number_of_threads() -> None:
    batch = town_batch(8)
    batch.begin(range(8), [0, 1, 2, 16, 10_000, 20_000, 20_001, 35_000])
    drive(batch, 150)
    state = batch.get_state()
    twins = town_batch(8, threads=2), cast(StreetBatch, pickle.loads(pickle.dumps(batch)))
    twins[0].set_state(state)
    for one in (batch, *twins):
        drive(one, 100)
    for twin in twins:
        for name, array in batch.get_state().items():
            assert np.array_equal(array, twin.get_state()[name]), name


def test_an_environment_and_its_copies_resume_exactly() -> None:
    env, other = (make_env(TOWN, observation="camera+state") for _ in range(2))
    driver = reference()
    seen, _ = env.reset(options={"road_seed": 5})
    for _ in range(60):
        seen, *_ = env.step(driver.act(seen["state"][None])[0])
    other.set_state(env.get_state())
    copies = other, copy.deepcopy(env), cast(LaneEnv, pickle.loads(pickle.dumps(env)))
    for _ in range(60):
        action = driver.act(seen["state"][None])[0]
        seen, *rest = env.step(action)
        for each in copies:
            again, *others = each.step(action)
            assert np.array_equal(seen["camera"], again["camera"])
            assert np.array_equal(seen["state"], again["state"])
            assert rest[:3] == others[:3]
    for one in (env, *copies):
        one.close()


def spoil(state: dict[str, np.ndarray], name: str, at: tuple[int, ...], value: float) -> dict[str, np.ndarray]:
    spoilt = {key: array.copy() for key, array in state.items()}
    spoilt[name][at] = value
    return spoilt


@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("traffic.whole", (0, 3, LANE), 10_000, "whole of car 0, column 2: holds 10000"),
        ("traffic.whole", (0, 0, LANE), 0, "expected the actors of road 7"),
        ("traffic.whole", (0, 2, 0), 1, "expected the actors of road 7"),
        ("traffic.hold", (0, 0, 0), 999, "hold of car 0: holds 999"),
        ("traffic.real", (0, 1, SPEED), np.nan, "real: holds NaN"),
    ],
)
def test_states_that_no_car_can_be_in_are_refused(name: str, at: tuple[int, ...], value: float, message: str) -> None:
    batch = town_batch(1)
    batch.begin([0], [7])
    state = batch.get_state()
    with pytest.raises(DriveRLError, match=message):
        batch.set_state(spoil(state, name, at, value))
    with pytest.raises(DriveRLError, match=r"traffic\.hold: is missing"):
        batch.set_state({key: array for key, array in state.items() if key != "traffic.hold"})
    batch.set_state(state)


def test_the_reference_driver_drives_through_town() -> None:
    score, rows = evaluate(reference(), TOWN, "val", 24, engine="batch")
    assert score.success.value == 1
    assert {row.tier for row in rows} == {"town"}


def test_maps_of_the_test_split_are_its_own() -> None:
    seeds = {split: {map_seed_of(STREETS, seed) for seed in found} for split, found in SOME.items()}
    assert seeds["train"] == set(range(16))
    assert not seeds["train"] & seeds["test"]
    assert not seeds["val"] & seeds["test"]
    sizes = [np.ptp(map_of_seed(STREETS.map, seed).network.x_m) for seed in (0, 20_000)]
    assert sizes[1] > 1.1 * sizes[0]  # blocks of test are longer than any of train


SOME = {"train": range(32), "val": range(10_000, 10_032), "test": range(20_000, 20_032)}


def test_who_has_to_wait_earns_by_standing() -> None:
    """Somebody among the cars has to stop; the target speed falls to 0 there, and standing still earns its term."""
    batch, driver = town_batch(8), reference()
    batch.begin(range(8), range(8))
    waited = 0
    for _ in range(400):
        batch.step(driver.act(batch.cars.state).astype(float))
        infos = batch.info()
        waits = batch.drives & (infos["target_speed_mps"] < 0.05) & (infos["speed_mps"] < 0.05)
        waited += int(waits.sum())
        assert (infos["reward_speed"][waits] > 0.9).all()
    assert waited > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("streets.traffic.actors=1000", "traffic: actors = 1000: found place for"),
        (
            "streets.route_m=2000 streets.map.columns=3 streets.map.rows=3 streets.map.missing=0",
            "streets.route_m = 2000: found no such route",
        ),
    ],
)
def test_what_a_map_does_not_hold_is_refused(change: str, message: str) -> None:
    batch = cpu_batch(load_world("town", change.split()), 1, "state", 1)
    with pytest.raises(DriveRLError, match=message):
        batch.begin([0], [0])


def test_streets_and_a_road_exclude_each_other() -> None:
    with pytest.raises(DriveRLError, match="streets beside a road: expected one of them"):
        load_world("lane_follow", ["streets.map.kind=town"])
    with pytest.raises(DriveRLError, match=r"streets\.map\.kind"):
        load_world("town", ["streets.map.kind=village"])


def test_bullets_renderers_are_refused() -> None:
    with pytest.raises(DriveRLError, match="renderer = tiny: cannot show streets"):
        make_env(load_world("town", ["camera.renderer=tiny"]))


def test_gymnasium_makes_towns() -> None:
    env = gymnasium.make("drive_rl/Town-v1", render_mode="rgb_array")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    assert frame.shape == (400, 640, 3)
    mode: dict[str, Any] = {"vectorization_mode": "vector_entry_point", "render_mode": "rgb_array"}
    cars = gymnasium.make_vec("drive_rl/Town-v1", num_envs=2, **mode)
    assert cars.reset(seed=0)[0].shape == (2, 6, 40, 64)
    cars.reset(options={"road_seed": [1, 2]})
    env.reset(options={"road_seed": 2})
    frames, frame = cast(Any, cars.render()), cast(Any, env.render())
    assert np.array_equal(frames[1], frame)
    cars.close()
    env.close()
