"""Kinds of YAML files: worlds, drivers, experiments and perception recipes, and which of them a file is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from drive_rl.config.raw import read_yaml
from drive_rl.config.shelf import Found, Shelf, named

Kind = Literal["world", "driver", "experiment", "perception"]

SHELF: Mapping[Kind, Shelf] = {
    "world": "envs",
    "driver": "agents",
    "experiment": "configs",
    "perception": "configs/perception",
}
"""Where files of a kind lie."""
FOUND: Mapping[Kind, Found] = {
    "world": "a world",
    "driver": "a driver recipe",
    "experiment": "an experiment",
    "perception": "a perception recipe",
}
"""What messages call a file of a kind."""


def is_adapter(path: Path) -> bool:
    """Whether a YAML file is of a perception model that others made: its `model` is a file or a name.

    Raises:
        DriveRLError: the file cannot be read.
    """
    return isinstance(read_yaml(path).get("model"), str)


def kind_of(path: Path) -> Kind | None:
    """Return a YAML file's kind, by its keys or by its base; None where it could be of several.

    Raises:
        DriveRLError: the file cannot be read.
    """
    raw = read_yaml(path)
    if {"model", "data", "fit"} & raw.keys():
        return "perception"
    if {"world", "agent"} & raw.keys():
        return "experiment"
    if "algorithm" in raw:
        return "driver"
    if {"road", "streets", "scenario"} & raw.keys():
        return "world"
    base = raw.get("base")
    kinds: list[Kind] = [kind for kind, shelf in SHELF.items() if isinstance(base, str) and base in named(shelf)]
    return kinds[0] if len(kinds) == 1 else None
