"""What runs on a GPU, without one: kernels are compiled for one, and run on the CPU in numba's simulator."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numba import typeof

from drive_rl.config.reader import load_world
from drive_rl.sim.engines.batch import Batch

TESTS = Path(__file__).parent
SIMULATOR = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() or os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="the tests run as they are"
)


def test_the_tests_of_the_gpu_pass_in_the_simulator() -> None:
    files = [TESTS / "sim/engines/test_cuda.py", TESTS / "learn/guidance/test_device_ppo.py"]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *map(str, files)]
    done = subprocess.run(command, env=SIMULATOR, capture_output=True, text=True, check=False, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed, 1 skipped" in done.stdout, done.stdout[-400:]


@pytest.mark.parametrize("world", ["lane_follow", "parked_cars", "lane_keep"])
def test_kernels_compile_for_a_gpu(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By NVIDIA's own compiler: the simulator takes what a GPU would not."""
    from numba.cuda import dispatcher
    from numba.cuda.compiler import compile_ptx

    from drive_rl.sim.engines import cuda as on_gpu

    monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=(9, 0)))
    batch = Batch(load_world(world), 2)
    cars, roads, plan, lens = batch.cars, batch.maps.roads, batch._plan, batch._lens
    numbers = len(batch.world.task.command_names)
    chosen, commands = on_gpu._Chosen(np.zeros(2, np.int64)), on_gpu._Commands(np.zeros((2, numbers)))
    frames = on_gpu._Frames(batch.frames, batch.frames)
    for kernel, arguments in (
        (on_gpu._begin, (chosen, cars, roads, plan)),
        (on_gpu._step, (cars, roads, plan, commands)),
        (on_gpu._show_begin, (chosen, cars, roads, plan, lens, frames)),
        (on_gpu._show, (cars, roads, lens, frames)),
    ):
        code, _ = compile_ptx(kernel.py_func, tuple(map(typeof, arguments)), cc=(9, 0))
        assert ".target sm_90" in code
    batch.close()


def test_a_driver_trained_by_the_gpus_code_is_like_any_other(tmp_path: Path) -> None:
    small = ["agent.num_envs=2", "agent.steps_per_update=8", "agent.batch_size=8", "agent.guidance.batch_size=8"]
    small += ["world.camera.width_px=16", "world.camera.height_px=16", "budget_steps=32", "checkpoint_every=32"]
    small += ["evaluation.every_steps=32", "evaluation.episodes=2"]
    options = ["--track", "none", "--no-film", "--runs", str(tmp_path)]
    train = [sys.executable, "-m", "drive_rl", "train", "ppo-batch", *small, *options]
    done = subprocess.run(train, env=SIMULATOR, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = next((tmp_path / "ppo-batch").iterdir())
    score = [sys.executable, "-m", "drive_rl", "eval", str(run), "--episodes", "2", "--json"]
    scored = json.loads(subprocess.run(score, capture_output=True, text=True, check=True).stdout)
    assert len(scored["episodes"]) == 2
    assert json.loads((run / "last" / "manifest.json").read_text())["algorithm"] == "PPO"
