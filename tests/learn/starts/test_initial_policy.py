import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import small_specs
import torch
from interrupted_training import interrupt_at, same
from rich.console import Console

from drive_rl.drivers.evaluate import evaluate
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs, policy_driver
from drive_rl.learn.checkpoint.export import export_driver
from drive_rl.learn.load_driver import load_driver
from drive_rl.learn.starts.initial_policy import load_initial_policy
from drive_rl.learn.train import train
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.signals import TrainingInterrupted

QUIET = Console(quiet=True)
NEEDED = ("optimizer.safetensors", "env.npz", "last_step.npz", "rng.json")


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    folder = tmp_path_factory.mktemp("clones")
    changes = {
        "bc": ["agent.algorithm=bc"],
        "steering": ["world.task.controls=steering"],
        "normed": ["agent.feature_norm=true"],
    }
    specs = {name: small_specs.run("dagger", *each, "budget_steps=128") for name, each in changes.items()}
    specs["pixels"] = small_specs.run("pixels", "budget_steps=128")
    return {name: train(spec, folder / name, "cpu", console=QUIET) for name, spec in specs.items()}


@pytest.mark.parametrize("algorithm", ["pixels", "asymmetric"])
def test_a_learner_drives_as_what_it_starts_from(clones: dict[str, RunFolder], algorithm: str) -> None:
    spec = small_specs.run(algorithm, f"agent.init_from={clones['bc'].path}")
    envs = make_envs(spec.world, spec.agent, "train", 2, 0, "batch")
    model = build_model(spec.agent, envs, torch.device("cpu"), 0)
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    initial = load_initial_policy(spec)
    assert initial is not None
    initial.load_into(model)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 2, 16, 24), np.uint8)
    clone, _ = load_driver(str(clones["bc"].path))
    assert np.array_equal(policy_driver(spec.agent, model.policy).act(pictures), clone.act(pictures))
    kept = {name for name, tensor in model.policy.state_dict().items() if torch.equal(tensor, before[name])}
    assert kept == {name for name in before if "value" in name or name == "log_std"}
    envs.close()


@pytest.mark.parametrize("algorithm", ["pixels", "asymmetric"])
@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_a_resumed_run_ends_where_an_unbroken_one_does_without_the_other_run(
    clones: dict[str, RunFolder], algorithm: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = shutil.copytree(clones["bc"].path, tmp_path / "lent")
    spec = small_specs.run(algorithm, f"agent.init_from={lent}", f"engine={engine}")
    unbroken = train(spec, tmp_path, "cpu", console=QUIET)
    with monkeypatch.context() as patch:
        interrupt_at(150, signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted) as stopped:
            train(spec, tmp_path, "cpu", console=QUIET)
    shutil.rmtree(lent)
    resumed = train(None, tmp_path, "cpu", resume=stopped.value.run.path, console=QUIET)
    assert same(unbroken.last, resumed.last)
    for name in NEEDED:
        assert (unbroken.last / name).read_bytes() == (resumed.last / name).read_bytes(), name
    rows = [evaluate(*load_driver(str(path)), "val", 2)[1] for path in (unbroken.path, resumed.path)]
    assert rows[0] == rows[1]


def test_a_run_keeps_a_copy_and_its_driver_names_the_help(clones: dict[str, RunFolder], tmp_path: Path) -> None:
    source = export_driver(clones["bc"], tmp_path / "clone")
    spec = small_specs.run("asymmetric", f"agent.init_from={source}", "budget_steps=64")
    run = train(spec, tmp_path / "runs", "cpu", console=QUIET)
    names = (str(run.path / "initial_policy"), str(source))
    rows = [evaluate(*load_driver(name), "val", 2)[1] for name in names]
    assert rows[0] == rows[1]
    card = (export_driver(run, tmp_path / "mine") / "README.md").read_text()
    assert "64 environment steps on the train roads, seed 0, from the policy of bc after 128 steps\n" in card
    assert "- help in training: a teacher's actions (`imitation`), never in driving; values of the true state (" in card


@pytest.mark.parametrize(
    ("start", "changes", "message"),
    [
        ("bc", ("agent.encoder.kind=nature",), r"agent\.encoder\.kind = small there and nature here; fix: agent\.enc"),
        ("bc", ("agent.encoder.features=32",), r"agent\.encoder\.features = 16 there and 32 here; fix: .*=16"),
        ("bc", ("agent.hidden=[8,8]",), r"agent\.hidden = \[8\] there and \[8, 8\] here; fix: agent\.hidden=\[8\]"),
        ("bc", ("world.camera.width_px=32",), r"world\.camera\.width_px = 24 there and 32 here; fix: world\.camera\."),
        ("bc", ("world.camera.frame_stack=1",), r"world\.camera\.frame_stack = 2 there and 1 here"),
        ("normed", (), r"learned with agent\.feature_norm, which ppo does not continue; fix: .* without it"),
        ("steering", (), r"world\.task\.controls = steering there and steering\+pedal here; fix: world\.task\.contr"),
        ("pixels", (), "learned by ppo, but expected dagger or bc; fix: a run of drive-rl train dagger"),
        ("reference", (), "agent.init_from = reference: expected a trained driver; fix: a run of"),
        ("small-160", (), "agent.init_from = small-160: expected a trained driver"),
        ("referense", (), "agent.init_from = referense: .*did you mean"),
        ("runs/nowhere", (), "agent.init_from = runs/nowhere: .*no such"),
        ("theirs.zip", (), "agent.init_from = theirs.zip: expected a trained driver"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_before_a_run_is_made(
    clones: dict[str, RunFolder], tmp_path: Path, start: str, changes: tuple[str, ...], message: str
) -> None:
    named = clones[start].path if start in clones else start
    with pytest.raises(DriveRLError, match=message):
        train(small_specs.run("pixels", f"agent.init_from={named}", *changes), tmp_path, "cpu", console=QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["cut short", "lost", "spec"])
def test_a_broken_start_is_refused(clones: dict[str, RunFolder], tmp_path: Path, harm: str) -> None:
    run = RunFolder(shutil.copytree(clones["bc"].path, tmp_path / "broken"))
    weights = run.best / "weights.safetensors"
    if harm == "cut short":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif harm == "lost":
        shutil.rmtree(run.best)
        shutil.rmtree(run.last)
    else:
        run.spec.write_text(run.spec.read_text().replace("features: 16", "features: 17"))
        run.provenance.write_text("{}")  # of a version that kept no record of the spec
    expected = {"cut short": "cut short or edited", "lost": "holds no checkpoint yet", "spec": "features = 17 there"}
    with pytest.raises(DriveRLError, match=rf"agent\.init_from = .*broken: .*{expected[harm]}"):
        train(small_specs.run("pixels", f"agent.init_from={run.path}"), tmp_path / "runs", "cpu", console=QUIET)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("agent.observation=state",), "the driver has observation = state; fix: observation = camera"),
        (("agent.actions=discrete",), "the driver has actions = discrete; fix: actions = continuous"),
        (
            ("agent.guidance={passes: 1}", "agent.critic_epochs=0"),
            "the driver has guidance = its own; fix: guidance = null",
        ),
        (
            ("agent.encoder.init_from=y", "agent.actions=discrete"),
            "= y; fix: actions = .* and encoder.init_from = nu",
        ),
    ],
)
def test_contradicting_recipes_are_refused(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        small_specs.run("pixels", "agent.init_from=x", *changes)
