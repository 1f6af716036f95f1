"""Reading COCO data sets: one JSON of images, annotations and categories (cocodataset.org/#format-data).

It knows their layout and areas; `coco_masks.py` paints them.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.formats.coco_masks import Area, area_of, paint
from drive_rl.perception.data.formats.labels.category_names import CATEGORIES, class_named, note_one_class
from drive_rl.perception.data.formats.labels.files import Json, inside, label_json, open_labels, part_of, short
from drive_rl.perception.data.records import BadRecord, Files, OtherSize, Record, Skipped, printable
from drive_rl.sim.sensors.renderer import ROAD

FILES = "COCO (annotations/*.json, boxes.json or another *.json with images and annotations)"
_FIX = "give the file again, whole"
_CATEGORIES_KEY = re.compile(rb'"categories"\s*:\s*(?=\[)')
_BEYOND = 1.05  # of a picture's size: areas may end a little beyond it
_BLOCK, _OVERLAP = 1 << 20, 64


def detect(root: Path) -> Files:
    """Return the annotation files of each part; a name with `val` or `test` is of that part, all others are `train`."""
    files: Files = {}
    for path in [*sorted((root / "annotations").glob("*.json")), *sorted(root.glob("*.json"))]:
        if not path.is_dir() and _is_coco(path):
            files.setdefault(part_of(path), []).append(path)
    return files


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of annotation files; bad ones go to `skipped`.

    Areas of classes that we know are painted. Pixels beside them are background where the file has a category for the
    road, and unknown where it has none, for then the road is among them. Files of other things beside them (captions,
    keypoints, panoptic segments) are left out.

    Raises:
        DriveRLError: a file that is not COCO's JSON.
    """
    for path in files:
        try:
            _classes(_categories(path))  # before all of it is read: captions have some 100 MB
        except BadRecord as error:
            skipped.add(str(path), error)
            continue
        coco = label_json(path, _FIX)
        if not isinstance(coco, dict) or not all(
            isinstance(coco.get(key), list) for key in ("images", "annotations", "categories")
        ):
            raise DriveRLError(f"{path}: not COCO's JSON: expected lists images, annotations, categories; fix: {_FIX}")
        try:
            yield from _records(root, path, coco, skipped)
        except BadRecord as error:
            skipped.add(str(path), error)


def _records(root: Path, path: Path, coco: Json, skipped: Skipped) -> Iterator[Record]:
    if any(isinstance(each, dict) and "segments_info" in each for each in coco["annotations"][:1]):
        raise BadRecord("panoptic segments: expected polygons, run lengths or boxes")
    classes = _classes(coco["categories"])
    note_one_class(str(path), classes.values(), skipped)
    complete = ROAD in classes.values()
    areas, bad = _areas(path, coco["annotations"], classes, skipped)
    for n, image in enumerate(coco["images"]):
        where = f"{path}: images[{n}]"
        try:
            if not isinstance(image, dict) or (key := _id(image.get("id"))) is None:
                raise BadRecord("not COCO's image: expected file_name and id")
            if key not in bad:  # a picture with broken labels would teach mistakes
                size = image.get("width"), image.get("height")
                found = _image(root, path, image.get("file_name"))
                yield Record(where, found, classes=partial(_painted, areas.get(key, []), complete, size))
        except BadRecord as error:
            skipped.add(where, error)


def _categories(path: Path) -> list[Any]:
    """Return the categories of a file without the rest of it.

    Raises:
        BadRecord: it has none.
    """
    with open_labels(path, "COCO's") as file:
        left = b""
        for block in iter(partial(file.read, _BLOCK), b""):
            text = left + block
            if found := _CATEGORIES_KEY.search(text):
                return _list(text[found.end() :] + file.read(_BLOCK))
            left = text[-_OVERLAP:]
    raise BadRecord("no categories: captions, or pictures without labels")


def _list(data: bytes) -> list[Any]:
    """Return the list that a text begins with; empty where it is broken, which shows when all of it is read."""
    try:
        value, _ = json.JSONDecoder().raw_decode(data.decode(errors="replace"))
    except (ValueError, RecursionError):
        return []
    return value


def _classes(categories: list[Any]) -> dict[str, int | None]:
    """Return the class of each category by its id; None: none of ours."""
    classes, names = {}, []
    for category in categories:
        key = _id(category.get("id")) if isinstance(category, dict) else None
        if key is None or not isinstance(category.get("name"), str):
            raise BadRecord(f"categories: expected objects with id and name; fix: {_FIX}")
        names.append(printable(category["name"][:40]))
        classes[key] = class_named(category["name"])
    if names and not any(known is not None for known in classes.values()):
        raise BadRecord(
            f"categories = {', '.join(names[:10])}: expected some of {', '.join(CATEGORIES)}; fix: rename them"
        )
    return classes


def _areas(
    path: Path, annotations: list[Any], classes: dict[str, int | None], skipped: Skipped
) -> tuple[dict[str, list[Area]], set[str]]:
    """Return the areas of each picture by its id, and the ids of pictures that have a bad one."""
    areas: dict[str, list[Area]] = {}
    bad: set[str] = set()
    for n, annotation in enumerate(annotations):
        key = _id(annotation.get("image_id")) if isinstance(annotation, dict) else None
        try:
            if key is None:
                raise BadRecord("not COCO's annotation: expected an object with image_id")
            if (category := _id(annotation.get("category_id"))) not in classes:
                shown = short(annotation.get("category_id"))
                raise BadRecord(f"unknown category: category_id = {shown}, which categories does not list")
            if (known := classes[category]) is not None:
                areas.setdefault(key, []).append(area_of(annotation, known))
        except BadRecord as error:
            skipped.add(f"{path}: annotations[{n}] of image {short(key)}", error)
            if key is not None:
                bad.add(key)
    return areas, bad


def _id(value: object) -> str | None:
    """Return an id, whichever type it has in the file; None: it is not an id."""
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None


def _painted(areas: list[Area], complete: bool, size: tuple[Any, Any], width: int, height: int) -> Any:
    if size != (None, None) and size != (width, height):
        recorded = " x ".join(short(side) for side in size)
        raise OtherSize(f"picture of another size: {width} x {height}, its record has {recorded}")
    farthest = max((float((each / (width, height)).max()) for area in areas for each in area.polygons), default=0.0)
    if size == (None, None) and farthest > _BEYOND:
        raise OtherSize(f"labels of another resolution: an area ends beyond the picture of {width} x {height} px")
    return paint(areas, complete, width, height)


def _image(root: Path, annotations: Path, name: object) -> Path:
    """Return where a picture lies: beside its annotations, in the root, in `images`, or in a folder of its part.

    Raises:
        BadRecord: `name` is not a path inside these.
    """
    part = annotations.stem.rpartition("_")[2]  # instances_val2017 -> val2017
    places = root, annotations.parent, root / "images", root / part, root / "images" / part
    found = [inside(place, name) for place in places]
    return next((path for path in found if os.path.isfile(path)), found[0])


def _is_coco(path: Path) -> bool:
    """Whether a file, which may be large, begins as a JSON object and names `images` and `annotations`."""
    names = {'"images"', '"annotations"'}
    with open_labels(path, "COCO's") as file:
        left = b""
        for block in iter(partial(file.read, _BLOCK), b""):
            if not left and not block.lstrip().startswith(b"{"):
                return False
            text = left + block
            names = {name for name in names if name.encode() not in text}
            if not names:
                return True
            left = block[-20:]
    return False
