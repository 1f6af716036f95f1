"""The only YAML reader: files, `base:` and command-line overrides -> validated specs. A failure is one paragraph."""

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, overload

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from drive_rl.config.explain import Given, explain
from drive_rl.config.other_worlds import COMMAND_LINE, set_train_worlds, with_worlds
from drive_rl.config.overrides import override, parse_value, swapped
from drive_rl.config.raw import Raw, hoist_plugins, merged, parse_mapping, part, read_yaml, with_base
from drive_rl.config.shelf import DEFAULT_WORLD, Shelf, find
from drive_rl.config.spec_keys import fields
from drive_rl.config.specs.adapter import AdapterSpec
from drive_rl.config.specs.copies import kept
from drive_rl.config.specs.driver import ALGORITHMS, AgentSpec, AnyDriverSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.plugin import check_recorded, demand
from drive_rl.config.specs.streets.map import Origin, anchored_maps, read_from
from drive_rl.config.specs.suite import SuiteSpec
from drive_rl.config.specs.world import ScenarioSpec, WorldSpec
from drive_rl.config.yaml_text import Dumper
from drive_rl.errors import DriveRLError

Part = Literal["world", "agent"]
RunOrFit = TypeVar("RunOrFit", RunSpec, PerceptionSpec)
_WORLD: TypeAdapter[Any] = TypeAdapter(WorldSpec)
_AGENT: TypeAdapter[Any] = TypeAdapter(AgentSpec)
_RUN: TypeAdapter[Any] = TypeAdapter(RunSpec)
_PERCEPTION: TypeAdapter[Any] = TypeAdapter(PerceptionSpec)
_SUITE: TypeAdapter[Any] = TypeAdapter(SuiteSpec)
_ADAPTER: TypeAdapter[Any] = TypeAdapter(AdapterSpec)
_PARTS: dict[Part, tuple[Shelf, TypeAdapter[Any]]] = {"world": ("envs", _WORLD), "agent": ("agents", _AGENT)}
_SHOWN = {"width_px": 160, "height_px": 80, "channels": "rgb", "frame_stack": 1}
_SHOWN |= {"fov_rad": 2.0, "pitch_rad": 0.5, "forward_m": -0.5}
"""The camera of the shipped perception models."""
_EXAMPLE: dict[Part, str] = {"world": "world.road.lane_width_m=3.2", "agent": "agent.learning_rate=3e-4"}


def load_world(name: str, overrides: Iterable[str] = ()) -> WorldSpec:
    """Return the world `name` (shelf entry or YAML path), with overrides like `road.lane_width_m=3.2`."""
    return cast(WorldSpec, _load("envs", name, overrides, _WORLD))


def load_scenario(name: str) -> tuple[WorldSpec, ScenarioSpec]:
    """Return the scenario `name` of the shelf: its world, and what makes it a scenario.

    Raises:
        DriveRLError: there is no such file, or it cannot be used; or it says nothing of a scenario.
    """
    path = find("envs/scenarios", name)
    world = cast(WorldSpec, validate(_WORLD, with_base("envs", path), {"": str(path)}, []))
    if world.scenario is None:
        raise DriveRLError(f"{path}: holds no scenario; fix: a line such as `scenario: {{ability: merging}}`")
    return world, world.scenario


def load_agent(name: str, overrides: Iterable[str] = ()) -> AnyDriverSpec:
    """Return the driver recipe `name` (shelf entry or YAML path)."""
    return cast(AnyDriverSpec, _load("agents", name, overrides, _AGENT))


def load_run(name: str, overrides: Iterable[str] = ()) -> RunSpec:
    """Return the experiment `name` (shelf entry or YAML path) with its world and driver filled in.

    Overrides such as `world=parked_cars` or `agent=dqn` replace a whole part; finer ones apply to that part.
    """
    return cast(RunSpec, _whole("configs", name, {"world": "envs", "agent": "agents"}, overrides, _RUN))


def load_perception(name: str, overrides: Iterable[str] = ()) -> PerceptionSpec:
    """Return the perception recipe `name` (shelf entry or YAML path) with its world filled in.

    An override such as `world=parked_cars` replaces the whole world; finer ones apply to the new one.
    """
    return cast(PerceptionSpec, _whole("configs/perception", name, {"world": "envs"}, overrides, _PERCEPTION))


