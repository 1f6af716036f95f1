"""Reading BDD100K: `labels/sem_seg/masks` of `images/10k`, and `labels/drivable/masks` of `images/100k` (Yu et al.
2020, arXiv 1805.04687; doc.bdd100k.com). It knows their layout. Its boxes and lanes are refused, with the reason.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.formats.labels.category_names import read_named, table_of
from drive_rl.perception.data.formats.labels.files import part_of
from drive_rl.perception.data.records import Files, Part, Record, Skipped
from drive_rl.sim.sensors.renderer import BACKGROUND, EGO_LANE, ROAD

FILES = "BDD100K (labels/sem_seg or labels/drivable/masks beside images)"
_PARTS: tuple[Part, ...] = ("train", "val")
_SEM_SEG = ["road", *["other"] * 12, "car", "truck", "bus", *["other"] * 3]
"""Names of the values of masks, from 0 on; all that are none of our classes are "other" here."""
_MASKS = {"sem_seg": "10k", "drivable": "100k"}  # the kind of labels -> its pictures
_REFUSED = {
    "labels/lane/polygons/*.json": "lanes as both edges of each marking: expected a line a marking",
    "labels/det_20/*.json": "boxes alone: expected areas, lanes or masks",
    "labels/bdd100k_labels_images_*.json": "boxes and both edges of each marking: expected areas, lanes or masks",
}


def detect(root: Path) -> Files:
    """Return the masks of each part, and label files of what is refused."""
    files: Files = {}
    for kind in _MASKS:
        for part in _PARTS:
            files.setdefault(part, []).extend(sorted((root / "labels" / kind / "masks" / part).glob("*.png")))
    for pattern in _REFUSED:
        for path in sorted(root.glob(pattern)):
            files.setdefault(part_of(path), []).append(path)
    return {part: paths for part, paths in files.items() if paths}


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of masks; what cannot be used goes to `skipped`."""
    tables = {"sem_seg": table_of(_SEM_SEG), "drivable": _drivable()}
    for path in files:
        kind = path.relative_to(root / "labels").parts[0]
        if path.suffix == ".json":
            skipped.add(str(path), next(why for pattern, why in _REFUSED.items() if path in root.glob(pattern)))
        elif path.stem.endswith("_drivable_id"):
            skipped.add(str(path), "drivable area of the first release: its values are others, expected NAME.png")
        else:
            if kind == "drivable":
                skipped.note(str(path.parent), "drivable area alone: vehicles, too, count as background")
            image = root / "images" / _MASKS[kind] / path.parent.name / f"{path.stem}.jpg"
            yield Record(str(path), image, classes=partial(read_named, path, tables[kind]))


def _drivable() -> NDArray[np.uint8]:
    """Return our class of each value: 0 the car's own lane, 1 other drivable area, 2 the rest."""
    table = table_of(())
    table[:3] = EGO_LANE, ROAD, BACKGROUND
    return table
