"""The only YAML reader: files, `base:` and command-line overrides -> validated specs. A failure is one paragraph."""

import copy
import reprlib
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from drive_rl.errors import DriveRLError
from drive_rl.perception_spec import PerceptionSpec
from drive_rl.plain_files import read_plain
from drive_rl.shelf import Shelf, find, nearest
from drive_rl.spec import AgentSpec, DqnSpec, PpoSpec, ReferenceSpec, RunSpec, WorldSpec
from drive_rl.yaml_text import LARGEST, Dumper, parse_yaml

Raw = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)
_DEEPEST_BASE = 8
_LARGEST = 4 * LARGEST  # bytes of a file: those of a character are four at most
_MOST_MISTAKES = 20  # that one error tells
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxtuple, _BRIEF.maxstring, _BRIEF.maxother = 3, 16, 16, 80, 80


def load_world(name: str, overrides: Iterable[str] = ()) -> WorldSpec:
    """Return the world `name` (shelf entry or YAML path), with overrides like `road.lane_width_m=3.2`."""
    return cast(WorldSpec, _load("envs", name, overrides, TypeAdapter(WorldSpec)))


def load_agent(name: str, overrides: Iterable[str] = ()) -> PpoSpec | DqnSpec | ReferenceSpec:
    """Return the driver recipe `name` (shelf entry or YAML path)."""
    return cast(PpoSpec | DqnSpec | ReferenceSpec, _load("agents", name, overrides, TypeAdapter(AgentSpec)))


def load_run(name: str, overrides: Iterable[str] = ()) -> RunSpec:
    """Return the experiment `name` (shelf entry or YAML path) with its world and driver filled in."""
    path = find("configs", name)
    raw = _with_base("configs", path)
    sources = {"": str(path)}
    for key, shelf in (("world", "envs"), ("agent", "agents")):
        if key in raw:
            raw[key], sources[key] = _part(cast(Shelf, shelf), raw[key], f"{path}: {key}")
    return cast(RunSpec, _validate(TypeAdapter(RunSpec), raw, sources, list(overrides)))


def load_perception(name: str, overrides: Iterable[str] = ()) -> PerceptionSpec:
    """Return the perception recipe `name` (shelf entry or YAML path) with its world filled in."""
    path = find("configs/perception", name)
    raw = _with_base("configs/perception", path)
    sources = {"": str(path)}
    if "world" in raw:
        raw["world"], sources["world"] = _part("envs", raw["world"], f"{path}: world")
    return cast(PerceptionSpec, _validate(TypeAdapter(PerceptionSpec), raw, sources, list(overrides)))


def read_perception(path: Path, overrides: Iterable[str] = ()) -> PerceptionSpec:
    """Return the perception recipe resolved in the `spec.yaml` of a run or of a trained model.

    Raises:
        DriveRLError: the file cannot be read, or holds none.
    """
    return cast(
        PerceptionSpec, _validate(TypeAdapter(PerceptionSpec), read_yaml(path), {"": str(path)}, list(overrides))
    )


def tells_perception(path: Path) -> bool:
    """Whether a `spec.yaml` is of a perception model rather than of a driver.

    Raises:
        DriveRLError: the file cannot be read.
    """
    return "agent" not in read_yaml(path)


def parse_run(text: str, path: Path) -> RunSpec:
    """Return the experiment resolved in a run's `spec.yaml`."""
    return cast(RunSpec, _validate(TypeAdapter(RunSpec), _parse(text, path), {"": str(path)}, []))


def read_run(path: Path, overrides: Iterable[str] = ()) -> RunSpec:
    """Return the experiment resolved in the `spec.yaml` of a run or of a trained driver.

    Raises:
        DriveRLError: the file cannot be read, or holds no experiment.
    """
    return cast(RunSpec, _validate(TypeAdapter(RunSpec), read_yaml(path), {"": str(path)}, list(overrides)))


def world_keys(changes: Iterable[str]) -> list[str]:
    """Return changes such as `world.road.lane_width_m=3.2` as `load_world` takes them, without `world.`.

    Raises:
        DriveRLError: a change is of no world.
    """
    changes = list(changes)
    for change in changes:
        if not change.startswith("world."):
            raise DriveRLError(
                f"command line: {change!r}: expected world.KEY=VALUE, such as world.road.lane_width_m=3.2"
            )
    return [change.removeprefix("world.") for change in changes]


