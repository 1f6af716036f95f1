"""Ground truth of pictures of streets, against the map, a pinhole's formula and the actors' own poses."""

import math
from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from drive_rl.config.reader import load_world
from drive_rl.sim.engines.streets.truth import STREET_CLASSES, StreetTruth
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.markings import LINE_M, dashes, painted_lines, paved_outlines
from drive_rl.sim.task.street_episode import built_map

CAMERA = ("camera.width_px=160", "camera.height_px=100", "camera.channels=rgb", "camera.frame_stack=1")
EXACT = ("appearance.camera_height_error_m=0", "appearance.camera_pitch_error_rad=0")
CLASS = {name: value for value, name in enumerate(STREET_CLASSES)}


def seen(name: str, seed: int, steps: int) -> tuple[StreetEnv, Any, StreetTruth]:
    """Drive straight on for some steps; return the environment, the picture observed, and its truth."""
    env = make_env(load_world(name, [*CAMERA, *EXACT]), observation="camera")
    assert isinstance(env, StreetEnv)
    observed, _ = env.reset(options={"road_seed": seed})
    for _ in range(steps):
        observed = env.step(np.zeros(2, np.float32))[0]
    return env, observed, env.truth()


def pixels(points: NDArray[np.float64], env: StreetEnv) -> NDArray[np.float64]:
    """Return column and row (n, 2) of points (n, 3) [m] in the vehicle frame, by a pinhole's formula."""
    camera = env.world.camera
    focal = camera.width_px / 2 / math.tan(camera.fov_rad / 2)
    cos, sin = math.cos(camera.pitch_rad), math.sin(camera.pitch_rad)
    x, y, z = (points - [camera.forward_m, 0, camera.height_m]).T
    depth, up = cos * x - sin * z, sin * x + cos * z
    return np.stack([camera.width_px / 2 - focal * y / depth, camera.height_px / 2 - focal * up / depth], axis=1)


def ground_points(env: StreetEnv) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the pixels within 15 m meet the ground: x, y (H, W, 2) [m] in the world, and depth [m]; else NaN."""
    camera, car = env.world.camera, env._car
    focal = camera.width_px / 2 / math.tan(camera.fov_rad / 2)
    rows, columns = np.mgrid[: camera.height_px, : camera.width_px] + 0.5
    up, left = -(rows - camera.height_px / 2) / focal, -(columns - camera.width_px / 2) / focal
    cos, sin = math.cos(camera.pitch_rad), math.sin(camera.pitch_rad)
    depth = camera.height_m / np.maximum(sin - up * cos, 1e-9)
    depth[depth > 15] = np.nan
    x, y = camera.forward_m + depth * (cos + up * sin), depth * left
    turned = np.array([[math.cos(car.yaw_rad), -math.sin(car.yaw_rad)], [math.sin(car.yaw_rad), math.cos(car.yaw_rad)]])
    return np.stack([x, y], axis=-1) @ turned.T + [car.x_m, car.y_m], depth


def away(points: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far points (n, 2) are from a polyline [m]."""
    a, step = line[:-1], np.diff(line, axis=0)
    share = np.clip(((points[:, None] - a) * step).sum(-1) / (step**2).sum(-1), 0, 1)
    return np.hypot(*np.moveaxis(points[:, None] - a - share[..., None] * step, -1, 0)).min(axis=1)


@pytest.mark.parametrize(("name", "seed"), [("motorway", 4), ("town", 3)])
def test_the_ground_is_what_the_map_says(name: str, seed: int) -> None:
    env, observed, truth = seen(name, seed, 10)
    assert np.array_equal(truth.image, observed)
    network = built_map(env.world.streets.map, env.episode.map_seed).network  # pyright: ignore
    at, depth = ground_points(env)
    near = np.isfinite(depth) & (truth.instances == 0)
    assert near.mean() > 0.2
    np.testing.assert_allclose(truth.depth_m[near], depth[near], rtol=1e-4)
    points, classes = at[near], truth.classes[near]
    to_edge = np.full(len(points), -np.inf)
    for outline in paved_outlines(network):
        if np.abs(outline - points[0]).max(axis=1).min() < 80:
            shape = outline.astype(np.float32).reshape(-1, 1, 2)
            to_edge = np.maximum(to_edge, [cv2.pointPolygonTest(shape, tuple(map(float, p)), True) for p in points])
    clear = np.abs(to_edge) > 0.3
    assert np.array_equal(classes[clear] != CLASS["background"], to_edge[clear] > 0)
    pieces = [
        piece
        for line in painted_lines(network)
        for piece in (dashes(line.points) if line.marking.is_dashed else [line.points])
        if np.abs(piece - points[0]).max(axis=1).min() < 60
    ]
    inner = np.min([away(points, piece[1:-1]) for piece in pieces if len(piece) > 3], axis=0)  # not beyond its ends
    painted = inner < LINE_M / 2 - 0.02
    assert painted.sum() > 20
    assert np.all(classes[painted] == CLASS["marking"])
    if name == "motorway":  # where nothing else is painted
        off = np.min([away(points, piece) for piece in pieces], axis=0)
        assert not np.any(classes[off > LINE_M / 2 + 0.02] == CLASS["marking"])
    env.close()


