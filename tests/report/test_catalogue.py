import sys
from pathlib import Path

import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "learn"))
import small_perception

from drive_rl.learn.export import export_driver
from drive_rl.report.catalogue import explained, print_catalogue
from drive_rl.report.choice import newest


def test_a_perception_model_is_listed_shown_and_scored_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_perception.run(tmp_path / "runs")
    export_driver(run, tmp_path / "agents" / "seer")
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    console = Console(width=200, record=True, quiet=False, file=(tmp_path / "out").open("w"))
    print_catalogue(console)
    assert "perception model: small, heads lane, trained in lane_follow" in console.export_text()
    assert explained("seer", []).startswith("# perception model seer, from ")
    assert "heads: [lane]" in explained(str(run.path), [])
    # how well a car drives by it lies beside how well it sees
    assert newest(str(run.path.parent)) == (str(run.path), run.path / "drive.json")
    assert newest("seer") == ("seer", None)
