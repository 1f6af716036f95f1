"""The shelves: what lies there, and one entry explained. The doctor and the list of runs are tested by
`tests/cli/test_main.py`, on a real run.
"""

import io
from pathlib import Path

import pytest
import small_onnx
import yaml
from rich.console import Console

from drive_rl.config.reader import load_adapter, load_world
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.load import load_model
from drive_rl.report.catalogue import explained, new_driver_folder, print_catalogue


def test_every_kind_is_listed(tmp_path: Path) -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    print_catalogue(console, tmp_path)
    shown = console.export_text()
    for entry in ("drive_rl/LaneFollow-v1", "ppo-batch", "perception recipes", "unet-160", "perception model: unet"):
        assert entry in shown
    assert "BROKEN" not in shown


def test_scenarios_are_listed_below_their_ability_and_fit_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No cell is cut, not even the long path of a broken file, and descriptions have room for words."""
    shelf = tmp_path / "envs" / "scenarios"
    shelf.mkdir(parents=True)
    (shelf / "broken.yaml").write_text("base: town")
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    console = Console(record=True, width=80, file=io.StringIO())
    print_catalogue(console, tmp_path)
    lines = console.export_text().splitlines()
    at = lines.index(" traffic signs".ljust(80))
    assert "t_junction" in lines[at + 1]
    assert "turn at a junction of three" in lines[at + 1]
    assert "…" not in "".join(lines)
    assert f"{shelf}/broken.yaml:holdsnoscenario" in "".join("".join(lines).split())  # wherever it is folded


def test_an_explained_world_is_the_world() -> None:
    text = explained("lane_follow", ["world.road.length_m=70"])
    found = yaml.safe_load(text)
    assert found == load_world("lane_follow", ["road.length_m=70"]).model_dump(mode="json")
    assert text.startswith("# world lane_follow, from ")
    assert "length_m: 70.0 " in text


def test_adapters_are_listed_and_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On the shelf of agents by name, elsewhere by path; and a model of that name is loaded."""
    shelf = tmp_path / "agents"
    shelf.mkdir()
    small_onnx.segmentation(shelf / "net.onnx")
    small_onnx.adapter(shelf / "theirs.yaml", "{logits: {kind: classes, map: drive_rl}}")
    (shelf / "broken.yaml").write_text("model: net.onnx\nno_such: 1")
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    console = Console(record=True, width=200, file=io.StringIO())
    print_catalogue(console, tmp_path)
    rows = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}
    assert "adapter   perception model: net.onnx (ONNX), outputs classes" in rows["theirs"]
    assert "BROKEN: " in rows["broken"]
    assert explained("theirs", []).startswith(f"# adapter theirs, from {shelf / 'theirs.yaml'}\n")
    shown = explained(str(shelf / "theirs.yaml"), [])
    assert yaml.safe_load(shown) == load_adapter(shelf / "theirs.yaml").model_dump(mode="json")
    with pytest.raises(DriveRLError, match=r"theirs\.yaml is not changed so; fix: change the file"):
        explained("theirs", ["model=other.onnx"])
    assert load_model("theirs").network == "ONNX"
    with pytest.raises(DriveRLError, match="unknown perception model 'their'; did you mean 'theirs'"):
        load_model("their")


def test_names_that_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match="unknown world 'lane_folow'; did you mean 'lane_follow'"):
        explained("world:lane_folow", [])
    with pytest.raises(DriveRLError, match="is trained and cannot be changed; fix: leave the change out"):
        explained("unet-160", ["fit.samples=1"])
    with pytest.raises(DriveRLError, match="'lane_follow' is the name of a world"):
        new_driver_folder("lane_follow")
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    assert new_driver_folder("mine") == tmp_path / "agents" / "mine"
