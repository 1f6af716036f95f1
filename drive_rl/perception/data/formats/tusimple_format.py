"""Reading TuSimple lane data sets: label files of one JSON object a line (github.com/TuSimple/tusimple-benchmark).

It knows their layout. A picture's path is relative to the folder of its label file.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from drive_rl.perception.data.formats.label_files import inside, label_lines, parsed_json
from drive_rl.perception.data.records import (
    MOST_LANES,
    MOST_POINTS,
    BadRecord,
    Files,
    Floats,
    LaneTruth,
    Part,
    Record,
    Skipped,
)
from drive_rl.perception.scores.culane import FARTHEST_PX

FILES = "TuSimple (label_data*.json, *label*.json or lanes.json, an object with raw_file, lanes, h_samples a line)"
_FIRST_LINES = 100


def detect(root: Path) -> Files:
    """Return the label files of each part; a name with `val` or `test` is of that part, all others are `train`."""
    files: Files = {}
    for path in sorted({*root.glob("*label*.json"), *root.glob("lanes.json")}):
        if not path.is_dir() and _first_object(path).keys() >= {"raw_file", "lanes"}:
            part: Part = "test" if "test" in path.stem else "val" if "val" in path.stem else "train"
            files.setdefault(part, []).append(path)
    return files


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of label files; bad lines go to `skipped`."""
    for path in files:
        for where, name, lanes in _lines(path, skipped):
            try:
                yield Record(where, inside(root, name), lanes=lanes)
            except BadRecord as error:
                skipped.add(where, error)


def lane_lines_of(path: Path, skipped: Skipped) -> dict[str, Callable[[int, int], LaneTruth]]:
    """Return the lanes of each picture of a label file by the picture's name; bad lines go to `skipped`."""
    return {name: lanes for _, name, lanes in _lines(path, skipped)}


def _lines(path: Path, skipped: Skipped) -> Iterator[tuple[str, str, Callable[[int, int], LaneTruth]]]:
    for where, line in label_lines(path, skipped, "TuSimple's"):
        try:
            yield where, *_parsed(line)
        except BadRecord as error:
            skipped.add(where, error)


def _parsed(line: str) -> tuple[str, Callable[[int, int], LaneTruth]]:
    try:
        label = parsed_json(line)
    except ValueError as error:
        raise BadRecord(f"not JSON: {error}") from error
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
    return LaneTruth(columns, rows, width, height, slots)


def _numbers(label: dict[str, Any], key: str) -> Floats:
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


def _first_object(path: Path) -> dict[str, Any]:
    """Return the first line that is a JSON object, of the first few; empty if none is."""
    for _, line in islice(label_lines(path, Skipped(), "TuSimple's"), _FIRST_LINES):
        try:
            label = parsed_json(line)
        except ValueError:
            continue
        if isinstance(label, dict):
            return label
    return {}
