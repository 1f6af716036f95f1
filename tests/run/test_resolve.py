"""Names and paths of drivers and perception models, and what they stand for."""

from pathlib import Path

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.resolve import ForeignZip, Recipe, TrainedFolder, is_export, known_models, resolve


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return a run with two checkpoints."""
    run = RunFolder.create(tmp_path / "runs", "mine", 0, "agent: {}\n", ["drive-rl"], {})
    for folder in (run.best, run.last):
        folder.mkdir()
        (folder / "manifest.json").write_text("{}")
    return run


def test_a_run_stands_for_its_best_checkpoint(run: RunFolder) -> None:
    for path in (run.path, run.path.parent):
        found = resolve(str(path))
        assert isinstance(found, TrainedFolder)
        assert (found.name, found.weights, found.home) == (f"mine/{run.path.name}", run.best, run.path)
        assert (found.run, found.spec, found.is_export, found.on_shelf) == (run, run.spec, False, False)
        assert not found.is_perception
    (run.best / "manifest.json").unlink()
    last = resolve(str(run.path))
    assert isinstance(last, TrainedFolder)
    assert last.weights == run.last


def test_a_checkpoint_belongs_to_its_run(run: RunFolder) -> None:
    found = resolve(str(run.last))
    assert isinstance(found, TrainedFolder)
    assert (found.name, found.weights, found.spec) == (f"mine/{run.path.name}/last", run.last, run.spec)
    assert found.run is None, "a checkpoint was named, not the run"


def test_an_exported_folder_and_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "agents" / "seer"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "spec.yaml").write_text("model: {}\n")
    assert is_export(folder)
    assert "seer" not in known_models()
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    assert "seer" in known_models()
    for name, on_shelf in (("seer", True), (str(folder), False)):
        found = resolve(name, "perception model")
        assert isinstance(found, TrainedFolder)
        assert (found.name, found.weights, found.home, found.on_shelf) == ("seer", folder, folder, on_shelf)
        assert found.is_export
        assert found.is_perception


def test_files() -> None:
    assert isinstance(resolve("ppo"), Recipe)
    assert resolve("some/where/mine.yaml") == Recipe("mine", Path("some/where/mine.yaml"))
    assert resolve("some/where/theirs.zip") == ForeignZip("theirs", Path("some/where/theirs.zip"))


def test_what_stands_for_nothing_is_refused(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match="unknown driver 'referense'; did you mean 'reference'"):
        resolve("referense")
    with pytest.raises(DriveRLError, match="unknown perception model 'unet-161'; did you mean 'unet-160'"):
        resolve("unet-161", "perception model")
    with pytest.raises(DriveRLError, match="not a run folder"):
        resolve(str(tmp_path))
    for folder in (run.best, run.last):
        (folder / "manifest.json").unlink()
    with pytest.raises(DriveRLError, match="holds no checkpoint yet"):
        resolve(str(run.path))
    shown = resolve(str(run.path), "world, driver, experiment or run", needs_weights=False)
    assert isinstance(shown, TrainedFolder)
    assert shown.home == run.path
    with pytest.raises(
        DriveRLError, match="unknown world, driver, experiment or run 'lane_folow'; did you mean 'lane_"
    ):
        resolve("lane_folow", "world, driver, experiment or run")
    with pytest.raises(DriveRLError, match="did you mean 'scenarios/t_junction'"):
        resolve("t_junction", "world, driver, experiment or run")
