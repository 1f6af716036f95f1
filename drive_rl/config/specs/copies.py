"""What a folder that holds a spec, such as a run's, keeps beside it: copies of the plugins and maps that it needs.

The spec names each copy and its SHA-256.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from drive_rl.config.extensions import plugins
from drive_rl.config.plugin_source import Plugin
from drive_rl.config.specs.plugin import FOLDER, PluginSpec, met, used
from drive_rl.config.specs.streets.map import FileMapSpec, read_map_file, sum_of

_MAPS = "maps"

_Any = TypeVar("_Any", bound=BaseModel)


def recorded(spec: _Any) -> _Any:
    """Return a spec whose `plugins` are all that it needs: those it names, and those that registered what it uses.

    Files are named as their copies in the folder that will hold the spec (`copies`).
    """
    needed = [found for each in getattr(spec, "plugins", ()) if (found := met(each, Path())) is not None]
    needed += [extension.plugin for extension in used(spec)]
    unique = {plugin.sha256: plugin for plugin in needed}
    if not unique:
        return spec
    taken: dict[str, str] = {}
    return spec.model_copy(update={"plugins": tuple(_record(plugin, taken) for plugin in unique.values())})


def with_sums(spec: _Any) -> _Any:
    """Return a spec that names the SHA-256 of each map from a file: from then on another file is refused.

    Raises:
        DriveRLError: one cannot be read.
    """
    return _with_maps(spec, lambda own: own.model_copy(update={"sha256": sum_of(read_map_file(own.path, own.sha256))}))


def kept(spec: _Any) -> _Any:
    """Return a spec as the folder that holds it does: maps that have a SHA-256 are named as their copies there."""
    taken: dict[str, str] = {}
    return _with_maps(
        spec, lambda own: own.model_copy(update={"path": _copy_of(own, own.sha256, taken)}) if own.sha256 else own
    )


def copies(spec: BaseModel) -> dict[str, bytes]:
    """Return the files to keep beside a recorded spec, path -> content: its plugins as they ran, and its maps.

    Raises:
        DriveRLError: a map cannot be read, or is another than the spec has.
    """
    sources = {plugin.sha256: plugin.source for plugin in plugins()}
    needed: tuple[PluginSpec, ...] = getattr(spec, "plugins", ())
    found = {each.file: sources[str(each.sha256)] for each in needed if each.file is not None}
    taken: dict[str, str] = {}

    def keep(own: FileMapSpec) -> FileMapSpec:
        if own.sha256:
            found[_copy_of(own, own.sha256, taken)] = read_map_file(own.path, own.sha256)
        return own

    _with_maps(spec, keep)
    return found


def _record(plugin: Plugin, taken: dict[str, str]) -> PluginSpec:
    if plugin.package:
        return PluginSpec(package=plugin.package, sha256=plugin.sha256)
    return PluginSpec(file=_name(FOLDER, plugin.file, plugin.sha256, taken), sha256=plugin.sha256)


def _copy_of(own: FileMapSpec, sha256: str, taken: dict[str, str]) -> str:
    return _name(_MAPS, Path(own.path), sha256, taken)


def _name(folder: str, file: Path, sha256: str, taken: dict[str, str]) -> str:
    """Return the path of a file's copy; those that are `taken`, path -> SHA-256, hold other files."""
    stem, number = re.sub(r"[^\w.-]", "_", file.stem), 2
    name = f"{folder}/{stem}{file.suffix}"
    while taken.setdefault(name, sha256) != sha256:
        name, number = f"{folder}/{stem}-{number}{file.suffix}", number + 1
    return name


def _with_maps(value: Any, change: Callable[[FileMapSpec], FileMapSpec]) -> Any:
    """Return a spec, or a value of one, with changed maps from files, wherever in it they are."""
    if isinstance(value, FileMapSpec):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_with_maps(each, change) for each in value)
    if isinstance(value, dict):
        return {key: _with_maps(each, change) for key, each in value.items()}
    if not isinstance(value, BaseModel):
        return value
    parts = {key: (old, _with_maps(old, change)) for key in type(value).model_fields for old in [getattr(value, key)]}
    return value.model_copy(update={key: new for key, (old, new) in parts.items() if new != old})
