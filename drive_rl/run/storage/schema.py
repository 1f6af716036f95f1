"""JSON files of a known schema: every key, type and range is checked before a value is used.

It knows pydantic and files; it does not know what the keys mean.
"""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import read_json

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxdict, _BRIEF.maxstring, _BRIEF.maxother = 2, 4, 4, 60, 60


class Table(BaseModel):
    """A JSON table: an unknown key is an error, `true` and `"1"` are not numbers, numbers are finite."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), populate_by_name=False
    )


Kind = TypeVar("Kind", bound=Table)


def read_table(path: Path, kind: type[Kind], fix: str) -> Kind:
    """Return a JSON file as a table of a kind.

    Raises:
        DriveRLError: not a JSON file, or not of that kind: the file, key, value, what was expected, `fix`.
    """
    return check_table(path, read_json(path, fix), kind, fix)


def check_table(path: Path, value: Any, kind: type[Kind], fix: str) -> Kind:
    """Return a value, read from `path`, as a table of a kind; raises as `read_table`."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise DriveRLError(f"{path}: {_mistake(error.errors()[0])}; {fix}") from error


def _mistake(item: Mapping[str, Any]) -> str:
    """Return a mistake in words: the key, the value, and what was expected."""
    key = ".".join(map(str, item["loc"]))
    if item["type"] == "missing":
        return f"{key}: is missing"
    if item["type"] == "extra_forbidden":
        return f"{_BRIEF.repr(key)[1:-1]}: unknown key"
    if item["type"] in ("model_type", "dict_type"):
        return f"{key + ' = ' if key else ''}{_BRIEF.repr(item['input'])}: expected a table of keys"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key} = {_BRIEF.repr(item['input'])}: {message}" if key else message
