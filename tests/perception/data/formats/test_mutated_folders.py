"""Small data sets of each kind made wrong at random: every picture is read or left out with its reason."""

import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import cars, write

from benchmarks.mutations import mutate_data_folder
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.heads.lane_benchmarks import lane_scores

WORLD = cars(frame_stack=2)


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """A folder of each kind, of two pictures."""
    root = tmp_path_factory.mktemp("sets")
    ours = write(root / "drive_rl", WORLD, samples=2)
    for kind, labels in (("tusimple", "lanes.json"), ("coco", "boxes.json"), ("culane", "README.md")):
        shutil.copytree(ours / "images", root / kind / "images")
        shutil.copy(ours / labels, root / kind / labels)
    for n in range(2):
        (root / f"culane/images/00000{n}.lines.txt").write_text("10 20 20 40\n70 47 60 20\n")
    (root / "culane/list").mkdir()
    (root / "culane/list/test_gt.txt").write_text("/images/000000.png /x.png 1 1 0 0\n/images/000001.png\n")
    coco = root / "coco/boxes.json"
    area = '"segmentation": {"size": [48, 96], "counts": [10, 20, 4578]}, "id"'
    coco.write_text(
        coco.read_text().replace('"id"', area, 1).replace('"bbox"', '"segmentation": [[1, 1, 9, 1, 9, 9]], "bbox"', 1)
    )
    masks = root / "masks/masks"
    shutil.copytree(ours / "masks", masks)
    (root / "masks/classes.txt").write_text("void\nroad\nego lane\nmarking\ncar\n")
    (root / "yolo/labels").mkdir(parents=True)
    (root / "yolo/data.yaml").write_text("names: {0: road, 1: car}\n")
    (root / "curvelanes/labels").mkdir(parents=True)
    for kind in ("masks", "yolo", "curvelanes"):
        shutil.copytree(ours / "images", root / kind / "images")
    for n in range(2):
        (root / f"yolo/labels/00000{n}.txt").write_text("0 0 0.5 1 0.5 1 1\n1 0.1 0.1 0.2 0.1 0.2 0.2\n")
        lines = '{"Lines": [[{"y": "47", "x": "20"}, {"y": 20.5, "x": 40}]]}'
        (root / f"curvelanes/labels/00000{n}.lines.json").write_text(lines)
        (root / f"curvelanes/images/00000{n}.png").rename(root / f"curvelanes/images/00000{n}.jpg")
    return root


@pytest.mark.parametrize("kind", ["drive_rl", "tusimple", "culane", "coco", "masks", "yolo", "curvelanes"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_mutated_data_set_is_read_in_part_or_explained(sets: Path, kind: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(sets / kind, Path(scratch) / kind))
        done = mutate_data_folder(folder, random.Random(seed))
        try:
            found = read_folder(folder, WORLD, kind)
        except DriveRLError:
            return
        samples = found.samples
        assert 1 <= len(samples) <= 9100, done  # three harms may each repeat a record 3,000 times
        assert not np.isinf(samples.lane).any(), done
        assert not np.isinf(samples.lines).any(), done
        assert all(line.isprintable() for line in found.skipped.report()), done
        lane_scores(samples.lines[:2], samples.take(slice(0, 2)), found.truths[:2])
