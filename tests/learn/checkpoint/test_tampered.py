"""Edited checkpoints with corrected hashes: refused with file and key, or harmless; nothing crashes or hangs.

It covers every format of `run.storage`: `arrays`, `manifest`, `pcg64`, `schema` and `tensors`.
`benchmarks/tamper.py` makes the edits; a longer run of them is in `benchmarks/`.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from tamper import correct_sums, tamper

from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.checkpoint.checkpoint import restore, save, verify_driver
from drive_rl.learn.load_driver import load_driver
from drive_rl.run.storage.tensors import read_tensors, write_tensors

PLAIN = ("agent.guidance=null", "agent.n_steps=1")
KINDS = {
    "guided PPO": ("ppo", ()),
    "guided PPO, batch": ("ppo", ("engine=batch",)),
    "guided DQN": ("dqn", ()),
    "DQN, batch": ("dqn", (*PLAIN, "engine=batch")),
    "recurrent PPO": ("recurrent-ppo", ()),
    "QR-DQN": ("qrdqn", ()),
    "SAC": ("sac", ()),
}
TRIES = 20
Learned = tuple[BaseAlgorithm, Path]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Learned]]:
    """A model of each kind that has learned a little, and its checkpoint."""
    made: dict[str, Learned] = {}
    torch.distributions.Distribution.set_default_validate_args(False)  # as in training

    def of(kind: str) -> Learned:
        if kind not in made:
            algorithm, changes = KINDS[kind]
            spec = small_specs.run(algorithm, *changes)
            envs = make_envs(spec.world, spec.agent, "train", spec.agent.num_envs, 0, spec.engine)
            model = build_model(spec.agent, envs, torch.device("cpu"), 0).learn(192)
            folder = tmp_path_factory.mktemp("learned") / "last"
            save(model, folder)
            assert verify_driver(folder).exact
            made[kind] = model, folder
        return made[kind]

    yield of
    torch.distributions.Distribution.set_default_validate_args(True)
    for model, _ in made.values():
        assert model.env is not None
        model.env.close()


def copy_of(folder: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    return to


def standing(model: BaseAlgorithm) -> list[Any]:
    """What a refused checkpoint must leave as it was."""
    tensors = [value.double().sum().item() for value in model.policy.state_dict().values()]
    return [model.num_timesteps, model._n_updates, *tensors, random.getstate(), torch.get_rng_state().tolist()]


def refusal(call: Callable[[], object]) -> str | None:
    """Return what a call is refused with; None when it is not. Any other error is a failure."""
    try:
        call()
    except DriveRLError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_any_edit_is_refused_or_harmless(kind: str, learned: Callable[[str], Learned], tmp_path: Path) -> None:
    model, good = learned(kind)
    refused = 0
    for seed in range(TRIES):
        bad = copy_of(good, tmp_path / "bad")
        done = tamper(bad, random.Random(seed))
        before = standing(model)
        said = refusal(lambda: restore(model, bad))  # noqa: B023 - called at once
        if said is None:
            said = refusal(lambda: model.learn(64, reset_num_timesteps=False))
            assert said is None or said.startswith("replay: an observation is not the one before it"), done
            continue
        refused += 1
        assert str(bad) in said, done
        assert standing(model) == before, f"{done}: half set"
    assert refused > TRIES / 3
    restore(model, good)


@pytest.mark.parametrize("name", ["ppo-lane-follow", "small-160"])
def test_any_edit_of_an_exported_driver_is_refused_or_harmless(name: str, tmp_path: Path) -> None:
    refused = 0
    for seed in range(TRIES):
        bad = copy_of(entries("agents")[name], tmp_path / "bad")
        done = tamper(bad, random.Random(seed))
        said = refusal(lambda: load_driver(str(bad)))  # noqa: B023 - called at once
        refused += said is not None
        assert str(bad) in (said or str(bad)), done
    assert refused > TRIES / 4


def table(file: str, change: Callable[[Any], Any]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        value = json.loads((folder / file).read_text())
        change(value)
        (folder / file).write_text(json.dumps(value))

    return edit


def array(file: str, name: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        with np.load(folder / file) as stored:
            arrays = dict(stored)
        changed = change(arrays[name])
        arrays[name] = arrays[name] if changed is None else changed
        np.savez(folder / file, allow_pickle=False, **arrays)

    return edit


def tensor(file: str, end: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        tensors = read_tensors(folder / file)
        name = next(name for name in tensors if name.endswith(end))
        write_tensors(folder / file, tensors | {name: change(tensors[name].clone())})

    return edit


def at(index: Any, value: Any) -> Callable[[Any], None]:
    """Set one item of an array, or a key, or keys in keys, of a table."""

    def change(values: Any) -> None:
        *path, last = index if isinstance(index, tuple) else (index,)
        for key in path:
            values = values[key]
        values[last] = value

    return change


PPO_B, DQN_B, PPO, DQN = "guided PPO, batch", "DQN, batch", "guided PPO", "guided DQN"
EDITS: list[tuple[str, Callable[[Path], object], str]] = [
    (PPO, table("counters.json", at("policy", "x")), r"counters\.json: policy: unknown key"),
    (PPO, table("counters.json", at("__class__", "x")), r"counters\.json: __class__: unknown key"),
    (PPO, table("counters.json", at("exploration_rate", 0.1)), r"counters\.json: exploration_rate: unknown key"),
    (DQN, table("counters.json", at("exploration_rate", 2)), r"counters\.json: exploration_rate = 2: .*less than"),
    (PPO, table("counters.json", at("_n_updates", True)), r"counters\.json: _n_updates = True"),
    (PPO, table("counters.json", at("num_timesteps", 193)), r"num_timesteps = 193, but manifest\.json has 192"),
    (PPO, table("counters.json", at("ep_info_buffer", [{"r": 1}])), r"ep_info_buffer\.0\.l: is missing"),
    (PPO_B, array("env.npz", "all/steps", at(0, 10**9)), r"env\.npz: .*steps: holds 1000000000, but expected \[0, "),
    (PPO_B, array("env.npz", "all/steps", at(0, -1)), r"env\.npz: .*steps: holds -1"),
    (PPO_B, array("env.npz", "all/body", at((0, 0), np.nan)), r"env\.npz: .*body: holds NaN"),
    (PPO_B, array("env.npz", "all/body", at((0, 0), 1e300)), r"env\.npz: .*body: holds 1e\+300"),
    (PPO_B, array("env.npz", "all/end", at(0, 99)), r"env\.npz: .*end: holds 99"),
    (PPO_B, array("env.npz", "all/slot", at(0, -7)), r"env\.npz: .*slot: holds -7"),
    (PPO_B, array("env.npz", "all/drives", lambda a: ~a), r"env\.npz: .*drives = "),
    (PPO_B, array("env.npz", "all/trace", lambda a: a[:, :-1]), r"env\.npz: .*trace: \d+ steps, but expected"),
    (PPO_B, array("env.npz", "all/course.0", lambda a: a[:3]), r"env\.npz: .*course\.0: \(3,\) uint64"),
    (PPO, array("env.npz", "0/car", at(0, np.inf)), r"env\.npz: .*car: holds NaN or infinity"),
    (PPO, array("env.npz", "1/control", at(1, 10**5)), r"env\.npz: .*control = "),
    (PPO, array("env.npz", "1/frames", lambda a: a.astype(float)), r"env\.npz: .*frames: .*float64, but expected"),
    (PPO, array("last_step.npz", "obs/", at((0, 0), np.nan)), r"last_step\.npz: obs/: holds NaN"),
    (PPO, table("samples.json", at("owed", 1e308)), r"samples\.json: owed = 1e\+308: expected at most"),
    (PPO, table("samples.json", at("seen", -1)), r"samples\.json: seen = -1"),
    (PPO, table("samples.json", at(("random", "state", "inc"), 2**130)), r"samples\.json: random\.state\.inc"),
    (PPO, array("samples.npz", "targets", at((0, 0), np.inf)), r"samples\.npz: targets: holds NaN or infinity"),
    (
        PPO,
        tensor("samples_optimizer.safetensors", "exp_avg", lambda t: t[:1]),
        r"samples_optimizer\.safetensors: tensor 0",
    ),
    (PPO, tensor("optimizer.safetensors", "exp_avg_sq", lambda t: t - 1), r"exp_avg_sq: holds numbers below 0"),
    (PPO, tensor("weights.safetensors", "bias", lambda t: t * torch.nan), r"tensor \S+: holds NaN or infinity"),
    (PPO, tensor("weights.safetensors", "bias", lambda t: t.double()), r"tensor \S+: type torch\.float64"),
    (PPO, table("optimizer.json", at(("groups", 0, "lr"), "1")), r"optimizer\.json: groups\.0\.lr = '1'"),
    (PPO, table("optimizer.json", at(("groups", 0, "betas"), [1, 2, 3])), r"groups\.0\.betas = \[1, 2, 3\], but"),
    (PPO, table("optimizer.json", at(("groups", 0, "fused"), 7)), r"groups\.0\.fused = 7, but this driver uses True"),
    (PPO, table("optimizer.json", at(("groups", 0, "x"), 7)), r"groups\.0\.x = 7, but this driver's optimizer has no"),
    (PPO, table("rng.json", at(("numpy", "state", "pos"), 10**6)), r"rng\.json: numpy\.state\.pos = 1000000"),
    (PPO, table("rng.json", at("torch", "AAAA")), r"rng\.json: torch = 'AAAA': 3 bytes, but expected 5056"),
    (PPO, table("rng.json", at(("python", 1), [1, 2])), r"rng\.json: python = .*random\.getstate"),
    (DQN_B, array("replay.npz", "actions", at((0, 0, 0), 10**6)), r"replay\.npz: actions: holds 1000000"),
    (DQN_B, array("replay.npz", "pos", lambda a: a - 200), r"replay\.npz: pos: holds -104"),
    (DQN, array("replay.npz", "rewards", at((0, 0), np.nan)), r"replay\.npz: rewards: holds NaN"),
    (PPO, lambda f: (f / "samples.json").write_text("[" * 100_000), r"samples\.json: .*nested too deeply"),
    (PPO, lambda f: (f / "samples.json").write_text('{"seen": 1, "seen": 2}'), "key 'seen' appears twice"),
    (PPO, lambda f: (f / "env.npz").write_bytes(b""), r"env\.npz: cannot be read as npz"),
    (PPO, lambda f: (f / "samples.npz").unlink(), r"manifest\.json: files: samples\.npz not listed"),
]


@pytest.mark.parametrize(("kind", "edit", "message"), EDITS)
def test_what_is_wrong_is_named(
    kind: str, edit: Callable[[Path], object], message: str, learned: Callable[[str], Learned], tmp_path: Path
) -> None:
    model, good = learned(kind)
    bad = copy_of(good, tmp_path / "bad")
    edit(bad)
    correct_sums(bad)
    with pytest.raises(DriveRLError, match=message):
        restore(model, bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: at("exact", 1)(m), "exact = 1"),
        (lambda m: m.pop("num_timesteps"), "num_timesteps: is missing"),
        (lambda m: at(("files", "rng.json", "bytes"), "12")(m), r"files\.rng\.json\.bytes = '12'"),
        (lambda m: at(("files", "/dev/zero"), m["files"]["rng.json"])(m), "expected file names"),
        (lambda m: at("algorithm", ["PPO"])(m), r"algorithm = \['PPO'\]: expected PPO, .* or Dagger"),
    ],
)
def test_an_edited_manifest_is_refused(
    change: Callable[[Any], Any], message: str, learned: Callable[[str], Learned], tmp_path: Path
) -> None:
    model, good = learned(PPO)
    bad = copy_of(good, tmp_path / "bad")
    table("manifest.json", change)(bad)
    with pytest.raises(DriveRLError, match=rf"manifest\.json: .*{message}"):
        restore(model, bad)


@pytest.mark.parametrize("target", ["/dev/zero", "a pipe"])
def test_a_device_or_a_pipe_for_a_file_does_not_hang(
    target: str, learned: Callable[[str], Learned], tmp_path: Path
) -> None:
    model, good = learned(PPO)
    for name in ("env.npz", "weights.safetensors", "manifest.json"):
        bad = copy_of(good, tmp_path / "bad")
        (bad / name).unlink()
        os.mkfifo(bad / name) if target == "a pipe" else (bad / name).symlink_to(target)
        with pytest.raises(DriveRLError, match=rf"{name}.* regular file|not a checkpoint: {name}"):
            restore(model, bad)
