"""Names and changes, checked before the heavy imports: a typo is answered at once. It loads no weights.

A verb's `Uses` say what to type for a name that is something else than the verb expected.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar, get_args

from drive_rl.config.kinds import FOUND, Kind, kind_of
from drive_rl.config.overrides import parse_value, swapped
from drive_rl.config.reader import change_world, load_agent, load_part, load_world, read_perception, read_run
from drive_rl.config.shelf import DEFAULT_WORLD, Shelf, Uses, entries, find, nearest
from drive_rl.config.specs.base import Engine
from drive_rl.config.specs.driver import LearnerSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.run.resolve import Expected, ForeignZip, Recipe, resolve

LearningVerb = Literal["train", "perception fit"]

_SHELF: Mapping[LearningVerb, Shelf] = {"train": "configs", "perception fit": "configs/perception"}
_KIND: Mapping[LearningVerb, Kind] = {"train": "experiment", "perception fit": "perception"}
_USES: Mapping[LearningVerb, Uses] = {
    "train": {
        "a world": "drive-rl train quickstart world={}",
        "a driver recipe": "drive-rl train quickstart agent={}",
        "a trained driver": "drive-rl eval {}",
        "a perception recipe": "drive-rl perception fit {}",
        "a folder": "drive-rl train --resume {}, if it is a run",
    },
    "perception fit": {
        "a world": "drive-rl perception fit unet world={}",
        "a driver recipe": "drive-rl train quickstart agent={}",
        "a trained driver": "drive-rl eval {}",
        "an experiment": "drive-rl train {}",
        "a folder": "drive-rl perception fit --resume {}, if it is a run",
    },
}


_NAMES: Mapping[str, Expected] = {
    "agent.init_from": "driver",
    "agent.teacher": "driver",
    "agent.encoder.init_from": "perception model",
    "agent.perception_model": "perception model",
    "model.init_from": "perception model",
}
"""Keys whose values name trained drivers and models."""

Loaded = TypeVar("Loaded")


def check_recipe(verb: LearningVerb, name: str) -> None:
    """Refuse a name that is not an experiment or a perception recipe.

    Raises:
        DriveRLError: with the command that takes the name, if there is one.
    """
    path, kind = find(_SHELF[verb], name, _USES[verb]), _KIND[verb]
    if kind_of(path) == "driver" and not isinstance(load_agent(name), LearnerSpec):
        raise DriveRLError(f"{name}: is a driver that does not learn; fix: drive-rl eval {name}")
    _check_kind(name, path, kind, _USES[verb])


def _check_kind(name: str, path: Path, kind: Kind, uses: Uses) -> None:
    """Refuse a YAML file of another kind, with what takes it."""
    if (found := kind_of(path)) not in (None, kind):
        use = uses[FOUND[found]]
        shown = Path(name).stem if "runs/" in use else name
        raise DriveRLError(f"{name}: is {FOUND[found]}; expected {FOUND[kind]}; fix: {use.format(shown)}")


def check_driver(verb: str, name: str, in_world: str = "world={}") -> None:
    """Refuse a name that no driver has: not on the shelf, not a run, not a file.

    Args:
        verb: What is done with the driver.
        name: Its name.
        in_world: How the verb takes a world.

    Raises:
        DriveRLError: with the fix that suits `verb`.
    """
    uses: Uses = {
        "a world": f"drive-rl {verb} DRIVER {in_world}",
        "an experiment": "name a run of it, such as runs/{}",
        "a perception recipe": "name a run of it, such as runs/{}",
    }
    found = resolve(name, uses=uses)
    if isinstance(found, ForeignZip) and not found.path.is_file():
        raise DriveRLError(f"{name}: file not found; fix: check the path")
    if isinstance(found, Recipe) and found.path.is_file():
        _check_kind(name, found.path, "driver", uses)
    if isinstance(found, Recipe) and isinstance(load_agent(name), LearnerSpec):
        trained = ", ".join(other for other, path in entries("agents").items() if path.is_dir())
        fix = f"name a run of it, or a trained driver: {trained}"
        raise DriveRLError(f"driver {name!r} is a recipe and has no weights; fix: {fix}")


def check_changes(name: str, changes: list[str]) -> None:
    """Refuse changes to the world that a driver drives in: another one by name, or single values.

    Raises:
        DriveRLError: the world is unknown or cannot be so.
    """
    world, finer = swapped("world", changes)
    if world is not None:
        load_part("world", world, finer)
    elif finer and (own := _own_world(name)) is not None:
        change_world(own, finer)


def fair_changes(name: str, changes: list[str]) -> list[str]:
    """Return the changes, and the one by which the state holds only others that the camera showed of late, unless the
    world has a time of its own for that.

    Raises:
        DriveRLError: the world that a driver of that name drives in then has no streets.
    """
    world, finer = swapped("world", changes)
    place = load_part("world", world, finer) if world is not None else _own_world(name) or load_world(DEFAULT_WORLD)
    if place.streets is None:
        raise DriveRLError(
            f"--fair: {place.name} has no streets, and so no others to see; fix: a world that has, such as town, or"
            " leave it out"
        )
    return changes if place.streets.seen_within_s else [*changes, "world.streets.seen_within_s=1"]


def load_with_names(load: Callable[[str, list[str]], Loaded], name: str, changes: list[str]) -> Loaded:
    """Return the spec that `load` reads, once every driver and model that a change names is there.

    Raises:
        DriveRLError: the spec is wrong, or nothing has such a name: all of it together.
    """
    reasons = [reason for change in changes if (reason := _unknown_name(change))]
    try:
        spec = load(name, changes)
    except DriveRLError as error:
        raise DriveRLError("\n".join([str(error), *reasons])) from error
    if reasons:
        raise DriveRLError("\n".join(reasons))
    return spec


def _unknown_name(change: str) -> str | None:
    """Return why a change names a driver or model that is not there; None where it is, or names none."""
    key, _, text = change.partition("=")
    if key not in _NAMES or not isinstance(value := parse_value(key, text), str) or not value:
        return None
    try:
        resolve(value, _NAMES[key])
    except DriveRLError as error:
        return f"command line: {key} = {value}: {error}"
    return None


def choose_engine(changes: list[str]) -> tuple[Engine, list[str]]:
    """Return the engine that `engine=NAME` asks for (PyBullet by default), and the other changes.

    Raises:
        DriveRLError: no such engine.
    """
    name, others = swapped("engine", changes)
    if name is None:
        return "bullet", others
    known: tuple[Engine, ...] = get_args(Engine)
    for engine in known:
        if name == engine:
            return engine, others
    raise DriveRLError(f"command line: engine = {name!r}: unknown engine; {nearest(name, known)}")


def _own_world(name: str) -> WorldSpec | None:
    """Return the world that a driver drives in of itself; None where only its loader can find out."""
    found = resolve(name)
    if isinstance(found, ForeignZip):
        return None
    if isinstance(found, Recipe):
        return load_world(DEFAULT_WORLD)
    return (read_perception(found.spec) if found.is_perception else read_run(found.spec)).world
