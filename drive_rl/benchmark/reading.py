"""Frozen values read back from JSON, the inverse of `run.storage.json_values.plain` for one type."""

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from drive_rl.errors import DriveRLError

T = TypeVar("T")


def read_as(kind: type[T], value: object, at: str = "") -> T:
    """Return a value of type `kind` from JSON: null is NaN where a number is expected, and lists are arrays.

    Args:
        kind: A dataclass, NamedTuple, mapping, tuple, list, array, union or scalar of such.
        value: What JSON holds.
        at: Where it lies, for errors.

    Raises:
        ValueError: it does not fit, with the place, the value and what was expected.
    """
    return _read(kind, value, at)


def check_results_are_of(rows: str, out: Path) -> None:
    """Refuse a folder that holds the results of something else, before they are replaced. Damaged ones may be.

    Args:
        rows: The key of `results.json` that says whose it is, such as `drivers`.
        out: The folder.

    Raises:
        DriveRLError: its `results.json` is JSON without that key.
    """
    path = out / "results.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if not isinstance(found, Mapping) or rows not in found:
        raise DriveRLError(
            f"{path}: has no {rows!r}: expected results of this benchmark, which are replaced; fix: another --out"
        )


def _read(kind: Any, value: Any, at: str) -> Any:
    origin = get_origin(kind) or kind
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), value, at)
    if origin is object:
        return value
    if is_dataclass(origin) or hasattr(origin, "_fields"):
        return _record(origin, value, at)
    if origin is np.ndarray:
        return np.array(_expect(value, list, "a list", at))
    if origin in (list, tuple):
        return origin(_items(get_args(kind)[0], value, at))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = get_args(kind)
        pairs = _expect(value, dict, "a mapping", at).items()
        return {_key(key, name): _read(item, entry, f"{at}.{name}") for name, entry in pairs}
    return _scalar(kind, value, at)


def _union(kinds: tuple[Any, ...], value: Any, at: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    inner = [kind for kind in kinds if kind is not type(None)]
    if set(inner) == {int, float}:
        return _expect(value, (int, float), "a number", at)
    (kind,) = inner
    return _read(kind, value, at)


def _record(kind: Any, value: Any, at: str) -> Any:
    """Read a dataclass or NamedTuple. A missing key is None or its default where there is one; others are errors."""
    given, hints = _expect(value, dict, f"a {kind.__name__}", at), get_type_hints(kind)
    names, optional = _fields(kind)
    for name in given:
        if name not in names:
            raise ValueError(f"{at}.{name}: unknown key in a {kind.__name__}; expected one of {', '.join(names)}")
    found = {name: _read(hints[name], item, f"{at}.{name}") for name, item in given.items()}
    for name in names:
        if name not in given and name not in optional:
            if type(None) not in get_args(hints[name]):
                raise ValueError(f"{at}.{name}: missing; expected in a {kind.__name__}")
            found[name] = None
    return kind(**found)


def _fields(kind: Any) -> tuple[list[str], set[str]]:
    """Return the names of all fields, and of those with a default."""
    if not is_dataclass(kind):
        return list(kind._fields), set(kind._field_defaults)
    every = fields(kind)
    optional = {each.name for each in every if each.default is not MISSING or each.default_factory is not MISSING}
    return [each.name for each in every], optional


def _items(kind: Any, value: Any, at: str) -> list[Any]:
    return [_read(kind, item, f"{at}[{i}]") for i, item in enumerate(_expect(value, list, "a list", at))]


def _key(kind: Any, name: str) -> Any:
    return int(name) if kind is int else name


def _scalar(kind: Any, value: Any, at: str) -> Any:
    if kind is float:
        return float("nan") if value is None else float(_expect(value, (int, float), "a number", at))
    if get_args(kind):  # a Literal
        if value not in get_args(kind):
            raise ValueError(f"{at} = {value!r}: expected one of {', '.join(map(str, get_args(kind)))}")
        return value
    return _expect(value, kind, f"a {kind.__name__}", at)


def _expect(value: Any, kind: Any, what: str, at: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{at or 'the value'} = {value!r}: expected {what}")
    return value
