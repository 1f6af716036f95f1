"""Environments give back what they take: resets, drops without `close`, constructors that fail."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pybullet
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.car import CarSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.sb3.serial_vec_env import SerialVecEnv
from drive_rl.sim.engines.bullet import BulletWorld
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.vehicle import CarState

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


def _resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _clients() -> int:
    gc.collect()
    return sum(bool(pybullet.isConnected(client)) for client in range(1024))


def test_resets_among_parked_cars_take_no_memory() -> None:
    world = BulletWorld(CarSpec(), 0.01)
    rows = [[(15.0 * i, 3.0, 0.1) for i in range(1, count)] for count in (2, 30, 9)]
    for turn in range(30):
        world.place(CarState(), rows[turn % 3])
        world.drive(0.0, 1.0, 1)
    before = _resident_mb()
    for turn in range(600):  # took 36 MB
        world.place(CarState(), rows[turn % 3])
        world.drive(0.0, 1.0, 1)
    assert _resident_mb() - before < 2
    world.close()


def growth_of_resets(renderer: str, road_m: int, warm_up: int, resets: int) -> float:
    """Return by how much resident memory [MB] grows with the resets that follow a warm-up."""
    sizes = ["camera.width_px=16", "camera.height_px=16", f"road.length_m={road_m}", f"camera.renderer={renderer}"]
    env = LaneEnv(load_world("parked_cars", sizes), "camera")
    for _ in range(warm_up):
        env.reset()
    before = _resident_mb()
    for _ in range(resets):
        env.reset()
    grown = _resident_mb() - before
    env.close()
    return grown


def test_resets_of_the_tiny_renderer_take_no_memory() -> None:
    assert growth_of_resets("tiny", 60, 22, 20) < 3  # took 10 MB


def test_resets_of_the_egl_renderer_take_no_memory() -> None:
    """In a process of its own, for drivers crash."""
    code = """
from test_env_memory import growth_of_resets
grown = growth_of_resets("egl", 200, 41, 40)  # the roads of two clients
assert grown < 5, f"{grown} MB"  # took 30 MB
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert not done.returncode or "EGL plugin cannot be loaded" in done.stderr, done.stderr


def test_a_car_that_was_parked_elsewhere_is_touched_only_where_it_stands() -> None:
    rng = np.random.default_rng(0)
    used, touched = BulletWorld(CarSpec(), 0.01), 0
    for _ in range(40):
        parked = [(float(x), float(y), float(yaw)) for x, y, yaw in rng.uniform((4, -4, -3), (30, 4, 3), (4, 3))]
        fresh = BulletWorld(CarSpec(), 0.01)
        for world in (fresh, used):
            world.place(CarState(vx_mps=10), parked)
        for _ in range(12):
            there = [world.drive(0.1, 0.3, 10) for world in (fresh, used)]
            assert there[0] == there[1]
            assert fresh.state() == used.state()
            touched += there[0]
            if there[0]:
                break
        fresh.close()
    assert touched > 10
    used.close()


def test_what_is_dropped_without_close_is_freed() -> None:
    clients = _clients()
    for renderer in ("field", "tiny"):
        env = LaneEnv(load_world("lane_follow", [f"camera.renderer={renderer}"]), "camera")
        env.reset(seed=0)
        assert _clients() > clients
        del env
        assert _clients() == clients


def test_an_environment_that_fails_to_begin_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = _clients()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DriveRLError):
        LaneEnv(load_world("lane_follow", ["camera.renderer=egl"]))
    assert _clients() == clients


def test_a_vector_that_fails_half_way_is_freed() -> None:
    world, clients, made = load_world("lane_follow"), _clients(), []

    def make() -> LaneEnv:
        made.append(None)
        return LaneEnv(world, split="train" if len(made) < 4 else "nowhere")  # pyright: ignore[reportArgumentType]

    with pytest.raises(DriveRLError, match="split = 'nowhere'"):
        SerialVecEnv([make] * 8)
    assert len(made) == 4
    assert _clients() == clients


def test_egl_cameras_do_not_draw_into_one_another() -> None:
    """One that was made, or closed, in the meantime changes no picture; in a process of its own, for drivers crash."""
    code = """
import numpy as np
from drive_rl.config.reader import load_world
from drive_rl.sim.envs.lane_env import LaneEnv
world = load_world("lane_follow", ["camera.renderer=egl", "road.length_m=60"])
def picture(env): return env.reset(options={"road_seed": 1})[0]
first = LaneEnv(world)
alone = picture(first)
second = LaneEnv(world)
assert np.array_equal(picture(first), alone), "the second one changed the first one's pictures"
assert np.array_equal(picture(second), alone)
second.close()
assert np.array_equal(picture(first), alone), "closing the second one changed the first one's pictures"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode or "EGL plugin cannot be loaded" in done.stderr, done.stderr


def test_long_roads_do_not_overflow_the_egl_renderer() -> None:
    """Its buffer of meshes was full after 12 roads of 3 km, and pictures were wrong from then on."""
    code = """
import numpy as np
from drive_rl.config.reader import load_world
from drive_rl.sim.engines.bullet_camera import BulletCamera
from drive_rl.sim.task.episode import draw_episode
world = load_world("lane_follow", ["camera.renderer=egl", "road.length_m=3000"])
camera, episode, pictures = BulletCamera(world), draw_episode(world, 1), []
for _ in range(16):
    camera.lay(episode.road, episode.appearance)
    pictures.append(np.zeros((1, world.camera.height_px, world.camera.width_px), np.uint8))
    camera.photograph(*episode.road.place(50.0, -1.5, 0.0), pictures[-1])
assert pictures[0].min() < pictures[0].max()
assert all(np.array_equal(picture, pictures[0]) for picture in pictures), "the pictures change"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode or "EGL plugin cannot be loaded" in done.stderr, done.stderr
