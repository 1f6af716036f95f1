"""Who drives where: names and changes as the command line gives them -> a driver, its world, and a run's film.

It knows how drivers and worlds are found. It does not know what is done with them.
"""

from collections.abc import Callable

from drive_rl.config.overrides import swapped
from drive_rl.config.reader import change_world, load_part
from drive_rl.config.shelf import entries, home
from drive_rl.config.world_spec import WorldSpec
from drive_rl.drivers.driver import Driver
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
        driver, own = load_driver(name, _renamed(change_world(own, finer), own.name), chosen, trust)
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    return driver, own


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


def _renamed(world: WorldSpec, name: str) -> WorldSpec:
    """Return a changed world under a name that says so: a score, a table or a film of it is of no other world."""
    return world.model_copy(update={"name": f"{name} (changed)"})
