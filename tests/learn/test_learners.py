"""Learners beside PPO, DQN and imitation: from recipe to exported driver. It covers `off_policy` and `contrib`, too."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from rich.console import Console

from drive_rl.config.reader import load_agent, load_run
from drive_rl.drivers.driver import begin_episodes
from drive_rl.drivers.evaluate import evaluate
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, build_policy, make_envs, policy_driver
from drive_rl.learn.checkpoint.checkpoint import restore, save, verify_driver
from drive_rl.learn.checkpoint.export import export_driver
from drive_rl.learn.load_driver import load_driver
from drive_rl.learn.train import train

LEARNERS = {
    "qrdqn": ("QRDQN", "discrete"),
    "sac": ("SAC", "continuous"),
    "recurrent-ppo": ("RecurrentPPO", "continuous"),
}
CPU = torch.device("cpu")


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_a_trained_driver_is_exported_and_drives_the_same(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small_specs.run(algorithm, "budget_steps=128")
    run = train(spec, tmp_path / "runs", "cpu", console=Console(quiet=True))
    kind, actions = LEARNERS[algorithm]
    assert verify_driver(run.last).algorithm == kind
    folder = export_driver(run, tmp_path / "agents" / "mine")
    card = (folder / "README.md").read_text()
    assert f"{kind} in the world `lane_follow`" in card
    assert f"- controls: steering and pedal, {actions}" in card
    assert "- help in training: none (`pixels`): pictures and rewards alone" in card
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    for engine in ("bullet", "batch"):
        rows = [evaluate(*load_driver(name), "val", 3, engine=engine) for name in ("mine", str(run.path))]
        assert rows[0] == rows[1]


@pytest.mark.parametrize("algorithm", LEARNERS)
@pytest.mark.parametrize("observation", ["camera", "motion", "camera+state", "state"])
def test_it_learns_from_every_observation(algorithm: str, observation: str) -> None:
    spec = small_specs.learner(algorithm, f"observation={observation}", *([] if "ppo" in algorithm else ["n_steps=1"]))
    assert spec.help == ("state" if "state" in observation else "pixels")
    world = small_specs.world()
    envs = make_envs(world, spec, "train", spec.num_envs, 0, "batch")
    model = build_model(spec, envs, CPU, 0)
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    model.learn(96)
    envs.close()
    after = model.policy.state_dict()
    assert any(not torch.equal(before[name], tensor) for name, tensor in after.items())
    alone = build_policy(spec, world, CPU).state_dict()
    assert {name: tensor.shape for name, tensor in alone.items()} == {name: t.shape for name, t in after.items()}


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_guidance_is_refused(algorithm: str) -> None:
    with pytest.raises(DriveRLError, match=r"guidance: .*only ppo and dqn with it; fix: guidance = null"):
        load_agent(algorithm, ["guidance={}"])


@pytest.mark.parametrize("algorithm", ["qrdqn", "sac"])
def test_a_budget_too_small_to_learn_is_refused(algorithm: str) -> None:
    with pytest.raises(DriveRLError, match=f"{algorithm.upper()} would learn nothing within budget_steps = 10"):
        load_run(algorithm, ["budget_steps=10"])


@pytest.mark.parametrize("algorithm", ["qrdqn", "recurrent-ppo"])
def test_a_missing_package_is_named(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    spec = small_specs.learner(algorithm)
    with pytest.raises(DriveRLError, match=r"sb3_contrib is not installed; fix: pip install 'drive-rl\[contrib\]'"):
        build_policy(spec, small_specs.world(), CPU)


@pytest.mark.parametrize(
    ("made", "read"),
    [("dqn", "qrdqn"), ("qrdqn", "dqn"), ("recurrent-ppo", "ppo"), ("ppo", "recurrent-ppo"), ("sac", "recurrent-ppo")],
)
def test_a_checkpoint_of_another_algorithm_is_refused(made: str, read: str, tmp_path: Path) -> None:
    changes = {"ppo": ["guidance=null"], "dqn": ["guidance=null", "n_steps=1"]}
    models = []
    for algorithm in (made, read):
        spec = small_specs.learner(algorithm, *changes.get(algorithm, []))
        envs = make_envs(small_specs.world(), spec, "train", spec.num_envs, 0, "batch")
        models.append(build_model(spec, envs, CPU, 0))
    save(models[0].learn(64), tmp_path / "last")
    kind = verify_driver(tmp_path / "last").algorithm
    with pytest.raises(DriveRLError, match=f"algorithm = {kind}, but this driver is .*; fix: resume with"):
        restore(models[1], tmp_path / "last")
    for model in models:
        assert model.env is not None
        model.env.close()


def test_a_recurrent_driver_remembers_the_episode_of_each_row() -> None:
    spec = small_specs.learner("recurrent-ppo", "observation=state")
    torch.manual_seed(0)
    policy: Any = build_policy(spec, small_specs.world(), CPU)
    driver = policy_driver(spec, policy)
    steps = np.random.default_rng(0).normal(size=(5, 4, 11)).astype(np.float32)
    state = None
    for step, observations in enumerate(steps):
        begins = [0, 1, 2, 3] if step == 0 else [2] if step == 3 else []
        begin_episodes(driver, begins)
        starts = np.isin(np.arange(4), begins)
        expected, state = policy.predict(observations, state, episode_start=starts, deterministic=True)
        assert np.array_equal(driver.act(observations), expected)
    begin_episodes(driver, [0, 1, 2, 3])
    first = driver.act(steps[0])
    assert not np.array_equal(driver.act(steps[0]), first)


def test_the_score_of_a_recurrent_driver_does_not_depend_on_the_number_of_environments() -> None:
    torch.manual_seed(0)
    spec = small_specs.learner("recurrent-ppo")
    driver = policy_driver(spec, build_policy(spec, small_specs.world(), CPU))
    found = [evaluate(driver, small_specs.world(), "val", 11, num_envs) for num_envs in (1, 3, 8)]
    assert found[0] == found[1] == found[2]
