"""The contents of the shelves and of `runs/`: a list of all, and one of them with every value explained.

It knows files and specs. It loads no weights and imports nothing heavy.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drive_rl.config import extensions
from drive_rl.config.kinds import SHELF, Kind, is_adapter, kind_of
from drive_rl.config.reader import (
    Part,
    is_perception_spec,
    load_adapter,
    load_agent,
    load_part,
    load_perception,
    load_run,
    load_world,
    read_perception,
    read_run,
)
from drive_rl.config.shelf import DEFAULT_WORLD, entries, home, named, shelf_folders, unknown
from drive_rl.config.specs.adapter import AdapterSpec
from drive_rl.config.specs.driver import PluginDriverSpec, helps
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError, PluginNeededError
from drive_rl.plain_text import plain
from drive_rl.registration import gym_id, worlds_of_ids
from drive_rl.report.run_list import newest_runs
from drive_rl.report.scenario_list import below_abilities
from drive_rl.run.resolve import TrainedFolder, resolve

_LOAD: dict[Kind, Any] = {
    "world": load_world,
    "driver": load_agent,
    "experiment": load_run,
    "perception": load_perception,
}
_PRECEDENCE: tuple[Kind, ...] = ("experiment", "perception", "driver", "world")
"""Which kind a shared name means: the whole before its parts, and what can be changed before its result."""
_TITLE: dict[Kind, str] = {"perception": "perception recipes"}
_COMMENT_COLUMN = 36


def print_catalogue(console: Console | None = None, runs: Path = Path("runs")) -> None:
    """Print worlds with their ids, scenarios, drivers, experiments, perception recipes, loaded plugins, newest runs.

    A broken file is listed with its error.
    """
    console = console or Console()
    files = worlds_of_ids()
    for kind, shelf in SHELF.items():
        table = _titled(_TITLE.get(kind, f"{kind}s"))
        table.add_column(no_wrap=True)
        if kind in ("world", "driver"):
            table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, path in entries(shelf).items():
            cells = (name, *_between(kind, name, path, files), _described(kind, name, path))
            table.add_row(*(Text(plain(cell)) for cell in cells))
        console.print(table)
        if kind == "world":
            _print_scenarios(console)
    _print_plugins(console)
    _print_runs(console, runs)
    console.print("drive-rl show NAME prints one with every value explained.", highlight=False)


def explained(name: str, overrides: list[str]) -> str:
    """Return a world, driver, experiment or run as YAML, each key with its meaning.

    If several things share the name, the experiment comes before the driver that it trained, and a line names the
    others; `driver:NAME` selects one of them.

    Raises:
        DriveRLError: nothing has the name, or its file or the overrides are wrong.
    """
    head, colon, tail = name.partition(":")
    kinds: dict[str, Kind] = {kind: kind for kind in SHELF}
    kind = kinds.get(head) if colon else None
    heading, spec = _find(tail if kind else name, overrides, kind)
    return "\n".join([*(f"# {plain(line)}" for line in heading), *_lines(spec, "")])


def recorded(folder: Path) -> RunSpec | PerceptionSpec:
    """Return the spec of a run, a trained driver or a perception model.

    Raises:
        DriveRLError: its `spec.yaml` is missing or damaged.
    """
    path = folder / "spec.yaml"
    return read_perception(path) if is_perception_spec(path) else read_run(path)


def new_driver_folder(name: str) -> Path:
    """Return the folder of a new trained driver: on the user's own shelf if there is one, else on the checkout's.

    Raises:
        DriveRLError: the name is not valid, or a recipe's or a world's; or only the installed package has a shelf.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.endswith((".yaml", ".yml", ".zip")):
        raise DriveRLError(
            f"export: name = {name!r}: expected letters, digits, '-', '_' and '.'; fix: such as my-driver"
        )
    if (known := entries("agents").get(name)) is not None and known.is_file():
        raise DriveRLError(f"export: {name!r} is the name of the recipe {known}; fix: another name")
    if name in entries("envs"):
        raise DriveRLError(f"export: {name!r} is the name of a world, which it would hide; fix: another name")
    own = next((Path(part) for part in os.environ.get("DRIVE_RL_PATH", "").split(os.pathsep) if part), None)
    shelf = own / "agents" if own else shelf_folders("agents")[-1]
    if shelf.parent.name == "_shelf":
        raise DriveRLError(f"export: {shelf} is part of the installed package; fix: export DRIVE_RL_PATH=FOLDER first")
    return shelf / name


