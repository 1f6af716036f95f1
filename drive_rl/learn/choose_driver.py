"""Who drives where: names and changes as the command line gives them -> a driver, its world, and a run's film.

It knows how drivers and worlds are found. It does not know what is done with them.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from drive_rl.config.overrides import swapped
from drive_rl.config.reader import dump, load_part
from drive_rl.config.shelf import entries, home, nearest
from drive_rl.config.spec import Engine
from drive_rl.config.world_spec import WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import load_driver
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.device import choose_device, describe_device


def choose(
    name: str, changes: list[str], device: str, trust: bool, echo: Callable[[str], object]
) -> tuple[Driver, WorldSpec]:
    """Return a driver and the world it shall drive in.

    Args:
        name: The driver, as `load_driver` takes it.
        changes: Another world than the driver's own (`world=NAME`), or changes to its world, such as
            `world.road.lane_width_m=3.2`.
        device: `auto`, `cpu` or `cuda`.
        trust: Whether a stable-baselines3 zip may run its author's code.
        say: Is told which device was chosen.

    Raises:
        DriveRLError: one of them is unknown, damaged, impossible, or does not fit another.
    """
    world, finer = swapped("world", changes)
    place = load_part("world", world, finer) if world is not None else None
    if place is not None and finer:
        place = _renamed(place, place.name)
    chosen = choose_device(device)
    driver, own = load_driver(name, place, chosen, trust)
    if place is None and finer:
        driver, own = load_driver(name, _changed(own, finer), chosen, trust)
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    return driver, own


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


def newest(name: str) -> tuple[str, RunFolder | None]:
    """Return a driver's name, of a folder of runs the newest; and the run, if it is one.

    Raises:
        DriveRLError: a folder that is no run.
    """
    path = home(name)
    if name in entries("agents") or not path.is_dir() or (path / "manifest.json").is_file():
        return name, None
    run = RunFolder.open(path)
    return str(run.path), run


def _changed(world: WorldSpec, changes: list[str]) -> WorldSpec:
    with tempfile.TemporaryDirectory() as folder:  # the reader reads files
        path = Path(folder) / "world.yaml"
        path.write_text(dump(world), encoding="utf-8")
        return _renamed(load_part("world", str(path), changes), world.name)


def _renamed(world: WorldSpec, name: str) -> WorldSpec:
    """Return a changed world under a name that says so: a score, a table or a film of it is of no other world."""
    return world.model_copy(update={"name": f"{name} (changed)"})
