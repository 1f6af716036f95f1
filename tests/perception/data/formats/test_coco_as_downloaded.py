"""COCO's data sets as people have them, and pictures that are marked as lying on their side.

Contract of coco_format, coco_masks and decode.
"""

import json
import struct
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_sets import cars

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.formats import coco_format
from drive_rl.perception.data.formats.detect import DataFolder
from drive_rl.perception.data.records import Skipped
from drive_rl.perception.data.samples import UNKNOWN_CLASS
from drive_rl.perception.heads.registry import heads_of
from drive_rl.sim.sensors.renderer import BACKGROUND, ROAD, VEHICLE

WORLD = cars()
CAR, PERSON, STREET = ({"id": n, "name": name} for n, name in ((3, "car"), (1, "person"), (7, "road")))
SQUARE = [[10, 10, 20, 10, 20, 20, 10, 20]]


def picture(path: Path, grey: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 96, 3), grey, np.uint8))


def area(category: dict, image: int = 1, segmentation: object = SQUARE, **keys) -> dict:
    keys.setdefault("iscrowd", 0)
    return {"id": 1, "image_id": image, "category_id": category["id"], "segmentation": segmentation} | keys


def coco(path: Path, categories: list[dict], annotations: list[dict], **image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [{"id": 1, "file_name": "1.jpg", **image}]
    path.write_text(json.dumps({"images": pictures, "annotations": annotations, "categories": categories}))


def test_cocos_annotations_as_downloaded(tmp_path):
    """Captions and keypoints lie beside the instances of each part, and are left out with their reasons."""
    for part in ("train2017", "val2017"):
        picture(tmp_path / part / "1.jpg")
        coco(tmp_path / f"annotations/instances_{part}.json", [CAR, STREET, PERSON], [area(CAR), area(PERSON)])
        coco(tmp_path / f"annotations/person_keypoints_{part}.json", [PERSON], [area(PERSON)])
        captions = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "a road"}]}
        (tmp_path / f"annotations/captions_{part}.json").write_text(json.dumps({"info": {}, **captions}))
    panoptic = [{"image_id": 1, "file_name": "1.png", "segments_info": []}]
    coco(tmp_path / "annotations/panoptic_val2017.json", [CAR, STREET], panoptic)
    folder = DataFolder.open(tmp_path)
    assert {part: len(records) for part, records in folder.parts.items()} == {"train": 1, "val": 1}
    left_out = {Path(where).stem: why.partition(":")[0] for where, why in folder.skipped.reasons.items()}
    assert left_out == {
        "captions_train2017": "no categories",
        "captions_val2017": "no categories",
        "person_keypoints_train2017": "categories = person",
        "person_keypoints_val2017": "categories = person",
        "panoptic_val2017": "panoptic segments",
    }
    classes = read_folder(tmp_path, WORLD).samples.classes[0]
    assert classes[15, 15] == VEHICLE
    assert classes[30, 30] == BACKGROUND


def test_captions_are_recognised_in_little_memory(tmp_path):
    captions, skipped = tmp_path / "captions.json", Skipped()
    with captions.open("w") as file:
        file.write('{"images": [], "annotations": [')
        file.writelines('{"image_id": 1, "id": 2, "caption": "a car on a road"}, ' for _ in range(300_000))  # 17 MB
        file.write("{}]}")
    tracemalloc.start()
    try:
        assert list(coco_format.read(tmp_path, coco_format.detect(tmp_path)["train"], skipped)) == []
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()
    assert list(skipped.reasons) == [str(captions)]


@pytest.mark.parametrize("complete", [True, False])
def test_a_crowd_is_unknown_but_for_the_cars_known_apart(tmp_path, complete):
    picture(tmp_path / "1.jpg")
    crowd = area(CAR, segmentation=[[0, 0, 40, 0, 40, 40, 0, 40]], iscrowd=1)
    categories = [CAR, STREET] if complete else [CAR]
    coco(tmp_path / "instances.json", categories, [area(CAR), crowd])
    classes = read_folder(tmp_path, WORLD).samples.classes[0]
    assert (classes[10:20, 10:20] == VEHICLE).all()
    assert (classes == VEHICLE).sum() == 100
    assert (classes[20:40, :40] == UNKNOWN_CLASS).all()
    assert (classes[:, 40:] == (BACKGROUND if complete else UNKNOWN_CLASS)).all()


def test_cars_alone_are_neither_learned_nor_scored(tmp_path):
    """Where all that is known is of one class, a model that calls everything so would be perfect."""
    picture(tmp_path / "1.jpg")
    segmentation = heads_of(("segmentation",), WORLD)["segmentation"]
    coco(tmp_path / "instances.json", [CAR, PERSON], [area(CAR)])
    found = read_folder(tmp_path, WORLD)
    assert not segmentation.known(found.samples)
    assert "areas of vehicle alone: nothing says what the rest" in found.skipped.report()[0]
    coco(tmp_path / "instances.json", [CAR, STREET], [area(CAR), area(STREET, segmentation=[[0, 0, 96, 0, 96, 9]])])
    found = read_folder(tmp_path, WORLD)
    assert segmentation.known(found.samples)
    assert set(np.unique(found.samples.classes)) == {BACKGROUND, ROAD, VEHICLE}


def lying(path: Path, orientation: int) -> None:
    """Write a JPEG of 96 x 48, black at the left, with an EXIF orientation: 6 is turned by a quarter, clockwise."""
    grey = np.full((48, 96, 3), 250, np.uint8)
    grey[:, :48] = 0
    data = cv2.imencode(".jpg", grey)[1].tobytes()
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])


@pytest.mark.parametrize(
    ("size", "box", "turned"),
    [((48, 96), [0, 0, 48, 48], True), ((96, 48), [0, 0, 48, 48], False), ((None, None), [0, 0, 48, 48], True)],
)
def test_a_picture_on_its_side_is_turned_unless_its_labels_fit_it_as_it_lies(tmp_path, size, box, turned):
    """The car covers the black half, in the pixels that the labels were drawn in."""
    lying(tmp_path / "1.jpg", 6)
    keys = {} if size[0] is None else {"width": size[0], "height": size[1]}
    coco(tmp_path / "instances.json", [CAR, STREET], [area(CAR, segmentation=None, bbox=box)], **keys)
    found = read_folder(tmp_path, WORLD).samples
    black = found.images[0, 0] < 125
    assert np.array_equal(black, found.classes[0] == VEHICLE)
    assert black[5, 90] == turned


def test_a_picture_that_fits_its_labels_neither_way_is_refused(tmp_path):
    lying(tmp_path / "1.jpg", 6)
    coco(tmp_path / "instances.json", [CAR, STREET], [area(CAR)], width=640, height=480)
    with pytest.raises(DriveRLError, match="picture of another size: 48 x 96, its record has 640 x 480"):
        read_folder(tmp_path, WORLD)


def test_areas_beyond_a_picture_of_no_recorded_size_are_refused(tmp_path):
    picture(tmp_path / "1.jpg")
    coco(tmp_path / "instances.json", [CAR, STREET], [area(CAR, segmentation=[[10, 10, 700, 10, 700, 400]])])
    with pytest.raises(DriveRLError, match="labels of another resolution"):
        read_folder(tmp_path, WORLD)


def test_a_suffix_may_be_spelled_otherwise(tmp_path):
    picture(tmp_path / "1.JPG")
    coco(tmp_path / "instances.json", [CAR, STREET], [area(CAR)], file_name="1.jpg")
    assert len(read_folder(tmp_path, WORLD).samples) == 1
