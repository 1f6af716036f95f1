"""Cars that come around a bend partly in the ego car's lane: where, how far, and who passes them."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ExpertSpec
from drive_rl.config.specs.streets.hazard import InvadingCarsSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.drivers.expert import ExpertDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.geometry import project
from drive_rl.sim.map.lane_geometry import curvature_at
from drive_rl.sim.task.outcome import ARRIVED, COLLISION, state_fields
from drive_rl.sim.task.outcome import S as ALONG
from drive_rl.sim.task.street_episode import built_map, draw_street_episode
from drive_rl.sim.traffic.actors import DRIVES, S

WORLD = load_world("scenarios/invading_turn")
STREETS = cast(StreetsSpec, WORLD.streets)
HAZARD = cast(InvadingCarsSpec, STREETS.hazard)
EXPERT = ExpertDriver(cast(ExpertSpec, load_agent("expert")), WORLD.car, WORLD.task)
SEED = 10_000


def begun(*seeds: int) -> StreetBatch:
    batch = cast(StreetBatch, cpu_batch(WORLD, len(seeds), "state", 1))
    batch.begin(range(len(seeds)), seeds)
    return batch


def act(state: np.ndarray) -> np.ndarray:
    return EXPERT.act(state).astype(float)


def in_the_middle(state: np.ndarray) -> np.ndarray:
    return act(state[:, :11])


def test_they_come_where_the_lane_bends() -> None:
    """One after another; their left sides are in the way of a car in the middle of the lane, by the route's line."""
    for seed in (0, SEED, 20_000):
        episode = draw_street_episode(WORLD, STREETS, seed)
        network, route = built_map(STREETS.map, episode.map_seed).network, episode.route
        begins_s = route.start_m - route.from_m[0]
        bends = [curvature_at(network, route.lanes[0], begins_s + at_m) for at_m in range(40, 81)]
        assert max(map(abs, bends)) > 0.99 / HAZARD.radius_m
        assert len(episode.vehicles.kind) == 1 + HAZARD.cars
    batch = begun(SEED)
    apart_m = -np.diff(batch.scene.cars.real[0, 1:, S]) - 4.4
    assert ((apart_m >= HAZARD.apart_m[0]) & (apart_m <= HAZARD.apart_m[1])).all()
    for _ in range(25):
        batch.step(act(batch.cars.state))
    x, y, _ = batch.actors(0)[0]
    _, d, _, _ = project(batch.scene.episodes[0].road.knots, x, y, float(batch.cars.metrics[0, ALONG]) + 20)
    assert 0.9 - HAZARD.overlap_m[1] - 0.03 < d - 0.9 < 0.9 - HAZARD.overlap_m[0] + 0.03
    batch.close()


@pytest.mark.parametrize(("driver", "end"), [(act, ARRIVED), (in_the_middle, COLLISION)])
def test_only_who_keeps_right_passes_them(driver: Callable[[np.ndarray], np.ndarray], end: int) -> None:
    """The state says how far left the lane is free: as far as the nearest one reaches, until it has passed."""
    batch, ends, least_m = begun(*range(SEED, SEED + 6)), np.zeros(6, int), np.full(6, np.inf)
    left = state_fields(WORLD).index("lane_left_m")
    for _ in range(WORLD.task.max_steps):
        least_m = np.minimum(least_m, batch.cars.state[:, left])
        for car in batch.step(driver(batch.cars.state)).tolist():
            ends[car] = batch.cars.end[car]
            batch.idle(car)
        if ends.all():
            break
    assert (ends == end).all()
    assert (least_m >= 0.9 - HAZARD.overlap_m[1] - 0.01).all()
    assert (least_m <= 0.9 - HAZARD.overlap_m[0] + 0.01).all()
    batch.close()


def test_both_engines_meet_the_same_cars() -> None:
    env = cast(StreetEnv, make_env(WORLD, observation="camera+state"))
    batch = cast(StreetBatch, cpu_batch(WORLD, 1, "camera+state", 1))
    seen, info = env.reset(options={"road_seed": SEED})
    batch.begin([0], [SEED])
    for _ in range(WORLD.task.max_steps):
        assert np.array_equal(seen["camera"], batch.pictures[0])
        assert seen["state"] == pytest.approx(batch.cars.state[0], abs=1e-4)
        action = act(seen["state"][None])
        seen, reward, terminated, truncated, info = env.step(action[0])
        batch.step(action)
        assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
        assert reward == pytest.approx(float(batch.cars.reward[0]), abs=1e-9)
        if terminated or truncated:
            break
    assert info["end_reason"] == batch.cars.end[0] == ARRIVED
    assert info["is_success"]
    env.close()
    batch.close()


def test_they_resume_exactly_and_damage_is_refused() -> None:
    batch, twin = begun(SEED), begun(SEED + 1)
    for _ in range(30):
        batch.step(act(batch.cars.state))
    twin.set_state(state := batch.get_state())
    for one in (batch, twin):
        for _ in range(30):
            one.step(act(one.cars.state))
    for name, array in batch.get_state().items():
        assert np.array_equal(array, twin.get_state()[name]), name
    state["traffic.whole"][0, -1, DRIVES] = 2
    with pytest.raises(DriveRLError, match="expected the actors of road 10000"):
        twin.set_state(state)
    batch.close()
    twin.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("overlap_m: [0.2, 0.9]", r"overlap_m = \[0.2, 0.9\]: expected two values"),
        ("apart_m: [1, 9]", r"apart_m = \[1.0, 9.0\]: expected two values"),
        ("cars: 0", "cars = 0: expected >= 1"),
        ("distance_m: [40, 400]", "hazard.distance_m = .* expected less than route_m"),
    ],
)
def test_what_a_world_cannot_have_is_refused(wrong: str, message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_world("country", ["streets.route_m=150", f"streets.hazard={{kind: invading_cars, {wrong}}}"])


def test_a_map_without_bends_is_refused() -> None:
    world = load_world("town", ["streets.hazard={kind: invading_cars, radius_m: 20}"])
    with pytest.raises(DriveRLError, match=r"found no route that begins in a lane which bends.* fix: streets.map ="):
        draw_street_episode(world, cast(StreetsSpec, world.streets), 0)