@pytest.mark.parametrize(("name", "seed"), [("motorway", 4), ("town", 3), ("roundabouts", 5)])
def test_lines_are_where_the_picture_shows_paint(name: str, seed: int) -> None:
    env, _, truth = seen(name, seed, 10)
    camera, checked = env.world.camera, 0
    for line in truth.lines:
        whole = np.column_stack([line.ground_m, np.zeros(len(line.points))])
        np.testing.assert_allclose(pixels(whole, env), line.points, atol=1e-6)
        assert np.all((line.points >= 0) & (line.points <= [camera.width_px, camera.height_px]))
        assert np.hypot(*line.ground_m.T).max() <= 100
        near = line.points[np.hypot(*line.ground_m.T) < 12]
        column, row = np.minimum(near, [camera.width_px - 1, camera.height_px - 1]).astype(int).T
        open_to_view = truth.instances[row, column] == 0  # pyright: ignore[reportOptionalSubscript]
        beside = cv2.dilate((truth.classes == CLASS["marking"]).astype(np.uint8), np.ones((3, 3)))
        painted = beside[row, column][open_to_view]
        if not line.dashed:
            assert painted.all()
            checked += painted.size
    assert checked > 10
    assert "white" in {line.colour for line in truth.lines}
    if name == "motorway":  # where nothing else is painted
        rows, columns = np.nonzero(truth.classes == CLASS["marking"])
        spots = np.stack([columns, rows], axis=1).astype(np.float64) + 0.5
        ground, _ = ground_points(env)
        near = np.isfinite(ground[rows, columns, 0])
        off = np.min([away(spots[near], line.points) for line in truth.lines], axis=0)
        assert off.max() < 8  # half a line's width at the lower edge
    env.close()


@pytest.mark.parametrize(
    ("name", "seed", "kinds"),
    [("town", 3, {"vehicle", "signal"}), ("scenarios/dynamic_object_crossing", 2, {"vehicle"})],
)
def test_every_object_is_where_its_box_is(name: str, seed: int, kinds: set[str]) -> None:
    env, _, truth = seen(name, seed, 15)
    assert {found.kind for found in truth.objects} >= kinds
    instances = truth.instances
    assert instances is not None
    assert sorted(np.unique(instances[instances > 0]).tolist()) == [found.instance for found in truth.objects]
    for found in truth.objects:
        shown = instances == found.instance
        rows, columns = np.nonzero(shown)
        assert found.pixels == len(rows)
        assert found.box_px == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert set(truth.classes[shown]) == {CLASS[found.kind]}
        assert (found.light is not None) == (found.kind == "signal")
        half = np.array(found.size_m) / 2
        corners = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * half
        cos, sin = math.cos(found.yaw_rad), math.sin(found.yaw_rad)
        corners = corners @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + found.centre_m
        if corners[:, 0].min() < env.world.camera.forward_m + 0.5:
            continue  # beside the camera
        left, top, right, bottom = found.box_px
        low, high = pixels(corners, env).min(axis=0) - 1, pixels(corners, env).max(axis=0) + 1
        assert np.all(low <= (left, top)), found
        assert np.all(high >= (right, bottom)), found
        if found.kind == "vehicle":
            x, y, yaw = env.actors[found.instance - 1]
            dx, dy = x - env._car.x_m, y - env._car.y_m
            ahead = math.cos(env._car.yaw_rad) * dx + math.sin(env._car.yaw_rad) * dy
            aside = math.cos(env._car.yaw_rad) * dy - math.sin(env._car.yaw_rad) * dx
            np.testing.assert_allclose(found.centre_m[:2], (ahead, aside), atol=0.3)
            assert math.cos(yaw - env._car.yaw_rad - found.yaw_rad) > 0.999
    env.close()


def test_a_signals_light_is_the_one_that_its_lamp_shows() -> None:
    lights = set[str]()
    for arrives, seed in product(("red", "green"), range(4)):
        env, _, _ = seen(f"scenarios/vanilla_signalized_turn_encounter_{arrives}_light", seed, 1)
        for _ in range(50):
            if any(env.step(np.array([0, -0.2], np.float32))[2:4]):
                break
            truth = env.truth()
            for found in truth.objects:
                if found.light and found.pixels > 40 and abs(found.yaw_rad) < 0.5:  # faces the camera
                    red, green, _ = truth.image[:, truth.instances == found.instance].astype(int)
                    lit = "green" if (green - red).max() > 60 else "yellow" if (green - 0.6 * red).max() > 60 else "red"
                    assert lit == found.light, (seed, found)
                    lights.add(lit)
        env.close()
    assert lights >= {"red", "green"}
