"""stable-baselines3's log reaches metrics.csv and the tracker."""

from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm
from tiny_models import build

from drive_rl.learn.callbacks import SafePoints
from drive_rl.learn.checkpoint import checkpoint
from drive_rl.learn.sb3.logging import make_logger, pending
from drive_rl.run.metrics import MetricsFile, read_metrics
from drive_rl.run.tracking.tracker import NoTracker


class Notes(NoTracker):
    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log(self, scalars: dict[str, float], step: int) -> None:
        self.rows.append((step, scalars))


def test_training_writes_rows(tmp_path: Path) -> None:
    notes, path = Notes(), tmp_path / "metrics.csv"
    model = build("PPO")
    model.set_logger(make_logger(MetricsFile(path), notes))
    model.learn(384)
    rows = read_metrics(path)
    assert [row["step"] for row in rows] == [128, 256, 384]
    assert rows[-1]["rollout/ep_len_mean"] > 1
    assert "train/loss" in rows[-1]
    assert [{"step": step} | scalars for step, scalars in notes.rows] == rows


def test_a_resumed_run_writes_the_rows_of_an_uninterrupted_one(tmp_path: Path) -> None:
    path, last = tmp_path / "metrics.csv", tmp_path / "last"

    metrics, kept = MetricsFile(path), dict[str, float]()

    def save(model: BaseAlgorithm) -> None:
        if model.num_timesteps == 256:
            checkpoint.save(model, last)
            kept.update(pending(model))

    model = build("PPO")
    model.set_logger(make_logger(metrics, NoTracker()))
    model.learn(384, callback=SafePoints([save], lambda step: None))
    whole = read_metrics(path)

    model = build("PPO")
    checkpoint.restore(model, last)
    model.set_logger(make_logger(MetricsFile(path, 2), NoTracker(), kept))
    model.learn(checkpoint.remaining_steps(model, 384), reset_num_timesteps=False)
    assert [untimed(row) for row in read_metrics(path)] == [untimed(row) for row in whole]
    assert "train/loss" in whole[-1]


def untimed(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if not name.startswith("time/")}
