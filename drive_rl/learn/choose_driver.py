"""The driver and the world that the command line asks for. It does not know what is done with them."""

from collections.abc import Callable, Mapping, Sequence

from drive_rl.config.overrides import swapped
from drive_rl.config.reader import change_world, load_part, with_parts
from drive_rl.config.specs.copies import kept
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver
from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import open_driver, steered_as
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.device import choose_device, describe_device
from drive_rl.run.resolve import TrainedFolder, resolve

_OF_THE_DRIVER = (
    *(".name", ".description", ".camera", ".observation", ".reward", ".reward_threshold", ".plugins"),
    *(".task.steering", ".task.steer_grid", ".task.pedal_grid"),
)
"""Keys of a world that change neither its roads nor what counts as success."""

_MOST_KEYS = 4


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
    return choose_all([name], changes, device, trust, echo)[0]


def choose_all(
    names: Sequence[str],
    changes: list[str],
    device: str,
    trust: bool,
    echo: Callable[[str], object],
    own_camera: bool = False,
) -> list[tuple[Driver, WorldSpec]]:
    """Return drivers that are to be compared, and the world that each drives in.

    All drive the same roads, for the same score; camera and reward may be the driver's own. One that was trained in no
    world drives in the others'.

    Args:
        names: The drivers, as `choose` takes them, as its other arguments.
        changes: As `choose`.
        device: As `choose`.
        trust: As `choose`.
        echo: As `choose`.
        own_camera: Whether a driver sees a world that `changes` name by the camera that it was trained with.

    Raises:
        DriveRLError: as `choose`; or their worlds differ, and `changes` name none.
    """
    world, finer = swapped("world", changes)
    place = load_part("world", world, finer) if world is not None else None
    chosen = choose_device(device)
    loaded = [open_driver(name, chosen, trust) for name in names]
    known = {name: own for name, one in zip(names, loaded, strict=True) if (own := one.own_world) is not None}
    if place is None:
        _check_same(known)
    common = next(iter(known.values()), loaded[0].world)
    found = []
    for one in loaded:
        own = place if place is not None else change_world(one.own_world or common, finer)
        own = steered_as(one.own_world, _renamed(own) if finer else own)
        if own_camera and one.own_world is not None:
            camera = one.own_world.camera.model_dump(mode="json")
            own = with_parts(own, {"camera": camera}, f"{own.name}, seen by the driver's own camera")
        found.append((one.in_world(own), own))
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    return found


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


def _check_same(worlds: Mapping[str, WorldSpec]) -> None:
    """Refuse worlds that differ in more than camera and reward: in their roads, or in what counts as success."""
    rest = iter(worlds.items())
    first, world = next(rest, ("", None))
    for name, other in rest:
        assert world is not None
        if keys := _differences(kept(world).model_dump(), kept(other).model_dump()):
            shown = ", ".join(keys[:_MOST_KEYS]) + (", ..." if len(keys) > _MOST_KEYS else "")
            raise DriveRLError(
                f"{first} was trained in {world.name}, but {name} in {other.name}, which differs in {shown}; fix: name"
                f" the world in which to compare them, such as world={world.name}"
            )


def _differences(one: object, other: object, key: str = "") -> list[str]:
    """Return the keys at which two specs as plain values differ, without those of the driver."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return [] if one == other else [key.removeprefix(".")]
    keys = [part for part in {**one, **other} if f"{key}.{part}" not in _OF_THE_DRIVER]
    return [found for part in keys for found in _differences(one.get(part), other.get(part), f"{key}.{part}")]
