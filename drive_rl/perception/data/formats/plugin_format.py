"""Data formats of plugins: what their classes return is checked, and what they raise is explained."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.extensions import Extension
from drive_rl.config.plugin_call import called
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.decode import check_classes
from drive_rl.perception.data.records import PARTS, BadRecord, Files, LaneTruth, Record, Skipped, State
from drive_rl.perception.data.samples import LANE_FIELDS, WEATHER

Detect = Callable[[Path], Files]
Read = Callable[[Path, list[Path], Skipped], Iterator[Record]]
_FIX = "correct it"


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
    with called(what, "fails", _FIX):
        found = {part: list(files) for part, files in dict(reader.detect(root) or {}).items()}
    for part, files in found.items():
        if part not in PARTS or not files or not all(isinstance(file, Path) for file in files):
            raise DriveRLError(
                f"{what}: returned {part!r}: {files!r}: expected paths of one of {', '.join(PARTS)}; fix: correct it"
            )
    return found


def _read(extension: Extension, root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    reader: Any = extension.make
    what = f"{_name(extension)}: read({root})"
    with called(what, "fails", _FIX, (DriveRLError,)):
        for record in reader.read(root, files, skipped):
            _check(what, record)
            lanes, classes = record.lanes, record.classes
            yield replace(
                record,
                lanes=None if lanes is None else partial(_lanes, what, record),
                classes=None if classes is None else partial(_classes, what, record),
            )


def _check(what: str, record: object) -> None:
    """Refuse a record whose fields are something else than `Record` says; its labels are read later."""
    if not isinstance(record, Record):
        raise DriveRLError(f"{what}: yielded {type(record).__name__}, expected Record; fix: {_FIX}")
    right = {
        "where": isinstance(record.where, str),
        "image": isinstance(record.image, Path),
        "lanes": record.lanes is None or callable(record.lanes),
        "classes": record.classes is None or callable(record.classes),
        "state": record.state is None or _is_state(record.state),
        "earlier": isinstance(record.earlier, tuple) and all(isinstance(each, Path) for each in record.earlier),
    }
    for key in (key for key, is_right in right.items() if not is_right):
        raise DriveRLError(
            f"{what}: yielded a Record with {key} = {getattr(record, key)!r}: expected what Record's fields say; fix:"
            f" {_FIX}"
        )


def _is_state(state: object) -> bool:
    if not isinstance(state, State) or not isinstance(state.seed, int) or not isinstance(state.tier, str):
        return False
    return state.weather in WEATHER and len(state.lane) == len(LANE_FIELDS)


def _classes(what: str, record: Record, width: int, height: int) -> NDArray[np.uint8]:
    mask = _label(what, record, "classes", width, height)
    if not isinstance(mask, np.ndarray) or mask.shape != (height, width) or mask.dtype != np.uint8:
        found = f"{mask.shape} of {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise DriveRLError(
            f"{what}: {record.where}: classes returned {found}: expected {(height, width)} of uint8; fix: {_FIX}"
        )
    check_classes(mask, record.where)
    return mask


def _lanes(what: str, record: Record, width: int, height: int) -> LaneTruth:
    truth = _label(what, record, "lanes", width, height)
    with called(what, f"{record.where}: lanes returned no LaneTruth of arrays of numbers", _FIX):
        assert isinstance(truth, LaneTruth)
        rows = None if truth.h_samples is None else np.asarray(truth.h_samples, float)
        lanes = tuple(np.asarray(lane, float) for lane in truth.lanes)
        for lane in lanes:
            assert lane.shape == ((len(lane), 2) if rows is None else rows.shape), f"a lane is {lane.shape}"
            assert np.isfinite(lane).all(), "a lane is not finite"
        return replace(truth, lanes=lanes, h_samples=rows)


def _label(what: str, record: Record, key: str, width: int, height: int) -> Any:
    with called(what, f"{record.where}: {key} fails", _FIX, (BadRecord, DriveRLError)):
        return getattr(record, key)(width, height)


def _name(extension: Extension) -> str:
    return f"{extension.plugin}: data format {extension.name}"
