"""Routes that begin before a junction of one kind."""

import math
import subprocess
import sys
from typing import cast

import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.network import Control
from drive_rl.sim.task.street_episode import StreetEpisode, built_map, draw_street_episode, map_seed_of

SEEDS = (0, 1, 2, 16, 10_003, 20_004, 20_005)


def world_of(junction: str, *changes: str) -> WorldSpec:
    return load_world("town", [f"streets.junction={{{junction}}}", *changes])


def episode_of(world: WorldSpec, seed: int) -> StreetEpisode:
    return draw_street_episode(world, cast(StreetsSpec, world.streets), seed)


@pytest.mark.parametrize("control", ["none", "stop_sign", "give_way", "signal"])
@pytest.mark.parametrize("turn", ["left", "straight", "right"])
def test_the_route_takes_such_a_junction_first(control: str, turn: str) -> None:
    """What governs the approach is the map's word, which way it turns is measured by headings."""
    world = world_of(f"control: {control}, turn: {turn}, approach_m: 50")
    for seed in SEEDS:
        episode = episode_of(world, seed)
        network, route = built_map(cast(StreetsSpec, world.streets).map, episode.map_seed).network, episode.route
        approach, within = int(route.lanes[0]), int(route.lanes[1])
        assert network.junction[approach] < 0 <= network.junction[within]
        assert network.control[approach] == Control[control.upper()]
        first, last = network.first_point[within], network.first_point[within + 1] - 1
        turned = float(network.yaw_rad[last] - network.yaw_rad[first])
        assert turn == ("left" if turned > 0.6 else "right" if turned < -0.6 else "straight")
        to_junction_m = float(route.from_m[1]) - route.start_m
        assert 25 <= to_junction_m <= 50 or to_junction_m <= network.length_m[approach] - 12  # a short lane
        assert route.end_m - route.start_m == pytest.approx(300)


@pytest.mark.parametrize("light", ["red", "green"])
def test_the_light_is_as_asked_when_an_unhindered_car_arrives(light: str) -> None:
    world = world_of(f"control: signal, light: {light}")
    starts = set[int]()
    for seed in SEEDS:
        episode = episode_of(world, seed)
        network = built_map(cast(StreetsSpec, world.streets).map, episode.map_seed).network
        lane = int(episode.route.lanes[0])
        way_m = network.stop_s_m[lane] - (network.length_m[lane] - (episode.route.from_m[1] - episode.route.start_m))
        speed_mps = min(network.speed_limit_mps[lane], world.task.target_speed_mps)
        group = network.signal[lane]
        at_s = episode.first_step / world.task.control_hz + way_m / speed_mps - network.signal_start_s[group]
        lit = math.fmod(at_s, network.signal_cycle_s[group]) % network.signal_cycle_s[group]
        green, yellow = network.signal_green_s[group], network.signal_yellow_s[group]
        assert light == ("green" if lit < green else "yellow" if lit < green + yellow else "red")
        starts.add(episode.first_step)
    assert len(starts) == len(SEEDS)


def test_where_a_map_has_no_such_junction_another_of_the_split_is_taken() -> None:
    world = world_of("control: stop_sign, turn: straight")
    streets = cast(StreetsSpec, world.streets)
    assert [map_seed_of(streets, seed) for seed in range(16)] != list(range(16))
    assert all(map_seed_of(streets, seed) in range(20_000, 20_016) for seed in range(20_000, 20_030))


def test_junctions_that_no_map_has_are_refused() -> None:
    world = world_of("control: signal", "streets.map={kind: country}", "streets.maps=2")
    with pytest.raises(DriveRLError, match=r"^town: streets.junction = .*'signal'.*: no such junction on any of"):
        episode_of(world, 0)
    narrow = world_of("control: none", "streets.map={kind: country}", "streets.maps=2", "streets.lane_changes=1")
    with pytest.raises(DriveRLError, match=r"no such junction behind room for streets.lane_changes = 1 .* fix: fewer"):
        episode_of(narrow, 0)
    changes = ["world=town", "world.streets.junction={light: red}"]
    found = subprocess.run(
        [sys.executable, "-m", "drive_rl", "eval", "reference", *changes], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert "light = red: expected control = signal, found null; fix: control = signal" in found.stderr


def test_nobody_begins_faster_than_from_where_it_can_stop_at_the_first_line() -> None:
    """With 2 m/s^2, its front before the line."""
    world = load_world("town", ["streets.maps=4", "streets.traffic.actors=5"])
    near = 0
    for seed in range(40):
        episode = episode_of(world, seed)
        network = built_map(cast(StreetsSpec, world.streets).map, episode.map_seed).network
        lane, from_m = int(episode.route.lanes[0]), float(episode.route.from_m[0])
        line_m = from_m + float(network.stop_s_m[lane]) - episode.road.start_s_m - world.car.length_m / 2
        if not math.isnan(line_m):
            assert episode.start.vx_mps**2 / (2 * 2.0) <= max(line_m, 0.0)
            near += line_m < 20
    assert near > 0, "some begin near a line"
