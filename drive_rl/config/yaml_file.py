"""A YAML file, or the text of one, as a mapping. It knows no spec."""

import textwrap
from pathlib import Path
from typing import Any, cast

import yaml

from drive_rl.config.yaml_text import LARGEST, parse_yaml
from drive_rl.errors import DriveRLError
from drive_rl.plain_files import read_plain

Raw = dict[str, Any]  # a YAML mapping before validation: any plain data
_LARGEST = 4 * LARGEST  # bytes of a file: a character takes at most four
_NAMED = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}


def read_yaml(path: Path) -> Raw:
    """Return the mapping in a YAML file.

    Raises:
        DriveRLError: the file cannot be read, is not valid YAML, or holds something other than a mapping.
    """
    try:
        text = read_plain(path, _LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DriveRLError(f"{path}: cannot be read ({error}); expected a UTF-8 YAML file") from error
    return parse_mapping(text, path)


def parse_mapping(text: str, path: Path) -> Raw:
    """Return the mapping in the text of the file `path`.

    Raises:
        DriveRLError: it is not valid YAML, or not a mapping.
    """
    try:
        raw = parse_yaml(text)
    except yaml.YAMLError as error:
        raise DriveRLError(f"{path}: is not valid YAML: {reason(error)}") from error
    if not isinstance(raw, dict):
        raise DriveRLError(f"{path}: holds {_NAMED[type(raw)]}; expected a mapping of keys to values")
    return cast(Raw, raw)


def reason(error: yaml.YAMLError) -> str:
    """Return why a text is not valid YAML, on one short line."""
    return textwrap.shorten(str(error)[:2000], 300, placeholder=" ...")