def load_suite(name: str) -> SuiteSpec:
    """Return the suite `name` (shelf entry or YAML path) with the worlds of its conditions filled in."""
    path = find("configs/suites", name)
    raw = with_base("configs/suites", path)
    if "conditions" in raw:
        raw["conditions"] = with_worlds(raw["conditions"], f"{path}: conditions", path)
    return cast(SuiteSpec, validate(_SUITE, raw, {"": str(path)}, []))


def load_adapter(path: Path) -> AdapterSpec:
    """Return the adapter in a YAML file: a perception model that others made.

    Without a world it is shown what the shipped perception models are shown.

    Raises:
        DriveRLError: the file cannot be read, or holds none.
    """
    return adapter_of(read_yaml(path), path.stem, path)


def adapter_of(given: Mapping[str, object], name: str, path: Path) -> AdapterSpec:
    """Return the adapter in a mapping, under a name.

    Args:
        given: Its keys and values.
        name: Its name.
        path: The file that they come from.

    Raises:
        DriveRLError: it is none.
    """
    raw: Raw = {"world": {"base": DEFAULT_WORLD, "camera": dict(_SHOWN)}, **copy.deepcopy(dict(given)), "name": name}
    raw["world"], source = part("envs", raw["world"], f"{path}: world", path)
    return cast(AdapterSpec, validate(_ADAPTER, raw, {"": str(path), "world": source}, []))


def read_perception(path: Path, overrides: Iterable[str] = ()) -> PerceptionSpec:
    """Return the perception recipe resolved in the `spec.yaml` of a run or of a trained model.

    Raises:
        DriveRLError: the file cannot be read, or holds none.
    """
    return cast(PerceptionSpec, _recorded(_PERCEPTION, read_yaml(path), path, overrides))


def is_perception_spec(path: Path) -> bool:
    """Whether a `spec.yaml` is of a perception model rather than of a driver.

    Raises:
        DriveRLError: the file cannot be read.
    """
    return "agent" not in read_yaml(path)


def parse_run(text: str, path: Path) -> RunSpec:
    """Return the experiment resolved in the text of a run's `spec.yaml`."""
    return cast(RunSpec, _recorded(_RUN, parse_mapping(text, path), path))


def read_run(path: Path, overrides: Iterable[str] = ()) -> RunSpec:
    """Return the experiment resolved in the `spec.yaml` of a run or of a trained driver.

    Raises:
        DriveRLError: the file cannot be read, or holds no experiment.
    """
    return cast(RunSpec, _recorded(_RUN, read_yaml(path), path, overrides))


def read_again(spec: RunOrFit, raw: Raw, path: Path) -> RunOrFit:
    """Return the spec of the same kind in a mapping that was read from `path`.

    Raises:
        DriveRLError: the mapping holds none.
    """
    adapter = _RUN if isinstance(spec, RunSpec) else _PERCEPTION
    return cast(RunOrFit, _recorded(adapter, raw, path))


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

    def load(own: list[str]) -> Any:
        return _load(shelf, name, own, adapter, f"{part}.")

    return load(_of_part(part, changes, load))


def change_world(world: WorldSpec, changes: Iterable[str]) -> WorldSpec:
    """Return a world with changes as the command line gives them: `world.road.lane_width_m=3.2`.

    Raises:
        DriveRLError: a change is of something else, or the world cannot be so.
    """

    def change(own: list[str]) -> Any:
        return validate(_WORLD, world.model_dump(mode="json"), {"": world.name}, own, prefix="world.")

    return cast(WorldSpec, change(_of_part("world", changes, change)))


def with_parts(world: WorldSpec, parts: Mapping[str, Any], source: str) -> WorldSpec:
    """Return a world with changes as a file that has it as its base would give them: `{"camera": {"width_px": 84}}`.

    Args:
        world: The world.
        parts: Values by key; below a part, keys that are not named keep their values, and null removes one.
        source: Where they came from, for errors.

    Raises:
        DriveRLError: an unknown key, or the world cannot be so.
    """
    raw = merged(world.model_dump(mode="json"), parts)
    return cast(WorldSpec, validate(_WORLD, raw, {"": source}, [], origin="record"))


