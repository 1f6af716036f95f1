"""Drivers by name or path. It covers `checkpoint.export`, too."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from rich.console import Console
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import PPO, SAC

from drive_rl.config.reader import load_world
from drive_rl.drivers.driver import begin_episodes
from drive_rl.drivers.evaluate import evaluate
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.checkpoint.export import export_driver
from drive_rl.learn.load_driver import load_driver
from drive_rl.learn.train import train
from drive_rl.run.folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs")
    return train(small_specs.run("ppo", "budget_steps=128"), folder, "cpu", console=Console(quiet=True))


def test_a_run_its_experiment_and_its_checkpoints_are_drivers(run: RunFolder) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 16, 24), np.uint8)
    actions = []
    for path in (run.path, run.path.parent, run.best, run.last, run.checkpoint(128)):
        if path == run.checkpoint(128) and not path.exists():
            continue
        driver, world = load_driver(str(path))
        assert world == small_specs.run("ppo").world
        assert (driver.observation, driver.actions) == ("camera", "continuous")
        own = f"{run.path.parent.name}/{run.path.name}"
        assert driver.name == (own if path in (run.path, run.path.parent) else f"{own}/{path.name}")
        actions.append(driver.act(images))
    assert all(np.array_equal(actions[0], other) for other in actions)


def test_an_exported_driver_drives_as_the_run_does(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_driver(run, tmp_path / "agents" / "mine")
    names = ["README.md", "eval.json", "manifest.json", "spec.yaml", "weights.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    card = (folder / "README.md").read_text()
    assert "PPO in the world" in card
    assert "- observes: 2 grey frames of 24x16 px\n" in card
    assert "help in training: the true lane state (`guided`), never in driving" in card
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    assert [load_driver(name)[0].name for name in ("mine", str(folder), "reference")] == ["mine", "mine", "reference"]
    rows = [evaluate(*load_driver(name), "val", 2) for name in ("mine", str(folder), str(run.path))]
    assert rows[0] == rows[1] == rows[2]
    with pytest.raises(DriveRLError, match="exists already"):
        export_driver(run, folder)


def test_an_edited_driver_is_refused(run: RunFolder, tmp_path: Path) -> None:
    folder = export_driver(run, tmp_path / "mine")
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(DriveRLError, match=r"spec\.yaml"):
        load_driver(str(folder))


def test_a_world_with_another_camera_is_refused(run: RunFolder) -> None:
    other = small_specs.world("camera.width_px=32")
    with pytest.raises(DriveRLError, match=r"2 grey frames of 24x16 px, but lane_follow has .*32x16"):
        load_driver(str(run.path), other)
    near = load_driver(str(run.path), small_specs.world("road.length_m=80"))[1]
    assert (near.road.length_m, near.task.steering) == (80, "rate"), "how it steers is the driver's own"


def test_a_world_with_other_controls_is_refused(run: RunFolder) -> None:
    steering = small_specs.world("task.controls=steering")
    with pytest.raises(
        DriveRLError, match=r"with controls steering\+pedal by rate, .* has controls steering by rate, .*; fix: "
    ):
        load_driver(str(run.path), steering)
    with pytest.raises(DriveRLError, match=r"1\.0\] x \[-0\.5, 0\.05, 0\.6\], but lane_keep has .*1\.0\]; fix: "):
        load_driver("dqn-lane-follow", load_world("lane_keep"))
    for world, numbers in ((steering, 1), (small_specs.world(), 2)):
        driver, _ = load_driver("reference", world)
        assert driver.act(np.zeros((3, 11), np.float32)).shape == (3, numbers)


def test_a_world_with_another_state_is_refused(tmp_path: Path) -> None:
    spec = small_specs.run("ppo", "budget_steps=64", "agent.observation=state", "agent.guidance=null")
    run = train(spec, tmp_path, "cpu", console=Console(quiet=True))
    with pytest.raises(DriveRLError, match=r"state, but scenarios.accident has .*, fields of an obstacle; .* state$"):
        load_driver(str(run.path), load_world("scenarios/accident"))
    load_driver(str(run.path), load_world("scenarios/accident", ["streets.hazard=null"]))


def test_the_reference_driver_drives_anywhere() -> None:
    driver, world = load_driver("reference")
    assert world == load_world("lane_follow")
    assert driver.observation == "state"
    hard = load_world("lane_follow_hard")
    assert load_driver("reference", hard)[1] == hard


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("referense", "unknown driver 'referense'; did you mean 'reference'"),
        ("ppo", "is a recipe and has no weights; fix"),
        ("nowhere.zip", "file not found"),
        ("nowhere/at/all", "no such file or folder; fix: check the path"),
    ],
)
def test_what_is_not_a_driver_is_refused(name: str, message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_driver(name)


def test_a_foreign_zip_needs_trust_and_a_fitting_world(tmp_path: Path) -> None:
    spec, world = small_specs.ppo("guidance=null"), small_specs.world()
    envs = make_envs(world, spec, "train", 2, 0)
    build_model(spec, envs, torch.device("cpu"), 0).save(tmp_path / "theirs.zip")
    envs.close()
    path = str(tmp_path / "theirs.zip")
    with pytest.raises(DriveRLError, match="--trust"):
        load_driver(path, world)
    driver, _ = load_driver(path, world, trust=True)
    assert driver.act(np.zeros((1, 2, 16, 24), np.uint8)).shape == (1, 2)
    with pytest.raises(DriveRLError, match="trained with observation space"):
        load_driver(path, trust=True)


FOREIGN = {
    "ppo": (PPO, "CnnPolicy"),
    "qrdqn": (QRDQN, "MultiInputPolicy"),
    "sac": (SAC, "MlpPolicy"),
    "recurrent-ppo": (RecurrentPPO, "MlpLstmPolicy"),
}
OBSERVED = {"CnnPolicy": "camera", "MultiInputPolicy": "camera+state", "MlpPolicy": "state", "MlpLstmPolicy": "state"}


@pytest.mark.parametrize("algorithm", FOREIGN)
def test_a_driver_of_stable_baselines3_itself_drives_as_its_policy_does(algorithm: str, tmp_path: Path) -> None:
    kind, policy = FOREIGN[algorithm]
    world = small_specs.world("camera.height_px=36", "camera.width_px=40")  # ids return `motion`
    more = "guidance=null" if "ppo" in algorithm else "n_steps=1"
    spec = small_specs.learner(algorithm, f"observation={OBSERVED[policy]}", more)
    envs = make_envs(world, spec, "train", 2, 0, "batch")
    model = kind(policy, envs, policy_kwargs={"net_arch": [8]}, seed=0, device="cpu")
    model.save(tmp_path / "theirs.zip")
    driver, _ = load_driver(str(tmp_path / "theirs.zip"), world, trust=True)
    assert (driver.observation, driver.actions) == (OBSERVED[policy], spec.actions)
    seen: Any = envs.reset()
    state, begins = None, np.ones(2, bool)
    for _ in range(40):
        begin_episodes(driver, np.flatnonzero(begins).tolist())
        expected, state = model.predict(seen, state, begins, deterministic=True)
        assert np.array_equal(driver.act(seen), expected)
        seen, _, begins, _ = envs.step(expected)
    envs.close()


def test_runs_are_offered_by_name(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run.path, tmp_path / "runs" / "quickstart" / run.path.name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DriveRLError, match="did you mean 'runs/quickstart'"):
        load_driver("runs/quickstrat")


def test_a_run_without_a_checkpoint_is_refused(run: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "bare", ignore=shutil.ignore_patterns("best", "last", "checkpoints"))
    with pytest.raises(DriveRLError, match="holds no checkpoint yet"):
        load_driver(str(tmp_path / "bare"))
