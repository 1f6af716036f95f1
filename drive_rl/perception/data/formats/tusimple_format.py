"""Reading TuSimple lane data sets: label files of JSON objects (github.com/TuSimple/tusimple-benchmark).

It knows their layout. A picture's path is relative to the folder of its label file, or to the set's folder beside it.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drive_rl.perception.data.formats.labels.files import Json, inside, part_of, short
from drive_rl.perception.data.formats.labels.json_objects import first_object, json_objects
from drive_rl.perception.data.records import (
    FARTHEST_PX,
    MOST_LANES,
    MOST_POINTS,
    BadRecord,
    Files,
    Floats,
    LaneTruth,
    Part,
    Record,
    Skipped,
    check_resolution,
)

FILES = "TuSimple (label_data*.json or another *.json of objects with raw_file, lanes and h_samples)"
_FOLDERS: dict[str, Part | None] = {".": None, "train_set": "train", "test_set": "test"}
"""Where label files and pictures lie, as downloaded: test_label.json comes by itself, and is put above `test_set`."""


def detect(root: Path) -> Files:
    """Return the label files of each part; one in `train_set` or `test_set` is of that part, others as named."""
    files: Files = {}
    for name, part in _FOLDERS.items():
        for path in sorted((root / name).glob("*.json")):
            if not path.is_dir() and _has_labels(path):
                files.setdefault(part or part_of(path), []).append(path)
    return files


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of label files; bad ones go to `skipped`, and pictures that an earlier file has, too."""
    seen: dict[str, Path] = {}
    for path in files:
        for where, name, lanes in _labels(path, skipped):
            try:
                if (first := seen.setdefault(name, path)) != path:
                    raise BadRecord(f"picture again: {short(name)} is also in {first.name}")
                yield Record(where, _image(root, path, name), lanes=lanes)
            except BadRecord as error:
                skipped.add(where, error)


def _image(root: Path, labels: Path, name: str) -> Path:
    """Return where a picture lies: from its label file's folder on, or from `train_set` or `test_set` above it."""
    first, *others = (inside(folder, name) for folder in (labels.parent, *(root / each for each in _FOLDERS)))
    return first if os.path.isfile(first) else next((path for path in others if os.path.isfile(path)), first)


def _has_labels(path: Path) -> bool:
    """Whether a file holds labels, rather than predictions or the names of pictures to predict (test_tasks*.json)."""
    first = first_object(path, "TuSimple's")
    is_task = "run_time" in first or ("task" in path.stem and not first.get("lanes"))
    return first.keys() >= {"raw_file", "lanes"} and not is_task


def lane_lines_of(path: Path, skipped: Skipped) -> dict[str, Callable[[int, int], LaneTruth]]:
    """Return the lanes of each picture of a label file by the picture's name; bad ones go to `skipped`."""
    return {name: lanes for _, name, lanes in _labels(path, skipped)}


def _labels(path: Path, skipped: Skipped) -> Iterator[tuple[str, str, Callable[[int, int], LaneTruth]]]:
    for where, label in json_objects(path, skipped, "TuSimple's"):
        try:
            yield where, *_parsed(label)
        except BadRecord as error:
            skipped.add(where, error)


def _parsed(label: Any) -> tuple[str, Callable[[int, int], LaneTruth]]:
    if not isinstance(label, dict) or not isinstance(label.get("raw_file"), str):
        raise BadRecord("not TuSimple's JSON: expected an object with raw_file, lanes and h_samples")
    rows, lanes = _numbers(label, "h_samples"), label.get("lanes")
    if not isinstance(lanes, list):
        raise BadRecord("not TuSimple's JSON: lanes is missing or not a list")
    if len(lanes) > MOST_LANES or len(rows) > MOST_POINTS:
        raise BadRecord(f"too much for a picture: expected at most {MOST_LANES} lanes and {MOST_POINTS:,} rows")
    columns = tuple(_numbers({f"lanes[{n}]": lane}, f"lanes[{n}]") for n, lane in enumerate(lanes))
    for n, lane in enumerate(columns):
        if len(lane) != len(rows):
            raise BadRecord(f"lane of another length: lanes[{n}] has {len(lane)} columns, h_samples {len(rows)} rows")
    return label["raw_file"], partial(_truth, columns, rows, _slots(label.get("slots"), len(columns)))


def _truth(
    columns: tuple[Floats, ...], rows: Floats, slots: tuple[int, ...] | None, width: int, height: int
) -> LaneTruth:
    truth = LaneTruth(columns, rows, width, height, slots)
    check_resolution(truth)
    return truth


def _numbers(label: Json, key: str) -> Floats:
    values = label.get(key)
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise BadRecord(f"not TuSimple's JSON: {key.partition('[')[0]} must hold lists of numbers")
    if not all(-FARTHEST_PX < value < FARTHEST_PX for value in values):
        raise BadRecord(f"not a pixel of a picture: a number in {key.partition('[')[0]}")
    return np.array(values, np.float64)


def _slots(slots: Any, lanes: int) -> tuple[int, ...] | None:
    """Return our own key `slots`: which line of `Samples.lines` each lane is."""
    if slots is None:
        return None
    if (
        not isinstance(slots, list)
        or len(slots) != lanes
        or not all(type(slot) is int and abs(slot) < 100 for slot in slots)
    ):
        raise BadRecord("slots of another length: expected one small whole number for each lane")
    return tuple(slots)
