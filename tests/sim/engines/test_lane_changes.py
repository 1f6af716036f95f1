"""Routes that change lanes, driven: both engines are one world, others make room, and the driver is shown the side."""

from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.lane_geometry import curvature_at, pose_at
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.street_route import CHANGES, LEAVES
from drive_rl.sim.task.info import END_NAMES
from drive_rl.sim.task.outcome import LANE_OFFSET, LANE_TERM, OFFSET, SPEED, STATE_FIELDS, YAW, S, X, Y
from drive_rl.sim.task.street_episode import built_map
from drive_rl.sim.traffic.actors import LANE, LEAVING

WORLD = load_world("scenarios/lane_change")
WAITS = 10_007
"""A road on which the reference driver nearly stops before it finds a place."""
SIGNS = {(1, 1): "left", (1, 5): "right"}
"""Where the tips of the signs are."""


def reference() -> ReferenceDriver:
    return ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), WORLD.car, WORLD.task)


def test_both_engines_change_lanes_alike_and_show_it() -> None:
    """Positions, pictures and rewards; the lane that the car is on by its place; the sign until it is half over."""
    env = cast(StreetEnv, make_env(WORLD, observation="camera+state"))
    batch, driver, shown = cast(StreetBatch, cpu_batch(WORLD, 1, "camera+state", 1)), reference(), set[str]()
    seen, _ = env.reset(options={"road_seed": WAITS})
    batch.begin([0], [WAITS])
    route, whole = batch.scene.episodes[0].route, batch.scene.cars.whole[0, 0]
    half_m, middle_m, slowest_mps = route.spans[0, CHANGES], route.begins_m[1], np.inf
    for _ in range(200):
        assert np.array_equal(seen["camera"], batch.pictures[0])
        s_m, newest = float(batch.cars.metrics[0, S]), batch.pictures[0, -1]
        assert route.from_m[0] + route.spans[0, LEAVES] == pytest.approx(middle_m)
        assert whole[LANE] == route.lanes[0 if s_m < middle_m else 1]
        if s_m < middle_m:
            slowest_mps = min(slowest_mps, float(batch.cars.metrics[0, SPEED]))
        if abs(s_m - middle_m) < half_m:
            assert whole[LEAVING] == route.lanes[1 if s_m < middle_m else 0]
        elif s_m > middle_m:
            assert whole[LEAVING] == -1
        if middle_m - half_m - 40 < s_m < middle_m:
            shown |= {side for tip, side in SIGNS.items() if newest[tip] == 255 and newest[0, 3] == 0}
        if s_m > middle_m + half_m + 10:
            break
        action = driver.act(seen["state"][None])
        seen, reward, *_ = env.step(action[0])
        batch.step(action.astype(float))
        car = env.car
        assert batch.cars.body[:3, 0] == pytest.approx([car.x_m, car.y_m, car.yaw_rad], abs=1e-6)
        assert np.abs(env.actors - batch.actors(0)).max() < 1e-6
        assert reward == pytest.approx(float(batch.cars.reward[0]), abs=1e-9)
    else:
        raise AssertionError("it did not come to the other lane")
    assert slowest_mps < 1
    (x, y, yaw, _), ahead = route.knots[int(middle_m)], route.knots[int(middle_m + half_m)]
    to_left = (ahead[1] - y) * np.cos(yaw) - (ahead[0] - x) * np.sin(
        yaw
    ) < 0  # the line turns back to the lane's course
    assert shown == {"left" if to_left else "right"}
    env.close()
    batch.close()


def test_who_drives_by_the_target_speed_finds_a_place_and_hits_nobody() -> None:
    cars = 4
    batch, driver = cast(StreetBatch, cpu_batch(WORLD, cars, "state", 1)), reference()
    batch.begin(range(cars), range(10_005, 10_005 + cars))
    ends = list[int]()
    for _ in range(300):
        ended = batch.step(driver.act(batch.cars.state).astype(float))
        ends += batch.cars.end[ended].tolist()
        for car in ended.tolist():
            batch.idle(car)
    assert ends == [1] * cars  # arrived
    batch.close()


def from_lane(network: RoadNetwork, lane: int, place: tuple[float, float, float], near_s: float) -> dict[str, float]:
    """Return fields of a lane's state at x, y [m] and yaw [rad]: from the nearest of its poses every centimetre."""
    x, y, yaw = place
    s = np.arange(max(near_s - 15, 0), near_s + 15, 0.01)
    poses = np.array([pose_at(network, lane, each, 0.0) for each in s.tolist()])
    k = int(np.hypot(poses[:, 0] - x, poses[:, 1] - y).argmin())
    lane_x, lane_y, heading = poses[k].tolist()
    offset_m = (y - lane_y) * np.cos(heading) - (x - lane_x) * np.sin(heading)
    ahead = {f"curvature_{m}m": curvature_at(network, lane, float(s[k]) + m) for m in (0, 5, 10, 20)}
    return {"offset_m": offset_m, "heading_error_rad": np.remainder(yaw - heading + np.pi, 2 * np.pi) - np.pi, **ahead}


@pytest.mark.parametrize(
    ("over_m", "end"),
    [(None, "arrived"), (-50.0, "arrived"), (20.0, "arrived"), (np.inf, "wrong_way")],
    ids=["as the line does", "early", "late", "never"],
)
def test_near_a_change_of_lanes_either_lane_is_the_routes(over_m: float | None, end: str) -> None:
    """Driven on one lane and from some metres beyond the middle over to the other; no others are about."""
    world = load_world("scenarios/lane_change", ["streets.traffic.actors=0"])
    assert world.streets
    batch, driver = cast(StreetBatch, cpu_batch(world, 1, "state", 1)), reference()
    batch.begin([0], [WAITS])
    episode, row = batch.scene.episodes[0], batch.cars.metrics[0]
    network, route = built_map(world.streets.map, episode.map_seed).network, episode.route
    middle_m, half_m, farthest_m, least = route.begins_m[1], route.spans[0, CHANGES], 0.0, 1.0
    for _ in range(400):
        state, s_m = batch.cars.state.copy(), float(row[S])
        place = (float(row[X]), float(row[Y]), float(row[YAW]))
        lanes = [from_lane(network, lane, place, s_m - route.from_m[k]) for k, lane in enumerate(route.lanes[:2])]
        near = middle_m - half_m - 35 < s_m < middle_m + 50  # the second lane ends then
        if near:
            offsets_m = [each["offset_m"] for each in lanes]
            beside_m = 0.0 if min(offsets_m) < 0 < max(offsets_m) else min(map(abs, offsets_m))
            assert abs(row[LANE_OFFSET]) == pytest.approx(beside_m, abs=0.06)
            farthest_m, least = max(farthest_m, abs(row[OFFSET])), min(least, batch.cars.terms[0, LANE_TERM])
        if over_m is not None and (near or s_m < middle_m or over_m == np.inf):
            done = min(max((s_m - middle_m - over_m) / 20, 0), 1)
            for name in lanes[0]:
                state[0, STATE_FIELDS.index(name)] = (1 - done) * lanes[0][name] + done * lanes[1][name]
        if batch.step(driver.act(state).astype(float)).size:
            break
    assert END_NAMES[batch.cars.end[0]] == end
    assert farthest_m > (0 if over_m is None else 2.6)  # from 2.5 m on a car has left its route elsewhere
    assert least > 0.9
    assert batch.episode_metrics(np.array([0]))[0].success == (end == "arrived")
    batch.close()