def _find(name: str, overrides: list[str], kind: Kind | None) -> tuple[list[str], BaseModel]:
    """Return lines that describe what was found, and its spec."""
    path = home(name)
    if name.endswith((".yaml", ".yml")) and path.is_file():
        if kind in (None, "driver") and is_adapter(path):
            return [f"adapter {path}"], _adapter(path, overrides)
        kind = kind or _known_kind(path)
        return [f"{kind} {path}"], _loaded(kind, name, overrides)
    kinds: list[Kind] = [each for each in _PRECEDENCE if kind in (None, each) and name in named(SHELF[each])]
    if kinds:
        what, spec = _on_shelf(kinds[0], name, overrides)
        others = [f"also the name of {_a(each)}: drive-rl show {each}:{name}" for each in kinds[1:]]
        return [what, *others], spec
    if kind is not None:
        raise unknown(_TITLE.get(kind, f"{kind}s")[:-1], name, named(SHELF[kind]))
    found = resolve(name, "world, driver, experiment or run", needs_weights=False)
    if not isinstance(found, TrainedFolder):
        raise DriveRLError(f"{name}: holds no spec to show; fix: name a YAML file or a run folder that is there")
    spec = _as_made(found.home, overrides)
    return [f"{'run' if found.run else _trained(spec)} {found.home}"], spec


def _known_kind(path: Path) -> Kind:
    """Return the kind of a YAML file.

    Raises:
        DriveRLError: it could be of several.
    """
    if (kind := kind_of(path)) is None:
        raise DriveRLError(
            f"{path}: could be a world, a driver, an experiment or a perception recipe; fix: name the kind, as in"
            f" world:{path} ({', '.join(SHELF)})"
        )
    return kind


def _on_shelf(kind: Kind, name: str, overrides: list[str]) -> tuple[str, BaseModel]:
    found = named(SHELF[kind])[name]
    if kind == "driver" and found.is_file() and is_adapter(found):
        return f"adapter {name}, from {found}", _adapter(found, overrides)
    if found.is_dir():
        spec = _as_made(found, overrides)
        return f"{_trained(spec)} {name}, from {found}", spec
    return f"{kind} {name}, from {found}", _loaded(kind, name, overrides)


def _adapter(path: Path, overrides: list[str]) -> AdapterSpec:
    if overrides:
        raise DriveRLError(f"command line: {overrides[0]!r}: {path} is not changed so; fix: change the file")
    return load_adapter(path)


def _loaded(kind: Kind, name: str, overrides: list[str]) -> BaseModel:
    """Return a spec with overrides, which are written as in `drive-rl train` for every kind."""
    part: Part | None = {"world": "world", "driver": "agent"}.get(kind)  # pyright: ignore[reportAssignmentType]
    return _usable(load_part(part, name, overrides) if part else _LOAD[kind](name, overrides))


def _usable(spec: BaseModel) -> Any:
    """Return a spec; refuse a plugin's driver that cannot be made, as driving with it would."""
    if isinstance(spec, PluginDriverSpec):
        from drive_rl.drivers.plugin_driver import plugin_driver

        plugin_driver(spec, load_world(DEFAULT_WORLD))
    return spec


def _print_scenarios(console: Console) -> None:
    """Print the scenarios, each ability's below its name."""
    table = _titled("scenarios (world=scenarios/NAME)")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in below_abilities():
        table.add_row(*(Text(plain(cell)) for cell in row))
    if table.row_count:
        console.print(table)


def _titled(title: str) -> Table:
    return Table(box=SIMPLE, pad_edge=False, title=title, title_justify="left", show_header=False)


def _print_plugins(console: Console) -> None:
    """Print what the plugins that are loaded have registered."""
    table = _titled("plugins")
    for kind in get_args(extensions.Kind):
        for name, extension in extensions.registered(kind, installed=False).items():
            table.add_row(*(Text(plain(cell)) for cell in (name, kind.replace("_", " "), str(extension.plugin))))
    if table.row_count:
        console.print(table)