def dump(spec: BaseModel) -> str:
    """Return a spec as the YAML of a folder that keeps its maps (`copies`); it reads back to the same spec."""
    return yaml.dump(kept(spec).model_dump(mode="json"), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def _of_part(part: Part, changes: Iterable[str], load: Callable[[list[str]], object]) -> list[str]:
    """Return changes of one part without its prefix; `load` refuses those that are wrong with it, too."""
    changes, prefix = list(changes), f"{part}."
    for change in changes:
        if not change.startswith(prefix):
            known = change.partition("=")[0].partition(".")[0] in fields(_PARTS[part][1], ())
            if known:
                load([change])
            fix = f"{prefix}{change}" if known else f"write it so, such as {_EXAMPLE[part]}"
            if change.startswith("agent."):
                fix = "a YAML file with `base:` the driver and that key, named as the driver"
            raise DriveRLError(f"command line: {change!r}: expected {prefix}KEY=VALUE; fix: {fix}")
    return [change.removeprefix(prefix) for change in changes]


def _load(shelf: Shelf, name: str, overrides: Iterable[str], adapter: TypeAdapter[Any], prefix: str = "") -> Any:
    path = find(shelf, name)
    if path.is_dir():
        raise DriveRLError(f"{path} is a trained driver, not a recipe; fix: name a YAML file of {shelf}/")
    return validate(adapter, with_base(shelf, path), {"": str(path)}, list(overrides), prefix=prefix)


def _whole(
    shelf: Shelf, name: str, parts: Mapping[str, Shelf], overrides: Iterable[str], adapter: TypeAdapter[Any]
) -> object:
    """Return the validated spec of a file whose `parts` come from other shelves, or from an override `PART=NAME`."""
    path = find(shelf, name)
    raw = with_base(shelf, path)
    if isinstance(raw.get("data"), dict) and "worlds" in raw["data"]:
        raw["data"] = {**raw["data"], "worlds": with_worlds(raw["data"]["worlds"], f"{path}: data.worlds", path, raw)}
    sources, finer, swaps = {"": str(path)}, list(overrides), False
    if shelf == "configs":
        finer, swaps = set_train_worlds(raw, path, finer)
        sources |= {"train_worlds": COMMAND_LINE} if swaps else {}
    for key, of_shelf in parts.items():
        named, finer = swapped(key, finer)
        if named is not None:
            raw[key], sources[key] = part(of_shelf, parse_value(key, named), f"command line: {key}")
            swaps = True
        elif key in raw:
            raw[key], sources[key] = part(of_shelf, raw[key], f"{path}: {key}", path)
        hoist_plugins(raw, raw.get(key))
    return validate(adapter, raw, sources, finer, swaps)


def _recorded(adapter: TypeAdapter[Any], raw: Raw, path: Path, overrides: Iterable[str] = ()) -> object:
    """Return the validated spec of a run's mapping, with the maps that it keeps, once its plugins are loaded."""
    check_recorded(raw, path)
    demand(raw, path)
    raw = anchored_maps(raw, path.absolute().parent)
    return validate(adapter, raw, {"": str(path)}, list(overrides), origin="record")


def validate(
    adapter: TypeAdapter[Any],
    raw: Raw,
    sources: Mapping[str, str],
    overrides: list[str],
    swaps: bool = False,
    prefix: str = "",
    origin: Origin = "recipe",
) -> object:
    """Validate `raw`.

    Args:
        adapter: The spec.
        raw: What the files hold; `overrides` go on top.
        sources: Maps a top-level key ("" for the rest) to the file that its values came from.
        overrides: Changes of single values.
        swaps: Whether the command line named a part: parts that do not fit together are then its mistake.
        prefix: What the command line has before each of these keys.
        origin: Where `raw` was read from.
    """
    as_filed = copy.deepcopy(raw) if overrides else raw
    typed = {override(raw, text, prefix) for text in overrides}
    try:
        return adapter.validate_python(raw, context=read_from(origin))
    except ValidationError as error:
        old = _mistakes(adapter, as_filed, origin)
        given = Given(adapter, sources, typed, prefix, _algorithm(raw))
        text = explain(given, error, lambda item: _mistake(item) not in old or (swaps and not item["loc"]))
        raise DriveRLError(text) from error


def _algorithm(raw: Raw) -> str | None:
    """Return the algorithm of a raw experiment's driver, or of a raw driver; None where it is not known."""
    agent = raw.get("agent", raw)
    named = agent.get("algorithm") if isinstance(agent, Mapping) else None
    return named if named in ALGORITHMS else None


def _mistakes(adapter: TypeAdapter[Any], raw: Raw, origin: Origin) -> list[tuple[Any, str]]:
    try:
        adapter.validate_python(raw, context=read_from(origin))
    except ValidationError as error:
        return [_mistake(item) for item in error.errors()]
    return []


def _mistake(item: Any) -> tuple[Any, str]:
    return item["loc"], item["msg"]
