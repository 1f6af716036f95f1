"""JSON files of strangers, recognised by their first bytes and read object by object: one a line, in a list, or in
pretty print. It knows no format of data sets.
"""

import codecs
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from drive_rl.perception.data.formats.labels.files import LONGEST_LINE, Json, label_lines, open_labels, parsed_json
from drive_rl.perception.data.records import Skipped

HEAD = 1 << 18
"""Bytes by which a file is recognised; a label of TuSimple in pretty print has some 10,000."""

_FIRST_LINES = 100
_BLOCK = 1 << 16
_BETWEEN = " \t\r\n,[]"  # beside the objects of a list


def first_object(path: Path, of: str) -> Json:
    """Return the first object of a file, as `json_objects` finds it; empty: none within `HEAD` bytes.

    Raises:
        DriveRLError: the file cannot be read, or is not a regular file.
    """
    head = _head(path, of)
    if (line := _of_a_line(head)) is not None:
        return line
    try:
        value, _ = json.JSONDecoder().raw_decode(head.lstrip(_BETWEEN))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def json_objects(path: Path, skipped: Skipped, of: str) -> Iterator[tuple[str, Any]]:
    """Yield where each object of a file is, and the object; what is not JSON goes to `skipped`.

    Memory is bounded by the largest object. After a broken object in a list the rest of the file is left out.

    Raises:
        DriveRLError: the file cannot be read, or is not a regular file.
    """
    head = _head(path, of)
    if head.lstrip().startswith("[") or (_of_a_line(head) is None and _begins_with_object(head)):
        with open_labels(path, of) as file:
            yield from _one_by_one(path, file, skipped)
        return
    for where, line in label_lines(path, skipped, of):
        try:
            value = parsed_json(line)
        except ValueError as error:
            skipped.add(where, f"not JSON: {error}")
            continue
        yield where, value


def _head(path: Path, of: str) -> str:
    with open_labels(path, of) as file:
        return file.read(HEAD).decode("utf-8-sig", errors="replace")


def _of_a_line(head: str) -> Json | None:
    """Return the first line that is an object by itself, of a file that is no list."""
    if head.lstrip().startswith("["):
        return None
    for line in head.splitlines()[:_FIRST_LINES]:
        try:
            value = parsed_json(line) if line.lstrip().startswith("{") else None
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return None


def _begins_with_object(head: str) -> bool:
    """Whether pretty print begins a file; a first line that is broken is left to the reader of lines."""
    first = head.lstrip().partition("\n")[0].strip()
    return first == "{" or (first.startswith("{") and first.endswith((",", "[")))


def _one_by_one(path: Path, file: BinaryIO, skipped: Skipped) -> Iterator[tuple[str, Any]]:
    decoder, text = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8-sig")()
    blocks = iter(partial(file.read, _BLOCK), b"")
    buffer, number = "", 1
    while True:
        where = f"{path}: object {number}"
        buffer = buffer.lstrip(_BETWEEN)
        try:
            value, end = decoder.raw_decode(buffer)
        except (ValueError, RecursionError) as error:
            block = next(blocks, b"") if len(buffer) < LONGEST_LINE else b""
            try:
                buffer += text.decode(block)
            except UnicodeDecodeError as broken:
                skipped.add(where, f"not UTF-8: {broken}; what follows it is left out")
                return
            if not block:
                if buffer:
                    skipped.add(where, f"not JSON: {error}; what follows it is left out")
                return
        else:
            yield where, value
            buffer, number = buffer[end:], number + 1
