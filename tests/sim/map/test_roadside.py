"""What stands beside streets: off the pavement and apart, by each map's seed, the same in both engines' pictures."""

import math
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.roadside import RoadsideSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.drivers.evaluate import evaluate
from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import load_driver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.truth import STREET_CLASSES
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.map.markings import paved_outlines
from drive_rl.sim.map.network import Control, RoadNetwork
from drive_rl.sim.map.roadside import (
    BUILDING,
    BUS_STOP_SIGN,
    GIVE_WAY_SIGN,
    HALF_LENGTH,
    HALF_WIDTH,
    HEIGHT,
    KIND,
    LAMP_POST,
    STOP_SIGN,
    TREE,
    YAW,
    X,
    Y,
    bus_stops,
    draw_roadside,
)
from drive_rl.sim.task.street_episode import built_map

SIGNS = {STOP_SIGN, GIVE_WAY_SIGN, BUS_STOP_SIGN}
BUILT = "streets.roadside.buildings=0.8"
EVERYTHING = RoadsideSpec(buildings=1.0, trees=1.0, lamp_posts=1.0)


def network_of(name: str, seed: int) -> RoadNetwork:
    return built_map(cast(StreetsSpec, load_world(name).streets).map, seed).network


def rectangle(row: NDArray[np.float64], scale: float = 1.0) -> Any:
    """Return a row as OpenCV's rotated rectangle."""
    size = 2 * scale * row[HALF_LENGTH], 2 * scale * row[HALF_WIDTH]
    return (float(row[X]), float(row[Y])), (float(size[0]), float(size[1])), math.degrees(float(row[YAW]))


def street_env(*changes: str) -> StreetEnv:
    env = make_env(load_world("town", (BUILT, *changes)), observation="camera")
    assert isinstance(env, StreetEnv)
    return env


@pytest.mark.parametrize(("name", "seed"), [("town", 0), ("town", 20_000), ("roundabouts", 3), ("country", 1)])
def test_nothing_stands_where_vehicles_drive_or_park_or_in_a_building(name: str, seed: int) -> None:
    """By OpenCV's polygons, every corner and the middle, and each building against every other one."""
    network = network_of(name, seed)
    rows = draw_roadside(network, EVERYTHING, seed)
    buildings = rows[rows[:, KIND] == BUILDING]
    assert len(buildings) > 20
    assert (rows[:, KIND] == TREE).sum() > 10
    outlines = [outline.astype(np.float32) for outline in paved_outlines(network)]
    stands = ~np.isin(rows[:, KIND], list(SIGNS))
    places = [rows[stands][:, [X, Y]], *(cv2.boxPoints(rectangle(row)) for row in buildings)]
    for x, y in np.concatenate(places).astype(float):
        near = (o for o in outlines if np.abs(o - [x, y]).max(axis=1).min() < 60)
        assert all(cv2.pointPolygonTest(outline, (x, y), True) <= -2.9 for outline in near), (x, y)
    for i, one in enumerate(buildings):
        for other in buildings[i + 1 :]:
            assert cv2.rotatedRectangleIntersection(rectangle(one), rectangle(other))[0] == cv2.INTERSECT_NONE
        for x, y in rows[rows[:, KIND] == TREE][:, [X, Y]]:
            assert cv2.pointPolygonTest(cv2.boxPoints(rectangle(one)), (float(x), float(y)), False) < 0


def test_signs_stand_where_the_lines_are_and_face_who_comes() -> None:
    found = 0
    for seed in range(6):
        network = network_of("town", seed)
        rows = draw_roadside(network, RoadsideSpec(buildings=0, trees=0, lamp_posts=0), seed)
        for control, kind in ((Control.STOP_SIGN, STOP_SIGN), (Control.GIVE_WAY, GIVE_WAY_SIGN)):
            lanes = np.flatnonzero((network.control == control) & (network.right < 0)).tolist()
            signs = rows[rows[:, KIND] == kind]
            assert len(signs) == len(lanes)
            for lane, sign in zip(lanes, signs, strict=True):
                x, y, yaw = pose_at(network, lane, float(network.stop_s_m[lane]), 0.0)
                ahead = math.cos(yaw) * (sign[X] - x) + math.sin(yaw) * (sign[Y] - y)
                left = math.cos(yaw) * (sign[Y] - y) - math.sin(yaw) * (sign[X] - x)
                assert (ahead, left) == pytest.approx((0, -network.width_m[lane] / 2 - 0.9), abs=1e-6)
                assert math.cos(sign[YAW] - yaw) == pytest.approx(1)
                found += 1
        assert set(rows[:, KIND]) <= SIGNS
        stops = bus_stops(network)
        assert np.isfinite(stops).sum() == (rows[:, KIND] == BUS_STOP_SIGN).sum() > 5
        lanes = np.flatnonzero(np.isfinite(stops))
        assert (network.right[lanes] < 0).all()
        assert (network.junction[lanes] < 0).all()
        assert (network.length_m[lanes] - stops[lanes] > 20).all(), "before the line"
        assert (stops[lanes] > 20).all(), "room for the bus behind the junction"
        ends = [
            (lane, float(network.crossing_s_m[k]), float(network.crossing_end_s_m[k]))
            for lane in lanes.tolist()
            for k in range(network.first_crossing[lane], network.first_crossing[lane + 1])
        ]
        assert not any(from_m < stops[lane] and to_m > stops[lane] - 10.5 for lane, from_m, to_m in ends)
    assert np.isnan(bus_stops(network_of("motorway", 0))).all()
    assert found


