"""TuSimple's and CULane's data sets as people have them: their folders, file names and odd labels.

Contract of tusimple_format, culane_format and json_objects.
"""

import json
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_sets import cars

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.formats import tusimple_format
from drive_rl.perception.data.formats.detect import DataFolder

WORLD = cars()
ROWS = [20, 30, 40]


def picture(path: Path, grey: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 96, 3), grey, np.uint8))


def label(name: str, column: int = 50) -> dict:
    return {"raw_file": name, "lanes": [[column] * 3], "h_samples": ROWS}


def lines(path: Path, *labels: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in labels))


@pytest.mark.parametrize("test_labels", ["test_label.json", "test_set/test_label.json"])
def test_tusimple_as_downloaded(tmp_path, test_labels):
    """`train_set`, `test_set`, and the labels of the test set above them, as its authors give them out."""
    clips = ["clips/0313-1/60/20.jpg", "clips/0531/1/20.jpg"]
    for name in clips:
        picture(tmp_path / "train_set" / name)
    picture(tmp_path / "test_set/clips/0530/9/20.jpg")
    lines(tmp_path / "train_set/label_data_0313.json", label(clips[0]))
    lines(tmp_path / "train_set/label_data_0531.json", label(clips[1]))
    task = {"h_samples": ROWS, "lanes": [], "run_time": 1000, "raw_file": "clips/0530/9/20.jpg"}
    lines(tmp_path / "test_set/test_tasks_0627.json", task)
    lines(tmp_path / test_labels, label("clips/0530/9/20.jpg"))
    parts = DataFolder.open(tmp_path).parts
    assert {part: len(records) for part, records in parts.items()} == {"train": 2, "test": 1}
    found = read_folder(tmp_path, WORLD)
    assert (found.format, found.part, len(found.samples), len(found.skipped)) == ("tusimple", "test", 1, 0)


@pytest.mark.parametrize("name", ["train_val.json", "my_lanes.json", "LABELS.json"])
@pytest.mark.parametrize("layout", ["lines", "list", "list of lines", "pretty list", "pretty"])
def test_tusimple_in_every_layout_of_json(tmp_path, name, layout):
    labels = [label(f"clips/{n}/20.jpg", 10 + 30 * n) for n in range(3)]
    for each in labels:
        picture(tmp_path / each["raw_file"])
    text = {
        "lines": "\n".join(map(json.dumps, labels)),
        "list": json.dumps(labels),
        "list of lines": "[\n" + ",\n".join(map(json.dumps, labels)) + "\n]\n",
        "pretty list": json.dumps(labels, indent=2),
        "pretty": "\n".join(json.dumps(each, indent=2) for each in labels),
    }[layout]
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    found = read_folder(tmp_path, WORLD)
    assert (found.format, found.part, len(found.samples), len(found.skipped)) == ("tusimple", "train", 3, 0)
    assert [truth.lanes[0][0] for truth in found.truths if truth] == [10, 40, 70]


def test_after_a_broken_object_of_a_list_the_rest_is_named(tmp_path):
    for n in range(2):
        picture(tmp_path / f"{n}.jpg")
    (tmp_path / "all.json").write_text(json.dumps([label("0.jpg"), label("1.jpg")])[:-30])
    found = read_folder(tmp_path, WORLD)
    assert len(found.samples) == 1
    assert "all.json: object 2: not JSON" in found.skipped.report()[0]


def test_a_picture_in_two_label_files_is_read_once(tmp_path):
    picture(tmp_path / "0.jpg")
    lines(tmp_path / "label_data_0313.json", label("0.jpg"))
    lines(tmp_path / "train_val.json", label("0.jpg"))
    found = read_folder(tmp_path, WORLD)
    assert len(found.samples) == 1
    assert "picture again: '0.jpg' is also in label_data_0313.json" in found.skipped.report()[0]


@pytest.mark.parametrize(
    ("name", "change"), [("pred.json", {"run_time": 10}), ("test_tasks_0627.json", {"lanes": []}), ("tasks.json", {})]
)
def test_predictions_and_tasks_are_no_labels(tmp_path, name, change):
    picture(tmp_path / "0.jpg")
    lines(tmp_path / name, label("0.jpg") | change)
    if not change:  # the first data set's tasks.json holds labels
        assert read_folder(tmp_path, WORLD).format == "tusimple"
        return
    with pytest.raises(DriveRLError, match="no data set"):
        read_folder(tmp_path, WORLD)


