"""The plugins that a spec needs: what `plugins:` declares, and whether it is met.

A spec never runs code by itself. `plugins:` demands a plugin; it is met where the user has named that very file
(`--plugin FILE.py`), or trusts all that the spec names (`--trust`).
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from drive_rl.config.extensions import (
    Extension,
    Kind,
    find,
    load_file,
    load_installed,
    plugins,
    registered,
    specs_are_trusted,
)
from drive_rl.config.plugin_source import Plugin, read_plugin
from drive_rl.config.specs.base import Spec
from drive_rl.errors import DriveRLError, PluginNeededError

FOLDER = "plugins"
"""Where a run, or an exported model, keeps copies of the plugin files that it needs."""

_COPY = re.compile(rf"{FOLDER}/[\w-][\w.-]*\.py")


def _is_none(value: object) -> bool:
    return value is None


class PluginSpec(Spec):
    """A plugin that a spec needs; a bare path stands for `{file: PATH}`."""

    file: str | None = Field(
        default=None, exclude_if=_is_none, description="A Python file; a relative path starts at the spec's folder."
    )
    package: str | None = Field(
        default=None, exclude_if=_is_none, description="Or an installed package and its version."
    )
    sha256: str | None = Field(
        default=None,
        exclude_if=_is_none,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the source that ran (null: any).",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_path(cls, value: Any) -> Any:
        if not isinstance(value, str | Mapping | PluginSpec):
            raise ValueError("expected a path, or a mapping of file, package, sha256; fix: file: PATH.py")
        return {"file": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.package is None):
            raise ValueError("expected either file or package; fix: file: PATH.py")
        return self


Plugins = Annotated[
    tuple[PluginSpec, ...],
    Field(
        default=(),
        exclude_if=lambda found: not found,  # a spec that needs none is as it always was
        description="Plugins that it needs, such as [mine.py]; they run only if named by --plugin, or with --trust.",
    ),
]


@dataclass(frozen=True)
class Extends:
    """Marks a spec's field that names extensions of a kind: a string, several, or the keys of a mapping."""

    kind: Kind


def demand(raw: Mapping[str, Any], spec: Path) -> None:
    """Check that the plugins are loaded which a spec's raw mapping names; load them where the user trusts it.

    Raises:
        DriveRLError: one is not loaded, is another than was recorded, or cannot be loaded.
    """
    for plugin in _needed(raw):
        if plugin.package is not None:
            _demand_package(plugin, spec)
        else:
            _demand_file(plugin, spec)


def check_recorded(raw: Mapping[str, Any], spec: Path) -> None:
    """Check that a recorded spec names copies in its own folder: an export writes them under these names.

    Raises:
        DriveRLError: a file that is no such copy, or without its SHA-256: the spec was edited.
    """
    for plugin in _needed(raw):
        if plugin.file is not None and not _COPY.fullmatch(plugin.file):
            raise DriveRLError(
                f"{spec}: plugins: file = {plugin.file!r}: expected a copy beside it, {FOLDER}/NAME.py; fix: restore"
                f" {spec.name} as it was"
            )
        if plugin.sha256 is None:
            raise DriveRLError(
                f"{spec}: plugins: {plugin.file or plugin.package}: sha256 is missing; fix: restore {spec.name} as it"
                " was"
            )


def anchored(raw: dict[str, Any], spec: Path) -> dict[str, Any]:
    """Return a raw mapping whose `plugins` have absolute paths, for whoever merges it into another file's."""
    if not isinstance(given := raw.get("plugins"), list):
        return raw
    return {**raw, "plugins": [_absolute(one, spec.absolute().parent) for one in given]}


def used(spec: BaseModel) -> Iterator[Extension]:
    """Yield the extensions that a spec names."""
    for key, field in type(spec).model_fields.items():
        value = getattr(spec, key)
        for mark in field.metadata:
            if isinstance(mark, Extends):
                yield from _named(mark.kind, value)
        if isinstance(value, BaseModel):
            yield from used(value)


