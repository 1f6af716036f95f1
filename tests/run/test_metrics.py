"""metrics.csv keeps every row across new columns, crashes and resumes."""

from pathlib import Path

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.metrics import MetricsFile, read_metrics


def test_rows_and_late_columns(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    metrics = MetricsFile(path)
    assert not path.exists()
    metrics.append(10, {"a/x": 1.5})
    metrics.append(20, {"b, c": 0.1, "a/x": 2})
    metrics.append(30, {"a/x": float("nan")})
    assert path.read_text().splitlines() == ['step,a/x,"b, c"', "10,1.5,", "20,2.0,0.1", "30,nan,"]
    assert read_metrics(path)[:2] == [{"step": 10, "a/x": 1.5}, {"step": 20, "a/x": 2.0, "b, c": 0.1}]
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_resuming_drops_what_will_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = MetricsFile(path)
    for step in (10, 20, 30):
        first.append(step, {"x": step})
    resumed = MetricsFile(path, resume_rows=2)
    resumed.append(30, {"x": 31, "y": 1})
    assert read_metrics(path) == [{"step": 10, "x": 10}, {"step": 20, "x": 20}, {"step": 30, "x": 31, "y": 1}]


def test_a_line_that_a_crash_cut_short_goes(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    MetricsFile(path).append(10, {"x": 1, "y": 2})
    with path.open("a") as file:
        file.write("20,3")
    MetricsFile(path).append(20, {"x": 3, "y": 4})
    assert read_metrics(path) == [{"step": 10, "x": 1, "y": 2}, {"step": 20, "x": 3, "y": 4}]


@pytest.mark.parametrize("text", ["time,x\n1,2\n", "step,x\nten,2\n", "step,x\n\xff"])
def test_another_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DriveRLError, match=r"metrics\.csv: .*move"):
        MetricsFile(path)
    assert path.read_bytes() == text.encode("latin-1")
