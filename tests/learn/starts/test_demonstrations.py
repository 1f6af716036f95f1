import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from interrupted_training import interrupt_at, same
from rich.console import Console
from tamper import correct_sums

from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import make_envs
from drive_rl.learn.checkpoint.export import export_driver
from drive_rl.learn.imitation.wrapper import TeacherWrapper
from drive_rl.learn.load_driver import load_driver
from drive_rl.learn.starts.demonstrations import record_demonstrations
from drive_rl.learn.train import train
from drive_rl.run.process.signals import TrainingInterrupted
from drive_rl.run.storage.arrays import read_arrays
from drive_rl.run.storage.tensors import read_tensors

QUIET = Console(quiet=True)
COUNT = 60


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demonstrations(small_specs.run("dagger"), COUNT, tmp_path_factory.mktemp("demos") / "demos")


def test_the_samples_are_what_the_teacher_does_where_it_drives(tmp_path: Path) -> None:
    spec = small_specs.run("dagger", "agent.noise=0")
    steps: list[int] = []
    folders = [record_demonstrations(spec, COUNT, tmp_path / name, steps.append) for name in ("one", "two")]
    assert sum(steps) == 2 * COUNT
    one, two = (sorted(folder.iterdir()) for folder in folders)
    assert [path.name for path in one] == ["experiment.yaml", "manifest.json", "samples.npz"]
    assert all(here.read_bytes() == there.read_bytes() for here, there in zip(one, two, strict=True))
    found = read_arrays(folders[0] / "samples.npz")
    envs = make_envs(spec.training_worlds[0], spec.agent, "train", 2, 0, "batch")
    envs.seed(int(np.random.SeedSequence([0, 3]).generate_state(1)[0] >> 2))
    teacher, _ = load_driver("reference", spec.world)
    assert isinstance(teacher, ReferenceDriver)
    seen: Any = envs.reset()
    for row in range(0, COUNT, 2):
        actions = teacher.act(seen["state"])
        np.testing.assert_array_equal(found["pictures"][row : row + 2], seen["camera"])
        np.testing.assert_array_equal(found["targets"][row : row + 2], actions.astype(np.float32))
        seen, *_ = envs.step(np.clip(actions, -1, 1).astype(np.float32))
    envs.close()


