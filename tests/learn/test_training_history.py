"""A run's history: evaluations, the clock, and its file."""

import json
import math
from pathlib import Path

from drive_rl.learn.training_history import Evaluation, History


def test_the_best_is_the_latest_of_equals() -> None:
    rows = [
        Evaluation(step=step, success=success, driving_score=success, score={})
        for step, success in ((1, 0.5), (2, 1.0), (3, 1.0), (4, 0.9))
    ]
    history = History(rows)
    assert history.best is rows[2]
    assert history.held(0.9) == 3
    assert history.held(1.0) == 0
    assert history.held(0.5) == 4


def test_what_is_written_is_read(tmp_path: Path) -> None:
    row = Evaluation(step=8, success=0.5, driving_score=0.25, score={"episodes": 2})
    history = History([row], wall_s=2.0, evaluation_s=0.5, rows=3, unlogged={"a": 1.0, "b": math.nan})
    path = tmp_path / "training.json"
    path.write_text(json.dumps(history.state().model_dump(), allow_nan=False))
    again = History.load(path)
    assert again.evaluations == [row]
    assert (again.rows, again.evaluation_s) == (3, 0.5)
    assert again.wall_s >= 2.0, "the clock ran on until the state was taken"
    assert again.unlogged["a"] == 1.0
    assert math.isnan(again.unlogged["b"])
    assert again.train_s == again.wall_s - 0.5
