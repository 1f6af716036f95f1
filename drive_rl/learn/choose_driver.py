"""The driver and the world that the command line asks for. It does not know what is done with them."""

from collections.abc import Callable

from drive_rl.config.overrides import swapped
from drive_rl.config.reader import change_world, load_part
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver
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
        place = change_world(loaded.world, finer)
    if finer:
        place = _renamed(place)
    driver = loaded.in_world(place)
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    return driver, place


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
