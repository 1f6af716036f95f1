"""The only YAML reader: files, `base:` and command-line overrides -> validated specs. A failure is one paragraph."""

import copy
import reprlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, overload

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from drive_rl.config.driver_spec import ALGORITHMS, PLUGIN_DRIVER, AgentSpec, AnyDriverSpec
from drive_rl.config.experiment_spec import RunSpec
from drive_rl.config.extensions import unknown
from drive_rl.config.perception_spec import PerceptionSpec
from drive_rl.config.plugin_spec import anchored, demand
from drive_rl.config.shelf import Shelf, find, nearest
from drive_rl.config.world_spec import WorldSpec
from drive_rl.config.yaml_text import LARGEST, Dumper, parse_yaml
from drive_rl.errors import DriveRLError
from drive_rl.plain_files import read_plain

Raw = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)
Part = Literal["world", "agent"]
_PARTS: dict[Part, tuple[Shelf, TypeAdapter[Any]]] = {
    "world": ("envs", TypeAdapter(WorldSpec)),
    "agent": ("agents", TypeAdapter(AgentSpec)),
}
_SUCH_AS: dict[Part, str] = {"world": "world.road.lane_width_m=3.2", "agent": "agent.learning_rate=3e-4"}
_DEEPEST_BASE = 8
_LARGEST = 4 * LARGEST  # bytes of a file: those of a character are four at most
_MOST_MISTAKES = 20  # that one error tells
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxtuple, _BRIEF.maxstring, _BRIEF.maxother = 3, 16, 16, 80, 80


def load_world(name: str, overrides: Iterable[str] = ()) -> WorldSpec:
    """Return the world `name` (shelf entry or YAML path), with overrides like `road.lane_width_m=3.2`."""
    return cast(WorldSpec, _load("envs", name, overrides, TypeAdapter(WorldSpec)))


def load_agent(name: str, overrides: Iterable[str] = ()) -> AnyDriverSpec:
    """Return the driver recipe `name` (shelf entry or YAML path)."""
    return cast(AnyDriverSpec, _load("agents", name, overrides, TypeAdapter(AgentSpec)))


def load_run(name: str, overrides: Iterable[str] = ()) -> RunSpec:
    """Return the experiment `name` (shelf entry or YAML path) with its world and driver filled in.

    Overrides such as `world=parked_cars` or `agent=dqn` take another part as a whole; finer ones apply to that part.
    """
    return cast(RunSpec, _whole("configs", name, {"world": "envs", "agent": "agents"}, overrides, TypeAdapter(RunSpec)))


def load_perception(name: str, overrides: Iterable[str] = ()) -> PerceptionSpec:
    """Return the perception recipe `name` (shelf entry or YAML path) with its world filled in.

    An override such as `world=parked_cars` takes another world as a whole; finer ones apply to that.
    """
    adapter = TypeAdapter(PerceptionSpec)
    return cast(PerceptionSpec, _whole("configs/perception", name, {"world": "envs"}, overrides, adapter))


def read_perception(path: Path, overrides: Iterable[str] = ()) -> PerceptionSpec:
    """Return the perception recipe resolved in the `spec.yaml` of a run or of a trained model.

    Raises:
        DriveRLError: the file cannot be read, or holds none.
    """
    raw = _demanded(read_yaml(path), path)
    return cast(PerceptionSpec, _validate(TypeAdapter(PerceptionSpec), raw, {"": str(path)}, list(overrides)))


def is_perception_spec(path: Path) -> bool:
    """Whether a `spec.yaml` is of a perception model rather than of a driver.

    Raises:
        DriveRLError: the file cannot be read.
    """
    return "agent" not in read_yaml(path)


def parse_run(text: str, path: Path) -> RunSpec:
    """Return the experiment resolved in a run's `spec.yaml`."""
    raw = _demanded(_parse(text, path), path)
    return cast(RunSpec, _validate(TypeAdapter(RunSpec), raw, {"": str(path)}, []))


