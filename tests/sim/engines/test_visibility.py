"""The privileged state by what the camera showed (`streets.seen_within_s`): the same in both engines, and no more."""

import math
from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.evaluate import evaluate
from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import load_driver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.engines.streets.step import hazard_of, traffic_of
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.map.network import Control
from drive_rl.sim.sensors.pinhole import Viewpoint, cast_rays
from drive_rl.sim.sensors.streets.solids import MOST_SOLIDS, SIGNAL_PARTS, SolidRows, add_signal, signals_of
from drive_rl.sim.sensors.streets.visible import visible_solids
from drive_rl.sim.task.outcome import END_REASONS, state_fields
from drive_rl.sim.task.street_episode import built_map
from drive_rl.sim.traffic.actors import S
from drive_rl.sim.traffic.passing import FAR_M, PASSING_FIELDS, fill_passing
from drive_rl.sim.traffic.seen import seen_traffic

FAIR = "streets.seen_within_s=1"
DOWN = "camera.pitch_rad=1.5"
"""Shows the ground before the car alone."""


def expert(world: WorldSpec) -> Driver:
    return load_driver("expert", world)[0]


def street_env(world: WorldSpec) -> StreetEnv:
    env = make_env(world, observation="state")
    assert isinstance(env, StreetEnv)
    return env


def ends(name: str, *changes: str, roads: int = 10) -> list[str]:
    """Return how the expert's drives on the first val roads end."""
    world = load_world(name, (FAIR, *changes))
    return [row.end_reason for row in evaluate(expert(world), world, "val", roads, engine="batch")[1]]


@pytest.mark.parametrize(("name", "seed"), [("town", 10_003), ("scenarios/accident", 0), ("scenarios/parking_exit", 3)])
def test_both_engines_and_a_resumed_one_know_the_same(name: str, seed: int) -> None:
    world = load_world(name, (FAIR,))
    driver, env, batch = expert(world), street_env(world), cast(StreetBatch, cpu_batch(world, 1, "state"))
    state, _ = env.reset(options={"road_seed": seed})
    batch.begin([0], [seed])
    step = 0
    for step in range(150):
        assert state == pytest.approx(batch.cars.state[0], abs=1e-4)
        assert np.array_equal(env._scene.cars.seen, batch.scene.cars.seen)
        action = driver.act(state[None])
        state, _, terminated, truncated, _ = env.step(action[0])
        batch.step(action.astype(float))
        if terminated or truncated:
            break
        if step == 60:
            saved, env = env.get_state(), street_env(world)
            env.set_state(saved)
            other = cast(StreetBatch, cpu_batch(world, 1, "state", 2))
            other.set_state(batch.get_state())
            batch = other
    assert step > 60


def test_who_counts_as_seen_is_who_the_labels_show() -> None:
    """Labels look at every solid for every pixel; `seen` looks at every pixel that a solid may cover."""
    world = load_world("town", (FAIR,))
    driver, env = expert(world), street_env(world)
    state, _ = env.reset(options={"road_seed": 10_003})
    met = 0
    for step in range(120):
        actors = env._scene.cars.whole.shape[1]
        labelled = {each.instance for each in env.truth().objects if each.instance < actors}
        seen = env._scene.cars.seen[0]
        assert {j for j in range(1, actors) if seen[j] == step} == labelled
        met += len(labelled)
        state, *_ = env.step(driver.act(state[None])[0])
    assert met > 60


def test_what_nobody_shows_changes_the_state_alone() -> None:
    """Who looks at the ground knows nothing of others; rewards and ends are as they were."""
    open_world, blind_world = load_world("town"), load_world("town", (FAIR, DOWN))
    env, blind, driver = street_env(open_world), street_env(blind_world), expert(open_world)
    speed, differ = state_fields(open_world).index("target_speed_mps"), 0
    for seed in (10_001, 10_003):
        state, _ = env.reset(options={"road_seed": seed})
        less, _ = blind.reset(options={"road_seed": seed})
        ended = False
        while not ended:
            rest = np.arange(len(state)) != speed
            assert np.array_equal(state[rest], less[rest])
            differ += int(state[speed] != less[speed])
            action = driver.act(state[None])[0]
            state, reward, terminated, truncated, info = env.step(action)
            less, *same, found = blind.step(action)
            assert same == [reward, terminated, truncated]
            assert found == info
            ended = terminated or truncated
    assert differ > 50


def test_of_several_obstacles_each_that_is_seen_counts() -> None:
    """Against the same traffic with the one that nobody sees far away."""
    env = street_env(load_world("scenarios/accident"))
    env.reset(options={"road_seed": 10_000})
    cars, maps = env._scene.cars, env._scene.maps
    count, found = cars.whole.shape[1], list[list[float]]()
    for unseen in (None, count - 3, count - 2, count - 1):
        known = np.ones(count, np.bool_)
        if unseen is not None:
            known[unseen] = False
        fields = np.zeros(len(PASSING_FIELDS), np.float32)
        fill_passing(seen_traffic(traffic_of(0, cars, maps, 0.1), known), hazard_of(0, cars), 12.0, fields)
        found.append(fields.tolist())
        if unseen is not None:
            real = cars.real.copy()
            cars.real[0, unseen, S] = 1e9
            fill_passing(traffic_of(0, cars, maps, 0.1), hazard_of(0, cars), 12.0, fields)
            cars.real[:] = real
            assert found[-1] == fields.tolist()
    assert len({tuple(fields[:3]) for fields in found}) >= 3  # each makes it longer, or begins it


