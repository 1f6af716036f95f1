"""People at zebra crossings: they keep to them, nobody touches them, both engines agree; what is refused."""

from typing import cast

import cv2
import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.map import MotorwaySpec, TownSpec
from drive_rl.config.specs.streets.traffic import TrafficSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.lane_geometry import light_at, pose_at
from drive_rl.sim.map.network import Control, Light, RoadNetwork
from drive_rl.sim.map.streets.generate import map_of_seed
from drive_rl.sim.traffic.actors import DRIVES, LANE, LEAVING, ON_FOOT, SHIFT, SPEED, WAITED, S, Traffic, new_traffic
from drive_rl.sim.traffic.contacts import contacts
from drive_rl.sim.traffic.hazards.walkers import STEPS, STRIP_LANE, UNTIL, WALKS, Walkers, draw_walkers, walk_across
from drive_rl.sim.traffic.population import draw_vehicles, joined
from drive_rl.sim.traffic.step import step_traffic
from drive_rl.sim.traffic.streets import streets_of

DRIVERS, PEOPLE = 30, 20


def busy_town(seed: int) -> tuple[RoadNetwork, Traffic, Walkers]:
    network, random = map_of_seed(TownSpec(), seed).network, np.random.default_rng(seed)
    people = draw_walkers(network, PEOPLE, DRIVERS, 0.1, random)
    vehicles = joined([draw_vehicles(TrafficSpec(), "train", DRIVERS, random), people.bodies])
    return network, new_traffic(streets_of(network), vehicles, seed, scripted=people.scripted), people.walkers


@pytest.mark.parametrize("seed", [0, 1])
def test_they_keep_to_their_crossings_and_nobody_touches_them(seed: int) -> None:
    """By OpenCV's polygons: on pavement they are within the corners of a crossing."""
    network, traffic, walkers = busy_town(seed)
    crossings = [corners.astype(np.float32) for corners in network.crossing_corners]
    met, waited = 0, 0
    for step in range(3000):
        before = walkers.now[:, STEPS].copy()
        walk_across(traffic, walkers, step)
        for p in np.flatnonzero(walkers.now[:, STEPS] > 0).tolist():
            who = DRIVERS + p
            assert traffic.whole[who, DRIVES] == ON_FOOT
            strips = walkers.strips[p, walkers.now[p, WALKS] % 2]
            lanes = strips[strips[:, UNTIL] > 0, STRIP_LANE].astype(int).tolist()
            on = traffic.whole[who, [LANE, LEAVING]].tolist()
            assert on in (lanes[:2], [lanes[-1], -1]), "who is on the first lane is on the second one, too"
            if before[p] == 0:
                red = [light_at(network, int(network.signal[int(lane)]), step * 0.1) == Light.RED
                       for lane, s in strips[strips[:, UNTIL] > 0, :2].tolist()
                       if network.control[int(lane)] == Control.SIGNAL and s > network.stop_s_m[int(lane)]]  # fmt: skip
                assert all(red)
            lane, shift = int(traffic.whole[who, LANE]), float(traffic.real[who, SHIFT])
            if abs(shift) < network.width_m[lane] / 2:
                x, y, _ = pose_at(network, lane, float(traffic.real[who, S]), shift)
                assert any(cv2.pointPolygonTest(corners, (x, y), False) >= 0 for corners in crossings)
                met += 1
        step_traffic(traffic, step)
        if step % 2 == 0:
            assert not contacts(traffic, network)[:DRIVERS].any(), "people touch each other, nobody else"
        waited = max(waited, int(traffic.whole[:DRIVERS, WAITED].max()))
    assert met > 1000
    assert walkers.now[:, WALKS].min() > 1
    assert waited * 0.1 < 120
    assert traffic.real[:DRIVERS, SPEED].max() > 5


@pytest.mark.parametrize(
    ("name", "changes", "seed"),
    [
        ("town", ["streets.traffic.pedestrians=80", "streets.maps=1"], 10_000),
        ("town", ["streets.traffic.pedestrians=80", "streets.maps=1", "streets.seen_within_s=1"], 20_000),
        ("scenarios/construction_obstacle_two_ways", ["streets.traffic.pedestrians=40", "streets.maps=1"], 10_000),
    ],
)
def test_both_engines_and_a_resumed_one_agree(name: str, changes: list[str], seed: int) -> None:
    world = load_world(name, changes)
    env = make_env(world, observation="camera+state")
    assert isinstance(env, StreetEnv)
    batch = cpu_batch(world, 1, "camera+state")
    env.reset(options={"road_seed": seed})
    batch.begin([0], [seed])
    walked = 0
    for step in range(40):
        ours, theirs = env.get_state(), batch.get_state()
        for part in ("walk", "whole", "real"):
            np.testing.assert_allclose(ours[f"traffic.{part}"], theirs[f"traffic.{part}"], atol=1e-6, err_msg=part)
        walked += int((theirs["traffic.walk"][0, :, STEPS] > 0).sum())
        action = np.array([0.0, 0.1], np.float32)
        seen, *_ = env.step(action)
        batch.step(action[None].astype(float))
        both = cast(dict[str, np.ndarray], batch.observe())
        assert np.array_equal(seen["camera"], both["camera"][0])
        np.testing.assert_allclose(seen["state"], both["state"][0], atol=1e-5)
        if step == 20:
            other = cpu_batch(world, 1, "camera+state")
            other.set_state(batch.get_state())
            batch = other
    assert walked > 20


def test_a_state_that_people_cannot_be_in_is_refused() -> None:
    world = load_world("town", ["streets.traffic.pedestrians=5", "streets.maps=1"])
    batch = cpu_batch(world, 1, "camera")
    batch.begin([0], [10_000])
    for part, at, value, message in (
        ("whole", (0, -1, DRIVES), ON_FOOT, r"traffic\.whole of car 0: expected the actors of road 10000"),
        ("walk", (0, 0, STEPS), 3, r"traffic\.whole of car 0: expected the actors of road 10000"),
        ("walk", (0, 0, STEPS), -1, r"traffic\.walk"),
    ):
        state = batch.get_state()
        state[f"traffic.{part}"][at] = value
        with pytest.raises(DriveRLError, match=message):
            cpu_batch(world, 1, "camera").set_state(state)


def test_what_is_refused() -> None:
    with pytest.raises(DriveRLError, match=r"pedestrians = 5: the map has no zebra crossings .* fix: 0, or another"):
        draw_walkers(map_of_seed(MotorwaySpec(), 0).network, 5, 0, 0.1, np.random.default_rng(0))
    with pytest.raises(DriveRLError, match="pedestrians"):
        load_world("town", ["streets.traffic.pedestrians=-1"])
