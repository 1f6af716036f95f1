"""Written data sets: what independent readers find in them, and what is refused.

Covers writer and data_card.
"""

import csv
import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage
from small_sets import DATA, cars, rendered, write

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.samples import LANE_FIELDS
from drive_rl.perception.data.writer import boxes_of, write_data
from drive_rl.run.storage.lock import only_writer
from drive_rl.sim.sensors.renderer import VEHICLE

WORLD = cars()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("sets") / "set", WORLD)


def hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_pictures_and_masks_are_the_renderers(folder):
    want = rendered(WORLD)
    for n in range(len(want)):
        image = cv2.imread(str(folder / f"images/{n:06d}.png"))
        mask = cv2.imread(str(folder / f"masks/{n:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert mask is not None
        assert np.array_equal(image[:, :, ::-1].transpose(2, 0, 1), want.images[n])
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, want.classes[n])


def test_a_camera_of_ages_gets_the_pictures_so_many_steps_before(tmp_path):
    deep, some = cars(frame_stack=4), cars(frame_stack=3, frame_ages="[3,1,0]")
    found = read_folder(write(tmp_path / "set", deep, samples=3), some).samples.images
    expected = rendered(deep, samples=3).images.reshape(3, 4, 3, 48, 96)[:, [0, 2, 3]].reshape(found.shape)
    assert np.array_equal(found, expected)


def test_lanes_and_states_are_the_renderers(folder):
    want = rendered(WORLD)
    lines = [json.loads(line) for line in (folder / "lanes.json").read_text().splitlines()]
    assert [line["raw_file"] for line in lines] == [f"images/{n:06d}.png" for n in range(7)]
    for n, line in enumerate(lines):
        for slot, lane in zip(line["slots"], line["lanes"], strict=True):
            predicted = np.where(np.array(lane) == -2, np.nan, np.array(lane) + 0.5)
            assert np.allclose(predicted, np.maximum(want.lines[n, slot] * 96, 0.5), atol=1e-3, equal_nan=True)
    with (folder / "states.csv").open() as file:
        rows = list(csv.DictReader(file))
    lane = np.array([[row[name] for name in LANE_FIELDS] for row in rows], np.float32)
    assert np.array_equal(lane, want.lane)
    assert [int(row["seed"]) for row in rows] == want.seeds.tolist()


def test_boxes_open_in_a_coco_library_and_hold_the_vehicles(folder):
    coco = pytest.importorskip("faster_coco_eval").COCO(str(folder / "boxes.json"))
    want = rendered(WORLD)
    assert len(coco.getImgIds()) == 7
    assert coco.loadCats(coco.getCatIds())[0]["name"] == "vehicle"
    found = 0
    for n, key in enumerate(sorted(coco.getImgIds())):
        patches = np.empty(want.classes[n].shape, np.int32)
        ndimage.label(want.classes[n] == VEHICLE, np.ones((3, 3)), patches)
        boxes = {(r.start, r.stop, c.start, c.stop) for r, c in ndimage.find_objects(patches)}
        predicted = [annotation["bbox"] for annotation in coco.loadAnns(coco.getAnnIds([key]))]
        assert {(y, y + h, x, x + w) for x, y, w, h in predicted} == boxes
        found += len(predicted)
    assert found > 3


def test_boxes_by_hand():
    classes = np.zeros((6, 8), np.uint8)
    classes[1:3, 2:5] = VEHICLE
    classes[3, 5] = VEHICLE  # touches by a corner
    classes[5, 0] = VEHICLE
    assert sorted(boxes_of(classes)) == [([0, 5, 1, 1], 1), ([2, 1, 4, 3], 7)]


def test_the_manifest_lists_every_file(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    found = hashes(folder)
    del found["manifest.json"]
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == found
    assert (manifest["count"], manifest["split"], manifest["seeds"]) == (7, "train", [0, 1, 2])
    assert manifest["world"]["camera"]["width_px"] == 96
    assert "7 labelled pictures" in (folder / "README.md").read_text()


def test_same_arguments_same_bytes_and_larger_sets_begin_alike(folder, tmp_path):
    predicted: list[int] = []
    again = write_data(WORLD, DATA, "train", 7, tmp_path / "again", progress=predicted.append)
    assert hashes(again) == hashes(folder)
    assert predicted == [3, 3, 1]
    larger = hashes(write(tmp_path / "larger", WORLD, samples=8))
    assert all(larger[name] == hash_ for name, hash_ in hashes(folder).items() if name.startswith(("images", "masks")))


def test_whole_or_not_at_all(folder, tmp_path):
    def stop(more: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_data(WORLD, DATA, "train", 7, tmp_path / "new", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_only_data_sets_are_replaced(folder, tmp_path):
    with pytest.raises(DriveRLError, match="exists already; fix: --overwrite"):
        write(folder, WORLD)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DriveRLError, match="is not a data set that drive-rl made"):
        write_data(WORLD, DATA, "train", 1, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    first = write(tmp_path / "set", WORLD, samples=2)
    write_data(WORLD, DATA, "train", 1, first, overwrite=True)
    assert len(list((first / "images").iterdir())) == 1


@pytest.mark.parametrize("samples", [0, 3001])
def test_too_many_pictures_for_the_split(tmp_path, samples):
    with pytest.raises(DriveRLError, match="1 to 3000 pictures"):
        write_data(WORLD, DATA, "val", samples, tmp_path / "new")


def test_a_data_set_is_written_by_one_process_at_a_time(tmp_path):
    with only_writer(tmp_path / ".set.lock", tmp_path / "set"):
        with pytest.raises(DriveRLError, match=rf"set: process {os.getpid()} on host .*; fix: wait until it ends"):
            write(tmp_path / "set", WORLD)
        assert [path.name for path in tmp_path.iterdir()] == [".set.lock"]
    (tmp_path / ".set.tmp-1").mkdir()
    write(tmp_path / "set", WORLD, samples=1)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
