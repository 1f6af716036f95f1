"""The spaces of a world, and the checks of what callers pass: modes, options, actions -> commands.

It knows specs and spaces; it knows no engine.
"""

from itertools import product
from typing import Any, NamedTuple, cast, get_args

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.task import TaskSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.sensors.motion import POLARITIES
from drive_rl.sim.task.outcome import state_fields
from drive_rl.sim.task.scoring import Info

_STATE_LIMIT = 1e3
_SHOWN = 200  # characters

ROAD_SEEDS = 2**63
"""Road seeds are smaller."""

Grid = NDArray[np.float64]
"""(actions, 1 or 2): the command of each discrete action, `task.command_names` in [-1, 1]."""


class ActionDecoder(NamedTuple):
    """How actions become commands."""

    names: tuple[str, ...]
    """Of a command's numbers."""
    grid: Grid | None
    """Of discrete actions."""


def observation_space(world: WorldSpec, observation: Observation, channels_last: bool = False) -> spaces.Space[Any]:
    """Return the space of one car's observations: pictures (channels, H, W), or channels last.

    Raises:
        DriveRLError: an unknown mode.
    """
    known("observation", observation, get_args(Observation))
    known("channels_last", channels_last, (True, False))
    camera = world.camera
    channels, size = camera.planes * camera.frame_stack, (camera.height_px, camera.width_px)
    if observation == "motion":
        channels *= POLARITIES
    image = spaces.Box(0, 255, (*size, channels) if channels_last else (channels, *size), np.uint8)
    state = spaces.Box(-_STATE_LIMIT, _STATE_LIMIT, (len(state_fields(world)),), np.float32)
    if observation == "camera+state":
        return spaces.Dict({"camera": image, "state": state})
    return state if observation == "state" else image


def stacks_of(frames: Any, camera: CameraSpec) -> Any:
    """Return the stacks (n, frame_stack, C, H, W), oldest first, that the latest frames (n, depth, C, H, W) hold."""
    return frames if camera.depth == camera.frame_stack else frames[:, [-1 - age for age in camera.ages]]


def flat(stacks: Any) -> Any:
    """Return stacks (n, k, C, H, W) as pictures (n, k x C, H, W)."""
    cars, frames, planes, height, width = stacks.shape
    return stacks.reshape(cars, frames * planes, height, width)


def action_space(world: WorldSpec, actions: Actions) -> spaces.Space[Any]:
    """Return the space of one car's actions.

    Raises:
        DriveRLError: an unknown mode.
    """
    known("actions", actions, get_args(Actions))
    if actions == "discrete":
        return spaces.Discrete(len(action_grid(world.task)))
    return spaces.Box(-1, 1, (len(world.task.command_names),), np.float32)


def known(key: str, value: object, values: tuple[object, ...]) -> None:
    """Refuse a value that is not one of `values`.

    Raises:
        DriveRLError: it is not; names the key and the values.
    """
    if value not in values:
        raise DriveRLError(f"{key} = {value!r}: expected one of {', '.join(str(name) for name in values)}")


def reset_options(options: object, keys: tuple[str, ...] = ("road_seed",)) -> Info:
    """Return the options of a reset.

    Raises:
        DriveRLError: they are not a dictionary, or hold another key.
    """
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise DriveRLError(f"reset: options = {shown(options)}: expected a dictionary, such as {{'road_seed': 7}}")
    unknown = [key for key in options if key not in keys]
    if unknown:
        raise DriveRLError(
            f"reset: options: unknown key {shown(unknown[0])}; expected only {' or '.join(map(repr, keys))}"
        )
    return options


def action_grid(task: TaskSpec) -> Grid:
    """Return the world's discrete actions, steer-major."""
    grids = {"steer": task.steer_grid, "pedal": task.pedal_grid}
    return np.array(list(product(*(grids[name] for name in task.command_names))), np.float64)


def action_decoder(task: TaskSpec, actions: Actions) -> ActionDecoder:
    """Return how a world's actions become commands."""
    return ActionDecoder(task.command_names, action_grid(task) if actions == "discrete" else None)


