"""What a batch and its saved state must be, on a CPU or a GPU."""

import numpy as np

from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.memory import require_memory
from drive_rl.sim.engines.car_step import Cars
from drive_rl.sim.engines.map_cache import slot_bytes
from drive_rl.sim.state import FARTHEST, Expected, State, check_array, check_state
from drive_rl.sim.task.outcome import END_REASONS, METRICS, RUNNING, S
from drive_rl.sim.task.scoring import TRACE

_MOST = 1e9
"""Largest size of a measured value, so that sums over an episode stay finite."""
_FIX = "fix: use the world and num_envs that it was saved with"


def check_batch(world: WorldSpec, num_cars: int, free: int) -> None:
    """Refuse what the batch engine cannot run, before anything is allocated.

    Args:
        world: The world.
        num_cars: N.
        free: Free memory [bytes].

    Raises:
        DriveRLError: N is not a positive integer, memory does not suffice, or only PyBullet can run this world.
    """
    if isinstance(num_cars, bool) or not isinstance(num_cars, int | np.integer) or num_cars < 1:
        raise DriveRLError(f"num_envs = {num_cars!r}: expected an integer >= 1")
    if world.camera.renderer != "field":
        raise DriveRLError(
            f"world.camera.renderer = {world.camera.renderer}: only engine = bullet has Bullet's renderers;"
            " fix: world.camera.renderer=field, or engine=bullet"
        )
    camera, task = world.camera, world.task
    pictures = 2 * camera.depth * camera.planes * camera.height_px * camera.width_px
    trace = 8 * len(TRACE) * task.time_limit_s * task.control_hz
    needed = num_cars * (pictures + trace + slot_bytes(world))
    fix = f"num_envs <= {int(num_cars * free / needed)}, a shorter road or a smaller camera"
    require_memory(f"num_envs = {num_cars}", needed, free, fix)


def check_batch_state(state: State, frames: tuple[int, ...], max_steps: int, cars: Cars) -> None:
    """Refuse a state that a batch cannot resume from.

    Args:
        state: The state.
        frames: Shape of the batch's pictures, (N, depth, C, H, W).
        max_steps: Steps after which an episode times out.
        cars: The batch's.

    Raises:
        DriveRLError: names the array, what was found and what was expected.
    """
    pictures = state.get("frames", np.empty(0)).shape
    if len(pictures) == len(frames) and pictures != frames:
        raise DriveRLError(
            f"state of {pictures[0]} cars with pictures {pictures[1:]}: expected {frames[0]} with {frames[1:]}; {_FIX}"
        )
    check_state(state, _expected(frames, max_steps, cars.terms.shape[1], cars.state.shape[1]))
    _check_drives(state, max_steps)


def _expected(frames: tuple[int, ...], max_steps: int, terms: int, fields: int) -> dict[str, Expected]:
    n, f8 = frames[0], np.float64
    return {
        "body": Expected((7, n), f8, -FARTHEST, FARTHEST),
        "steer": Expected((n,), f8, -1, 1),
        "steps": Expected((n,), np.int64, 0, max_steps),
        "metrics": Expected((n, len(METRICS)), f8, -_MOST, _MOST),
        "terms": Expected((n, terms), f8, -_MOST, _MOST),
        "trace": Expected((n, None, len(TRACE)), f8, -_MOST, _MOST),
        "reward": Expected((n,), f8, -_MOST, _MOST),
        "end": Expected((n,), np.int64, RUNNING, len(END_REASONS)),
        "state": Expected((n, fields), np.float32, -_MOST, _MOST),
        "slot": Expected((n,), np.int64, -1),
        "drives": Expected((n,), np.bool_),
        "frames": Expected(frames, np.uint8),
    }


def _check_drives(state: State, max_steps: int) -> None:
    """Refuse arrays that fit one by one, but not together."""
    drives, steps, kept = state["drives"], state["steps"], state["trace"].shape[1]
    at_s = Expected((len(drives),), np.float64, -FARTHEST, FARTHEST)
    check_array("state: metrics: s_m", state["metrics"][:, S], at_s, _FIX)
    check_array("state: slot of a car that drives", state["slot"][drives], Expected((None,), np.int64, 0), _FIX)
    running = Expected((None,), np.int64, 0, max_steps - 1)
    check_array("state: steps of a car that drives", steps[drives], running, _FIX)
    if kept != steps.max():
        raise DriveRLError(f"state: trace: {kept} steps, but expected {steps.max()}; {_FIX}")
    if (state["end"][drives] != RUNNING).any():
        raise DriveRLError(f"state: end = {state['end'].tolist()}: of a car that drives; {_FIX}")
