"""The list of runs, from their small JSON files."""

import json
from pathlib import Path

from drive_rl.report import run_list
from drive_rl.report.run_list import newest_runs
from drive_rl.run.folder import RunFolder


def make_run(path: Path, manifest: dict[str, object], history: object = None) -> None:
    (path / "last").mkdir(parents=True)
    for name in ("spec.yaml", "provenance.json"):
        (path / name).write_text("{}")
    (path / "last" / "manifest.json").write_text(json.dumps(manifest))
    if history is not None:
        RunFolder(path).history.write_text(json.dumps(history))


def test_each_run_is_a_line(tmp_path: Path, monkeypatch) -> None:
    make_run(tmp_path / "ppo" / "20260101T000000Z-s0", {"num_timesteps": 4000}, {"evaluations": [{"success": 0.5}]})
    make_run(tmp_path / "unet" / "20260102T000000Z-s0", {"num_samples": 800})
    (tmp_path / "unet" / "20260102T000000Z-s0" / "last" / "counters.json").write_text(
        json.dumps({"validation": {"best": {"scores": {"loss": 0.125}}}})
    )
    make_run(tmp_path / "ppo" / "20260103T000000Z-s0", {})
    (tmp_path / "ppo" / "20260103T000000Z-s0" / "last" / "manifest.json").write_text("[]")
    lines, older = newest_runs(tmp_path)
    assert older == 0
    assert [line[1:] for line in lines[:2]] == [
        ("4,000 steps", "success 50%", "stopped"),
        ("800 pictures", "val loss 0.125", "stopped"),
    ]
    assert lines[2].state.startswith("BROKEN: ")
    assert "holds list, expected a mapping" in lines[2].state
    monkeypatch.setattr(run_list, "MOST", 1)
    assert newest_runs(tmp_path)[1] == 2
    assert newest_runs(tmp_path / "nothing") == ([], 0)