@pytest.mark.parametrize(("algorithm", "engine"), [("dagger", "batch"), ("bc", "bullet")])
def test_a_run_learns_from_them_and_resumes_exactly_without_them(
    demos: Path, algorithm: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = shutil.copytree(demos, tmp_path / "lent")
    changes = (f"agent.algorithm={algorithm}", f"engine={engine}")
    spec = small_specs.run("dagger", *changes, f"agent.demonstrations={lent}")
    unbroken = train(spec, tmp_path / "with", "cpu", console=QUIET)
    alone = train(small_specs.run("dagger", *changes), tmp_path / "without", "cpu", console=QUIET)
    with monkeypatch.context() as patch:
        interrupt_at(150, signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted) as stopped:
            train(spec, tmp_path / "with", "cpu", console=QUIET)
    kept = json.loads((stopped.value.run.path / "demonstrations.json").read_text())
    assert kept == json.loads((lent / "manifest.json").read_text()) | {"exact": False}
    shutil.rmtree(lent)
    resumed = train(None, tmp_path, "cpu", resume=stopped.value.run.path, console=QUIET)
    assert same(unbroken.last, resumed.last)
    for name in ("samples.npz", "samples.json", "samples_optimizer.safetensors", "last_step.npz", "rng.json"):
        assert (unbroken.last / name).read_bytes() == (resumed.last / name).read_bytes(), name
    assert not same(unbroken.last, alone.last)
    seen = [json.loads((run.last / "samples.json").read_text())["seen"] for run in (unbroken, alone)]
    steps = [read_tensors(run.last / "samples_optimizer.safetensors")["0.step"] for run in (unbroken, alone)]
    if algorithm == "bc":
        assert seen[0] == COUNT
        assert torch.equal(steps[0], torch.tensor(2.0 * spec.budget_steps // 16))
    else:
        assert seen[0] - seen[1] == COUNT
        assert torch.equal(steps[0] - steps[1], torch.tensor(2.0 * COUNT // 16))


def test_cloning_from_a_folder_drives_nothing_and_needs_no_teacher(
    demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def driven(*_: object) -> None:
        raise AssertionError("somebody drives")

    monkeypatch.setattr(TeacherWrapper, "step_async", driven)
    monkeypatch.setattr(ReferenceDriver, "act", driven)
    changes = ("agent.algorithm=bc", f"agent.demonstrations={demos}")
    spec = small_specs.run("dagger", *changes, "agent.teacher=long-gone", "budget_steps=1000", "agent.passes=8")
    run = train(spec, tmp_path / "runs", "cpu", console=QUIET)
    learned, shown = read_arrays(run.last / "samples.npz"), read_arrays(demos / "samples.npz")
    assert all(np.array_equal(learned[name], shown[name]) for name in ("pictures", "targets"))
    driver, _ = load_driver(str(run.path))
    errors = np.square(driver.act(shown["pictures"]) - shown["targets"]).mean(axis=0)
    assert (errors < shown["targets"].var(axis=0) / 2).all()
    card = (export_driver(run, tmp_path / "clone") / "README.md").read_text()
    assert " draws of recorded samples, seed 0\n" in card


def cut(folder: Path) -> None:
    path = folder / "samples.npz"
    path.write_bytes(path.read_bytes()[:-100])


def edited(folder: Path) -> None:
    data = bytearray((folder / "samples.npz").read_bytes())
    data[1000] ^= 1
    (folder / "samples.npz").write_bytes(bytes(data))


def edited_with_sums(folder: Path) -> None:
    with np.load(folder / "samples.npz") as stored:
        arrays = dict(stored)
    arrays["targets"][3, 0] = np.nan
    np.savez(folder / "samples.npz", allow_pickle=False, **arrays)
    correct_sums(folder)


def fewer_with_sums(folder: Path) -> None:
    with np.load(folder / "samples.npz") as stored:
        arrays = {name: array[:-1] for name, array in stored.items()}
    np.savez(folder / "samples.npz", allow_pickle=False, **arrays)
    correct_sums(folder)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (cut, r"samples\.npz: \d+ bytes found, .* cut short or edited; .*record them again: drive-rl data record"),
        (edited, r"samples\.npz: SHA-256 .* edited or damaged"),
        (edited_with_sums, r"samples\.npz: targets: holds NaN"),
        (fewer_with_sums, r"samples\.npz: holds .*pictures \(59, .* keeps 60"),
        (lambda folder: (folder / "experiment.yaml").unlink(), r"experiment\.yaml: file not found"),
        (lambda folder: (folder / "manifest.json").unlink(), r"manifest\.json not found"),
        (shutil.rmtree, r"demonstrations = .*broken: no samples.npz there; fix: .*drive-rl data record"),
    ],
)
def test_broken_demonstrations_are_refused(
    demos: Path, tmp_path: Path, harm: Callable[[Path], object], message: str
) -> None:
    folder = shutil.copytree(demos, tmp_path / "broken")
    harm(folder)
    with pytest.raises(DriveRLError, match=message):
        train(small_specs.run("dagger", f"agent.demonstrations={folder}"), tmp_path / "runs", "cpu", console=QUIET)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("world.camera.width_px=32",), r"world\.camera\.width_px = 24 there and 32 here; fix: world\.camera\.wi"),
        (("world.camera.fov_rad=1.5",), r"world\.camera\.fov_rad = 1\.3 there and 1\.5 here"),
        (("world.task.controls=steering",), r"world\.task\.controls = steering\+pedal there and steering here"),
        (("world.task.control_hz=20",), r"world\.task\.control_hz = 10 there and 20 here"),
        (("agent.state_loss=1",), r"agent\.state_loss = 0\.0 there and 1\.0 here; fix: agent\.state_loss=0"),
        (("agent.samples=59",), r"holds 60 samples, but agent\.samples = 59 are kept; fix: agent\.samples=60"),
    ],
)
def test_demonstrations_that_do_not_fit_are_refused(
    demos: Path, tmp_path: Path, changes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DriveRLError, match=rf"agent\.demonstrations = .*{message}"):
        train(small_specs.run("dagger", f"agent.demonstrations={demos}", *changes), tmp_path, "cpu", console=QUIET)
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_taken_for_demonstrations(demos: Path, tmp_path: Path) -> None:
    run = train(small_specs.run("dagger", "budget_steps=64"), tmp_path, "cpu", console=QUIET)
    for folder in (run.path, run.last):
        with pytest.raises(DriveRLError, match=r"no samples\.npz there|manifest\.json"):
            train(small_specs.run("dagger", f"agent.demonstrations={folder}"), tmp_path / "runs", "cpu", console=QUIET)
    with pytest.raises(DriveRLError, match="demos: not a run folder"):
        load_driver(str(demos))


def test_what_cannot_be_recorded_is_refused(demos: Path, tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match=r"agent\.algorithm = ppo: has no teacher; fix: agent=dagger"):
        record_demonstrations(small_specs.run("ppo"), COUNT, tmp_path / "demos")
    with pytest.raises(DriveRLError, match=r"demos: exists already; fix: another name"):
        record_demonstrations(small_specs.run("dagger"), COUNT, demos)
    with pytest.raises(DriveRLError, match=r"agent\.teacher = refrence"):
        record_demonstrations(small_specs.run("dagger", "agent.teacher=refrence"), COUNT, tmp_path / "demos")
    assert not list(tmp_path.iterdir())
