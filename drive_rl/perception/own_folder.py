"""Reading the data sets that `written.py` writes: pictures, masks, lanes and states, by `manifest.json`.

It knows their layout. It does not check hashes: who edits a label means to.
"""

import csv
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.perception.decoded import read_mask
from drive_rl.perception.frames import LANE_FIELDS, WEATHER
from drive_rl.perception.records import BadRecord, Files, Record, Skipped, State
from drive_rl.perception.tusimple_folder import lane_lines_of
from drive_rl.run.files import read_json

KIND = "drive-rl pictures"
FORMAT = 1
LOOKED_FOR = f"ours (manifest.json of {KIND})"
_MEND = "write the data set again with drive-rl data make"


def find(root: Path) -> Files:
    """Return `states.csv` as the label file of the part that the data set is; none if it is no data set of ours.

    Raises:
        DriveRLError: it is ours, but of another version or without states.
    """
    path = root / "manifest.json"
    if not path.is_file():
        return {}
    manifest = read_json(path, _MEND)
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        return {}
    if manifest.get("format") != FORMAT:
        raise DriveRLError(f"{path}: format = {manifest.get('format')!r}: expected {FORMAT}; fix: {_MEND}")
    part = manifest.get("split")
    if part not in ("train", "val", "test"):
        raise DriveRLError(f"{path}: split = {part!r}: expected train, val or test; fix: {_MEND}")
    return {part: [root / "states.csv"]}


def records(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of `states.csv`; bad ones go to `skipped`.

    Raises:
        DriveRLError: no `states.csv`, or one with other columns.
    """
    lanes = lane_lines_of(root / "lanes.json", skipped) if (root / "lanes.json").is_file() else {}
    for path in files:
        for number, row in _rows(path):
            where = f"{path}: line {number}"
            try:
                yield _record(root, where, row, lanes)
            except BadRecord as error:
                skipped.add(where, error)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if absent := {"image", "seed", "tier", "weather", *LANE_FIELDS} - set(reader.fieldnames or ()):
                raise DriveRLError(f"{path}: columns {', '.join(sorted(absent))} are missing; fix: {_MEND}")
            for row in reader:
                yield reader.line_num, row
    except FileNotFoundError as error:
        raise DriveRLError(f"{path}: file not found; fix: {_MEND}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DriveRLError(f"{path}: not a table of states ({error}); fix: {_MEND}") from error


def _record(root: Path, where: str, row: dict[str, str], lanes: dict) -> Record:
    name = row["image"]
    image = root / name
    earlier = sorted((root / "earlier" / image.stem).glob("*.png"), key=lambda path: path.stem)
    return Record(
        where,
        image,
        lanes=lanes.get(name),
        classes=partial(read_mask, root / "masks" / image.name),
        state=_state(row),
        earlier=tuple(earlier),
    )


def _state(row: dict[str, str]) -> State:
    try:
        lane, seed = tuple(float(row[name]) for name in LANE_FIELDS), int(row["seed"])
    except (TypeError, ValueError) as error:  # a row that is too short holds None
        raise BadRecord(f"not a number: {error}") from error
    if not all(map(math.isfinite, lane)):
        raise BadRecord(f"not a finite number: {lane}")
    if row["weather"] not in WEATHER:
        raise BadRecord(f"unknown weather: {row['weather']!r}, expected one of {', '.join(WEATHER)}")
    return State(lane, row["tier"], row["weather"], seed)
