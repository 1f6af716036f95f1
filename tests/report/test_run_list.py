"""The list of runs, from their small files."""

import json
import os
from pathlib import Path

import pytest
import small_specs

from drive_rl.config.reader import load_perception
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.report import run_list
from drive_rl.report.run_list import newest_runs
from drive_rl.run.folder import RunFolder
from drive_rl.run.session import new_run


def make_run(root: Path, spec: RunSpec | PerceptionSpec, manifest: object, history: object = None) -> RunFolder:
    with new_run(spec, root, ["drive-rl"]) as run:
        run.last.mkdir()
        (run.last / "manifest.json").write_text(json.dumps(manifest))
        if history is not None:
            run.history.write_text(json.dumps(history))
    return run


def test_each_run_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, small_specs.run("ppo"), {"num_timesteps": 4000}, {"evaluations": [{"success": 0.5}]})
    fitted = make_run(tmp_path, load_perception("unet"), {"num_samples": 800})
    (fitted.last / "counters.json").write_text(json.dumps({"validation": {"best": {"scores": {"loss": 0.125}}}}))
    make_run(tmp_path, small_specs.run("dqn", "seed=7"), [])
    lines, older = newest_runs(tmp_path)
    assert older == 0
    shown = {line.path.parent.name: line[1:] for line in lines}
    assert shown["ppo-lane-follow"] == ("4,000 steps", "success 50%", "stopped")
    assert shown["unet"] == ("800 pictures", "val loss 0.125", "stopped")
    assert shown["dqn-lane-follow"][2].startswith("BROKEN: ")
    assert "holds list, expected a mapping" in shown["dqn-lane-follow"][2]
    monkeypatch.setattr(run_list, "MOST", 1)
    assert newest_runs(tmp_path)[1] == 2
    assert newest_runs(tmp_path / "nothing") == ([], 0)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("learning_rate: ", "learning_rate: x", "agent.learning_rate = "),
        ("seed: 0", "seed: 7", "seed = 7, was 0"),
        ("name: ", "name: [", "not valid YAML"),
        ("budget_steps: ", "budget: ", "budget = 256: unknown key"),
    ],
)
def test_a_finished_run_with_a_broken_spec_is_not_done(tmp_path: Path, old: str, new: str, expected: str) -> None:
    run = make_run(tmp_path, small_specs.run("ppo"), {"num_timesteps": 256})
    run.finished.write_text('{"step": 256}')
    assert newest_runs(tmp_path)[0][0].state == "done"
    text = run.spec.read_text()
    assert old in text
    run.spec.write_text(text.replace(old, new, 1))
    (line,), _ = newest_runs(tmp_path)
    assert line.state.startswith("BROKEN: ")
    assert expected in line.state


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_a_folder_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    make_run(tmp_path, small_specs.run("ppo"), {"num_timesteps": 256})
    (tmp_path / "closed").mkdir(mode=0)
    closed, run = newest_runs(tmp_path)[0]
    assert closed[:1] + closed[3:] == (tmp_path / "closed", "BROKEN: cannot be read (Permission denied)")
    assert run.state == "stopped"
