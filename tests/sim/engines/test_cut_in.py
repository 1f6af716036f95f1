"""Who cuts in: when it begins, what it does then, by poses in the world; both engines are one world; states resume."""

from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import load_driver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.geometry import project
from drive_rl.sim.task.outcome import ARRIVED, COLLISION, SPEED, TARGET_SPEED
from drive_rl.sim.task.street_episode import built_map, draw_street_episode
from drive_rl.sim.traffic.actors import DRIVES, LANE
from drive_rl.sim.traffic.contacts import contacts
from drive_rl.sim.traffic.hazards.hazard import ACTS, EARLY_S, PHASE, WAITS

WORLDS = {name: load_world(f"scenarios/{name}_cut_in") for name in ("parking", "static", "highway")}
DRIVERS = {world.name: load_driver("reference", world)[0] for world in WORLDS.values()}
SEED, ROADS, CAR_M = 10_000, 6, 4.4
BLIND_MPS = {"parking": 8.0, "static": 8.0, "highway": 24.0}
"""How fast who minds nobody drives on [m/s]."""


def streets_of(world: WorldSpec) -> StreetsSpec:
    return cast(StreetsSpec, world.streets)


def batch_of(world: WorldSpec, roads: int) -> StreetBatch:
    batch = cast(StreetBatch, cpu_batch(world, roads, "state", 1))
    batch.begin(range(roads), range(SEED, SEED + roads))
    return batch


def actions(world: WorldSpec, state: np.ndarray, blind_mps: float | None = None) -> np.ndarray:
    """Return what the reference driver does, or one that steers alike and drives on whatever is ahead."""
    if blind_mps is not None:
        state = np.where(np.arange(state.shape[1]) == 6, blind_mps, state)
    return DRIVERS[world.name].act(state).astype(float)


