"""Stopped and resumed training ends where unbroken training ends; damaged checkpoints are refused.

It covers `env_state`, `counters`, `rng_state` and the formats of `run.storage`, too.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecFrameStack
from tiny_models import TOTAL, build, resume, vec_env, weights

from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.checkpoint import (
    at_boundary,
    remaining_steps,
    restore,
    save,
    verify,
    verify_driver,
    weights_only,
)

ALGORITHMS = ("PPO", "DQN")
Straight = dict[str, tuple[BaseAlgorithm, Path]]


class SaveAt(BaseCallback):
    """Save when a rollout begins at or after `step`; with `stop`, end training on the step after that."""

    def __init__(self, folder: Path, step: int, stop: bool = False) -> None:
        super().__init__()
        self.folder, self.step, self.stop, self.saved = folder, step, stop, False

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self.step and not self.saved:
            save(self.model, self.folder)
            self.saved = True

    def _on_step(self) -> bool:
        return not (self.stop and self.saved)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Straight:
    """Unbroken training of each algorithm, and a checkpoint written half-way without stopping."""
    torch.set_num_threads(1)
    done = {}
    for algorithm in ALGORITHMS:
        folder = tmp_path_factory.mktemp(algorithm) / "last"
        done[algorithm] = (build(algorithm).learn(TOTAL, SaveAt(folder, TOTAL // 2)), folder)
    return done


COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining", "_total_timesteps")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_counters_and_schedules_come_back(algorithm: str, tmp_path: Path) -> None:
    model, restored = build(algorithm).learn(512), build(algorithm, seed=99)
    save(model, tmp_path / "last")
    restore(restored, tmp_path / "last")
    names = COUNTERS + (("exploration_rate", "_n_calls") if algorithm == "DQN" else ())
    assert {n: getattr(restored, n) for n in names} == {n: getattr(model, n) for n in names}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_resuming_is_bit_exact(straight: Straight, algorithm: str) -> None:
    model, folder = straight[algorithm]
    manifest = verify_driver(folder)
    assert manifest.exact
    assert manifest.num_timesteps == TOTAL // 2
    resumed = resume(algorithm, folder)
    assert_same(weights(resumed), weights(model))
    assert resumed.num_timesteps == model.num_timesteps == TOTAL
    assert resumed.policy.optimizer.param_groups[0]["lr"] == model.policy.optimizer.param_groups[0]["lr"]
    assert resumed.ep_info_buffer is not None
    assert model.ep_info_buffer is not None
    assert [e["r"] for e in resumed.ep_info_buffer] == [e["r"] for e in model.ep_info_buffer]


def test_resuming_in_a_new_process_is_bit_exact(straight: Straight) -> None:
    program = Path(tiny_models.__file__)
    arguments = [f"{name}={folder}" for name, (_, folder) in straight.items()]
    root = program.parents[2]
    subprocess.run([sys.executable, str(program), *arguments], check=True, env={"PYTHONPATH": str(root)})
    for model, folder in straight.values():
        with np.load(folder / "resumed.npz") as resumed:
            assert_same(dict(resumed), weights(model))
        (folder / "resumed.npz").unlink()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_stopped_run_resumes_exactly(straight: Straight, algorithm: str, tmp_path: Path) -> None:
    stopped = build(algorithm).learn(TOTAL, SaveAt(tmp_path / "last", 600, stop=True))
    assert stopped.num_timesteps < TOTAL
    assert not at_boundary(stopped)
    assert_same(weights(resume(algorithm, tmp_path / "last")), weights(straight[algorithm][0]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_save_within_a_rollout_is_marked_and_still_resumes(algorithm: str, tmp_path: Path) -> None:
    stopped = build(algorithm).learn(TOTAL, SaveAt(tmp_path / "exact", 256, stop=True))
    save(stopped, tmp_path / "last")
    assert verify_driver(tmp_path / "last").exact is False
    resumed = resume(algorithm, tmp_path / "last")
    assert resumed.num_timesteps == TOTAL
    assert at_boundary(resumed)


def test_saving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    plain = build("DQN").learn(400)
    saved = build("DQN").learn(400, SaveAt(tmp_path / "last", 200))
    assert_same(weights(saved), weights(plain))


def test_remaining_steps_never_ask_for_less_than_none(straight: Straight) -> None:
    model, _ = straight["PPO"]
    assert remaining_steps(model, TOTAL + 5) == 5
    assert remaining_steps(model, 10) == 0


def test_evaluation_needs_only_the_weights(straight: Straight, tmp_path: Path) -> None:
    model, _ = straight["DQN"]
    save(model, tmp_path / "best", env_state={}, replay=False)
    names = set(verify(tmp_path / "best").files)
    assert not names & {"replay.npz", "env.npz", "last_step.npz"}
    found = {name: tensor.numpy() for name, tensor in weights_only(tmp_path / "best").items()}
    assert_same(found, weights(model))


def test_no_file_holds_a_pickle(straight: Straight) -> None:
    for _, folder in straight.values():
        for path in folder.iterdir():
            assert path.suffix in (".safetensors", ".json", ".npz")
            if path.suffix == ".npz":
                with np.load(path, allow_pickle=False) as file:
                    assert all(file[name].dtype != object for name in file.files)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


DAMAGE: list[tuple[str, Callable[[Path], None], str]] = [
    ("weights.safetensors", truncate, r"weights\.safetensors: \d+ bytes found, \d+ expected.*another"),
    ("weights.safetensors", flip, r"weights\.safetensors: SHA-256 \w{64} found, \w{64} expected.*edited"),
    ("replay.npz", Path.unlink, r"replay\.npz: file not found.*manifest"),
    ("counters.json", flip, r"counters\.json: SHA-256"),
    ("manifest.json", Path.unlink, r"not a checkpoint: manifest\.json not found"),
    ("manifest.json", truncate, r"manifest\.json: cannot be read as JSON"),
]


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGE)
def test_damage_is_refused(
    straight: Straight,
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    model, _ = straight["DQN"]
    save(model, tmp_path / "last")
    damage(tmp_path / "last" / name)
    for read in (verify, weights_only, lambda folder: restore(build("DQN"), folder)):
        with pytest.raises(DriveRLError, match=message):
            read(tmp_path / "last")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format = 99: expected 1"),
        ({"files": {}}, r"weights\.safetensors, .* not listed"),
        ({"files": {"../x": {"bytes": 1, "sha256": ""}}}, "expected file names"),
        ({"files": {"x": {"bytes": 1}}}, "expected file names with `bytes` and `sha256`"),
        ({"algorithm": "A2C"}, "algorithm = 'A2C': expected PPO, .*, Dagger or perception"),
    ],
)
def test_an_edited_manifest_is_refused(
    straight: Straight, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    save(straight["PPO"][0], tmp_path / "last")
    path = tmp_path / "last" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DriveRLError, match=message):
        verify(tmp_path / "last")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: build("DQN"), "algorithm = PPO, but this driver is DQN"),
        (lambda: build("PPO", net=(8,)), r"tensor \S+: found \(\d+.*\), but this network has \(\d+"),
        (lambda: build("PPO", net=(16, 16)), r"tensor \S+: found nothing, but this network has"),
        (lambda: build("PPO", n_envs=3), "holds 2 environments and this run has 3"),
    ],
)
def test_another_model_is_refused(straight: Straight, other: Callable[[], BaseAlgorithm], message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        restore(other(), straight["PPO"][1])


def test_another_buffer_size_is_refused(straight: Straight) -> None:
    with pytest.raises(DriveRLError, match=r"size = 300 rows of 2 environments, .* has 100 rows"):
        restore(build("DQN", buffer_size=200), straight["DQN"][1])


def test_wrappers_with_state_are_refused(tmp_path: Path) -> None:
    model = build("PPO")
    model.env = VecFrameStack(vec_env(), 2)
    with pytest.raises(DriveRLError, match="VecFrameStack keeps state"):
        save(model, tmp_path / "last")
    assert not (tmp_path / "last").exists()
