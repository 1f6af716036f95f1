"""One contract over every scenario of the shelf."""

from typing import cast, get_args

import numpy as np
import pytest

from drive_rl.config.reader import load_scenario, load_world
from drive_rl.config.shelf import entries
from drive_rl.config.specs.base import SPLITS
from drive_rl.config.specs.streets.streets import JunctionSpec, StreetsSpec
from drive_rl.config.specs.world import Ability, WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import load_driver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.map.lane_geometry import locate
from drive_rl.sim.map.network import Control, RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.task.street_episode import built_map, draw_street_episode

FAMILIES = sorted(entries("envs/scenarios"))
STEPS = 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_scenario_keeps_its_word(family: str) -> None:
    """It loads, says what it tests, has a route in every split that begins before its junction, and can be driven."""
    world, scenario = load_scenario(family)
    assert world.name == f"scenarios/{family}"
    assert load_world(world.name) == world
    assert scenario.ability in get_args(Ability)
    assert world.description
    streets = cast(StreetsSpec, world.streets)
    for seeds in SPLITS.values():
        episode = draw_street_episode(world, streets, seeds[0])
        assert episode.map_seed in seeds
        if streets.junction is not None:
            network = built_map(streets.map, episode.map_seed).network
            begins_before(streets.junction, network, episode.route, streets.lane_changes)
    sets_off(world)


def begins_before(junction: JunctionSpec, network: RoadNetwork, route: StreetRoute, changes: int) -> None:
    """Check the first junction of a route, after so many changes of lanes, by the map's signs, and by headings."""
    approach, within = route.lanes[changes : changes + 2].tolist()
    assert network.junction[approach] < 0 <= network.junction[within]
    approach_m = route.from_m[changes + 1] - route.start_m
    assert 0 < approach_m <= junction.approach_m or network.length_m[approach] < 100
    if junction.control is not None:
        assert network.control[approach] == Control[junction.control.upper()]
    turned = float(np.diff(network.yaw_rad[network.first_point[within : within + 2] - (0, 1)])[0])
    last = network.first_point[within + 1] - 1
    end = float(network.x_m[last]), float(network.y_m[last])
    leaves_right = locate(network, approach, *end)[1] < -3  # as a ramp, hardly turning
    if junction.turn is not None:
        turns = "left" if turned > 0.6 else "right" if turned < -0.6 else "straight"
        assert turns in junction.turn or (junction.turn == "right" and leaves_right)
    if junction.arms is not None:
        assert arms_of(network, int(network.junction[within])) == junction.arms


def arms_of(network: RoadNetwork, junction: int) -> int:
    """Count the streets that meet at a junction by the directions from which lanes come in: 0.5 rad apart or more."""
    inside = np.flatnonzero(network.junction == junction)
    yaw = np.sort(np.remainder(network.yaw_rad[network.first_point[inside]], 2 * np.pi))
    return int((np.diff(yaw, append=yaw[0] + 2 * np.pi) > 0.5).sum())


def sets_off(world: WorldSpec) -> None:
    driver, place = load_driver("reference", world)
    batch = cpu_batch(place, 1, driver.observation, 1)
    batch.begin([0], [SPLITS["val"][0]])
    for _ in range(STEPS):
        batch.step(np.array(driver.act(batch.observe()), np.float64))
    assert np.isfinite(batch.cars.metrics).all()
    assert batch.drives[0]
    batch.close()


def test_a_scenario_is_one_of_streets() -> None:
    with pytest.raises(
        DriveRLError, match=r"scenario.ability = merging, without streets: .*; fix: a base such as town"
    ):
        load_world("lane_follow", ["scenario={ability: merging}"])
