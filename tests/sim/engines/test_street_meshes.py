"""Our labels of streets against Bullet's TinyRenderer on a meshed copy of the map and of what drives there: IoU."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import Overlap
from street_meshes import MeshedScene, Outline, near, paint_outlines, triangles

from drive_rl.config.reader import load_world
from drive_rl.sim.engines.streets.truth import STREET_CLASSES
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.map.markings import paved_outlines
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.task.street_episode import built_map

CAMERA = ("camera.width_px=320", "camera.height_px=200", "camera.frame_stack=1", "streets.navigation=none")
EXACT = ("appearance.camera_height_error_m=0", "appearance.camera_pitch_error_rad=0")
BACKGROUND, ROAD, MARKING, OBJECT = range(4)
AHEAD_M = 250.0


def drawn(env: Any, outlines: list[Outline]) -> NDArray[np.int32]:
    """Return what Bullet draws of polygons on the ground and all objects, (H, W): 0 none, 1 the ground, 2 and on."""
    car, scene = env._car, MeshedScene()
    pose = car.x_m, car.y_m, car.yaw_rad
    solids, owner = env._scene.solids(0, cast_rays(env.world.camera), (pose, env._steps))
    number = np.where(owner < 0, env._scene.cars.whole.shape[1] - 1 - owner, owner)
    shown = dict.fromkeys(scene.add_ground(outlines), 1)
    shown |= {scene.add_solid(row): 1 + int(at) for row, at in zip(solids.shape, number, strict=True)}
    bodies = scene.photograph(env.world.camera, *pose)
    scene.close()
    return np.vectorize(lambda body: shown.get(body, 0))(bodies)


@pytest.mark.parametrize(
    ("name", "changes", "seed", "steps"),
    [
        ("town", [], 3, 10),
        ("town", ["streets.roadside.trees=0.8"], 3, 30),
        ("motorway", [], 4, 10),
        ("roundabouts", [], 5, 20),
        ("scenarios/construction_obstacle", [], 2, 10),
        ("scenarios/dynamic_object_crossing", [], 2, 15),
    ],
)
def test_labels_agree_with_bullets_renderer(name: str, changes: list[str], seed: int, steps: int) -> None:
    # measured: background and road 0.998, markings 0.96 to 0.99, objects 0.993
    env = make_env(load_world(name, [*CAMERA, *EXACT, *changes]), observation="state")
    assert isinstance(env, StreetEnv)
    env.reset(options={"road_seed": seed})
    for _ in range(steps):
        env.step(np.array([0, 0.2], np.float32))
    truth, spec = env.truth(), env.world.streets
    assert spec is not None
    network = built_map(spec.map, env.episode.map_seed).network  # pyright: ignore[reportAttributeAccessIssue]
    ground = paved_outlines(network), paint_outlines(network)
    paved, paint = (drawn(env, near(each, env._car.x_m, env._car.y_m, AHEAD_M)) for each in ground)
    env.close()
    theirs = np.where(paved > 1, OBJECT, np.where(paint == 1, MARKING, paved)).astype(np.uint8)
    instances = truth.instances
    assert instances is not None
    ours = np.where(instances > 0, OBJECT, np.where(truth.classes == STREET_CLASSES.index("marking"), MARKING, ROAD))
    ours[truth.classes == BACKGROUND] = BACKGROUND
    overlap = Overlap(4)
    overlap.add(theirs, ours.astype(np.uint8))
    iou = overlap.iou()
    assert iou.min() >= 0.95, iou  # NaN, where there is none, is not
    for found in truth.objects:
        if found.pixels >= 60:
            mine, other = instances == found.instance, paved == 1 + found.instance
            assert (mine & other).sum() >= 0.9 * (mine | other).sum(), found


def test_polygons_are_cut_into_triangles() -> None:
    """An L of 3 squares, either way around, and a circle: areas by hand."""
    corner = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], float)
    turn = np.linspace(0, 2 * math.pi, 200, endpoint=False)
    for outline, area in (
        (corner, 3),
        (corner[::-1], 3),
        (5 * np.stack([np.cos(turn), np.sin(turn)], 1), 25 * math.pi),
    ):
        a, b, c = np.moveaxis(triangles(outline), 1, 0)
        sizes = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
        assert sizes.min() >= 0
        assert sizes.sum() == pytest.approx(area, rel=2e-3)
