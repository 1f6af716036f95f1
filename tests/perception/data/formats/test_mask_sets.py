"""Cityscapes, BDD100K, KITTI's road, CurveLanes, YOLO and plain pictures with masks, as their authors lay them out.

Contract of the formats of these names and of category_names.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_sets import cars

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.formats.detect import FORMATS, DataFolder
from drive_rl.perception.data.samples import UNKNOWN_CLASS
from drive_rl.sim.sensors.renderer import BACKGROUND, EGO_LANE, ROAD, VEHICLE

WORLD = cars()


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def picture(path: Path) -> None:
    save(path, np.full((48, 96, 3), 90, np.uint8))


def columns(*values: int) -> np.ndarray:
    """Return a mask of 96 x 48 whose columns have the values, each as wide."""
    return np.repeat(np.array(values, np.uint8), 96 // len(values))[None].repeat(48, axis=0)


def seen(folder: Path, parts: int) -> list[int]:
    """Return the class of each part of a mask's columns."""
    classes = read_folder(folder, WORLD).samples.classes[0]
    assert (classes == classes[:1]).all()
    return [int(row) for row in classes[0, 48 // parts :: 96 // parts]]


def counts(folder: Path) -> tuple[str, dict[str, int]]:
    found = DataFolder.open(folder)
    return found.format, {part: len(records) for part, records in found.parts.items()}


def test_cityscapes(tmp_path):
    """Values by hand: 7 road, 8 sidewalk, 26 car, 28 bus, 3 out of the region of interest, 33 bicycle."""
    for part, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin")):
        stem = f"{city}_000000_000019"
        picture(tmp_path / f"leftImg8bit/{part}/{city}/{stem}_leftImg8bit.png")
        save(tmp_path / f"gtFine/{part}/{city}/{stem}_gtFine_labelIds.png", columns(7, 8, 26, 28, 3, 33))
        save(tmp_path / f"gtFine/{part}/{city}/{stem}_gtFine_color.png", columns(0))
        (tmp_path / f"gtFine/{part}/{city}/{stem}_gtFine_polygons.json").write_text('{"imgHeight": 48, "objects": []}')
    assert counts(tmp_path) == ("cityscapes", {"train": 1, "val": 1})
    assert seen(tmp_path, 6) == [ROAD, BACKGROUND, VEHICLE, VEHICLE, UNKNOWN_CLASS, BACKGROUND]


def test_bdd100k_semantic_segmentation(tmp_path):
    """Values by hand: 0 road, 13 car, 10 sky, 255 unknown."""
    picture(tmp_path / "images/10k/val/7d06fefd.jpg")
    save(tmp_path / "labels/sem_seg/masks/val/7d06fefd.png", columns(0, 13, 10, 255))
    assert counts(tmp_path) == ("bdd100k", {"val": 1})
    assert seen(tmp_path, 4) == [ROAD, VEHICLE, BACKGROUND, UNKNOWN_CLASS]


def test_bdd100k_drivable_area(tmp_path):
    """0 is the car's own lane, 1 the other lanes, 2 the rest."""
    picture(tmp_path / "images/100k/train/a.jpg")
    save(tmp_path / "labels/drivable/masks/train/a.png", columns(0, 1, 2))
    save(tmp_path / "labels/drivable/masks/train/b_drivable_id.png", columns(0, 1, 2))
    assert seen(tmp_path, 3) == [EGO_LANE, ROAD, BACKGROUND]
    report = "\n".join(read_folder(tmp_path, WORLD).skipped.report())
    assert "b_drivable_id.png: drivable area of the first release" in report
    assert "vehicles, too, count as background" in report


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("labels/lane/polygons/lane_train.json", "lanes as both edges of each marking"),
        ("labels/det_20/det_val.json", "boxes alone"),
        ("labels/bdd100k_labels_images_train.json", "boxes and both edges of each marking"),
    ],
)
def test_bdd100ks_boxes_and_lanes_are_refused(tmp_path, file, why):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("[]")
    with pytest.raises(DriveRLError, match=why):
        read_folder(tmp_path, WORLD)


