"""Maps of streets by kind or from a YAML file, with changes from the command line."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, TypeAdapter, create_model

from drive_rl.config.explain import short
from drive_rl.config.overrides import swapped
from drive_rl.config.raw import read_yaml
from drive_rl.config.reader import load_world, validate
from drive_rl.config.shelf import home, nearest
from drive_rl.config.specs.base import Spec
from drive_rl.config.specs.streets.map import FILE_MAPS, MAPS, MapSpec, anchored_map
from drive_rl.errors import DriveRLError

_MAPS = {
    kind: TypeAdapter(create_model("MapSection", __base__=Spec, map=(spec, Field(description="A map of streets."))))
    for kind, spec in {**MAPS, **FILE_MAPS}.items()
}
_FIX = "fix: `map: {kind: town}`"


def load_map(name: str, overrides: Iterable[str] = ()) -> MapSpec:
    """Return the map of a kind, or that in the `map:` section of a YAML file, with overrides like `map.columns=6`.

    Of a world's YAML file it is the map of its streets, with overrides like `streets.map.columns=6`.

    Raises:
        DriveRLError: neither has that name, or its values are wrong.
    """
    whole, source = {"map": {"kind": name}}, "command line"
    if name.endswith((".yaml", ".yml")):
        path = home(name)
        whole, source = read_yaml(path), str(path)
        if "map" not in whole and {"base", "streets"} & whole.keys():
            return _map_of_world(name, overrides)
        if not isinstance(section := whole.get("map"), dict):
            raise DriveRLError(f"{path}: map = {short(section)}: expected a section with the map's kind; {_FIX}")
        whole["map"] = anchored_map(section, path.absolute().parent)
    elif name not in _MAPS:
        raise DriveRLError(f"unknown map {name!r}: expected a kind of map or a YAML file; {nearest(name, _MAPS)}")
    kind = whole["map"].get("kind")
    if not isinstance(kind, str) or kind not in _MAPS:
        raise DriveRLError(f"{source}: map.kind = {short(kind)}: expected one of {', '.join(_MAPS)}; {_FIX}")
    if (asked := swapped("map.kind", overrides)[0]) in FILE_MAPS and asked != kind:
        raise DriveRLError(
            f"command line: map.kind = {asked!r}: expected {kind!r}, for a map from a file needs its path; fix:"
            f" drive-rl show map {asked} map.path=FILE"
        )
    found: Any = validate(_MAPS[kind], whole, {"": source}, list(overrides))
    return found.map


def _map_of_world(name: str, overrides: Iterable[str]) -> MapSpec:
    world = load_world(name, overrides)
    if world.streets is None:
        raise DriveRLError(f"{name}: streets = null: expected a world with streets, or a `map:` section; {_FIX}")
    return world.streets.map
