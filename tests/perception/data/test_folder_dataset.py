"""Minibatches from disk: the same at any time, each picture once an epoch, and bad pictures left out."""

from pathlib import Path

import numpy as np
import pytest
from small_sets import cars, rendered, write

from drive_rl.config.specs.perception import DataSpec, FitSpec, ModelSpec, PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import FolderSamples
from drive_rl.perception.heads.registry import heads_of
from drive_rl.perception.training.batches import load_batches
from drive_rl.perception.training.trainer import fit

WORLD = cars()


def recipe(folder: Path, heads: tuple = ("lane", "segmentation", "lines", "scene"), **fit_keys) -> PerceptionSpec:
    return PerceptionSpec(
        name="small",
        world=WORLD,
        model=ModelSpec(heads=heads),
        data=DataSpec(folder=str(folder)),
        fit=FitSpec(batch_size=4, **fit_keys),
        track="none",
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path / "set/train", WORLD, samples=6)
    write(tmp_path / "set/val", WORLD, "val", 3)
    return tmp_path / "set"


def test_any_batch_at_any_time(folder):
    printed: list[str] = []
    batches, val = FolderSamples.of(recipe(folder), printed.append)
    again, _ = FolderSamples.of(recipe(folder), printed.append)
    try:
        in_order = [batches.batch(n) for n in range(4)]
        for n in (3, 0, 2):
            for name, array in again.batch(n).arrays().items():
                assert np.array_equal(array, in_order[n].arrays()[name], equal_nan=array.dtype.kind == "f")
    finally:
        batches.close()
        again.close()
    assert np.array_equal(val.images, rendered(WORLD, "val", 3).images)
    pictures = {image.tobytes() for image in rendered(WORLD, samples=6).images}
    drawn = [image.tobytes() for batch in in_order[:3] for image in batch.images]
    assert set(drawn[:6]) == set(drawn[6:]) == pictures
    assert printed[0].endswith("6 pictures to learn from, 3 to validate on (its own part val)")


def test_the_next_picture_takes_the_place_of_a_bad_one(folder):
    (folder / "train/images/000004.png").write_bytes(b"no picture")
    printed: list[str] = []
    batches, _ = FolderSamples.of(recipe(folder), printed.append)
    drawn = [image.tobytes() for n in range(3) for image in batches.batch(n).images]
    batches.close()
    pictures = [image.tobytes() for image in rendered(WORLD, samples=6).images]
    assert set(drawn) == {picture for n, picture in enumerate(pictures) if n != 4}
    assert drawn.count(pictures[5]) == 4  # its own two epochs, and those of the bad one
    assert "not a whole picture" in printed[-2]
    assert printed[-1].startswith("skipped in all: 1")


def test_nothing_to_learn_from(folder):
    for path in (folder / "train/images").iterdir():
        path.unlink()
    batches, _ = FolderSamples.of(recipe(folder))
    with pytest.raises(DriveRLError, match=r"none of 6 pictures can be used: .*no such file"):
        batches.batch(0)
    batches.close()


def load(spec):
    return load_batches(spec, heads_of(spec.model.heads, WORLD), lambda line: None)


def test_heads_without_labels_are_refused(folder, tmp_path):
    (tmp_path / "lanes.json").write_text((folder / "train/lanes.json").read_text())
    (tmp_path / "images").symlink_to(folder / "train/images")
    with pytest.raises(DriveRLError, match="has no labels for lane, scene; fix: heads among lines"):
        load(recipe(tmp_path, ("lane", "lines", "scene")))
    batches, val = load(recipe(tmp_path, ("lines",)))
    batches.close()
    assert len(val) == 1


class Silent:
    def at(self, samples, of, loss) -> None:
        assert np.isfinite(loss)

    def validated(self, validation) -> None:
        assert np.isfinite(validation.scores["loss"])


def test_a_recipe_learns_from_a_folder(folder, tmp_path):
    run = fit(recipe(folder, samples=8, val_samples=2), tmp_path / "runs", Silent(), lambda line: None, "cpu")
    assert run.evaluation.is_file()
