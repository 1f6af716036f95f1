import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_perception
import small_specs
import torch
from interrupted_training import interrupt_at, same
from rich.console import Console

from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.checkpoint.export import export_driver
from drive_rl.learn.load_driver import load_driver
from drive_rl.learn.pretrained import init_encoders
from drive_rl.learn.sb3.feature_extractors import ImageEncoder
from drive_rl.learn.train import train
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.signals import TrainingInterrupted
from drive_rl.run.storage.tensors import read_tensors
from drive_rl.sim.task.outcome import STATE_FIELDS

CPU = torch.device("cpu")
SILENT = Console(quiet=True)
UNGUIDED = "agent.guidance=null"
CAMERA_AND_STATE = "agent.observation=camera+state"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    folder = tmp_path_factory.mktemp("runs")
    return {kind: small_perception.run(folder / kind, kind=kind) for kind in ("small", "unet")}


def start(models: dict[str, RunFolder], kind: str = "small", frozen: bool = False) -> tuple[str, ...]:
    named = (f"agent.encoder.kind={kind}", f"agent.encoder.init_from={models[kind].path}")
    return (*named, "agent.encoder.frozen=true") if frozen else named


@pytest.mark.parametrize(
    ("algorithm", "changes", "encoders"),
    [
        ("ppo", (), 1),
        ("ppo", (UNGUIDED,), 1),
        ("ppo", (CAMERA_AND_STATE,), 1),
        ("dqn", (), 1),
        ("asymmetric", (), 1),
        ("dqn", (UNGUIDED,), 2),  # the target network has one of its own
    ],
)
def test_every_encoder_of_a_policy_starts_from_the_model(
    models: dict[str, RunFolder], algorithm: str, changes: tuple[str, ...], encoders: int
) -> None:
    spec = small_specs.run(algorithm, *start(models), *changes)
    envs = make_envs(spec.world, spec.agent, "train", 2, 0)
    policy = build_model(spec.agent, envs, CPU, 0).policy
    envs.close()
    init_encoders(policy, spec.agent, spec.world)
    found = [module for module in policy.modules() if isinstance(module, ImageEncoder)]
    expected = load_trained(str(models["small"].path)).model.encoder.state_dict()
    assert len(found) == encoders
    for encoder in found:
        wanted, state = expected | encoder.marks, encoder.state_dict()
        assert state.keys() == wanted.keys()
        assert all(torch.equal(value, wanted[name]) for name, value in state.items())


@pytest.mark.parametrize(
    ("algorithm", "changes"), [("ppo", ()), ("ppo", (UNGUIDED,)), ("asymmetric", ()), ("dqn", (UNGUIDED,))]
)
def test_a_frozen_encoder_stays_and_the_rest_learns(
    models: dict[str, RunFolder], tmp_path: Path, algorithm: str, changes: tuple[str, ...]
) -> None:
    expected = load_trained(str(models["unet"].path)).model.encoder.state_dict()  # it has batch norm
    learned = []
    for frozen in (True, False):
        spec = small_specs.run(algorithm, *start(models, "unet", frozen), *changes)
        run = train(spec, tmp_path, "cpu", console=SILENT)
        found = read_tensors(run.last / "weights.safetensors")
        moved = {name for name, value in expected.items() for key in found if _is(key, name, value, found)}
        learned.append(moved)
    assert not learned[0]
    assert {name for name in expected if name.endswith("weight")} <= learned[1]