def test_a_seed_always_draws_the_same() -> None:
    network = network_of("town", 0)
    rows = draw_roadside(network, EVERYTHING, 0)
    assert np.array_equal(rows, draw_roadside(network, EVERYTHING, 0))
    assert not np.array_equal(rows[:, KIND], draw_roadside(network, EVERYTHING, 1)[:, KIND])
    assert len(draw_roadside(network, RoadsideSpec(signs=False, buildings=0, trees=0, lamp_posts=0), 0)) == 0
    half = draw_roadside(network, RoadsideSpec(buildings=0.5, trees=0, lamp_posts=0), 0)
    count = [(each[:, KIND] == BUILDING).sum() for each in (half, rows)]
    assert 0.3 < count[0] / count[1] < 0.75


def test_both_engines_and_a_resumed_one_show_the_same() -> None:
    env = street_env()
    batch = cpu_batch(env.world, 1, "camera")
    seen, _ = env.reset(options={"road_seed": 10_003})
    batch.begin([0], [10_003])
    bare, _ = make_env(load_world("town"), observation="camera").reset(options={"road_seed": 10_003})
    assert not np.array_equal(seen, bare)
    for step in range(20):
        assert np.array_equal(seen, batch.observe()[0])
        action = np.array([0.0, 0.3], np.float32)
        seen, *_ = env.step(action)
        batch.step(action[None].astype(float))
        if step == 10:
            other = cpu_batch(env.world, 1, "camera")
            other.set_state(batch.get_state())
            batch = other


def test_labels_name_what_stands_there_and_how_large_it_is() -> None:
    kinds = {"building": {BUILDING}, "tree": {TREE}, "pole": {LAMP_POST}, "sign": SIGNS}
    env = street_env("camera.width_px=240", "camera.height_px=150", "streets.roadside.lamp_posts=1")
    met = set[str]()
    for seed in range(10_000, 10_012):
        env.reset(options={"road_seed": seed})
        truth, rows, car = env.truth(), env._scene.beside(0), env.car
        assert truth.instances is not None
        for found in truth.objects:
            if found.kind not in kinds:
                continue
            x, y, _ = found.centre_m
            cos, sin = math.cos(car.yaw_rad), math.sin(car.yaw_rad)
            away = np.hypot(rows[:, X] - (car.x_m + cos * x - sin * y), rows[:, Y] - (car.y_m + sin * x + cos * y))
            row = rows[np.argmin(away)]
            assert away.min() < 0.1  # a sign's plate is before its post
            assert row[KIND] in kinds[found.kind]
            assert found.size_m[2] == pytest.approx(row[HEIGHT], abs=0.01)
            assert found.centre_m[2] == pytest.approx(row[HEIGHT] / 2, abs=0.01)
            assert (truth.classes[truth.instances == found.instance] == STREET_CLASSES.index(found.kind)).all()
            met.add(found.kind)
    assert met == set(kinds)


def test_nothing_hides_the_lamp_from_who_waits() -> None:
    """The expert that sees by the camera alone waits for ever at a signal that it does not see."""
    world = load_world("town", (BUILT, "streets.seen_within_s=1"))
    rows = evaluate(load_driver("expert", world)[0], world, "val", 20, engine="batch")[1]
    ends = [row.end_reason for row in rows]
    assert "blocked" not in ends
    assert ends.count("arrived") >= 16


@pytest.mark.parametrize("change", ["buildings=2", "trees=-1", "signs=perhaps", "hedges=1"])
def test_a_roadside_that_cannot_be_is_refused(change: str) -> None:
    with pytest.raises(DriveRLError, match=f"roadside.{change.split('=')[0]}"):
        load_world("town", (f"streets.roadside.{change}",))