def command_of(action: Any, decoder: ActionDecoder) -> list[float]:
    """Return the command in [-1, 1] of one action: its numbers, or with a grid an index into it.

    Raises:
        DriveRLError: another shape or type, a NaN, or an index beyond the grid.
    """
    given = _checked(action, (), decoder)
    command = given if decoder.grid is None else decoder.grid[given]
    return [min(max(float(number), -1.0), 1.0) for number in command.tolist()]


def commands_of(actions: Any, num_cars: int, decoder: ActionDecoder) -> NDArray[np.float64]:
    """Return the commands (N, 1 or 2) of N actions: numbers in [-1, 1], or with a grid indices into it.

    Raises:
        DriveRLError: another shape or type, a NaN, or an index beyond the grid.
    """
    given, grid = _checked(actions, (num_cars,), decoder), decoder.grid
    return np.clip(given, -1.0, 1.0).astype(np.float64) if grid is None else grid[given]


def _checked(actions: Any, cars: tuple[int, ...], decoder: ActionDecoder) -> NDArray[Any]:
    """Return actions of the shape `cars` (of one car: ()) as an array, once they are known to fit."""
    given, (names, grid) = array_of(actions), decoder
    if grid is None:
        shape, kinds = (*cars, len(names)), "fiu"
        expected = f"finite numbers [{', '.join(names)}] in [-1, 1]"
    else:
        shape, kinds, expected = cars, "iu", f"an integer in [0, {len(grid)})"
    if given is None or given.shape != shape or given.dtype.kind not in kinds:
        form = cars and given is not None and given.dtype.kind != "O"
        found = f"of shape {given.shape} and type {given.dtype}" if form and given is not None else shown(actions)
        each = f" for each of {cars[0]} cars" if cars else ""
        raise DriveRLError(f"step: action {found}: expected {expected}{each}")
    fits = np.isfinite(given).all(axis=-1) if grid is None else (given >= 0) & (given < len(grid))
    if not fits.all():
        first = tuple(np.argwhere(~fits)[0])  # (): the only one
        number = "".join(f" {i} =" for i in first)
        raise DriveRLError(f"step: action{number} {given[first].tolist()}: expected {expected}")
    return given


def road_seed_of(value: object) -> int:
    """Return a road seed passed to `reset`.

    Raises:
        DriveRLError: it is not an integer in [0, 2^63).
    """
    if not _is_integer(value) or not 0 <= int(cast(Any, value)) < ROAD_SEEDS:
        raise DriveRLError(f"reset: options: road_seed = {shown(value)}: expected an integer >= 0, below 2^63")
    return int(cast(Any, value))


def road_seeds_of(options: Info, count: int) -> list[int] | None:
    """Return the road seeds of N cars that the options of a reset name; None: none.

    Raises:
        DriveRLError: they are neither one integer in [0, 2^63) nor N of them.
    """
    if "road_seed" not in options:
        return None
    seeds = options["road_seed"]
    given = array_of(seeds)
    if (
        given is None
        or given.dtype.kind not in "iu"
        or given.shape not in ((), (count,))
        or not ((given >= 0) & (given < ROAD_SEEDS)).all()
    ):
        raise DriveRLError(
            f"reset: options: road_seed = {shown(seeds)}: expected an integer >= 0, or {count} of them, below 2^63"
        )
    return np.broadcast_to(given, (count,)).tolist()


def reset_mask_of(options: Info, count: int) -> NDArray[np.bool_]:
    """Return which of N cars the options of a reset choose, (N,); all, if they choose none.

    Raises:
        DriveRLError: the mask is not (N,) of bool, or chooses no car.
    """
    mask = options.get("reset_mask", np.ones(count, bool))
    given = array_of(mask)
    if given is None or given.shape != (count,) or given.dtype != np.bool_ or not given.any():
        raise DriveRLError(f"reset: options: reset_mask = {shown(mask)}: expected {count} booleans, one of them true")
    return given.copy()


def shown(value: object) -> str:
    """Return a value as errors show it: its repr, cut short, or its type if it has none."""
    try:
        text = repr(value)
    except Exception:  # an integer of more digits than Python prints, or a stranger's own class
        return f"of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _is_integer(value: object) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.shape == () and value.dtype.kind in "iu"
    return isinstance(value, int) and not isinstance(value, bool)


def array_of(value: Any) -> NDArray[Any] | None:
    """Return a value as an array; None if it cannot be one, whatever it raises."""
    try:
        return np.asarray(value)
    except Exception:
        return None
