"""Reading YOLO segmentation data sets: a text of polygons for each picture, and names of classes in `data.yaml`
(docs.ultralytics.com/datasets/segment). It knows their layout. YOLO's boxes are refused, with the reason.
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from drive_rl.config.yaml_text import LARGEST, Loader
from drive_rl.perception.data.formats.coco_masks import Area, paint
from drive_rl.perception.data.formats.labels.category_names import class_named, note_one_class
from drive_rl.perception.data.formats.labels.files import PICTURES, text_file
from drive_rl.perception.data.records import BadRecord, Files, Floats, Part, Record, Skipped
from drive_rl.sim.sensors.renderer import ROAD

FILES = "YOLO (data.yaml with names, labels/*.txt beside images)"
_PARTS: dict[str, Part] = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_LARGEST_NAMES, _LARGEST_LABELS = LARGEST, 1 << 24  # bytes
_FARTHEST = 100.0  # times the picture's size


class _Loader(Loader):
    """Our loader of untrusted YAML, with numbers for keys too: `names` may be a mapping of them."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping."""
        return yaml.SafeLoader.compose_mapping_node(self, anchor)


def detect(root: Path) -> Files:
    """Return the folders of labels of each part: `labels/PART` beside `images/PART`, `PART/labels`, or `labels`."""
    if not any(_named(path) for path in _name_files(root)):
        return {}
    files: Files = {}
    for name, part in _PARTS.items():
        for folder in (root / "labels" / name, root / name / "labels"):
            if any(folder.glob("*.txt")):
                files.setdefault(part, []).append(folder)
    if not files and any((root / "labels").glob("*.txt")):
        files["train"] = [root / "labels"]
    return files


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of pictures that have a text of labels; the others go to `skipped`.

    Pixels beside the polygons are background where the road has a name, and unknown where it has none.
    """
    names = next(found for path in _name_files(root) if (found := _named(path)))
    classes = [class_named(name) for name in names]
    note_one_class(str(root), classes, skipped)
    for folder in files:
        images = root / "images" / folder.name if folder.parent == root / "labels" else folder.parent / "images"
        for image in sorted(path for path in images.glob("*") if path.suffix.lower() in PICTURES):
            labels = folder / f"{image.stem}.txt"
            if labels.is_file():
                yield Record(str(labels), image, classes=partial(_painted, labels, classes))
            else:
                skipped.add(str(image), f"no text of labels: {labels}")


def _name_files(root: Path) -> Iterator[Path]:
    return chain(sorted(root.glob("*.yaml")), sorted(root.glob("*.yml")), root.glob("classes.txt"))


def _named(path: Path) -> list[str]:
    """Return the names of the classes, from 0 on; none where the file is of another kind."""
    try:
        text = text_file(path, _LARGEST_NAMES)
        if path.suffix == ".txt":
            return text.splitlines()
        value = yaml.load(text, _Loader)
    except (BadRecord, yaml.YAMLError, RecursionError, ValueError):
        return []
    names = value.get("names") if isinstance(value, dict) else None
    if isinstance(names, dict) and names.keys() == set(range(len(names))):
        names = [names[n] for n in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        return []
    return [str(name) for name in names]


def _painted(path: Path, classes: list[int | None], width: int, height: int) -> NDArray[np.uint8]:
    areas: list[Area] = []
    for number, line in enumerate(text_file(path, _LARGEST_LABELS).splitlines(), start=1):
        if line.strip():
            known, shares = _polygon(f"{path}, line {number}", line, classes)
            areas += [] if known is None else [Area(known, (shares * (width, height),))]
    return paint(areas, ROAD in classes, width, height)


def _polygon(where: str, line: str, classes: list[int | None]) -> tuple[int | None, Floats]:
    """Return the class of a line, and its polygon (P, 2): columns and rows as shares of the picture's size."""
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError as error:
        raise BadRecord(f"not a number: {where} ({error})") from error
    if len(numbers) == 5:
        raise BadRecord(f"boxes alone: {where}: expected polygons, as YOLO has them for segmentation")
    if len(numbers) < 7 or len(numbers) % 2 == 0 or not all(abs(each) < _FARTHEST for each in numbers[1:]):
        raise BadRecord(f"not a polygon: {where}: expected a class and three or more pairs of shares")
    if not numbers[0].is_integer() or not 0 <= numbers[0] < len(classes):
        raise BadRecord(f"unknown class: {where}: expected 0 to {len(classes) - 1}")
    return classes[int(numbers[0])], np.array(numbers[1:]).reshape(-1, 2)
