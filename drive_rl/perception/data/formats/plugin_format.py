"""Data formats of plugins: what their classes return is checked, and what they raise is explained."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from drive_rl.config.extensions import Extension
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.records import PARTS, Files, Record, Skipped

Detect = Callable[[Path], Files]
Read = Callable[[Path, list[Path], Skipped], Iterator[Record]]


def of_plugin(extension: Extension) -> tuple[Detect, Read, str]:
    """Return how folders of a plugin's format are recognised and read, and by which files.

    Raises:
        DriveRLError: its class lacks a method.
    """
    for method in ("detect", "read"):
        if not callable(getattr(extension.make, method, None)):
            raise DriveRLError(f"{_name(extension)}: has no static method {method}; fix: add it")
    return partial(_detect, extension), partial(_read, extension), extension.about.files


def _detect(extension: Extension, root: Path) -> Files:
    reader: Any = extension.make
    what = f"{_name(extension)}: detect({root})"
    try:
        found = dict(reader.detect(root) or {})
    except Exception as error:
        raise DriveRLError(f"{what}: {type(error).__name__}: {error}; fix: correct it") from error
    for part, files in found.items():
        if part not in PARTS or not files or not all(isinstance(file, Path) for file in files):
            raise DriveRLError(
                f"{what}: returned {part!r}: {files!r}: expected paths of one of {', '.join(PARTS)}; fix: correct it"
            )
    return found


def _read(extension: Extension, root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    reader: Any = extension.make
    try:
        for record in reader.read(root, files, skipped):
            if not isinstance(record, Record):
                raise TypeError(f"yielded {type(record).__name__}, expected Record")
            yield record
    except DriveRLError:
        raise
    except Exception as error:
        raise DriveRLError(
            f"{_name(extension)}: read({root}): {type(error).__name__}: {error}; fix: correct it"
        ) from error


def _name(extension: Extension) -> str:
    return f"{extension.plugin}: data format {extension.name}"
