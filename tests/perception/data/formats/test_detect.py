"""Data sets on disk, read by every reader; and bad input, record by record.

Contract of every format: detect, the *_format modules, labels, records, decode and picture_header.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_sets import cars, rendered, write

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.formats.detect import DataFolder
from drive_rl.perception.data.samples import UNKNOWN_CLASS
from drive_rl.sim.sensors.renderer import VEHICLE

WORLD = cars()


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("sets") / "set", WORLD)


@pytest.fixture
def folder(written, tmp_path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "set"))


@pytest.mark.parametrize("camera", [{}, {"channels": "grey", "frame_stack": 3}])
def test_ours_is_what_the_renderer_says(tmp_path, camera):
    world = cars(**camera)
    found = read_folder(write(tmp_path / "set", world), world)
    want = rendered(world)
    for name, array in want.arrays().items():
        if name == "lines":  # a column may be half a pixel off at the left edge
            near = np.nan_to_num(array, nan=1) * 96 < 0.5
            assert np.allclose(
                np.where(near, 0, found.samples.lines), np.where(near, 0, array), atol=2e-5, equal_nan=True
            )
        else:
            assert np.array_equal(found.samples.arrays()[name], array, equal_nan=array.dtype.kind == "f"), name
    assert (found.format, found.part, len(found.skipped)) == ("drive_rl", "train", 0)


def test_as_tusimple_and_as_coco(written):
    want = rendered(WORLD)
    lanes, boxes = read_folder(written, WORLD, "tusimple"), read_folder(written, WORLD, "coco")
    assert np.array_equal(lanes.samples.images, want.images)
    assert np.allclose(lanes.samples.lines, want.lines, atol=0.6 / 96, equal_nan=True)
    assert np.isnan(lanes.samples.lane).all()
    assert (lanes.samples.classes == UNKNOWN_CLASS).all()
    assert (lanes.samples.scene == -1).all()
    assert not boxes.samples.lined.any()
    vehicle = boxes.samples.classes == VEHICLE
    assert vehicle[want.classes == VEHICLE].all()
    assert vehicle.any()
    assert (boxes.samples.classes[~vehicle] == UNKNOWN_CLASS).all()


def test_culane_beside_pictures_and_in_lists(written, tmp_path):
    """Points by hand: one line from (20, 47) up to (40, 20), and one right of the middle."""
    for n in range(3):
        shutil.copy(written / f"images/{n:06d}.png", tmp_path / f"{n}.png")
        (tmp_path / f"{n}.lines.txt").write_text("20 47 30 33.5 40 20\n70 47 60 20\n")
    found = read_folder(tmp_path, WORLD)
    assert (found.format, len(found.samples)) == ("culane", 3)
    right, left = found.samples.lines[0, 0], found.samples.lines[0, 1]
    assert np.isfinite(right).any()
    assert np.nanmin(right) > 0.5 > np.nanmax(left)
    (tmp_path / "list").mkdir()
    (tmp_path / "list/train_gt.txt").write_text("/0.png /0_mask.png 1 1 0 0\n")
    (tmp_path / "list/val_gt.txt").write_text("/1.png /1_mask.png 1 1 0 0\n/2.png\n")
    parts = DataFolder.open(tmp_path).parts
    assert {part: len(records) for part, records in parts.items()} == {"train": 1, "val": 2}
    assert len(read_folder(tmp_path, WORLD).samples) == 2
    truth = read_folder(tmp_path, WORLD).truths[0]
    assert truth is not None
    assert truth.points()[0].tolist() == [[20, 47], [30, 33.5], [40, 20]]


def test_stretched_to_the_camera(written):
    small = read_folder(written, cars(width_px=48, height_px=24, channels="grey", frame_stack=2))
    assert small.samples.images.shape == (7, 2, 24, 48)
    assert np.array_equal(small.samples.images[:, 0], small.samples.images[:, 1])  # no earlier ones are there
    grey = cv2.imread(str(written / "images/000002.png"), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    mean = grey.reshape(24, 2, 48, 2).mean(axis=(1, 3))
    assert np.abs(small.samples.images[2, 0] - mean).max() <= 0.5
    large = read_folder(written, WORLD).samples.lines
    both = np.isfinite(large) & np.isfinite(small.samples.lines)
    assert both.sum() > 0.9 * np.isfinite(large).sum()


def test_limit_and_parts(written, tmp_path):
    assert read_folder(written, WORLD, limit=3).samples.seeds.tolist() == [0, 1, 2]
    write(tmp_path / "train", WORLD, samples=3)
    write(tmp_path / "val", WORLD, "val", 2)
    write(tmp_path / "test", WORLD, "test", 1)
    found = DataFolder.open(tmp_path)
    train, val = found.learning()
    assert (len(train), len(val), found.evaluation()[0]) == (3, 2, "test")
    with pytest.raises(DriveRLError, match="never learned from"):
        DataFolder.open(tmp_path / "test").learning()
    train, val = DataFolder.open(written).learning()
    assert (len(train), len(val)) == (6, 1)


def no_image(folder: Path) -> None:
    (folder / "images/000001.png").unlink()


def cut_image(folder: Path) -> None:
    data = (folder / "images/000001.png").read_bytes()
    (folder / "images/000001.png").write_bytes(data[: len(data) // 2])


def other_size(folder: Path) -> None:
    cv2.imwrite(str(folder / "masks/000001.png"), np.zeros((10, 10), np.uint8))


def colour_mask(folder: Path) -> None:
    cv2.imwrite(str(folder / "masks/000001.png"), np.zeros((48, 96, 3), np.uint8))


def strange_class(folder: Path) -> None:
    cv2.imwrite(str(folder / "masks/000001.png"), np.full((48, 96), 77, np.uint8))


def strange_weather(folder: Path) -> None:
    lines = (folder / "states.csv").read_text().splitlines()
    (folder / "states.csv").write_text("\n".join([*lines[:2], "images/000001.png,0,easy,hail,0,0,0,0,0,0", *lines[3:]]))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (no_image, "no such file: "),
        (cut_image, "not a whole picture: "),
        (other_size, "mask does not fit its picture: .*10 x 10 px, expected 96 x 48"),
        (colour_mask, "mask of another kind: .* is 3 x 8 bits, expected 1 x 8 bits"),
        (strange_class, "unknown class in a mask: .* holds 77"),
        (strange_weather, "unknown weather: 'hail'"),
    ],
)
def test_a_bad_record_of_ours_is_left_out(folder, spoil: Callable[[Path], None], why):
    spoil(folder)
    found = read_folder(folder, WORLD)
    assert len(found.samples) == 6
    named, counted, summary = found.skipped.report()
    assert re.search(why, named)
    assert "states.csv: line 3" in named
    assert counted.startswith("skipped in all: 1 (")
    count = 6 if spoil is strange_weather else 7
    assert summary == f"data: {folder} (drive_rl): found {count} train pictures; took 6 of part train, left out 1"


GOOD = {"raw_file": "images/000000.png", "lanes": [[10, 20]], "h_samples": [20, 40]}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "not TuSimple's JSON"),
        (json.dumps({**GOOD, "lanes": 3}), "lanes is missing or not a list"),
        (json.dumps({**GOOD, "lanes": [[1]]}), r"lanes\[0\] has 1 columns, h_samples 2 rows"),
        (json.dumps({**GOOD, "lanes": [["a", 1]]}), "must hold lists of numbers"),
        (json.dumps({**GOOD, "lanes": [[1e9, 1]]}), "not a pixel of a picture"),
        (json.dumps({**GOOD, "raw_file": "images/none.png"}), "no such file"),
    ],
)
def test_a_bad_line_of_tusimple_is_left_out(written, tmp_path, line, why):
    shutil.copytree(written / "images", tmp_path / "images")
    (tmp_path / "label_data_1.json").write_text(f"{json.dumps(GOOD)}\n{line}\n")
    found = read_folder(tmp_path, WORLD)
    assert (found.format, len(found.samples)) == ("tusimple", 1)
    assert found.skipped.report()[0].startswith(f"skipped: {tmp_path}/label_data_1.json: line 2: ")
    assert re.search(why, found.skipped.report()[0])


@pytest.mark.parametrize(
    ("text", "why"), [("1 2 3", "not pairs of pixels"), ("1 x", "not a number"), ("1 99 3 98", "another resolution")]
)
def test_a_bad_file_of_culane_is_left_out(written, tmp_path, text, why):
    shutil.copytree(written / "images", tmp_path / "images")
    (tmp_path / "list").mkdir()
    (tmp_path / "list/test.txt").write_text("images/000000.png\nimages/000001.png\n")
    (tmp_path / "images/000000.lines.txt").write_text("10 20 20 40\n")
    (tmp_path / "images/000001.lines.txt").write_text(text)
    found = read_folder(tmp_path, WORLD)
    assert (found.part, len(found.samples)) == ("test", 1)
    assert "list/test.txt: line 2" in found.skipped.report()[0]
    assert why in found.skipped.report()[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"category_id": 9}, "unknown category: category_id = 9"),
        ({"bbox": [1, 2, 3]}, "bbox is missing, or not 4 numbers"),
        ({"bbox": [1, 2, 0, 4]}, "empty box"),
        ({"segmentation": [[1, 2, 3]]}, "not a polygon"),
        ({"segmentation": {"size": [1, 1], "counts": [1]}}, "run lengths of another size"),
    ],
)
def test_a_bad_annotation_of_coco_leaves_out_its_picture(written, tmp_path, change, why):
    shutil.copytree(written / "images", tmp_path / "images")
    box = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}
    images = [{"id": n + 1, "file_name": f"images/{n:06d}.png"} for n in range(2)]
    coco = {"images": images, "categories": [{"id": 3, "name": "Car"}]}
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({**coco, "annotations": [box, {**box, "id": 2, "image_id": 2, **change}]}))
    found = read_folder(tmp_path, WORLD)
    assert (found.format, len(found.samples)) == ("coco", 1)
    assert np.argwhere(found.samples.classes[0] == VEHICLE).tolist() == [
        [y, x] for y in range(2, 6) for x in range(1, 4)
    ]
    assert str(path) in found.skipped.report()[0]
    assert why in found.skipped.report()[0]


def test_folders_without_anything(written, tmp_path):
    with pytest.raises(DriveRLError, match="no such folder"):
        read_folder(tmp_path / "none", WORLD)
    with pytest.raises(DriveRLError, match=r"drive_rl .*TuSimple .*CULane .*COCO"):
        read_folder(tmp_path, WORLD)
    with pytest.raises(DriveRLError, match="for: CULane"):
        read_folder(written, WORLD, "culane")
    (tmp_path / "label.json").write_text(json.dumps(GOOD))
    with pytest.raises(DriveRLError, match=r"no usable picture of part train .*no such file"):
        read_folder(tmp_path, WORLD)
    (tmp_path / "label.json").unlink()
    (tmp_path / "a.json").write_text(
        json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]})
    )
    with pytest.raises(DriveRLError, match="categories = cat: expected some of vehicle, car"):
        read_folder(tmp_path, WORLD)


def test_another_version_of_ours(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(DriveRLError, match="format = 99: expected 1"):
        read_folder(folder, WORLD)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match="data format 'culan': unknown; did you mean 'culane'"):
        DataFolder.open(tmp_path, "culan")
