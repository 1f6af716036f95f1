"""Pictures do not depend on which process compiled the renderer, nor on what else it compiled."""

import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from numba.core.dispatcher import Dispatcher

import drive_rl.sim

_PICTURE = """
import hashlib
import numpy as np
from drive_rl.config.reader import load_world
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.renderer import paint_picture, render
from drive_rl.sim.sensors.view import Scene
from drive_rl.sim.task.episode import draw_episode

world = load_world("parked_cars")
episode = draw_episode(world, 4)
looks, camera = episode.appearance, world.camera
rays = cast_rays(camera, looks.camera_height_error_m, looks.camera_pitch_error_rad)
image = np.empty((1, camera.height_px, camera.width_px), np.uint8)
# from here a ray grazes a car, 123 m of ground behind it
at = 31.240924758554428, 0.9462350756629511, 0.06328593636899171
render(Scene(episode.field, world.road, looks, episode.parked_solids), rays, *at, image)
print(hashlib.sha256(image).hexdigest(), sum(paint_picture.stats.cache_hits.values()))
"""


def test_a_picture_is_the_same_where_the_renderer_was_just_compiled(tmp_path: Path) -> None:
    """A process that compiles calls other copies of the same functions than one that loads them."""

    def picture() -> tuple[str, int]:
        surroundings, command = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}, [sys.executable, "-c", _PICTURE]
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        digest, hits = done.stdout.split()
        return digest, int(hits)

    compiled, hits = picture()
    assert hits == 0
    assert picture() == (compiled, 1)


def test_no_compiled_function_leaves_rounding_to_the_compiler() -> None:
    """With `fastmath`, which operations are fused or reordered depends on what a function is compiled with."""
    modules = [import_module(found.name) for found in pkgutil.walk_packages(drive_rl.sim.__path__, "drive_rl.sim.")]
    functions = {found for module in modules for found in vars(module).values() if isinstance(found, Dispatcher)}
    assert len(functions) > 50
    assert [found.py_func.__name__ for found in functions if found.targetoptions.get("fastmath")] == []
