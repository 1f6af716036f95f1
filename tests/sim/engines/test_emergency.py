"""An emergency vehicle: where it begins, that it is let past or held up; both engines are one world; states resume."""

from typing import cast

import numpy as np
import pytest

from drive_rl.benchmark.driving.run import drive_and_score
from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.geometry import project
from drive_rl.sim.task.outcome import STATE_FIELDS, TARGET_SPEED
from drive_rl.sim.task.street_episode import built_map, draw_street_episode
from drive_rl.sim.traffic.actors import DRIVES, LANE, SPEED
from drive_rl.sim.traffic.contacts import contacts

NAME, SEED = "scenarios/yield_to_emergency_vehicle", 10_000
WORLD = load_world(NAME, ["streets.maps=2"])
STREETS = cast(StreetsSpec, WORLD.streets)
TARGET = STATE_FIELDS.index("target_speed_mps")


class Dawdler(ReferenceDriver):
    """Follows its route like the reference driver, but never faster than some speed [m/s]."""

    def __init__(self, most_mps: float = np.inf) -> None:
        super().__init__(cast(ReferenceSpec, load_agent("reference")), WORLD.car, WORLD.task)
        self._most_mps = most_mps

    def act(self, observations: Batch) -> np.ndarray:
        limits = np.where(np.arange(len(STATE_FIELDS)) == TARGET, self._most_mps, np.inf)
        return super().act(np.minimum(np.asarray(observations), limits))


def test_it_begins_behind_the_ego_car_in_a_lane_that_the_route_leaves() -> None:
    hazard = STREETS.hazard
    assert hazard is not None
    assert hazard.kind == "emergency_vehicle"
    for seed in (0, SEED, SEED + 1, 20_000):
        episode = draw_street_episode(WORLD, STREETS, seed)
        network = built_map(STREETS.map, episode.map_seed).network
        assert network.right[episode.route.lanes[0]] == episode.route.lanes[1]
        assert not contacts(episode.traffic, network).any()
        lane, s_m, way_m = int(episode.traffic.whole[-1, LANE]), float(episode.traffic.real[-1, 0]), 0.0
        ego_lane, ego_s_m = int(episode.traffic.whole[0, LANE]), float(episode.traffic.real[0, 0])
        limit_mps = float(network.speed_limit_mps[lane])
        between = 0
        while lane != ego_lane:
            way_m += float(network.length_m[lane])
            lane = int(network.successor[network.first_successor[lane]])
            limit_mps = min(limit_mps, float(network.speed_limit_mps[lane]))
        behind_m = way_m + ego_s_m - s_m - 5.5  # the van's length
        assert hazard.behind_m[0] - 5.5 / 2 <= behind_m <= hazard.behind_m[1]  # it begins with its rear on its lane
        here = episode.traffic.whole[1:-1, LANE] == ego_lane
        between = here & (episode.traffic.real[1:-1, 0] < ego_s_m) & (episode.traffic.real[1:-1, 0] > s_m - way_m)
        assert not between.any()
        factor = episode.traffic.real[-1, SPEED] / limit_mps
        assert hazard.speed_factor[0] <= factor <= hazard.speed_factor[1]


def test_who_leaves_the_lane_in_time_lets_it_past_and_who_dawdles_holds_it_up() -> None:
    passed, held = (drive_and_score(Dawdler(mps), WORLD, "val", 4) for mps in (np.inf, 8.0))
    for drive in passed:
        assert drive.scores.infractions.yield_emergency == 0
    assert sum(drive.episode.success and not drive.failure for drive in passed) >= 3
    assert all(drive.failure for drive in held)
    assert any(drive.failure == "held up an emergency vehicle" for drive in held)
    for drive in held:
        factor = 0.7 if drive.scores.infractions.yield_emergency else 1.0
        assert drive.scores.carla_driving_score_2_0 <= factor


def test_it_passes_on_the_left() -> None:
    batch, driver = cast(StreetBatch, cpu_batch(WORLD, 1, "state", 1)), Dawdler()
    batch.begin([0], [SEED])
    knots, beside = batch.scene.episodes[0].road.knots, list[tuple[float, float]]()
    near_m = float(batch.cars.metrics[0, 8])
    while not len(batch.step(driver.act(batch.cars.state).astype(float))):
        x, y, _ = batch.actors(0)[-1]
        s, d, _, _ = project(knots, x, y, float(batch.cars.metrics[0, 8]))
        if s - float(batch.cars.metrics[0, 8]) > 0:
            beside.append((s, d))
            break
        near_m = s
    assert near_m > 0
    assert beside[0][1] == pytest.approx(3.75, abs=0.6)
    batch.close()


def test_both_engines_meet_it_alike() -> None:
    env = cast(StreetEnv, make_env(WORLD, observation="camera+state"))
    batch, driver = cast(StreetBatch, cpu_batch(WORLD, 1, "camera+state", 1)), Dawdler()
    seen, _ = env.reset(options={"road_seed": SEED})
    batch.begin([0], [SEED])
    for _ in range(120):
        assert np.array_equal(seen["camera"], batch.pictures[0])
        action = driver.act(seen["state"][None])
        seen, reward, terminated, truncated, info = env.step(action[0])
        batch.step(action)
        assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
        assert info["target_speed_mps"] == pytest.approx(float(batch.cars.metrics[0, TARGET_SPEED]), abs=1e-6)
        assert reward == pytest.approx(float(batch.cars.reward[0]), abs=1e-9)
        assert not terminated
        assert not truncated
    env.close()
    batch.close()


def test_it_resumes_exactly_and_damage_is_refused() -> None:
    batch, twin = (cast(StreetBatch, cpu_batch(WORLD, 2, "state", 1)) for _ in range(2))
    driver = Dawdler()
    batch.begin([0, 1], [SEED, SEED + 1])
    for _ in range(30):
        batch.step(driver.act(batch.cars.state).astype(float))
    state = batch.get_state()
    twin.set_state(state)
    for one in (batch, twin):
        for _ in range(40):
            one.step(driver.act(one.cars.state).astype(float))
    for name, array in batch.get_state().items():
        assert np.array_equal(array, twin.get_state()[name]), name
    state["traffic.whole"][0, -1, DRIVES] = 1
    with pytest.raises(DriveRLError, match="expected the actors of road 10000"):
        twin.set_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("streets.lane_changes=0", "lane_changes = 0: expected 1 or more beside hazard.kind = emergency_vehicle"),
        ("streets.hazard.behind_m=[80, 50]", r"behind_m = \[80.0, 50.0\]: expected two values"),
        ("streets.hazard.speed_factor=[0.5, 1]", r"speed_factor = \[0.5, 1.0\]: expected two values"),
    ],
)
def test_what_a_world_cannot_have_is_refused(change: str, message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_world(NAME, [change])


def test_one_without_room_is_refused() -> None:
    change = "streets.hazard={kind: emergency_vehicle, behind_m: [300, 300]}"
    world = load_world("scenarios/lane_change", [change])
    with pytest.raises(DriveRLError, match=r"found no route that begins in one of the fastest .* fix: a smaller"):
        draw_street_episode(world, cast(StreetsSpec, world.streets), 0)
