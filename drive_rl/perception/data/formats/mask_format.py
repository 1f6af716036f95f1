"""Reading pictures and masks of any values: a mask for each picture, under the same name, and in `classes.txt` the name
of each value, one a line from 0 on. It knows their layout.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.formats.labels.category_names import (
    CATEGORIES,
    class_named,
    note_one_class,
    read_named,
    table_of,
)
from drive_rl.perception.data.formats.labels.files import PICTURES, text_file
from drive_rl.perception.data.records import BadRecord, Files, Part, Record, Skipped

FILES = "images and masks (images, masks, and classes.txt with a name a line for the values 0, 1, ...)"
_PAIRS = {"images": ("masks", "labels", "annotations"), "imgs": ("masks",), "img_dir": ("ann_dir",)}
_PARTS: dict[str, Part] = {".": "train", "train": "train", "val": "val", "valid": "val", "test": "test"}
_LARGEST = 100_000  # bytes of classes.txt


def detect(root: Path) -> Files:
    """Return the folders of masks of each part: `masks` or `masks/PART`."""
    files: Files = {}
    if not (root / "classes.txt").is_file():
        return files
    for images, masks in ((images, each) for images, several in _PAIRS.items() for each in several):
        for name, part in _PARTS.items():
            if (root / images / name).is_dir() and any((root / masks / name).glob("*.png")):
                files.setdefault(part, []).append(root / masks / name)
    return files


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of pictures with masks; pictures and masks without the other go to `skipped`.

    Raises:
        DriveRLError: `classes.txt` cannot be read, or names none of our classes.
    """
    names = _names(root / "classes.txt")
    table = table_of(names)
    note_one_class(str(root / "classes.txt"), map(class_named, names), skipped)
    for folder in files:
        images = _pictures(root, folder)
        masks = {path.stem.removesuffix("_mask"): path for path in sorted(folder.glob("*.png"))}
        for stem in sorted(images.keys() - masks.keys()):
            skipped.add(str(images[stem]), f"no mask: expected {folder / stem}.png")
        for stem, mask in masks.items():
            if stem in images:
                yield Record(str(mask), images[stem], classes=partial(read_named, mask, table))
            else:
                skipped.add(str(mask), f"no picture: expected {stem} with one of {', '.join(PICTURES)}")


def _pictures(root: Path, masks: Path) -> dict[str, Path]:
    """Return the pictures beside a folder of masks by their stems."""
    top, *part = masks.relative_to(root).parts
    folders = [root.joinpath(images, *part) for images, several in _PAIRS.items() if top in several]
    found = (path for folder in folders for path in sorted(folder.glob("*")) if path.suffix.lower() in PICTURES)
    return {path.stem: path for path in found}


def _names(path: Path) -> list[str]:
    try:
        names = text_file(path, _LARGEST).splitlines()
    except BadRecord as error:
        raise DriveRLError(f"{error}; fix: give the names of the masks' values, one a line from 0 on") from error
    if not any(class_named(name) is not None for name in names):
        raise DriveRLError(f"{path}: expected some of {', '.join(CATEGORIES)}; fix: name the masks' values so")
    return names