def _needed(raw: Mapping[str, Any]) -> tuple[PluginSpec, ...]:
    """Return the plugins of a raw mapping; none where it is wrong, which the spec's own validation explains."""
    try:
        return TypeAdapter(tuple[PluginSpec, ...]).validate_python(raw.get("plugins", ()))
    except ValidationError:
        return ()


def _named(kind: Kind, value: Any) -> Iterator[Extension]:
    """Yield the extensions that a field's value names; None leaves the choice open among those that are loaded."""
    if value is None:
        yield from registered(kind, installed=False).values()
    else:
        yield from filter(None, (find(kind, name) for name in ([value] if isinstance(value, str) else value)))


def _absolute(one: Any, folder: Path) -> Any:
    if isinstance(one, str):
        return os.path.normpath(folder / Path(one).expanduser())
    if isinstance(one, dict) and isinstance(one.get("file"), str):
        return {**one, "file": _absolute(one["file"], folder)}
    return one


def met(needed: PluginSpec, folder: Path) -> Plugin | None:
    """Return the loaded plugin that meets a demand, if there is one; a file of the same code meets it, too."""
    file = folder / needed.file if needed.file else None
    sha256 = needed.sha256 or (_sha256_of(file) if file else None)
    for plugin in plugins():
        if plugin.sha256 == sha256:
            return plugin
        if needed.sha256 is None and file and plugin.file.resolve() == file.resolve():
            return plugin
        if needed.sha256 is None and needed.package and plugin.package == needed.package:
            return plugin
    return None


def _sha256_of(file: Path) -> str | None:
    """Return the SHA-256 of a plugin file; None where there is none to read."""
    try:
        return read_plugin(file).sha256
    except DriveRLError:
        return None


def _demand_package(needed: PluginSpec, spec: Path) -> None:
    load_installed()
    if met(needed, spec.parent) is not None:
        return
    name = str(needed.package).partition(" ")[0]
    here = next((each for each in plugins() if each.package.partition(" ")[0] == name), None)
    found = f"{here.package} (SHA-256 {_brief(here.sha256)}) is installed" if here else "is not installed"
    raise DriveRLError(
        f"{spec}: plugins: {needed.package} (SHA-256 {_brief(needed.sha256)}): this plugin is needed, and {found}; fix:"
        f" install {needed.package}"
    )


def _demand_file(needed: PluginSpec, spec: Path) -> None:
    folder = spec.absolute().parent
    if met(needed, folder) is not None:
        return
    path = folder / str(needed.file)
    shown = path if Path(str(needed.file)).is_absolute() else spec.parent / str(needed.file)
    what = f"{spec}: plugins: {needed.file}" + (f" (SHA-256 {_brief(needed.sha256)})" if needed.sha256 else "")
    found = _sha256_of(path)
    if found is None or needed.sha256 not in (None, found):
        raise DriveRLError(f"{what}: this plugin is needed, and {_lost(needed, shown, found)}")
    if other := next((each for each in plugins() if each.file.name == path.name), None):
        raise DriveRLError(
            f"{what}: {other.file} was given, and its code is not the same (SHA-256 {_brief(other.sha256)}); fix:"
            f" --plugin {shown}"
        )
    if not specs_are_trusted():
        raise PluginNeededError(
            f"{what}: this plugin is needed; it is Python code, and runs only if you name it; fix: read it, then"
            f" --plugin {shown}, or --trust to run whatever this spec names",
            f"needs a plugin; fix: --plugin {shown}",
        )
    load_file(shown, needed.sha256)


def _lost(needed: PluginSpec, shown: Path, found: str | None) -> str:
    """Return why the file that a spec names, whose SHA-256 is `found`, is not the plugin; and the fix."""
    if needed.sha256 is None:
        return f"there is no Python file {shown} to read; fix: correct the path, or leave it out"
    state = f"{shown} was edited (SHA-256 {_brief(found)})" if found else f"{shown} is missing"
    return f"{state}; fix: restore it, or --plugin FILE.py with the code of that SHA-256, under any name"


def _brief(sha256: str | None) -> str:
    return "any" if sha256 is None else sha256[:12]
