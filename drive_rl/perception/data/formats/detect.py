"""Data sets on disk: which format a folder has, ours or another, and what each of its parts is for.

It knows label files. It decodes no picture.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drive_rl.config.extensions import registered
from drive_rl.config.shelf import nearest
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.formats import (
    bdd100k_format,
    cityscapes_format,
    coco_format,
    culane_format,
    curvelanes_format,
    drive_rl_format,
    kitti_format,
    mask_format,
    tusimple_format,
    yolo_format,
)
from drive_rl.perception.data.formats.plugin_format import of_plugin
from drive_rl.perception.data.records import Files, Part, Record, Skipped

_MOST_RECORDS = 2_000_000  # some 1,500 bytes of memory each
_VAL_SHARE = 10  # one picture in so many, where a data set has no val part


class Format(NamedTuple):
    """How data sets of one format are recognised and read."""

    detect: Callable[[Path], Files]
    """A folder -> the label files of each part of the data set in it; nothing where there is none of this format."""
    read: Callable[[Path, list[Path], Skipped], Iterator[Record]]
    """The folder and the label files of a part -> its records; bad ones go to Skipped."""
    files: str
    """The files by which it is recognised, in words."""
    names_its_part: bool = False
    """Whether the data set itself names its part, whatever the folder is called."""


FORMATS: dict[str, Format] = {
    "drive_rl": Format(drive_rl_format.detect, drive_rl_format.read, drive_rl_format.FILES, names_its_part=True),
    "tusimple": Format(tusimple_format.detect, tusimple_format.read, tusimple_format.FILES),
    "culane": Format(culane_format.detect, culane_format.read, culane_format.FILES),
    "coco": Format(coco_format.detect, coco_format.read, coco_format.FILES),
    "curvelanes": Format(curvelanes_format.detect, curvelanes_format.read, curvelanes_format.FILES),
    "cityscapes": Format(cityscapes_format.detect, cityscapes_format.read, cityscapes_format.FILES),
    "bdd100k": Format(bdd100k_format.detect, bdd100k_format.read, bdd100k_format.FILES),
    "kitti": Format(kitti_format.detect, kitti_format.read, kitti_format.FILES),
    "yolo": Format(yolo_format.detect, yolo_format.read, yolo_format.FILES),
    "masks": Format(mask_format.detect, mask_format.read, mask_format.FILES),
}
"""Every format by name, in the order in which they are tried."""
_SUBFOLDERS: dict[str, Part] = {"train": "train", "val": "val", "valid": "val", "test": "test"}


@dataclass(frozen=True)
class DataFolder:
    """A data set's records by part; nothing is decoded yet."""

    path: Path
    format: str  # key of FORMATS
    parts: dict[Part, list[Record]]
    skipped: Skipped

    @classmethod
    def open(cls, path: Path, format: str | None = None) -> "DataFolder":
        """Read the labels of a data set, or of a folder with data sets `train`, `val` (or `valid`) and `test`.

        Args:
            path: The folder.
            format: Key of FORMATS; None: the first that recognises the folder.

        Raises:
            DriveRLError: no such folder or format, no data set in it, or no usable record.
        """
        path = Path(path)
        if not path.is_dir():
            raise DriveRLError(f"{path}: no such folder; fix: give the folder of a data set")
        skipped, parts = Skipped(), dict[Part, list[Record]]()
        found = _found(path, format)
        for data_set in found:
            for part, files in data_set.files.items():
                into = parts.setdefault(data_set.part or part, [])
                records = _formats()[data_set.format].read(data_set.root, files, skipped)
                into.extend(islice(records, _MOST_RECORDS + 1))
                if len(into) > _MOST_RECORDS:
                    raise DriveRLError(
                        f"{data_set.root}: more than {_MOST_RECORDS:,} pictures; fix: split the data set"
                    )
        if not any(parts.values()):
            raise DriveRLError(f"{path}: holds no usable picture{why(skipped)}")
        return cls(path, found[0].format, parts, skipped)

    def found(self) -> str:
        """Return how many pictures with labels each part has, in words."""
        return f"found {', '.join(f'{len(records)} {part}' for part, records in self.parts.items())} pictures"

    def learning(self) -> tuple[list[Record], list[Record]]:
        """Return the records to learn from, and those to validate on: its part `val`, or without one the last tenth.

        Records are in the order in which they were recorded, so that the last tenth mostly shows other places.

        Raises:
            DriveRLError: it has `test` alone, or one picture.
        """
        train, val = self.parts.get("train", []), self.parts.get("val", [])
        if not train:  # a `val` part alone may be learned from: models are evaluated on `test`
            train, val = val, []
        if not train:
            raise DriveRLError(
                f"{self.path}: holds test pictures alone, which are never learned from; fix: give a data set with"
                " train pictures"
            )
        if val:
            return train, val
        if len(train) < 2:
            raise DriveRLError(
                f"{self.path}: holds one picture, and some must be held out for validation; fix: give more pictures"
            )
        held_out = max(1, len(train) // _VAL_SHARE)
        return train[:-held_out], train[-held_out:]

    def evaluation(self) -> tuple[Part, list[Record]]:
        """Return the part that models are evaluated on: `test` where there is one, else `val`, else all there is."""
        part: Part = next(part for part in ("test", "val", "train") if self.parts.get(part))
        return part, self.parts[part]


def spread(records: list[Record], limit: int | None) -> list[Record]:
    """Return at most `limit` records, spread evenly."""
    if limit is None or limit >= len(records):
        return records
    return [records[n] for n in np.linspace(0, len(records) - 1, limit).round().astype(int)]


class _DataSet(NamedTuple):
    """One data set in a folder."""

    root: Path
    format: str
    files: Files
    part: Part | None  # where the folder's name gives it


def _formats() -> dict[str, Format]:
    """Return our formats and, tried after them, those of plugins."""
    return FORMATS | {name: Format(*of_plugin(each)) for name, each in registered("data_format").items()}


def _found(path: Path, format: str | None) -> list[_DataSet]:
    """Return each data set in a folder."""
    known = _formats()
    if format is not None and format not in known:
        raise DriveRLError(f"data format {format!r}: unknown; {nearest(format, known)}")
    formats = known if format is None else {format: known[format]}
    if (whole := _data_set(path, formats)) is not None:
        return [whole]
    inner = [_data_set(path / name, formats, part) for name, part in _SUBFOLDERS.items()]
    found = [data_set for data_set in inner if data_set is not None]
    if not found:
        files = "; ".join(each.files for each in formats.values())
        raise DriveRLError(
            f"{path}: no data set that drive-rl reads; searched it and its train, val and test for: {files};"
            " fix: give the folder that holds one of these"
        )
    return found


def _data_set(root: Path, formats: dict[str, Format], part: Part | None = None) -> _DataSet | None:
    for name, each in formats.items() if root.is_dir() else ():
        if files := each.detect(root):
            return _DataSet(root, name, files, None if each.names_its_part else part)
    return None


def why(skipped: Skipped) -> str:
    """Return the end of an error that nothing is usable."""
    return f" ({'; '.join(skipped.report(3))})" if len(skipped) else "; fix: give a folder with labelled pictures"