def test_kittis_road(tmp_path):
    """Colours by hand, BGR: red is labelled, red and blue the road or lane, black is not labelled."""
    red, both, black = (0, 0, 255), (255, 0, 255), (0, 0, 0)
    road = np.array([red, both, both, black], np.uint8).repeat(24, axis=0)[None].repeat(48, axis=0)
    lane = np.array([red, red, both, black], np.uint8).repeat(24, axis=0)[None].repeat(48, axis=0)
    for name in ("um_000000", "uu_000003"):
        picture(tmp_path / f"training/image_2/{name}.png")
        save(tmp_path / f"training/gt_image_2/{name.replace('_', '_road_')}.png", road)
    save(tmp_path / "training/gt_image_2/um_lane_000000.png", lane)
    assert counts(tmp_path) == ("kitti", {"train": 2})
    assert seen(tmp_path, 4) == [BACKGROUND, ROAD, EGO_LANE, UNKNOWN_CLASS]
    classes = read_folder(tmp_path, WORLD).samples.classes[1]
    assert [int(each) for each in classes[0, 12::24]] == [BACKGROUND, ROAD, ROAD, UNKNOWN_CLASS]


def test_kittis_boxes_are_refused(tmp_path):
    picture(tmp_path / "training/image_2/000000.png")
    (tmp_path / "training/label_2").mkdir()
    (tmp_path / "training/label_2/000000.txt").write_text("Car 0.00 0 1.5 10 10 20 20 1.5 1.6 3.9 1 1 8 1.5\n")
    with pytest.raises(DriveRLError, match="boxes alone: expected masks of the road"):
        read_folder(tmp_path, WORLD)


@pytest.mark.parametrize("number", [str, float])
def test_curvelanes(tmp_path, number):
    """Its numbers are texts; a lane of one point is a lane."""
    lanes = [[(20, 47), (30, 33.5), (40, 20)], [(70, 47), (60, 20)], [(90, 30)]]
    label = {"Lines": [[{"y": number(y), "x": number(x)} for x, y in lane] for lane in lanes]}
    for part in ("train", "valid"):
        picture(tmp_path / part / "images/1.jpg")
        (tmp_path / part / "labels").mkdir()
        (tmp_path / part / "labels/1.lines.json").write_text(json.dumps(label))
    picture(tmp_path / "test/images/2.jpg")
    assert counts(tmp_path) == ("curvelanes", {"train": 1, "val": 1})
    (truth,) = read_folder(tmp_path, WORLD).truths
    assert truth is not None
    assert [lane.tolist() for lane in truth.points()] == [[list(point) for point in lane] for lane in lanes]


@pytest.mark.parametrize("text", ["[", '{"Lines": 3}', '{"Lines": [[{"x": 1}]]}', '{"Lines": [[{"x": "a", "y": 1}]]}'])
def test_broken_labels_of_curvelanes_are_left_out(tmp_path, text):
    for name, content in (("1", '{"Lines": []}'), ("2", text)):
        picture(tmp_path / f"train/images/{name}.jpg")
        (tmp_path / "train/labels").mkdir(exist_ok=True)
        (tmp_path / f"train/labels/{name}.lines.json").write_text(content)
    found = read_folder(tmp_path, WORLD)
    assert (len(found.samples), len(found.skipped)) == (1, 1)


POLYGON = "0.25 0 0.5 0 0.5 1 0.25 1"  # the second quarter of the columns