def read_run(path: Path, overrides: Iterable[str] = ()) -> RunSpec:
    """Return the experiment resolved in the `spec.yaml` of a run or of a trained driver.

    Raises:
        DriveRLError: the file cannot be read, or holds no experiment.
    """
    raw = _demanded(read_yaml(path), path)
    return cast(RunSpec, _validate(TypeAdapter(RunSpec), raw, {"": str(path)}, list(overrides)))


@overload
def load_part(part: Literal["world"], name: str, changes: Iterable[str]) -> WorldSpec: ...
@overload
def load_part(part: Literal["agent"], name: str, changes: Iterable[str]) -> AnyDriverSpec: ...
def load_part(part: Part, name: str, changes: Iterable[str]) -> BaseModel:
    """Return a world or driver recipe with changes as the command line gives them: `world.road.lane_width_m=3.2`.

    Raises:
        DriveRLError: a change is of something else; or as `load_world`.
    """
    shelf, adapter = _PARTS[part]
    changes, prefix = list(changes), f"{part}."
    for change in changes:
        if not change.startswith(prefix):
            known = change.partition("=")[0].partition(".")[0] in _fields(adapter, ())
            fix = f"{prefix}{change}" if known else f"write it so, such as {_SUCH_AS[part]}"
            raise DriveRLError(f"command line: {change!r}: expected {prefix}KEY=VALUE; fix: {fix}")
    return _load(shelf, name, [change.removeprefix(prefix) for change in changes], adapter, prefix)


def swapped(part: str, changes: Iterable[str]) -> tuple[str | None, list[str]]:
    """Return the name that a change such as `world=NAME` gives a part, if any, and the other changes.

    Raises:
        DriveRLError: it names nothing.
    """
    changes, prefix = list(changes), f"{part}="
    names = [change.removeprefix(prefix).strip() for change in changes if change.startswith(prefix)]
    if "" in names:
        raise DriveRLError(f"command line: {prefix!r}: has no value; fix: {prefix}NAME")
    return (names[-1] if names else None), [change for change in changes if not change.startswith(prefix)]


