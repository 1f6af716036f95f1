"""Learning in streets: a stopped run ends where an unbroken one does, in both engines."""

import signal
from pathlib import Path

import pytest
import small_specs
from interrupted_training import interrupt_at, same
from rich.console import Console

from drive_rl.config.reader import load_run
from drive_rl.errors import DriveRLError
from drive_rl.learn.train import train
from drive_rl.run.process.signals import TrainingInterrupted


@pytest.mark.parametrize("engine", ["batch", "bullet"])
def test_a_resumed_run_in_a_town_ends_where_an_unbroken_one_does(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, silent = load_run("ppo-batch", [*small_specs.STREETS, f"engine={engine}"]), Console(quiet=True)
    unbroken = train(spec, tmp_path, "cpu", console=silent)
    with monkeypatch.context() as patch:
        interrupt_at(150, signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted) as stopped:
            train(spec, tmp_path, "cpu", console=silent)
    resumed = train(None, tmp_path, "cpu", console=silent, resume=stopped.value.run.path)
    assert same(unbroken.last, resumed.last)
    for name in ("optimizer.safetensors", "env.npz", "last_step.npz", "rng.json"):
        assert (unbroken.last / name).read_bytes() == (resumed.last / name).read_bytes(), name


def test_streets_have_no_tiers_to_weigh() -> None:
    with pytest.raises(DriveRLError, match=r"streets have no tiers; fix: train_tiers=\{\}$"):
        load_run("ppo-batch", ["world=town", "train_tiers.town=2"])