def dump(spec: BaseModel) -> str:
    """Return a spec as YAML that reads back to the same spec."""
    return yaml.dump(spec.model_dump(mode="json"), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def _load(shelf: Shelf, name: str, overrides: Iterable[str], adapter: TypeAdapter[Any]) -> object:
    path = find(shelf, name)
    if path.is_dir():
        raise DriveRLError(f"{path} is a trained driver, not a recipe; fix: name a YAML file of {shelf}/")
    return _validate(adapter, _with_base(shelf, path), {"": str(path)}, list(overrides))


def _part(shelf: Shelf, value: object, where: str) -> tuple[Raw, str]:
    """Return the raw mapping that a name, or a mapping with `base:`, stands for, and the file it came from."""
    if isinstance(value, str):
        path = find(shelf, value)
        if path.is_dir():
            raise DriveRLError(f"{where} = {value!r} is a trained driver; expected a recipe (a YAML file)")
        return _with_base(shelf, path), str(path)
    if not isinstance(value, Mapping):
        raise DriveRLError(
            f"{where} = {_short(value)}: expected a name, or a mapping with `base: NAME` and differences"
        )
    return _rebase(shelf, dict(cast(Mapping[str, Any], value)), where, 0), where.split(": ")[0]


def _with_base(shelf: Shelf, path: Path, depth: int = 0) -> Raw:
    raw = _rebase(shelf, read_yaml(path), str(path), depth)
    raw.setdefault("name", path.stem)
    if depth == 0:
        raw["name"] = path.stem
    return raw


def _rebase(shelf: Shelf, raw: Raw, where: str, depth: int) -> Raw:
    if "base" not in raw:
        return raw
    if depth >= _DEEPEST_BASE:
        raise DriveRLError(
            f"{where}: base = {_short(raw['base'])}: the chain of bases has no end; fix: break the circle"
        )
    base = raw.pop("base")
    if not isinstance(base, str):
        raise DriveRLError(f"{where}: base = {_short(base)}: expected the name of an entry of {shelf}/")
    path = find(shelf, base)
    if path.is_dir():
        raise DriveRLError(f"{where}: base = {base!r} is a trained driver; expected a recipe (a YAML file)")
    return _merged(_with_base(shelf, path, depth + 1), raw)


def _merged(base: Raw, change: Raw) -> Raw:
    out = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], cast(Raw, value)) if both else value
    # null takes a key of the base away
    return {key: value for key, value in out.items() if value is not None or key not in base}


def read_yaml(path: Path) -> Raw:
    """Return the mapping in a YAML file.

    Raises:
        DriveRLError: the file cannot be read, is no YAML, or holds no mapping.
    """
    return _parse(_text(path), path)