@pytest.mark.parametrize(
    "change", [{"h_samples": [20, 40, 710]}, {"lanes": [[300, 400, 500]]}, {"lanes": [[50] * 3, [200] * 3, [300] * 3]}]
)
def test_labels_of_another_resolution_are_refused(tmp_path, change):
    """Rows to 710, or columns to 500, in a picture of 96 x 48."""
    for n in range(2):
        picture(tmp_path / f"{n}.jpg")
    lines(tmp_path / "label_data.json", label("0.jpg"), label("1.jpg") | change)
    found = read_folder(tmp_path, WORLD)
    assert len(found.samples) == 1
    assert "labels of another resolution: they reach row" in found.skipped.report()[0]


def test_a_large_json_of_others_is_recognised_in_little_memory(tmp_path):
    (tmp_path / "places.json").write_text('{"places": [' + "[1, 2, 3], " * 2_000_000 + "4]}")  # 22 MB
    tracemalloc.start()
    try:
        assert tusimple_format.detect(tmp_path) == {}
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def culane(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        picture(tmp_path / name)
        (tmp_path / name).with_suffix(".lines.txt").write_text("20 47 30 33.5 40 20\n70 47 60 20\n")
    (tmp_path / "list/test_split").mkdir(parents=True)


def test_culanes_test_pictures_by_category(tmp_path):
    """`test_split` makes up the test part where `test.txt` is missing, and is left to it where it is there."""
    names = [f"driver_37_30frame/05181432_0203.MP4/0000{n}.jpg" for n in range(3)]
    culane(tmp_path, names)
    (tmp_path / "list/test_split/test0_normal.txt").write_text(f"{names[0]}\n")
    (tmp_path / "list/test_split/test8_night.txt").write_text(f"/{names[1]}\n")
    found = read_folder(tmp_path, WORLD)
    assert (found.format, found.part, len(found.samples)) == ("culane", "test", 2)
    assert found.groups == ["normal", "night"]
    (tmp_path / "list/test.txt").write_text("\n".join(names))
    found = read_folder(tmp_path, WORLD)
    assert len(found.samples) == 3
    assert found.groups == ["normal", "night", tmp_path.name]  # the third is in no scenario's list


def test_a_listed_picture_without_labels_has_no_lanes(tmp_path):
    """As the original's evaluator takes it; a folder where no picture has labels was not unpacked, and is left out."""
    names = ["a/0.jpg", "a/1.jpg", "b/2.jpg"]
    culane(tmp_path, names)
    (tmp_path / "a/1.lines.txt").unlink()
    (tmp_path / "b/2.lines.txt").unlink()
    (tmp_path / "list/test.txt").write_text("\n".join(names))
    found = read_folder(tmp_path, WORLD)
    assert [len(truth.lanes) for truth in found.truths if truth] == [2, 0]
    assert found.samples.lined.tolist() == [True, True]
    assert "no .lines.txt in the picture's folder" in found.skipped.report()[0]
    assert list(found.skipped.notes) == [f"{tmp_path}/list/test.txt: line 2"]


def test_culanes_names_with_spaces_and_large_suffixes(tmp_path):
    names = ["my drive/0 0.JPG", "my drive/1.jpg"]
    culane(tmp_path, names)
    (tmp_path / "list/train_gt.txt").write_text("/my drive/0 0.JPG /laneseg label/0 0.png 1 1 0 0\n\\my drive\\1.jpg\n")
    found = read_folder(tmp_path, WORLD)
    assert [path.name for path in found.images] == ["0 0.JPG", "1.jpg"]
    for file in (tmp_path / "list").glob("*.txt"):
        file.unlink()
    assert len(read_folder(tmp_path, WORLD).samples) == 2


def test_culanes_lanes_are_its_lines(tmp_path):
    """A lane of one point, and a blank line, are lanes that nothing can find: the original counts them as missed."""
    culane(tmp_path, ["0.jpg"])
    (tmp_path / "0.lines.txt").write_text("20 47 40 20\n70 30\n\n")
    (tmp_path / "list/test.txt").write_text("0.jpg")
    (truth,) = read_folder(tmp_path, WORLD).truths
    assert truth is not None
    assert [len(lane) for lane in truth.points()] == [2, 1, 0]