def ends_of(name: str, blind_mps: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return how drives end, and on which somebody cut in."""
    world, batch = WORLDS[name], batch_of(WORLDS[name], ROADS)
    ends, began = np.zeros(ROADS, int), np.zeros(ROADS, bool)
    while not ends.all():
        ended = batch.step(actions(world, batch.cars.state, blind_mps))
        began |= batch.scene.cars.hazard[:, PHASE] == ACTS
        for car in ended.tolist():
            ends[car] = batch.cars.end[car]
            batch.idle(car)
    batch.close()
    return ends, began


@pytest.mark.parametrize("name", WORLDS)
def test_who_minds_nobody_hits_it_and_the_reference_driver_does_not(name: str) -> None:
    ends, began = ends_of(name, BLIND_MPS[name])
    assert (ends[began] == COLLISION).sum() >= 5
    ends, began = ends_of(name, None)
    assert (ends == ARRIVED).all()
    assert began.sum() >= 5


@pytest.mark.parametrize("name", WORLDS)
def test_it_begins_when_the_spec_says_and_comes_into_the_lane(name: str) -> None:
    """By projections on the route's line: gap over closing speed as it begins, its way over, and that it goes on."""
    world, batch = WORLDS[name], batch_of(WORLDS[name], 1)
    episode, early_s = batch.scene.episodes[0], float(batch.scene.cars.hazard_plan[0, EARLY_S])
    network = built_map(streets_of(world).map, episode.map_seed).network
    first, start_m = int(episode.route.lanes[0]), episode.route.start_m
    assert not contacts(episode.traffic, network).any()
    near, own, rows = start_m + 40, start_m, list[tuple[float, ...]]()
    for _ in range(400):
        hazard, speed_mps = batch.scene.cars.hazard[0, PHASE], float(batch.scene.cars.real[0, -1, 2])
        (x, y), (own_x, own_y) = batch.actors(0)[-1, :2].tolist(), batch.cars.body[:2, 0].tolist()
        near, d, _, _ = project(episode.road.knots, x, y, near)
        own, _, _, _ = project(episode.road.knots, own_x, own_y, own)
        rows.append((float(hazard), near - own - CAR_M, speed_mps, float(batch.cars.metrics[0, SPEED]), d))
        if hazard == ACTS and abs(d) < 0.01:
            break
        assert not batch.step(actions(world, batch.cars.state)).size
    phase, gap, speed, own_speed, aside = np.array(rows).T
    begins = int(np.argmax(phase == ACTS))
    time_s = gap / np.maximum(own_speed - speed, 1.0)
    assert time_s[begins - 2] > early_s > time_s[begins - 1] - 0.03
    width_m = float(network.width_m[first])
    beside_m = (width_m + 1.8) / 2 + 0.3 if name == "parking" else width_m
    assert aside[: begins - 1] == pytest.approx(-beside_m, abs=0.1)
    assert (np.diff(aside[begins:]) > 0).all()
    assert 3 < (len(aside) - begins) / 10 < 8
    assert (speed[0] == 0) == (name != "highway")
    assert batch.scene.cars.whole[0, -1, LANE] in episode.route.lanes
    batch.close()


@pytest.mark.parametrize("name", ["static", "highway"])
def test_both_engines_meet_the_same_car(name: str) -> None:
    """Positions, pictures, target speeds and ends, with the reference driver, until it is in the lane."""
    world = WORLDS[name]
    env = cast(StreetEnv, make_env(world, observation="camera+state"))
    batch = cast(StreetBatch, cpu_batch(world, 1, "camera+state", 1))
    seen, _ = env.reset(options={"road_seed": SEED})
    batch.begin([0], [SEED])
    acts = 0
    while acts < 40:
        assert np.array_equal(seen["camera"], batch.pictures[0])
        action = actions(world, seen["state"][None])
        seen, _, _, _, info = env.step(action[0].astype(np.float32))
        batch.step(action)
        acts += int(batch.scene.cars.hazard[0, PHASE]) == ACTS
        assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
        assert info["target_speed_mps"] == pytest.approx(float(batch.cars.metrics[0, TARGET_SPEED]), abs=1e-6)
        assert info["end_reason"] == batch.cars.end[0] == 0
    env.close()
    batch.close()


def test_a_change_of_lanes_resumes_exactly_and_damage_is_refused() -> None:
    world = WORLDS["highway"]
    batch, twin = batch_of(world, 2), cast(StreetBatch, cpu_batch(world, 2, "state", 1))
    while batch.scene.cars.hazard[0, PHASE] != ACTS:
        batch.step(actions(world, batch.cars.state))
    state = batch.get_state()
    twin.set_state(state)
    for one in (batch, twin):
        for _ in range(60):
            one.step(actions(world, one.cars.state))
    for name, array in batch.get_state().items():
        assert np.array_equal(array, twin.get_state()[name]), name
    for name, at, value in (("traffic.hazard", (0, PHASE), WAITS), ("traffic.whole", (0, -1, DRIVES), 0)):
        spoilt = {key: array.copy() for key, array in state.items()}
        spoilt[name][at] = value
        with pytest.raises(DriveRLError, match="expected the actors of road 10000"):
            twin.set_state(spoilt)


@pytest.mark.parametrize(
    ("hazard", "message"),
    [
        ("comes_from: ahead", "hazard.comes_from = 'ahead'"),
        ("behind: [tank]", "hazard.behind"),
        ("early_s: [3, 2]", r"early_s = \[3.0, 2.0\]: expected two values"),
        ("distance_m: [25, 300]", r"hazard.distance_m = \[25.0, 300.0\]: expected less than route_m = 300"),
    ],
)
def test_cut_ins_that_a_world_cannot_have_are_refused(hazard: str, message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_world("town", [f"streets.hazard={{kind: cut_in, {hazard}}}"])


@pytest.mark.parametrize("hazard", ["distance_m: [200, 200]", "comes_from: left, speed_mps: [18, 20]"])
def test_a_cut_in_without_room_is_refused(hazard: str) -> None:
    world = load_world("town", [f"streets.hazard={{kind: cut_in, {hazard}}}"])
    with pytest.raises(
        DriveRLError, match=r"comes_from = .*: found no route that begins in a lane that .*fix: another"
    ):
        draw_street_episode(world, streets_of(world), 0)
