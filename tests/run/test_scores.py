"""Scores of a run's driver lie beside the run's own, and are known only of the weights that they were found of."""

from pathlib import Path
from typing import Any

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.scores import best_known_scores, write_scores


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    made.last.mkdir()
    (made.last / "weights.safetensors").write_bytes(b"first")
    return made


def found(split: str, episodes: int) -> dict[str, Any]:
    return {"split": split, "episodes": [{}] * episodes}


def write(run: RunFolder, split: str, episodes: int, engine: str = "bullet") -> str:
    return write_scores(run, split, episodes, engine, found(split, episodes)).name


def test_every_set_of_roads_has_a_file_of_its_own(run: RunFolder) -> None:
    names = [write(run, "val", 200), write(run, "test", 3), write(run, "test", 3, "batch")]
    assert names == ["eval-val-200.json", "eval-test-3.json", "eval-test-3-batch.json"]
    assert not run.evaluation.exists()


def test_the_test_split_counts_most_and_then_the_most_roads(run: RunFolder) -> None:
    assert best_known_scores(run) is None
    write(run, "train", 9000)
    assert best_known_scores(run) is None
    for split, episodes in (("val", 500), ("test", 20), ("test", 3)):
        write(run, split, episodes)
    best = best_known_scores(run)
    assert best is not None
    assert (best["split"], len(best["episodes"])) == ("test", 20)


def test_scores_of_other_weights_are_not_the_drivers(run: RunFolder) -> None:
    write(run, "test", 20)
    (run.last / "weights.safetensors").write_bytes(b"trained further")
    assert best_known_scores(run) is None


def test_a_damaged_file_is_named(run: RunFolder) -> None:
    write(run, "test", 20)
    (run.path / "eval-test-20.json").write_text("[]")
    with pytest.raises(DriveRLError, match=r"eval-test-20\.json: expected scores .*fix: delete it"):
        best_known_scores(run)