def _is(key: str, name: str, value: torch.Tensor, found: dict[str, torch.Tensor]) -> bool:
    """Whether a driver's tensor is the encoder's of that name, and differs."""
    return key.endswith(f".{name}") and "target" not in key and not torch.equal(found[key], value)


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        ("ppo", ("start",)),
        ("ppo", ("start", UNGUIDED, "engine=batch")),
        ("ppo", ("perception_model",)),
        ("ppo", ("perception_model", "engine=batch")),
        ("dqn", ("perception_model", "agent.n_steps=2")),
    ],
)
def test_a_resumed_run_ends_where_an_unbroken_one_does_without_the_model(
    algorithm: str,
    changes: tuple[str, ...],
    models: dict[str, RunFolder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lent = shutil.copytree(models["unet"].path, tmp_path / "lent")
    named = {
        "start": start({"unet": RunFolder(lent)}, "unet", frozen=True),
        "perception_model": (CAMERA_AND_STATE, f"agent.perception_model={lent}"),
    }
    spec = small_specs.run(algorithm, *named[changes[0]], *changes[1:])
    unbroken = train(spec, tmp_path, "cpu", console=SILENT)
    with monkeypatch.context() as patch:
        interrupt_at(150, signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted) as stopped:
            train(spec, tmp_path, "cpu", console=SILENT)
    shutil.rmtree(lent)  # a run is whole by itself
    resumed = train(None, tmp_path, "cpu", resume=stopped.value.run.path, console=SILENT)
    assert same(unbroken.last, resumed.last)
    for name in ("optimizer.safetensors", "env.npz", "last_step.npz", "rng.json"):
        assert (unbroken.last / name).read_bytes() == (resumed.last / name).read_bytes(), name
    rows = [evaluate(*load_driver(str(path)), "val", 2)[1] for path in (unbroken.path, resumed.path)]
    assert rows[0] == rows[1]


def test_environments_return_the_predicted_lane_state(models: dict[str, RunFolder]) -> None:
    trained, world = load_trained(str(models["small"].path)), small_specs.world()
    estimator = LaneEstimator(trained, world.task)
    agent = small_specs.ppo("observation=camera+state", f"perception_model={models['small'].path}")
    bare, predicting = (make_envs(world, agent, "train", 2, 0, "batch", CPU, each) for each in (None, estimator))
    assert predicting.observation_space.shape == (len(STATE_FIELDS),)
    _check_predicted(trained, estimator, bare.reset(), predicting.reset())
    ended = 0
    for _ in range(40):
        (plain, *_, infos), (predicted, *_, predicted_infos) = (
            envs.step(np.full((2, 2), 0.5)) for envs in (bare, predicting)
        )
        _check_predicted(trained, estimator, plain, predicted)
        for info, theirs in zip(infos, predicted_infos, strict=True):
            if "terminal_observation" in info:
                last = {key: part[None] for key, part in info["terminal_observation"].items()}
                expected = estimator.lane_state(last)[0]  # alone, where the wrapper predicts all that ended at once
                np.testing.assert_allclose(theirs["terminal_observation"], expected, rtol=1e-4, atol=1e-6)
                ended += 1
    assert ended
    bare.close()
    predicting.close()


def _check_predicted(trained: Trained, estimator: LaneEstimator, plain: Any, predicted: Any) -> None:
    np.testing.assert_array_equal(predicted, estimator.lane_state(plain))
    speed = STATE_FIELDS.index("speed_mps")
    np.testing.assert_array_equal(predicted[:, speed], plain["state"][:, speed])
    with torch.no_grad():
        lane = trained.model(torch.as_tensor(plain["camera"]))["lane"].numpy()
    np.testing.assert_array_equal(predicted[:, :2], lane[:, :2])


def test_an_exported_driver_carries_its_perception_model(models: dict[str, RunFolder], tmp_path: Path) -> None:
    spec = small_specs.run("ppo", CAMERA_AND_STATE, f"agent.perception_model={models['small'].path}")
    run = train(spec, tmp_path, "cpu", console=SILENT)
    folder = export_driver(run, tmp_path / "agents" / "mine")
    names = ["README.md", "eval.json", "manifest.json", "perception_model", "spec.yaml", "weights.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    card = (folder / "README.md").read_text()
    assert "- observes: 2 grey frames of 24x16 px, its own speed, yaw rate and steering angle\n" in card
    driver, world = load_driver(str(folder))
    assert driver.observation == "camera+state"
    rows = [evaluate(*load_driver(str(path)), "val", 2)[1] for path in (folder, run.path, run.best)]
    assert rows[0] == rows[1] == rows[2]
    shutil.rmtree(folder / "perception_model")
    with pytest.raises(DriveRLError, match="perception_model"):
        load_driver(str(folder), world)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("agent.encoder.features=32",), r"agent\.encoder\.features = 16 there and 32 here; fix: agent\.enc.*=16"),
        (("agent.encoder.kind=nature",), r"agent\.encoder\.kind = small there and nature here"),
        (("world.camera.width_px=32",), r"world\.camera\.width_px = 24 there and 32 here"),
        (("world.camera.frame_stack=1",), r"world\.camera\.frame_stack = 2 there and 1 here"),
    ],
)
def test_another_encoder_or_camera_is_refused_before_a_run_is_made(
    models: dict[str, RunFolder], tmp_path: Path, changes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DriveRLError, match=message):
        train(small_specs.run("ppo", *start(models), *changes), tmp_path, "cpu", console=SILENT)
    assert not list(tmp_path.iterdir())


def test_a_perception_model_of_another_camera_or_without_a_lane_is_refused(
    models: dict[str, RunFolder], tmp_path: Path
) -> None:
    named = (CAMERA_AND_STATE, f"agent.perception_model={models['small'].path}")
    with pytest.raises(
        DriveRLError, match=r"agent\.perception_model = .*: world\.camera\.fov_rad = 1\.3 there and 1\.5 here"
    ):
        train(small_specs.run("ppo", *named, "world.camera.fov_rad=1.5"), tmp_path, "cpu", console=SILENT)
    blind = small_perception.run(tmp_path, heads=("scene",))
    with pytest.raises(DriveRLError, match="predicts no lane state"):
        train(
            small_specs.run("ppo", CAMERA_AND_STATE, f"agent.perception_model={blind.path}"),
            tmp_path,
            "cpu",
            console=SILENT,
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("agent.encoder.frozen=true",), "a random encoder would stay random; fix: set encoder.init_from"),
        (("agent.perception_model=x",), "fix: observation = camera\\+state"),
        (
            (CAMERA_AND_STATE, "agent.perception_model=x", "agent.encoder.init_from=x"),
            "has no encoder; fix: encoder.init_from = null",
        ),
        (("agent.observation=state", "agent.encoder.init_from=x"), "has no encoder"),
    ],
)
def test_contradicting_recipes_are_refused(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        small_specs.run("ppo", *changes)
