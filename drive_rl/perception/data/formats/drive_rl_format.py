"""Reading the data sets that `writer.py` writes: pictures, masks, lanes and states, by `manifest.json`.

It knows their layout, and refuses those of streets. It does not check hashes: labels may be edited on purpose.
"""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.decode import read_mask
from drive_rl.perception.data.formats.labels.files import inside, label_json, label_lines, short
from drive_rl.perception.data.formats.tusimple_format import lane_lines_of
from drive_rl.perception.data.records import PARTS, BadRecord, Files, Record, Skipped, State
from drive_rl.perception.data.samples import LANE_FIELDS, WEATHER

KIND = "drive-rl pictures"
STREET_KIND = "drive-rl street pictures"
"""Of `street_writer.py`: other classes than the models here learn."""
FORMAT = 1
FILES = f"drive_rl (manifest.json of {KIND})"
_FARTHEST = 1e6  # metres, radians and 1/m beyond this are a mistake
_FIX = "write the data set again with drive-rl data make"


def detect(root: Path) -> Files:
    """Return `states.csv` as the label file of the part that the data set is; none if it is not a data set of ours.

    Raises:
        DriveRLError: it is ours, but of streets, of another version or without states.
    """
    path = root / "manifest.json"
    if not path.is_file():
        return {}
    manifest = label_json(path, _FIX)
    if isinstance(manifest, dict) and manifest.get("kind") == STREET_KIND:
        raise DriveRLError(
            f"{path}: kind = {STREET_KIND!r}: expected {KIND!r}, for its classes are not those that models here learn;"
            " fix: pictures of a world without streets (drive-rl data make lane_follow); other tools read the"
            " instances.json beside it"
        )
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        return {}
    if manifest.get("format") != FORMAT:
        raise DriveRLError(f"{path}: format = {short(manifest.get('format'))}: expected {FORMAT}; fix: {_FIX}")
    part = manifest.get("split")
    if part not in PARTS:
        raise DriveRLError(f"{path}: split = {short(part)}: expected train, val or test; fix: {_FIX}")
    return {part: [root / "states.csv"]}


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of `states.csv`; bad ones go to `skipped`.

    Raises:
        DriveRLError: no `states.csv`, or one with other columns.
    """
    lanes = lane_lines_of(root / "lanes.json", skipped) if (root / "lanes.json").is_file() else {}
    for path in files:
        lines = label_lines(path, skipped, "our")
        columns = _columns(path, lines)
        for where, line in lines:
            try:
                yield _record(root, where, _row(columns, line), lanes)
            except BadRecord as error:
                skipped.add(where, error)


def _columns(path: Path, lines: Iterator[tuple[str, str]]) -> list[str]:
    """Return the names of the columns, which are in the first line."""
    try:
        columns = _cells(next(lines, ("", ""))[1])
    except BadRecord as error:
        raise DriveRLError(f"{path}: not a table of states ({error}); fix: {_FIX}") from error
    if absent := {"image", "seed", "tier", "weather", *LANE_FIELDS} - set(columns):
        raise DriveRLError(f"{path}: columns {', '.join(sorted(absent))} are missing; fix: {_FIX}")
    return columns


def _row(columns: list[str], line: str) -> dict[str, str]:
    cells = _cells(line)
    if len(cells) != len(columns):
        raise BadRecord(f"row of another length: {len(cells)} values, expected {len(columns)}")
    return dict(zip(columns, cells, strict=True))


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error as error:
        raise BadRecord(f"not a row of states: {error}") from error


def _record(root: Path, where: str, row: dict[str, str], lanes: dict) -> Record:
    name = row["image"]
    image = inside(root, name)
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
    except ValueError as error:
        raise BadRecord(f"not a number: {error}") from error
    if not all(abs(value) < _FARTHEST for value in lane):  # nor NaN
        raise BadRecord(f"not a lane state: {lane}, expected finite numbers below {_FARTHEST:g}")
    if not -1 <= seed < 2**63:
        raise BadRecord(f"not a seed: {short(seed)}, expected -1 (unknown) to 2^63 - 1")
    if row["weather"] not in WEATHER:
        raise BadRecord(f"unknown weather: {short(row['weather'])}, expected one of {', '.join(WEATHER)}")
    return State(lane, row["tier"], row["weather"], seed)
