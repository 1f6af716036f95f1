"""YAML files, names and `base:` -> raw mappings: a recipe with its base filled in. It validates nothing."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from drive_rl.config.explain import short
from drive_rl.config.shelf import Shelf, find, name_of
from drive_rl.config.specs.plugin import anchored, demand
from drive_rl.config.specs.streets.map import anchored_maps
from drive_rl.config.yaml_text import LARGEST, parse_yaml
from drive_rl.errors import DriveRLError
from drive_rl.plain_files import read_plain

Raw = dict[str, Any]  # a YAML mapping before validation: any plain data
_LARGEST = 4 * LARGEST  # bytes of a file: a character takes at most four
_DEEPEST_BASE = 8
_NAMED = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}


def read_yaml(path: Path) -> Raw:
    """Return the mapping in a YAML file.

    Raises:
        DriveRLError: the file cannot be read, is not valid YAML, or holds something other than a mapping.
    """
    try:
        text = read_plain(path, _LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DriveRLError(
            f"{path}: cannot be read ({error}); expected a UTF-8 YAML file; fix: correct it, or name another"
        ) from error
    return parse_mapping(text, path)


def parse_mapping(text: str, path: Path) -> Raw:
    """Return the mapping in the text of the file `path`.

    Raises:
        DriveRLError: it is not valid YAML, or not a mapping.
    """
    try:
        raw = parse_yaml(text)
    except yaml.YAMLError as error:
        raise DriveRLError(f"{path}: is not valid YAML: {reason(error)}; fix: correct it there") from error
    if not isinstance(raw, dict):
        raise DriveRLError(f"{path}: holds {_NAMED[type(raw)]}; expected a mapping; fix: lines such as `base: NAME`")
    return cast(Raw, raw)


def reason(error: yaml.YAMLError) -> str:
    """Return why a text is not valid YAML, on one short line."""
    return textwrap.shorten(str(error)[:2000], 300, placeholder=" ...")


def with_base(shelf: Shelf, path: Path, depth: int = 0) -> Raw:
    """Return the mapping of a recipe's file, with its `base:` filled in and named after the file.

    Raises:
        DriveRLError: the file or one of its bases cannot be used.
    """
    raw = _rebase(shelf, _demanded(read_yaml(path), path), str(path), depth)
    raw["name"] = name_of(path)
    return raw


def part(shelf: Shelf, value: object, where: str, holder: Path | None = None) -> tuple[Raw, str]:
    """Return the mapping that a name, or a mapping with `base:`, stands for, and the file it came from.

    `holder` is the file that holds such a mapping.

    Raises:
        DriveRLError: it is neither, or names no recipe.
    """
    if isinstance(value, str):
        try:
            path = find(shelf, value)
        except DriveRLError as error:
            raise error if holder is None else DriveRLError(f"{where}: {error}") from error
        if path.is_dir():
            raise DriveRLError(
                f"{where} = {value!r} is a trained driver; expected a recipe (a YAML file); fix: name one, such as ppo"
            )
        return with_base(shelf, path), str(path)
    if not isinstance(value, Mapping):
        raise DriveRLError(
            f"{where} = {short(value)}: expected a name, or a mapping with `base: NAME` and differences; fix: a name"
        )
    own = dict(cast(Mapping[str, Any], value))
    own = own if holder is None else _demanded(own, holder)
    return _rebase(shelf, own, where, 0), where.split(": ")[0]


def hoist_plugins(raw: Raw, of_part: object) -> None:
    """Move a part's plugins to those of the whole, where a run records them."""
    own = raw.get("plugins", [])
    if isinstance(of_part, dict) and isinstance(of_part.get("plugins"), list) and isinstance(own, list):
        raw["plugins"] = [*own, *(each for each in of_part.pop("plugins") if each not in own)]


def _demanded(raw: Raw, path: Path) -> Raw:
    """Return a file's mapping once the plugins that it names are loaded: what follows may use their names."""
    demand(raw, path)
    return anchored_maps(anchored(raw, path), path.absolute().parent)


def _rebase(shelf: Shelf, raw: Raw, where: str, depth: int) -> Raw:
    if "base" not in raw:
        return raw
    if depth >= _DEEPEST_BASE:
        raise DriveRLError(
            f"{where}: base = {short(raw['base'])}: the chain of bases never ends; fix: break the circle"
        )
    base = raw.pop("base")
    if not isinstance(base, str):
        raise DriveRLError(f"{where}: base = {short(base)}: expected the name of an entry; fix: one of {shelf}/")
    path = find(shelf, base)
    if path.is_dir():
        raise DriveRLError(f"{where}: base = {base!r} is a trained driver, not a recipe; fix: name a YAML file")
    return merged(with_base(shelf, path, depth + 1), raw)


def merged(base: Raw, change: Mapping[str, Any]) -> Raw:
    """Return a mapping with the keys of another on top; null removes a key."""
    out = dict(base)
    for key, value in change.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], cast(Raw, value)) if both else value
    # null removes a key of the base
    return {key: value for key, value in out.items() if value is not None or key not in base}
