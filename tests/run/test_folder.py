"""Run folders: made whole, found again, refused clearly."""

import json
from pathlib import Path

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder


def make(root: Path, seed: int = 0, experiment: str = "quickstart") -> RunFolder:
    return RunFolder.create(root, experiment, seed, "name: x\n", ["drive-rl", "train", "a b"], {"git": None})


def test_create_then_open(tmp_path: Path) -> None:
    run = make(tmp_path, seed=7)
    assert run.path.parent == tmp_path / "quickstart"
    assert run.path.name.endswith("Z-s7")
    assert run.spec.read_text() == "name: x\n"
    assert run.command.read_text() == "drive-rl train 'a b'\n"
    assert json.loads(run.provenance.read_text()) == {"git": None}
    assert RunFolder.open(run.path) == run
    assert sorted(p.name for p in run.path.parent.iterdir()) == [run.path.name]


def test_runs_of_one_second_get_names_of_their_own(tmp_path: Path) -> None:
    runs = [make(tmp_path) for _ in range(3)]
    assert len({run.path for run in runs}) == 3


def test_an_experiment_resolves_to_its_newest_run(tmp_path: Path) -> None:
    for name in ("20250101T000000Z-s0", "20260101T000000Z-s0", "20251231T235959Z-s3"):
        made = make(tmp_path)
        made.path.rename(made.path.with_name(name))
    (tmp_path / "quickstart" / ".20270101T000000Z-s0.tmp-1").mkdir()
    assert RunFolder.open(tmp_path / "quickstart").path.name == "20260101T000000Z-s0"


def test_steps_are_in_number_order(tmp_path: Path) -> None:
    run = make(tmp_path)
    for step in (500, 12_000, 3_000):
        run.checkpoint(step).mkdir(parents=True)
    (run.checkpoints / ".step_9.tmp-1").mkdir()
    assert run.steps() == [500, 3_000, 12_000]


@pytest.mark.parametrize("kind", ["absent", "file", "empty", "half", "bad json"])
def test_what_is_not_a_run_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "file":
        path.write_text("x")
    elif kind != "absent":
        path.mkdir()
    if kind in ("half", "bad json"):
        (path / "spec.yaml").write_text("x: 1\n")
    if kind == "bad json":
        (path / "provenance.json").write_text("{")
    with pytest.raises(DriveRLError, match=r"thing.*drive-rl train"):
        RunFolder.open(path)


def test_the_error_names_runs_nearby(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DriveRLError, match=r"found here: .*quickstart"):
        RunFolder.open(tmp_path / "quickstrat")


def test_create_under_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(DriveRLError, match="a file is where a folder is needed"):
        make(tmp_path / "runs")