def _print_runs(console: Console, root: Path) -> None:
    """Print the newest runs, the newest last."""
    lines, older = newest_runs(root)
    if not lines:
        return
    table = _titled("runs")
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    if older:
        table.add_row(Text(f"({older} older)"))
    for line in lines:
        table.add_row(*(Text(cell) for cell in (str(line.path), line.progress, line.best, line.state)))
    console.print(table)


def _trained(spec: RunSpec | PerceptionSpec) -> str:
    return "perception model" if isinstance(spec, PerceptionSpec) else "trained driver"


def _as_made(folder: Path, overrides: list[str]) -> RunSpec | PerceptionSpec:
    if overrides:
        raise DriveRLError(
            f"command line: {overrides[0]!r}: {folder} is trained and cannot be changed; fix: leave the change out"
        )
    return recorded(folder)


def _between(kind: Kind, name: str, path: Path, files: Mapping[str, list[Path]]) -> list[str]:
    """Return the cells between a name and its description; `files` are the worlds that share an id."""
    if kind == "world":
        return [f"{gym_id(name)}{' (several files)' if len(files[gym_id(name)]) > 1 else ''}"]
    if kind != "driver":
        return []
    return ["trained" if path.is_dir() else "adapter" if _names_model(path) else "recipe"]


def _names_model(path: Path) -> bool:
    """Whether a file is an adapter; one that cannot be read is listed as broken."""
    try:
        return is_adapter(path)
    except DriveRLError:
        return False


def _a(kind: Kind) -> str:
    return f"{'an' if kind == 'experiment' else 'a'} {_TITLE.get(kind, f'{kind}s')[:-1]}"


def _described(kind: Kind, name: str, path: Path) -> str:
    try:
        if kind == "driver" and path.is_file() and is_adapter(path):
            return _described_adapter(load_adapter(path))
        spec = recorded(path) if path.is_dir() else _usable(_LOAD[kind](name))
    except PluginNeededError as error:
        return error.needs
    except (DriveRLError, OSError) as error:
        return f"BROKEN: {error}"
    if not path.is_dir():
        return spec.description
    if isinstance(spec, PerceptionSpec):
        heads, worlds = ", ".join(spec.model.heads), ", ".join(spec.worlds or (spec.world.name,))
        return f"perception model: {spec.model.encoder.kind}, heads {heads}, trained in {worlds}"
    help = ", ".join(helps(spec.agent))
    return f"{spec.agent.algorithm.upper()} trained in {spec.learned_in}, seed {spec.seed}; help: {help}"


def _described_adapter(spec: AdapterSpec) -> str:
    kinds = ", ".join(dict.fromkeys(output.kind for output in spec.outputs.values())) or "as ours"
    return spec.description or f"perception model: {spec.model} ({spec.network}), outputs {kinds.replace('_', ' ')}"


def _lines(spec: BaseModel, pad: str) -> Iterator[str]:
    """Yield a spec's keys as YAML lines, each followed by its meaning."""
    plain = spec.model_dump(mode="json")
    for key, field in type(spec).model_fields.items():
        if key not in plain:  # what few specs have
            continue
        value = getattr(spec, key)
        parts: dict[str, BaseModel] = {}
        if isinstance(value, dict):
            parts = {k: v for k, v in value.items() if isinstance(v, BaseModel)}
        if isinstance(value, BaseModel) or parts:
            yield _line(f"{pad}{key}:", field.description)
            yield from _lines(value, f"{pad}  ") if isinstance(value, BaseModel) else _entries(parts, f"{pad}  ")
        else:
            flow = isinstance(plain[key], dict) or None  # on one line
            text = yaml.safe_dump({key: plain[key]}, default_flow_style=flow, allow_unicode=True, width=10**6).strip()
            first, *more = (text[1:-1] if text.startswith("{") else text).splitlines()
            yield from (_line(pad + first, field.description), *(pad + line for line in more))


def _entries(parts: dict[str, BaseModel], pad: str) -> Iterator[str]:
    for key, part in parts.items():
        yield f"{pad}{yaml.safe_dump(key).splitlines()[0]}:"
        yield from _lines(part, f"{pad}  ")


def _line(text: str, comment: str | None) -> str:
    return f"{text:<{_COMMENT_COLUMN}} # {comment}" if comment else text
