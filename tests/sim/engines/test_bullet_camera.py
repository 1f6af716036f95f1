"""Our segmentation against Bullet's own renderers on a meshed copy of the road: IoU over random poses."""

import json
import subprocess
import sys

import numpy as np
import pybullet
import pytest
from command_line import with_support
from scenes import Overlap

from drive_rl.config.reader import load_world
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.bullet_camera import BulletCamera
from drive_rl.sim.engines.egl import load_egl
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.renderer import CLASSES, VEHICLE, Scene, render_truth
from drive_rl.sim.task.episode import draw_episode


def agreement(renderer: str, poses: int, per_road: int = 5) -> tuple[dict[str, float], float]:
    """Return the IoU of each class over random poses at 160x120, and the mean difference of the grey pictures."""
    world = load_world("lane_follow", ["camera.width_px=160", "camera.height_px=120", f"camera.renderer={renderer}"])
    camera = BulletCamera(world)
    overlap, differences = Overlap(len(CLASSES) - 1), []  # no vehicles on these roads
    rng = np.random.default_rng(2026)
    for _ in range(poses // per_road):
        episode = draw_episode(world, int(rng.integers(10_000)))
        appearance = episode.appearance
        camera.lay(episode.road, appearance)
        scene = Scene(episode.field, world.road, appearance)
        rays = cast_rays(world.camera, appearance.camera_height_error_m, appearance.camera_pitch_error_rad)
        for _ in range(per_road):
            s, d, turn = rng.uniform((30, -3.25, -0.3), (430, -0.25, 0.3))
            pose = episode.road.place(float(s), float(d), float(turn))
            theirs, ours = np.zeros((2, 1, 120, 160), np.uint8)
            overlap.add(camera.photograph(*pose, theirs), render_truth(scene, rays, *pose, ours).classes)
            differences.append(np.abs(theirs[:, 60:].astype(int) - ours[:, 60:]).mean())
    camera.close()
    return dict(zip(CLASSES, overlap.iou().tolist(), strict=False)), float(np.mean(differences))


def test_segmentation_agrees_with_tiny_renderer() -> None:
    # measured: background 0.9995, road 0.998, ego lane 0.9995, marking 0.987
    iou, difference = agreement("tiny", 50)
    assert set(iou) == {"background", "road", "ego_lane", "marking"}
    assert min(iou.values()) >= 0.95, iou
    assert difference < 25, "the pictures show different things"


def test_egl_agrees_or_says_that_it_cannot_be_loaded() -> None:
    # in a process of its own: a graphics driver may take the whole process down
    code = "import json, test_bullet_camera as t; print(json.dumps(t.agreement('egl', 10)[0]))"
    command, here = [sys.executable, "-c", code], __file__.rpartition("/")[0]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=with_support(), timeout=120)
    if done.returncode:
        assert "DriveRLError: camera.renderer = 'egl': Bullet's EGL plugin cannot be loaded" in done.stderr
        assert "fix:" in done.stderr
    else:
        iou = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
        assert min(iou.values()) >= 0.95, iou


def test_egl_missing_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    client = pybullet.connect(pybullet.DIRECT)
    try:
        with pytest.raises(DriveRLError, match=r"camera\.renderer = 'egl'.*fix: camera\.renderer=field"):
            load_egl(client)
    finally:
        pybullet.disconnect(client)


def test_an_environment_that_cannot_load_egl_frees_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    world = load_world("lane_follow", ["camera.renderer=egl"])
    before = [client for client in range(200) if pybullet.isConnected(client)]
    with pytest.raises(DriveRLError):
        LaneEnv(world)
    assert [client for client in range(200) if pybullet.isConnected(client)] == before


def test_tiny_renderer_drives_the_environment() -> None:
    overrides = ["camera.width_px=80", "camera.height_px=60", "road.parked_cars_per_km=50"]
    env = LaneEnv(load_world("parked_cars", [*overrides, "camera.renderer=tiny"]))
    twin = LaneEnv(load_world("parked_cars", overrides))
    vehicles = 0
    for seed in range(3):
        theirs, _ = env.reset(options={"road_seed": seed})
        ours, _ = twin.reset(options={"road_seed": seed})
        for _ in range(8):
            theirs, *_ = env.step(np.array([0.0, 0.3]))
            ours, *_ = twin.step(np.array([0.0, 0.3]))
            vehicles += int((twin.truth().classes == VEHICLE).any())
            # the same picture but for texture, wear and the sky's gradient
            assert np.abs(theirs[-1, 30:].astype(int) - ours[-1, 30:]).mean() < 30
    assert vehicles, "no parked car came into view"
    env.close()
    twin.close()


def test_bullets_cameras_do_not_see_the_own_car() -> None:
    mount = ["camera.height_m=2.5", "camera.forward_m=-4", "camera.pitch_rad=0.4"]  # it would fill the picture
    env = LaneEnv(load_world("lane_follow", [*mount, "camera.renderer=tiny"]))
    twin = LaneEnv(load_world("lane_follow", mount))
    theirs, ours = (each.reset(options={"road_seed": 1})[0] for each in (env, twin))
    assert np.abs(theirs[-1].astype(int) - ours[-1]).mean() < 30
    env.close()
    twin.close()
