"""Reward terms of plugins: weighed with ours in every engine, in copies, and in CUDA kernels (numba's simulator)."""

import copy
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drive_rl.config.extensions import forgotten, load_file
from drive_rl.config.reader import load_world
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.task.extra_terms import extra_terms, term_names

PLUGIN = """
import math
from drive_rl import extend

@extend.reward_term("gentle")
def gentle(lateral_accel_mps2, longitudinal_accel_mps2):
    return math.exp(-0.1 * (lateral_accel_mps2**2 + longitudinal_accel_mps2**2))

@extend.reward_term("near")
def near(offset_m):
    return 1.0 if abs(offset_m) < 0.3 else 0.25
"""
COMMAND = np.array([[0.05, 0.5]])


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "terms.py"
    path.write_text(PLUGIN)
    with forgotten():
        load_file(path)
        yield path


def world(combine: str = "product") -> WorldSpec:
    extra = "reward.extra={gentle: 0.5, near: 2}"
    return load_world("lane_follow", ["road.length_m=60", f"reward.combine={combine}", extra])


@pytest.mark.parametrize("combine", ["product", "sum"])
def test_terms_and_reward_are_those_of_the_formula(combine: str) -> None:
    env, batch = LaneEnv(world(combine), "state"), Batch(world(combine), 1, "state")
    env.reset(options={"road_seed": 3})
    batch.begin([0], [3])
    for _ in range(10):
        _, reward, _, _, info = env.step(COMMAND[0].astype(np.float32))
        batch.step(COMMAND)
        metrics = info
        terms = {key.removeprefix("reward_"): float(value) for key, value in info.items() if key.startswith("reward_")}
        assert (
            list(terms)
            == ["lane", "speed", "heading", "comfort", "steering", "gentle", "near"]
            == list(term_names(world()))
        )
        force = metrics["lateral_accel_mps2"] ** 2 + metrics["longitudinal_accel_mps2"] ** 2
        assert terms["gentle"] == pytest.approx(math.exp(-0.1 * force))
        assert terms["near"] == (1.0 if abs(metrics["offset_m"]) < 0.3 else 0.25)
        weights = {"lane": 1, "speed": 1, "gentle": 0.5, "near": 2}
        by_product = math.prod(terms[name] ** weight for name, weight in weights.items())
        by_sum = sum(terms[name] * weight for name, weight in weights.items()) / 4.5
        assert reward == pytest.approx(by_product if combine == "product" else by_sum)
        assert batch.cars.reward[0] == pytest.approx(reward, abs=1e-3)
        np.testing.assert_allclose(batch.cars.terms[0], list(terms.values()), atol=1e-3)
    env.close()
    batch.close()


def test_a_term_is_tried_where_cars_can_be(tmp_path: Path) -> None:
    (tmp_path / "pace.py").write_text(
        "from drive_rl import extend\n@extend.reward_term('pace')\ndef pace(speed_mps, target_speed_mps):\n"
        "    return min(max(speed_mps / target_speed_mps, 0.0), 1.0)\n"
    )
    load_file(tmp_path / "pace.py")
    assert extra_terms(load_world("lane_follow", ["reward.extra={pace: 1}"])) is not None


def test_a_world_without_any_has_none() -> None:
    assert extra_terms(load_world("lane_follow")) is None


def test_copies_go_on_alike() -> None:
    env, batch = LaneEnv(world(), "state"), Batch(world(), 2, "state")
    env.reset(options={"road_seed": 3})
    batch.begin([0, 1], [3, 4])
    action = COMMAND[0].astype(np.float32)
    others = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    reward = env.step(action)[1]
    assert [other.step(action)[1] for other in others] == [reward, reward]
    twin = pickle.loads(pickle.dumps(batch))
    for each in (batch, twin):
        each.step(np.repeat(COMMAND, 2, axis=0))
    assert np.array_equal(batch.cars.reward, twin.cars.reward)
    assert np.array_equal(batch.cars.terms, twin.cars.terms)


def test_a_copy_where_the_plugin_is_not_loaded() -> None:
    kept = pickle.dumps(LaneEnv(world(), "state"))
    with (
        forgotten(),
        pytest.raises(DriveRLError, match=r"reward\.extra\.gentle: its plugin is not loaded .*extend\.load"),
    ):
        pickle.loads(kept)


def test_cuda_kernels_weigh_alike(plugin: Path) -> None:
    code = f"""
import numpy as np
from drive_rl.config.extensions import load_file
load_file({str(plugin)!r})
from drive_rl.config.reader import load_world
from drive_rl.sim.engines.cuda import CudaBatch
world = load_world("lane_follow", ["road.length_m=60", "reward.extra={{gentle: 0.5, near: 2}}"])
batch = CudaBatch(world, 2, "state")
batch.begin([0, 1], [3, 4])
for _ in range(3):
    batch.step(np.repeat([[0.05, 0.5]], 2, axis=0))
print(batch.cars.reward.tolist())
"""
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=simulated, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    batch = Batch(world(), 2, "state")
    batch.begin([0, 1], [3, 4])
    for _ in range(3):
        batch.step(np.repeat(COMMAND, 2, axis=0))
    assert done.stdout.splitlines()[-1] == str(batch.cars.reward.tolist())
