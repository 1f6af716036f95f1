"""The driver, the world and the engine that the command line asks for. It does not know what is done with them."""

from collections.abc import Callable
from typing import get_args

from drive_rl.config.reader import changed, load_part, swapped
from drive_rl.config.shelf import nearest
from drive_rl.config.spec import Engine, WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import open_driver
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.device import choose_device, describe_device
from drive_rl.run.resolve import TrainedFolder, resolve


def choose(
    name: str, changes: list[str], device: str, trust: bool, echo: Callable[[str], object]
) -> tuple[Driver, WorldSpec]:
    """Return a driver and the world to drive in.

    Args:
        name: The driver, as `load_driver` takes it.
        changes: Another world than the driver's own (`world=NAME`), or changes to its world, such as
            `world.road.lane_width_m=3.2`.
        device: `auto`, `cpu` or `cuda`.
        trust: Whether a stable-baselines3 zip may run its author's code.
        echo: Prints the chosen device.

    Raises:
        DriveRLError: one of them is unknown, damaged, impossible, or does not fit another.
    """
    world, finer = swapped("world", changes)
    place = load_part("world", world, finer) if world is not None else None
    chosen = choose_device(device)
    loaded = open_driver(name, chosen, trust)
    if place is None:
        place = changed(loaded.world, finer)
    if finer:
        place = _renamed(place)
    driver = loaded.in_world(place)
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    return driver, place


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
    """Return a driver's name, of a folder of runs the newest run's; and the run, if it is one.

    Raises:
        DriveRLError: as `resolve`.
    """
    found = resolve(name)
    run = found.run if isinstance(found, TrainedFolder) else None
    return (name, None) if run is None else (str(run.path), run)


def _renamed(world: WorldSpec) -> WorldSpec:
    """Return a changed world under a name that shows it: its scores, tables and films are of no other world."""
    return world.model_copy(update={"name": f"{world.name} (changed)"})