def dump(spec: BaseModel) -> str:
    """Return a spec as YAML that reads back to the same spec."""
    return yaml.dump(spec.model_dump(mode="json"), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def _load(shelf: Shelf, name: str, overrides: Iterable[str], adapter: TypeAdapter[Any], prefix: str = "") -> Any:
    path = find(shelf, name)
    if path.is_dir():
        raise DriveRLError(f"{path} is a trained driver, not a recipe; fix: name a YAML file of {shelf}/")
    return _validate(adapter, _with_base(shelf, path), {"": str(path)}, list(overrides), prefix=prefix)


def _whole(
    shelf: Shelf, name: str, parts: Mapping[str, Shelf], overrides: Iterable[str], adapter: TypeAdapter[Any]
) -> object:
    """Return the validated spec of a file whose `parts` come from other shelves, or from an override `PART=NAME`."""
    path = find(shelf, name)
    raw = _with_base(shelf, path)
    sources, finer, swaps = {"": str(path)}, list(overrides), False
    for key, part in parts.items():
        named, finer = swapped(key, finer)
        if named is not None:
            raw[key], sources[key] = _part(part, _value(key, named), f"command line: {key}")
            swaps = True
        elif key in raw:
            raw[key], sources[key] = _part(part, raw[key], f"{path}: {key}", path)
        _hoist_plugins(raw, key)
    return _validate(adapter, raw, sources, finer, swaps)


def _part(shelf: Shelf, value: object, where: str, holder: Path | None = None) -> tuple[Raw, str]:
    """Return the raw mapping that a name, or a mapping with `base:`, stands for, and the file it came from.

    `holder` is the file that holds such a mapping.
    """
    if isinstance(value, str):
        path = find(shelf, value)
        if path.is_dir():
            raise DriveRLError(
                f"{where} = {value!r} is a trained driver; expected a recipe (a YAML file); fix: name one, such as ppo"
            )
        return _with_base(shelf, path), str(path)
    if not isinstance(value, Mapping):
        raise DriveRLError(
            f"{where} = {_short(value)}: expected a name, or a mapping with `base: NAME` and differences"
        )
    own = dict(cast(Mapping[str, Any], value))
    if holder is not None:
        own = anchored(_demanded(own, holder), holder)
    return _rebase(shelf, own, where, 0), where.split(": ")[0]


def _demanded(raw: Raw, path: Path) -> Raw:
    """Return a file's mapping once the plugins are loaded that it names: what follows may use their names."""
    demand(raw, path)
    return raw


def _hoist_plugins(raw: Raw, key: str) -> None:
    """Move a part's plugins to those of the whole, where a run records them."""
    part, own = raw.get(key), raw.get("plugins", [])
    if isinstance(part, dict) and isinstance(part.get("plugins"), list) and isinstance(own, list):
        raw["plugins"] = [*own, *(each for each in part.pop("plugins") if each not in own)]


def _with_base(shelf: Shelf, path: Path, depth: int = 0) -> Raw:
    raw = _rebase(shelf, anchored(_demanded(read_yaml(path), path), path), str(path), depth)
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


def _override(raw: Raw, text: str, prefix: str) -> str:
    """Set `a.b.c=value` in `raw`, typed with a prefix; return the key without it."""
    key, equals, value = text.partition("=")
    typed = prefix + key
    if not equals or not all(key.split(".")):
        raise DriveRLError(f"command line: {prefix + text!r}: expected key=value, such as agent.learning_rate=3e-4")
    if key.split(".")[-1] == "name":
        raise DriveRLError(f"command line: {typed}: cannot be overridden; fix: copy the file under another name")
    if key.split(".")[-1] == "plugins":
        raise DriveRLError(f"command line: {typed}: cannot be overridden; fix: --plugin FILE.py")
    if not value.strip():
        raise DriveRLError(
            f"command line: {prefix + text!r}: has no value; fix: {typed}=VALUE, or {typed}=null for none"
        )
    parsed = _value(typed, value)
    *parents, last = key.split(".")
    at = raw
    for parent in parents:
        at = at.setdefault(parent, {})
        if not isinstance(at, dict):
            raise DriveRLError(f"command line: {typed}: {parent} is a value and has no keys below it")
    if parsed is None and last in at:
        del at[last]  # as in a file: null takes a key away
    else:
        at[last] = parsed
    return key


def _value(key: str, text: str) -> object:
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise DriveRLError(f"command line: {key} = {_short(text)}: is no valid YAML value: {_why(error)}") from error


def _validate(
    adapter: TypeAdapter[Any],
    raw: Raw,
    sources: Mapping[str, str],
    overrides: list[str],
    swaps: bool = False,
    prefix: str = "",
) -> object:
    """Validate `raw`.

    Args:
        adapter: The spec.
        raw: What the files say; `overrides` go on top.
        sources: Maps a top-level key ("" for the rest) to the file that its values came from.
        overrides: Changes of single values.
        swaps: Whether the command line named a part: that parts do not go together is then its doing.
        prefix: What the command line has before each of these keys.
    """
    as_filed = copy.deepcopy(raw) if overrides else raw
    typed = {_override(raw, text, prefix) for text in overrides}
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        old = _mistakes(adapter, as_filed)
        found = error.errors()
        lines = [
            _explain(adapter, item, sources, typed, _mistake(item) not in old or (swaps and not item["loc"]), prefix)
            for item in found[:_MOST_MISTAKES]
        ]
        if len(lines) < len(found):
            lines.append(f"and {len(found) - len(lines):,} more mistakes")
        raise DriveRLError("\n".join(lines)) from error


def _mistakes(adapter: TypeAdapter[Any], raw: Raw) -> list[tuple[Any, str]]:
    try:
        adapter.validate_python(raw)
    except ValidationError as error:
        return [_mistake(item) for item in error.errors()]
    return []


def _mistake(item: Any) -> tuple[Any, str]:
    return item["loc"], item["msg"]


def _explain(
    adapter: TypeAdapter[Any], item: Any, sources: Mapping[str, str], typed: set[str], new: bool, prefix: str
) -> str:
    """Return one mistake as a line; `new`: the files alone do not have it; `prefix`: typed before each key."""
    keys = _keys(adapter, item["loc"])
    dotted = ".".join(keys)
    unknown = item["type"] == "extra_forbidden"
    below = any(dotted.startswith(f"{key}.") or (unknown and key.startswith(f"{dotted}.")) for key in typed)
    source = sources[""]
    if new or dotted in typed or below:
        source, dotted = "command line", f"{prefix}{dotted}" if dotted else ""
    elif keys and sources.get(keys[0], source) != source:
        source, dotted = sources[keys[0]], ".".join(keys[1:])
    message = item["msg"].removeprefix("Value error, ")
    if unknown:
        message = f"unknown key; {_nearest_key(adapter, item['loc'], prefix)}"
    if item["type"] == "union_tag_invalid":
        message = _unknown_algorithm(item["ctx"])
    if item["type"] == "union_tag_not_found":
        message = "algorithm: is missing; fix: add it, such as algorithm: ppo"
    if item["type"] == "missing":
        return f"{source}: {dotted}: is missing; fix: add it"
    if isinstance(item["input"], Mapping) and item["type"].endswith("_type"):
        for key in typed:
            if keys and key.startswith(f"{'.'.join(keys)}."):
                return f"{source}: {prefix}{key}: {keys[-1]} is a value and has no keys below it"
    if item["type"] == "model_type":
        message = f"is no mapping; expected keys below it: {', '.join(_fields(adapter, item['loc']))}"
    if not isinstance(item["input"], Mapping):
        return f"{source}: {dotted + ' = ' if dotted else ''}{_short(item['input'])}: {message}"
    if not dotted:
        return f"{source}: {message}"
    about_a_key = message.replace(".", " ").split()[0] in _fields(adapter, item["loc"])
    return f"{source}: {dotted}{'.' if about_a_key else ': '}{message}"


def _unknown_algorithm(ctx: Mapping[str, Any]) -> str:
    tag, expected = str(ctx["tag"]), str(ctx["expected_tags"])
    if repr(PLUGIN_DRIVER) in expected:
        return f"algorithm = {tag!r}: {unknown('driver', tag, ALGORITHMS)}"
    return f"algorithm = {tag!r}: expected one of {expected}"


def _keys(adapter: TypeAdapter[Any], loc: tuple[str | int, ...]) -> list[str]:
    """Return an error's place as the user writes it: without the algorithm that pydantic puts in for a union."""
    keys = [str(part) if len(str(part)) <= 80 else f"{str(part)[:77]}..." for part in loc]
    at = 1 if keys[:1] == ["agent"] else 0
    tagged = at == 1 or any(_tag(model) for model in _models(adapter._type))
    if tagged and keys[at : at + 1] and keys[at] in (*ALGORITHMS, PLUGIN_DRIVER):
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


def _nearest_key(adapter: TypeAdapter[Any], loc: tuple[str | int, ...], prefix: str) -> str:
    """Return the mend for an unknown key: the nearest one beside it, or one of that name elsewhere in the spec."""
    beside = _fields(adapter, loc[:-1])
    elsewhere: dict[str, str] = {}
    for dotted in sorted(_dotted(_models(adapter._type)), key=len):
        elsewhere.setdefault(dotted.rpartition(".")[2], f"{prefix}{dotted}")
    return nearest(str(loc[-1]), beside, {leaf: dotted for leaf, dotted in elsewhere.items() if leaf not in beside})


def _dotted(models: Iterable[type[BaseModel]], above: str = "") -> Iterator[str]:
    for model in models:
        for key, field in model.model_fields.items():
            yield f"{above}{key}"
            if get_origin(field.annotation) is not dict:  # whose keys are the user's own
                yield from _dotted(_models(field.annotation), f"{above}{key}.")


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _tag(model: type[BaseModel]) -> object:
    field = model.model_fields.get("algorithm")
    return next(iter(get_args(field.annotation)), PLUGIN_DRIVER) if field else None
