"""Zips of stable-baselines3 open only with trust."""

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import VecNormalize
from tiny_models import build, vec_env, weights
from torch import nn

from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.sb3_zip import load_foreign


class Remembers(FlattenExtractor):
    """Features of a custom policy with an LSTM."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.memory = nn.LSTM(1, 1)


def foreign(algorithm: str) -> BaseAlgorithm:
    """An untrained model of a cart-pole or, for continuous actions, a pendulum."""
    kwargs: dict[str, Any] = {"policy_kwargs": {"net_arch": [8]}, "device": "cpu"}
    if algorithm == "SAC":
        return SAC("MlpPolicy", "Pendulum-v1", **kwargs)
    if algorithm == "RecurrentPPO":
        return RecurrentPPO("MlpLstmPolicy", "CartPole-v1", **kwargs)
    return {"PPO": PPO, "DQN": DQN, "QRDQN": QRDQN}[algorithm]("MlpPolicy", "CartPole-v1", **kwargs)


@pytest.mark.parametrize("algorithm", ["PPO", "RecurrentPPO", "DQN", "QRDQN", "SAC"])
def test_a_zip_needs_trust(algorithm: str, tmp_path: Path) -> None:
    model, path = foreign(algorithm), tmp_path / "model.zip"
    model.save(path)
    with pytest.raises(DriveRLError, match=r"can run any code .* add --trust"):
        load_foreign(path, trust=False)
    loaded = load_foreign(path, trust=True)
    assert type(loaded) is type(model)
    for name, value in weights(model).items():
        np.testing.assert_array_equal(weights(loaded)[name], value)


def test_a_replay_buffer_of_a_zip_takes_no_memory(tmp_path: Path) -> None:
    model = foreign("QRDQN")
    model.save(tmp_path / "model.zip")
    loaded: Any = load_foreign(tmp_path / "model.zip", trust=True)
    assert loaded.replay_buffer.observations.shape[0] == 1


@pytest.mark.parametrize("algorithm", ["RecurrentPPO", "QRDQN"])
def test_a_missing_package_is_named(algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(algorithm).save(tmp_path / "model.zip")
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(DriveRLError, match=r"sb3_contrib is not installed; fix: pip install 'drive-rl\[contrib\]'"):
        load_foreign(tmp_path / "model.zip", trust=True)


@pytest.mark.parametrize("kind", ["absent", "text", "other zip", "other algorithm", "broken"])
def test_other_zips_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    if kind == "text":
        path.write_text("hello")
    elif kind != "absent":
        with zipfile.ZipFile(path, "w") as archive:
            name, data = {
                "other zip": ("a.txt", "x"),
                "other algorithm": ("data", '{"ent_coef": 1}'),
                "broken": ("data", '{"n_epochs": 4}'),
            }[kind]
            archive.writestr(name, data)
    with pytest.raises(DriveRLError, match=r"model\.zip: (file not found|not a stable|saved by an|does not load)"):
        load_foreign(path, trust=True)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (
            {"policy_class": {"__module__": "sb3_contrib.common.maskable.policies"}, "n_epochs": 1},
            "MaskablePPO.*mask of valid actions",
        ),
        ({"policy_class": {"__module__": "sb3_contrib.tqc.policies"}, "target_entropy": -2}, "TQC"),
        ({"policy_delay": 2}, "TD3"),
        ({"cg_max_steps": 15, "gae_lambda": 1}, "TRPO"),
        ({"policy_class": ["x"]}, "an unknown algorithm"),
    ],
)
def test_another_algorithm_is_named(settings: dict[str, Any], name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps({"gae_lambda": 0.9, "clip_range": 0.2} | settings))
    for trust in (False, True):
        with pytest.raises(DriveRLError, match=rf"model\.zip: saved by {name}.*fix: "):
            load_foreign(path, trust)


def test_real_zips_of_other_algorithms_are_named(tmp_path: Path) -> None:
    A2C("MlpPolicy", "CartPole-v1", device="cpu").save(tmp_path / "a.zip")
    TD3("MlpPolicy", "Pendulum-v1", device="cpu", buffer_size=10).save(tmp_path / "b.zip")
    for name, algorithm in (("a.zip", "A2C"), ("b.zip", "TD3 or DDPG")):
        with pytest.raises(DriveRLError, match=f"saved by {algorithm}: of zips, drive-rl reads those of PPO"):
            load_foreign(tmp_path / name, trust=True)


def test_a_policy_that_needs_more_than_observations_is_refused(tmp_path: Path) -> None:
    normalised = build("PPO")
    normalised.set_env(VecNormalize(vec_env()))
    normalised.learn(128).save(tmp_path / "normalised.zip")
    kwargs = {"features_extractor_class": Remembers}
    for algorithm, policy in ((PPO, "MlpPolicy"), (RecurrentPPO, "MlpLstmPolicy")):
        algorithm(policy, vec_env(), policy_kwargs=kwargs, device="cpu").save(tmp_path / "remembers.zip")
        with pytest.raises(DriveRLError, match=r"remembers\.zip: its policy \w+ has a recurrent layer of its own"):
            load_foreign(tmp_path / "remembers.zip", trust=True)
    with pytest.raises(DriveRLError, match=r"trained through VecNormalize, .*vecnormalize\.pkl"):
        load_foreign(tmp_path / "normalised.zip", trust=True)


@pytest.mark.parametrize("kind", ["deep", "encrypted", "deflated wrongly", "pipe"])
def test_a_broken_zip_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data", "[" * 100_000)
        data = bytearray(path.read_bytes())
        if kind == "encrypted":
            data[6] |= 1
            data[data.find(b"PK\x01\x02") + 8] |= 1
        if kind == "deflated wrongly":
            data[40:60] = bytes(20)
        path.write_bytes(bytes(data))
    with pytest.raises(DriveRLError, match=r"model\.zip: (not a stable-baselines3 zip|is not a regular file)"):
        load_foreign(path, trust=True)
