"""Data sets on disk: which of ours, TuSimple's, CULane's or COCO's a folder is, and what each of its parts is for.

It knows label files. It decodes no picture.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.formats import coco_format as coco_folder
from drive_rl.perception.data.formats import culane_format as culane_folder
from drive_rl.perception.data.formats import drive_rl_format as own_folder
from drive_rl.perception.data.formats import tusimple_format as tusimple_folder
from drive_rl.perception.data.records import Files, Part, Record, Skipped

Kind = Literal["ours", "tusimple", "culane", "coco"]
_MOST_RECORDS = 2_000_000  # some 1,500 bytes of memory each
_VAL_SHARE = 10  # one picture in so many, where a data set has no val part


class _Reader(NamedTuple):
    find: Callable[[Path], Files]
    records: Callable[[Path, list[Path], Skipped], Iterator[Record]]
    looked_for: str


_READERS: dict[Kind, _Reader] = {
    "ours": _Reader(own_folder.find, own_folder.records, own_folder.LOOKED_FOR),
    "tusimple": _Reader(tusimple_folder.find, tusimple_folder.records, tusimple_folder.LOOKED_FOR),
    "culane": _Reader(culane_folder.find, culane_folder.records, culane_folder.LOOKED_FOR),
    "coco": _Reader(coco_folder.find, coco_folder.records, coco_folder.LOOKED_FOR),
}
_SUBFOLDERS: dict[str, Part] = {"train": "train", "val": "val", "valid": "val", "test": "test"}


@dataclass(frozen=True)
class DataFolder:
    """A data set's records by part; nothing is decoded yet."""

    path: Path
    kind: Kind
    parts: dict[Part, list[Record]]
    skipped: Skipped

    @classmethod
    def open(cls, path: Path, kind: Kind | None = None) -> "DataFolder":
        """Read the labels of a data set, or of a folder with data sets `train`, `val` (or `valid`) and `test`.

        Args:
            path: The folder.
            kind: What it is; None: found out, in the order of `Kind`.

        Raises:
            DriveRLError: no such folder, nothing in it that was looked for, or no usable record.
        """
        path = Path(path)
        if not path.is_dir():
            raise DriveRLError(f"{path}: no such folder; fix: give the folder of a data set")
        skipped, parts = Skipped(), dict[Part, list[Record]]()
        found = _found(path, kind)
        for root, files, which, part in found:
            for own_part, paths in files.items():
                # a folder's name says what a stranger's data set is for; our own say it themselves
                is_part = own_part if which == "ours" else part or own_part
                into = parts.setdefault(is_part, [])
                into.extend(islice(_READERS[which].records(root, paths, skipped), _MOST_RECORDS + 1))
                if len(into) > _MOST_RECORDS:
                    raise DriveRLError(f"{root}: more than {_MOST_RECORDS:,} pictures; fix: part the data set")
        if not any(parts.values()):
            raise DriveRLError(f"{path}: holds no usable picture{why(skipped)}")
        return cls(path, found[0][2], parts, skipped)

    def learning(self) -> tuple[list[Record], list[Record]]:
        """Return what is learned from and what is looked at: its parts, or the last tenth for looking where it has no
        `val`. Files lie in the order in which they were taken, so that the last tenth is mostly other places.

        Raises:
            DriveRLError: it has `test` alone, or one picture.
        """
        train, val = self.parts.get("train", []), self.parts.get("val", [])
        if not train:  # a `val` part alone may be learned from: models are judged on `test`
            train, val = val, []
        if not train:
            raise DriveRLError(f"{self.path}: holds test pictures alone, which are never learned from; fix: others")
        if val:
            return train, val
        if len(train) < 2:
            raise DriveRLError(f"{self.path}: holds one picture, and some must be held out; fix: more pictures")
        held_out = max(1, len(train) // _VAL_SHARE)
        return train[:-held_out], train[-held_out:]

    def judging(self) -> tuple[Part, list[Record]]:
        """Return the part that models are judged on: `test` where there is one, else `val`, else all there is."""
        part: Part = next(part for part in ("test", "val", "train") if self.parts.get(part))
        return part, self.parts[part]


def spread(records: list[Record], limit: int | None) -> list[Record]:
    """Return at most `limit` records, spread evenly."""
    if limit is None or limit >= len(records):
        return records
    return [records[n] for n in np.linspace(0, len(records) - 1, limit).round().astype(int)]


def _found(path: Path, kind: Kind | None) -> list[tuple[Path, Files, Kind, Part | None]]:
    """Return each data set in a folder: root, label files and kind, and its part where the folder's name says it."""
    kinds: tuple[Kind, ...] = (kind,) if kind is not None else get_args(Kind)
    if (whole := _kind_of(path, kinds)) is not None:
        return [(path, *whole, None)]
    found: list[tuple[Path, Files, Kind, Part | None]] = []
    for name, part in _SUBFOLDERS.items():
        if (inner := _kind_of(path / name, kinds)) is not None:
            found.append((path / name, *inner, part))
    if not found:
        looked_for = "; ".join(_READERS[which].looked_for for which in kinds)
        raise DriveRLError(
            f"{path}: no data set that drive-rl reads; looked here and in train, val and test for: {looked_for};"
            " fix: give the folder that holds one of these"
        )
    return found


def _kind_of(root: Path, kinds: tuple[Kind, ...]) -> tuple[Files, Kind] | None:
    for which in kinds if root.is_dir() else ():
        if files := _READERS[which].find(root):
            return files, which
    return None


def why(skipped: Skipped) -> str:
    """Return the end of an error that nothing is usable."""
    return f" ({'; '.join(skipped.told(3))})" if len(skipped) else "; fix: give a folder with labelled pictures"
