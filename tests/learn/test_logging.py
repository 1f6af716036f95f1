"""stable-baselines3's log reaches metrics.csv and the tracker."""

from pathlib import Path

from tiny_models import build

from drive_rl.learn.logging import make_logger
from drive_rl.run.metrics import MetricsFile, read_metrics
from drive_rl.run.tracker import NoTracker


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
