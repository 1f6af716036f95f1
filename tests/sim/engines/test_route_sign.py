"""What a driver in streets is given of its route: an arrow in the picture, the same in every engine and film."""

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.map.street_route import RUN_IN_M
from drive_rl.sim.task.outcome import S
from drive_rl.sim.task.street_episode import StreetEpisode, built_map

NAMES = ("none", "left", "straight", "right")
SIGN = np.s_[:7, :7]


def shown(picture: NDArray[np.uint8]) -> str:
    """Return the arrow in the corner of a picture (H, W), by where its tip is: tips touch the edge of the sign."""
    tips = {"left": (3, 0), "straight": (1, 3), "right": (3, 6)}
    lit = [name for name, at in tips.items() if picture[at] == 255]
    corner = picture[SIGN]
    return lit[0] if set(np.unique(corner)) == {0, 255} and len(lit) == 1 else "none"


def bar(picture: NDArray[np.uint8]) -> int:
    """Return how many of the seven cells below the arrow are lit, from the left."""
    lit = picture[6, :7] == 255
    assert np.all(lit[:-1] >= lit[1:]), lit
    return int(lit.sum())


def turn_ahead(world: Any, episode: StreetEpisode, s_m: float) -> tuple[str, float]:
    """Return which way the route turns in its next junction, by headings alone, and how far that is [m]."""
    network, route = built_map(world.streets.map, episode.map_seed).network, episode.route
    for lane, from_m in zip(route.lanes, route.from_m, strict=True):
        to_go = max(float(from_m) - s_m, 0.0)
        if network.junction[lane] < 0 or from_m + network.length_m[lane] < s_m + 1e-6:
            continue
        first, last = network.first_point[lane], network.first_point[lane + 1] - 1
        turned = float(network.yaw_rad[last] - network.yaw_rad[first])
        return ("left" if turned > 0.6 else "right" if turned < -0.6 else "straight"), to_go
    return "none", np.inf


def test_the_driver_is_shown_how_to_turn_from_forty_metres_before_a_junction_until_it_is_crossed() -> None:
    world, blind = load_world("town"), load_world("town", ["streets.navigation=none"])
    cars = 6
    batch, without = (cast(StreetBatch, cpu_batch(each, cars, "camera+state")) for each in (world, blind))
    driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
    for each in (batch, without):
        each.begin(range(cars), range(40, 40 + cars))
    seen = set[str]()
    for _ in range(250):
        for car in range(cars):
            turn, to_go = turn_ahead(world, batch.scene.episodes[car], float(batch.cars.metrics[car, S]))
            picture, plain = batch.pictures[car, -1].copy(), without.pictures[car, -1]
            if abs(to_go - 40) > 0.01:
                assert shown(picture) == (turn if to_go < 40 else "none"), (car, turn, to_go)
            cells = to_go * 7 / 40
            if cells < 7 and (abs(cells - round(cells)) > 0.01 or to_go == 0):
                assert bar(picture) == math.ceil(cells), (car, to_go)
            seen.add(shown(picture))
            if shown(picture) != "none":
                picture[SIGN] = plain[SIGN]
            assert np.array_equal(picture, plain)
        actions = driver.act(batch.cars.state).astype(float)
        for each in (batch, without):
            each.begin((ended := each.step(actions)), (each.road_seeds[ended] + 100).tolist())
    assert seen == set(NAMES)
    batch.close()
    without.close()


def test_a_change_of_lanes_is_counted_down_from_five_seconds_before_it_begins() -> None:
    world, cars = load_world("scenarios/lane_change"), 4
    assert world.streets
    batch = cast(StreetBatch, cpu_batch(world, cars, "camera+state"))
    driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
    batch.begin(range(cars), range(cars))
    begins_m, known_m, long_m, seen, after = np.zeros(cars), np.zeros(cars), np.zeros(cars), set[int](), set[bool]()
    for car in range(cars):
        episode = batch.scene.episodes[car]
        network, route = built_map(world.streets.map, episode.map_seed).network, episode.route
        (k,) = np.flatnonzero(route.spans[:, 2])
        begins_m[car] = route.from_m[k] + route.spans[k, 1] - route.spans[k, 2]
        long_m[car] = 2 * route.spans[k, 2]
        known_m[car] = 5 * network.speed_limit_mps[route.lanes[k]]

    def junction_m(car: int) -> float:
        return turn_ahead(world, batch.scene.episodes[car], float(batch.cars.metrics[car, S]))[1]

    for _ in range(150):
        for car in range(cars):
            to_go, picture = begins_m[car] - float(batch.cars.metrics[car, S]), batch.pictures[car, -1]
            cells = to_go * 7 / known_m[car]
            if 0 < cells < 7 and abs(cells - round(cells)) > 0.01:
                assert bar(picture) == math.ceil(cells), (car, to_go)
                seen.add(bar(picture))
            elif -long_m[car] + 0.1 < to_go <= 0:
                assert bar(picture) == 0
                assert set(np.unique(picture[SIGN])) == {0, 255}, (car, to_go)
                after.add(to_go < -long_m[car] / 2 - 1)
            elif -long_m[car] - 5 < to_go < -long_m[car] - 0.1 and junction_m(car) > 41:
                assert set(np.unique(picture[SIGN])) != {0, 255}, (car, to_go)
        if len(batch.step(driver.act(batch.cars.state).astype(float))):
            break
    assert seen >= set(range(1, 7))
    assert after == {False, True}, "it is shown in both halves of the change"
    batch.close()


def test_a_larger_picture_shows_a_larger_sign() -> None:
    env = make_env("town", observation="camera")
    near = next(
        seed
        for seed in range(100)
        if (env.reset(options={"road_seed": seed}), turn_ahead(env.world, cast(StreetEpisode, env.episode), RUN_IN_M))[
            1
        ][1]
        < 39
    )
    observed, _ = env.reset(options={"road_seed": near})
    view = env.driver_view(640, 400)
    assert shown(observed[-1]) == shown(view[5:70:10, 5:70:10, 0]) != "none"
    env.close()
