"""Scores of a run's driver lie beside the run's own, and are known only of the weights that they were found of."""

from pathlib import Path
from typing import Any

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.scores import asked_scores, own_scores, weights_hash, write_scores
from drive_rl.run.storage.atomic import write_json


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    made.last.mkdir()
    (made.last / "weights.safetensors").write_bytes(b"first")
    return made


def found(split: str, episodes: int) -> dict[str, Any]:
    return {"split": split, "episodes": [{}] * episodes}


def write(run: RunFolder, split: str, episodes: int, engine: str = "bullet") -> str:
    return write_scores(run, weights_hash(run), split, episodes, engine, found(split, episodes)).name


def test_every_set_of_roads_has_a_file_of_its_own(run: RunFolder) -> None:
    names = [write(run, "val", 200), write(run, "test", 3), write(run, "test", 3, "batch")]
    assert names == ["eval-val-200.json", "eval-test-3.json", "eval-test-3-batch.json"]
    assert not run.evaluation.exists()


def test_most_held_out_roads_count_most_and_of_equals_the_test_split(run: RunFolder) -> None:
    assert asked_scores(run) is None
    write(run, "train", 9000)
    assert asked_scores(run) is None
    for split, episodes, best in (("test", 3, "test"), ("val", 20, "val"), ("test", 20, "test"), ("val", 1, "test")):
        write(run, split, episodes)
        scores = asked_scores(run)
        assert scores is not None
        assert scores["split"] == best


def test_scores_of_other_weights_are_not_the_drivers(run: RunFolder) -> None:
    write(run, "test", 20)
    (run.last / "weights.safetensors").write_bytes(b"trained further")
    assert asked_scores(run) is None


def test_a_score_of_another_step_is_not_the_drivers(run: RunFolder) -> None:
    """A run that was killed between `best/` and `eval.json`."""
    assert own_scores(run) is None
    write_json(run.last / "manifest.json", {"num_timesteps": 128})
    for step, ours in ((64, False), (128, True)):
        write_json(run.evaluation, {"step": step, "score": {}})
        assert (own_scores(run) is not None) is ours


@pytest.mark.parametrize("text", ["[]", '{"weights_sha256": "", "split": "test", "episodes": 3}', '{"split": 1e999}'])
def test_a_damaged_file_is_named(run: RunFolder, text: str) -> None:
    write(run, "test", 20)
    (run.path / "eval-test-20.json").write_text(text)
    with pytest.raises(DriveRLError, match=r"eval-test-20\.json: .*delete it"):
        asked_scores(run)
