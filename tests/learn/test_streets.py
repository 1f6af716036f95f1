"""Learning in streets: a stopped run ends where an unbroken one does, in both engines."""

import signal
from pathlib import Path

import pytest
from interrupted_training import interrupt_at, same
from rich.console import Console

from drive_rl.config.reader import load_run
from drive_rl.errors import DriveRLError
from drive_rl.learn.train import train
from drive_rl.run.process.signals import TrainingInterrupted

SMALL = (
    *("world=town", "world.streets.traffic.actors=4", "world.streets.maps=1", "world.task.time_limit_s=6"),
    *("world.streets.route_m=100", "world.camera.width_px=24", "world.camera.height_px=16", "agent.num_envs=2"),
    *("agent.steps_per_update=32", "agent.batch_size=32", "agent.epochs=1", "agent.encoder.features=16"),
    *("agent.hidden=[8]", "agent.guidance.pictures=100", "agent.guidance.batch_size=16", "track=none", "film=false"),
    *("budget_steps=256", "checkpoint_every=128", "evaluation.every_steps=128", "evaluation.episodes=2"),
)


@pytest.mark.parametrize("engine", ["batch", "bullet"])
def test_a_resumed_run_in_a_town_ends_where_an_unbroken_one_does(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, silent = load_run("ppo-batch", [*SMALL, f"engine={engine}"]), Console(quiet=True)
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