@pytest.mark.parametrize("layout", ["{kind}/{part}", "{part}/{kind}"])
@pytest.mark.parametrize("names", ["names: [person, car, road]", "names:\n  0: person\n  1: car\n  2: road"])
def test_yolos_polygons(tmp_path, layout, names):
    (tmp_path / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/val\n{names}\n")
    for part in ("train", "val"):
        picture(tmp_path / layout.format(kind="images", part=part) / "a b.JPG")
        labels = tmp_path / layout.format(kind="labels", part=part) / "a b.txt"
        labels.parent.mkdir(parents=True)
        labels.write_text(f"2 0 0 0.75 0 0.75 1 0 1\n1 {POLYGON}\n0 0 0 1 0 1 1 0 1\n")
    assert counts(tmp_path) == ("yolo", {"train": 1, "val": 1})
    assert seen(tmp_path, 4) == [ROAD, VEHICLE, ROAD, BACKGROUND]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1 0.5 0.5 0.1 0.1", "boxes alone"),
        ("1 0.5 0.5 0.1", "not a polygon"),
        (f"3 {POLYGON}", "unknown class"),
        ("1 a", "not a number"),
        ("1 nan 0 1 0 1 1", "not a polygon"),
    ],
)
def test_yolos_boxes_and_broken_lines_are_left_out(tmp_path, line, why):
    (tmp_path / "data.yaml").write_text("names: [person, car, road]\n")
    for name, text in (("1", f"1 {POLYGON}"), ("2", line), ("3", None)):
        picture(tmp_path / f"images/train/{name}.png")
        (tmp_path / "labels/train").mkdir(parents=True, exist_ok=True)
        if text is not None:
            (tmp_path / f"labels/train/{name}.txt").write_text(text)
    found = read_folder(tmp_path, WORLD)
    assert len(found.samples) == 1
    no_text, broken = found.skipped.reasons.values()
    assert no_text.startswith("no text of labels")
    assert broken.startswith(why)


def test_pictures_and_masks(tmp_path):
    (tmp_path / "classes.txt").write_text("void\nroad\nsky\nego_lane\nLane Marking\ncar\n")
    for part in ("train", "val"):
        picture(tmp_path / f"images/{part}/1.jpg")
        save(tmp_path / f"masks/{part}/1.png", columns(0, 1, 2, 3, 5, 255))
    picture(tmp_path / "images/train/2.jpg")
    save(tmp_path / "masks/train/3.png", columns(1))
    found = DataFolder.open(tmp_path)
    assert counts(tmp_path) == ("masks", {"train": 1, "val": 1})
    assert [why.partition(":")[0] for why in found.skipped.reasons.values()] == ["no mask", "no picture"]
    assert seen(tmp_path, 6) == [UNKNOWN_CLASS, ROAD, BACKGROUND, EGO_LANE, VEHICLE, UNKNOWN_CLASS]


def test_masks_of_values_without_a_name_or_of_none_of_ours(tmp_path):
    picture(tmp_path / "images/1.jpg")
    save(tmp_path / "masks/1.png", columns(0, 9))
    with pytest.raises(DriveRLError, match=r"no data set that drive-rl reads.*classes\.txt"):
        read_folder(tmp_path, WORLD)
    (tmp_path / "classes.txt").write_text("road\n")
    with pytest.raises(DriveRLError, match=r"unknown value in a mask: .* holds 9, which has no name"):
        read_folder(tmp_path, WORLD)
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(DriveRLError, match="expected some of vehicle, car"):
        read_folder(tmp_path, WORLD)


def test_every_format_may_be_named_in_a_recipe():
    from drive_rl.config.specs.perception import DATA_FORMATS

    assert tuple(FORMATS) == DATA_FORMATS


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c]\nnames: [*d]",
        "names: !!python/object/apply:os.system ['true']",
        "[" * 50_000,
        "names: 3",
        "names: {0: road, car: 1}",
        "\xff: [",
    ],
)
def test_a_yaml_file_of_something_else_is_none_of_yolo(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text, encoding="latin-1")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/1.txt").write_text(f"1 {POLYGON}")
    with pytest.raises(DriveRLError, match=r"no data set|expected"):
        read_folder(tmp_path, WORLD)
