"""Label files of data sets, which strangers may have made, and the names in them.

It knows lines, JSON and paths. It knows no format of data sets.
"""

import json
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.records import BadRecord, Part, Skipped
from drive_rl.plain_files import open_plain, read_plain

LARGEST = 1 << 30
"""Bytes of a label file; COCO's own largest has 0.45 GB."""

Json = dict[str, Any]
"""An object of a stranger's label file: any key may be missing or of any type until it is checked."""

LONGEST_LINE = 1 << 20
"""Bytes; TuSimple's lines have some 2,000."""

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Suffixes of pictures, in small letters."""

_MOST_OBJECTS = 30_000_000  # lists and objects of a JSON file, some 100 bytes of memory each; COCO has 4 million
_LONGEST_PATH, _LONGEST_NAME = 1000, 255  # characters, and bytes of a part, as Linux and macOS have it
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxother, _BRIEF.maxlong = 2, 80, 80, 40


def inside(folder: Path, name: object) -> Path:
    """Return the path that a label file names in its data set's folder.

    Backslashes divide folders too, and a name begins at the data set's folder with or without a slash, or with that
    folder's own path. It may not lead out of the folder. Links in it are followed, because people link their folders
    of pictures; a label file cannot make one, and what is opened in the end must be a regular file (`plain_files`).

    Raises:
        BadRecord: it is not a name, or leads out of the folder.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _LONGEST_PATH:
        raise BadRecord(f"not a file's name: {short(name)}")
    path = PurePosixPath(name.replace("\\", "/").removeprefix(f"{folder.absolute()}/").lstrip("/"))
    if any(len(part.encode()) > _LONGEST_NAME for part in path.parts):
        raise BadRecord(f"not a file's name: {short(name)}, expected at most {_LONGEST_NAME} bytes a part")
    if ".." in path.parts:
        raise BadRecord(f"leads out of the data set: {short(name)}, expected a path inside {folder}")
    return folder / path


def part_of(labels: Path) -> Part:
    """Return the part of a data set that a label file is for, by its name; one of no part is `train`."""
    order: tuple[Part, ...] = ("test", "train", "val")
    found: list[Part] = [part for part in order if part in labels.stem.lower()]
    return found[0] if found else "train"


def label_lines(path: Path, skipped: Skipped, of: str) -> Iterator[tuple[str, str]]:
    """Yield where each line is that is not blank, and the line; unreadable lines go to `skipped`.

    Args:
        path: The file.
        skipped: Collects lines that are not UTF-8 or too long.
        of: Whose labels they are, for messages.

    Raises:
        DriveRLError: the file cannot be read, or is not a regular file.
    """
    with open_labels(path, of) as file:
        for number in count(1):
            if not (line := file.readline(LONGEST_LINE + 1)):
                return
            where = f"{path}: line {number}"
            if len(line) > LONGEST_LINE:
                skipped.add(where, f"line too long: expected at most {LONGEST_LINE:,} bytes")
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST_LINE)
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                skipped.add(where, f"not UTF-8: {error}")
                continue
            if text:
                yield where, text


def text_file(path: Path, largest: int) -> str:
    """Return a label file as text, with or without a byte order mark.

    Raises:
        BadRecord: it cannot be read, is not a regular file, too large, or not UTF-8.
    """
    try:
        return read_plain(path, largest).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise BadRecord(f"no such file: {path}") from error
    except OSError as error:
        raise BadRecord(f"cannot be read: {path} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise BadRecord(f"not UTF-8: {path} ({error})") from error


@contextmanager
def open_labels(path: Path, of: str) -> Iterator[BinaryIO]:
    """Open a label file, to be read in pieces.

    Raises:
        DriveRLError: it cannot be read, is not a regular file, or too large.
    """
    try:
        with open_plain(path, LARGEST) as file:
            yield file
    except OSError as error:
        why = error.strerror
        raise DriveRLError(f"{path}: cannot be read as {of} labels ({why}); fix: give it again, whole") from error


def label_json(path: Path, fix: str) -> Any:
    """Return what a JSON file holds.

    Raises:
        DriveRLError: it cannot be read, is not a regular file, or not JSON; the message ends in `fix`.
    """
    try:
        data = read_plain(path, LARGEST)
        if data.count(b"[") + data.count(b"{") > _MOST_OBJECTS:
            raise ValueError(f"more than {_MOST_OBJECTS:,} lists and objects")
        return parsed_json(data)
    except FileNotFoundError as error:
        raise DriveRLError(f"{path}: file not found; fix: {fix}") from error
    except OSError as error:
        raise DriveRLError(f"{path}: cannot be read ({error.strerror}); fix: {fix}") from error
    except ValueError as error:
        raise DriveRLError(f"{path}: cannot be read as JSON ({error}); fix: {fix}") from error


def parsed_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, or is nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def short(value: object) -> str:
    """Return a value of a label file, shortened for messages."""
    return _BRIEF.repr(value)