def _text(path: Path) -> str:
    try:
        return read_plain(path, _LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DriveRLError(f"{path}: cannot be read ({error}); expected a UTF-8 YAML file") from error


def _parse(text: str, path: Path) -> Raw:
    try:
        raw = parse_yaml(text)
    except yaml.YAMLError as error:
        raise DriveRLError(f"{path}: is no valid YAML: {_why(error)}") from error
    if not isinstance(raw, dict):
        raise DriveRLError(f"{path}: holds {type(raw).__name__}, expected a mapping of keys to values")
    return cast(Raw, raw)


def _why(error: yaml.YAMLError) -> str:
    return textwrap.shorten(str(error)[:2000], 300, placeholder=" ...")


def _override(raw: Raw, text: str) -> str:
    """Set `a.b.c=value` in `raw`; return the key."""
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise DriveRLError(f"command line: {text!r}: expected key=value, such as agent.learning_rate=3e-4")
    if key in ("world", "agent") or key.endswith("name"):
        raise DriveRLError(f"command line: {key}: cannot be overridden; fix: write an experiment file that says so")
    if not value.strip():
        raise DriveRLError(f"command line: {text!r}: has no value; fix: {key}=VALUE, or {key}=null for none")
    try:
        parsed = parse_yaml(value)
    except yaml.YAMLError as error:
        raise DriveRLError(f"command line: {key} = {_short(value)}: is no valid YAML value: {_why(error)}") from error
    *parents, last = key.split(".")
    at = raw
    for parent in parents:
        at = at.setdefault(parent, {})
        if not isinstance(at, dict):
            raise DriveRLError(f"command line: {key}: {parent} is a value and has no keys below it")
    if parsed is None and last in at:
        del at[last]  # as in a file: null takes a key away
    else:
        at[last] = parsed
    return key


def _validate(adapter: TypeAdapter[Any], raw: Raw, sources: Mapping[str, str], overrides: list[str]) -> object:
    """Validate `raw`; `sources` maps a top-level key ("" for the rest) to the file that its values came from."""
    as_filed = copy.deepcopy(raw) if overrides else raw
    typed = {_override(raw, text) for text in overrides}
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        old = _mistakes(adapter, as_filed)
        found = error.errors()
        told = found[:_MOST_MISTAKES]
        lines = [_explain(adapter, item, sources, typed, _mistake(item) not in old) for item in told]
        if len(told) < len(found):
            lines.append(f"and {len(found) - len(told):,} more mistakes")
        raise DriveRLError("\n".join(lines)) from error


def _mistakes(adapter: TypeAdapter[Any], raw: Raw) -> list[tuple[Any, str]]:
    try:
        adapter.validate_python(raw)
    except ValidationError as error:
        return [_mistake(item) for item in error.errors()]
    return []


def _mistake(item: Any) -> tuple[Any, str]:
    return item["loc"], item["msg"]


def _explain(adapter: TypeAdapter[Any], item: Any, sources: Mapping[str, str], typed: set[str], new: bool) -> str:
    """Return one mistake as a line; `new`: the files alone do not have it."""
    keys = _keys(adapter, item["loc"])
    dotted = ".".join(keys)
    unknown = item["type"] == "extra_forbidden"
    below = any(dotted.startswith(f"{key}.") or (unknown and key.startswith(f"{dotted}.")) for key in typed)
    source = sources[""]
    if new or dotted in typed or below:
        source = "command line"
    elif keys and sources.get(keys[0], source) != source:
        source, dotted = sources[keys[0]], ".".join(keys[1:])
    message = item["msg"].removeprefix("Value error, ")
    if unknown:
        message = f"unknown key; {nearest(keys[-1], _fields(adapter, item['loc'][:-1]))}"
    if item["type"] == "missing":
        return f"{source}: {dotted}: is missing; fix: add it"
    if isinstance(item["input"], Mapping) and item["type"].endswith("_type"):
        for key in typed:
            if key.startswith(f"{dotted}."):
                return f"{source}: {key}: {keys[-1]} is a value and has no keys below it"
    if item["type"] == "model_type":
        message = f"is no mapping; expected keys below it: {', '.join(_fields(adapter, item['loc']))}"
    if not isinstance(item["input"], Mapping):
        return f"{source}: {dotted + ' = ' if dotted else ''}{_short(item['input'])}: {message}"
    if not dotted:
        return f"{source}: {message}"
    about_a_key = message.replace(".", " ").split()[0] in _fields(adapter, item["loc"])
    return f"{source}: {dotted}{'.' if about_a_key else ': '}{message}"


def _keys(adapter: TypeAdapter[Any], loc: tuple[str | int, ...]) -> list[str]:
    """Return an error's place as the user writes it: without the algorithm that pydantic puts in for a union."""
    keys = [str(part) if len(str(part)) <= 80 else f"{str(part)[:77]}..." for part in loc]
    at = 1 if keys[:1] == ["agent"] else 0
    tagged = at == 1 or any(_tag(model) for model in _models(adapter._type))
    if tagged and keys[at : at + 1] and keys[at] in ("ppo", "dqn", "reference"):
        del keys[at]
    return keys


def _short(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else _BRIEF.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fields(adapter: TypeAdapter[Any], loc: tuple[str | int, ...]) -> list[str]:
    """Return the keys known at a place of the spec."""
    models = _models(adapter._type)  # pydantic has no public name for it
    for part in loc:
        tagged = [m for m in models if _tag(m) == part]
        below = [m.model_fields[str(part)].annotation for m in models if str(part) in m.model_fields]
        models = tagged or [model for annotation in below for model in _models(annotation)]
    return sorted({key for model in models for key in model.model_fields})


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _tag(model: type[BaseModel]) -> object:
    field = model.model_fields.get("algorithm")
    return get_args(field.annotation)[0] if field else None
