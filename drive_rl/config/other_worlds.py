"""Worlds that a file names beside its own: those to learn in, of a data set, or of an exam. It validates none."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from drive_rl.config.explain import short
from drive_rl.config.overrides import parse_value, swapped
from drive_rl.config.raw import Raw, hoist_plugins, part
from drive_rl.config.shelf import named, nearest
from drive_rl.config.specs.experiment import CONTROLS
from drive_rl.errors import DriveRLError

COMMAND_LINE = "command line"
_KEY = "train_worlds"
_OF_ALL = ("car", "camera")
_FIX = "fix: such as [town, scenarios/*], or [] for `world` alone"


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


def set_train_worlds(raw: Raw, path: Path, changes: Iterable[str]) -> tuple[list[str], bool]:
    """Fill in the worlds that an experiment learns in, as its file or a change names them.

    Args:
        raw: The experiment.
        path: Its file.
        changes: `train_worlds=[town,scenarios/*]` takes the place of those of the file.

    Returns:
        The other changes, and whether one named worlds.

    Raises:
        DriveRLError: they are no list, or one of them is no world.
    """
    given, rest = swapped(_KEY, changes)
    if given is not None:
        raw[_KEY] = _filled(parse_value(_KEY, given), f"{COMMAND_LINE}: {_KEY}", Path(COMMAND_LINE), raw)
    elif _KEY in raw:
        raw[_KEY] = _filled(raw[_KEY], f"{path}: {_KEY}", path, raw)
    return rest, given is not None


def _filled(worlds: object, where: str, holder: Path, raw: Raw) -> list[Raw]:
    if worlds is None:
        return []
    if not isinstance(worlds, list):
        raise DriveRLError(f"{where} = {short(worlds)}: expected a list of worlds; {_FIX}")
    found: list[Raw] = []
    for at, given in enumerate(worlds):
        place = f"{where}.{at}"
        _check_entry(given, place)
        for each in _matching(given, place):
            try:
                found.append(part("envs", each, place, holder)[0])
            except DriveRLError as error:
                raise error if str(error).startswith(where) else DriveRLError(f"{place}: {error}") from error
            hoist_plugins(raw, found[-1])
    return found


def _check_entry(given: object, where: str) -> None:
    """Refuse an entry that has no base, or that sets what the experiment's own world says for all."""
    if not isinstance(given, dict):
        return
    if "base" not in given and "name" not in given:
        raise DriveRLError(f"{where} = {short(given)}: expected a base; fix: such as `{{base: town, ...}}`")
    task = given.get("task")
    keys = [key for key in _OF_ALL if key in given]
    keys += [f"task.{key}" for key in CONTROLS if isinstance(task, dict) and key in task]
    if keys:
        raise DriveRLError(
            f"{where}.{keys[0]}: all worlds that a driver learns in have the car, the camera and the controls of the"
            f" experiment's `world`; fix: leave it out, or set world.{keys[0]}"
        )


def _matching(given: object, where: str) -> Sequence[object]:
    """Return the names that a pattern stands for; anything else stands for itself."""
    if not isinstance(given, str) or not any(sign in given for sign in "*?["):
        return [given]
    names = [name for name in named("envs") if fnmatchcase(name, given)]
    if not names:
        raise DriveRLError(f"{where}: no world is called {short(given)}; {nearest(given, named('envs'))}")
    return sorted(names)
