"""Worlds that a file names beside its own: those to learn in, of a data set, or of an exam. It validates none."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from drive_rl.config.explain import short
from drive_rl.config.overrides import parse_value, swapped
from drive_rl.config.raw import Raw, hoist_plugins, part
from drive_rl.config.shelf import named, nearest
from drive_rl.errors import DriveRLError

_KEY = "train_worlds"


def with_worlds(entries: object, where: str, path: Path, plugins_to: Raw | None = None) -> object:
    """Return a file's mapping of entries with the world of each filled in; what is none is left to its spec."""
    if not isinstance(entries, dict):
        return entries
    filled = {key: dict(given) if isinstance(given, dict) else given for key, given in entries.items()}
    for key, given in filled.items():
        if isinstance(given, dict) and "world" in given:
            given["world"], _ = part("envs", given["world"], f"{where}.{key}.world", path)
            if plugins_to is not None:
                hoist_plugins(plugins_to, given["world"])
    return filled


def set_train_worlds(raw: Raw, path: Path, changes: Iterable[str]) -> list[str]:
    """Fill in the worlds that an experiment learns in, as its file or a change names them; return the other changes.

    Args:
        raw: The experiment.
        path: Its file.
        changes: `train_worlds=[town,scenarios/*]` takes the place of those of the file.

    Raises:
        DriveRLError: they are no list, or one of them is no world.
    """
    given, rest = swapped(_KEY, changes)
    if given is not None:
        raw[_KEY] = _filled(parse_value(_KEY, given), f"command line: {_KEY}", None, raw)
    elif _KEY in raw:
        raw[_KEY] = _filled(raw[_KEY], f"{path}: {_KEY}", path, raw)
    return rest


def _filled(worlds: object, where: str, holder: Path | None, raw: Raw) -> list[Raw]:
    if not isinstance(worlds, list):
        raise DriveRLError(f"{where} = {short(worlds)}: expected a list of worlds; fix: such as [town, scenarios/*]")
    found = [part("envs", each, where, holder)[0] for given in worlds for each in _matching(given, where)]
    for each in found:
        hoist_plugins(raw, each)
    return found


def _matching(given: object, where: str) -> Sequence[object]:
    """Return the names that a pattern stands for; anything else stands for itself."""
    if not isinstance(given, str) or "*" not in given:
        return [given]
    names = [name for name in named("envs") if fnmatchcase(name, given)]
    if not names:
        raise DriveRLError(f"{where}: no world is called {short(given)}; {nearest(given, named('envs'))}")
    return sorted(names)