def test_a_leader_that_brakes_is_minded_only_if_it_is_seen() -> None:
    assert "collision" not in ends("scenarios/hard_break_route")
    assert ends("scenarios/hard_break_route", DOWN).count("collision") >= 5


def test_a_signal_that_is_not_seen_counts_as_red() -> None:
    name = "scenarios/vanilla_signalized_turn_encounter_green_light"
    assert ends(name).count("arrived") >= 8
    assert "arrived" not in ends(name, DOWN)


def test_what_was_seen_is_known_for_so_long_alone() -> None:
    """An obstacle is known while labels have shown it within half a second, and no longer: not beside the car."""
    name, seed = "scenarios/construction_obstacle", 10_000
    world, everything = load_world(name, ("streets.seen_within_s=0.5",)), load_world(name)
    driver, env, other = expert(everything), street_env(world), street_env(everything)
    fields, within = state_fields(world), world.task.control_hz // 2
    way = fields.index("obstacle_m")
    state, _ = env.reset(options={"road_seed": seed})
    full, _ = other.reset(options={"road_seed": seed})
    members, last, forgotten, ended = set(range(env._scene.cars.whole.shape[1])[-3:]), -within, 0, False
    for step in range(1000):
        if members & {each.instance for each in env.truth().objects}:
            last = step
        assert (state[way] < FAR_M) == (full[way] < FAR_M and step - last < within)
        forgotten += int(full[way] < FAR_M and last >= 0 and step - last >= within)
        action = driver.act(full[None])[0]
        state, _, terminated, truncated, _ = env.step(action)
        full, *_ = other.step(action)
        if ended := terminated or truncated:
            break
    assert ended
    assert forgotten


@pytest.mark.parametrize("map_seed", [0, 3, 10_000])
def test_who_waits_at_a_line_sees_the_lamp_by_the_standard_camera(map_seed: int) -> None:
    """Its front a metre before the line, on each lane and whatever is lit."""
    world = load_world("town")
    network = built_map(cast(StreetsSpec, world.streets).map, map_seed).network
    signals, rays = signals_of(network), cast_rays(world.camera)
    lanes = np.flatnonzero(network.control == Control.SIGNAL).tolist()
    assert lanes
    for lane in lanes:
        s = float(network.stop_s_m[lane]) - 1 - world.car.length_m / 2
        x, y, yaw = pose_at(network, lane, s, 0.0)
        for light in range(3):
            rows = SolidRows(
                np.zeros((MOST_SOLIDS, 9), np.float32),
                np.zeros((MOST_SOLIDS, 3), np.float32),
                np.zeros((MOST_SOLIDS, 3), np.float32),
                np.zeros(MOST_SOLIDS, np.int32),
            )
            near = np.flatnonzero(
                (np.hypot(signals[:, 0] - x, signals[:, 1] - y) < 15) & (np.cos(signals[:, 2] - yaw) > 0.9)
            )
            count = 0
            for row in near.tolist():
                count = add_signal(rows, count, signals, row, light)
            at = Viewpoint(x, y, math.cos(yaw), math.sin(yaw))
            shown = visible_solids(rays, at, rows.shape[:count])
            assert shown[SIGNAL_PARTS - 1 :: SIGNAL_PARTS].any(), (lane, light)


@pytest.mark.parametrize("value", ["0", "-1", "61", "soon"])
def test_a_time_that_cannot_be_is_refused(value: str) -> None:
    with pytest.raises(DriveRLError, match="seen_within_s"):
        load_world("town", (f"streets.seen_within_s={value}",))


def test_a_state_of_another_visibility_is_refused() -> None:
    env, other = street_env(load_world("town", (FAIR,))), street_env(load_world("town"))
    env.reset(options={"road_seed": 5})
    other.reset(options={"road_seed": 5})
    with pytest.raises(DriveRLError, match="seen"):
        env.set_state(other.get_state())
    with pytest.raises(DriveRLError, match="seen"):
        other.set_state(env.get_state())
    broken = env.get_state()
    broken["traffic.seen"][0, 1] = -2_000_000
    with pytest.raises(DriveRLError, match="seen"):
        env.set_state(broken)


def test_the_expert_still_drives_a_town_by_what_it_sees() -> None:
    """Nobody looks to the side: some who cross are met."""
    found = ends("town", roads=20)
    assert found.count("arrived") >= 16
    assert set(found) <= set(END_REASONS)
    assert "blocked" not in found
