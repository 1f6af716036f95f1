"""What a saved state of the batch engine must be, on a CPU or a GPU."""

import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.sim.state import FARTHEST, Expected, State, check_array, check_state
from drive_rl.sim.task.outcome import END_REASONS, METRICS, RUNNING, STATE_FIELDS, S
from drive_rl.sim.task.scoring import TRACE

_MOST = 1e9
"""Largest size of a measured value, so that sums over an episode stay finite."""
_FIX = "fix: use the world and num_envs that it was saved with"


def check_batch_state(state: State, frames: tuple[int, ...], max_steps: int, terms: int) -> None:
    """Refuse a state that a batch cannot resume from.

    Args:
        state: The state.
        frames: Shape of the batch's pictures, (N, frame_stack, C, H, W).
        max_steps: Steps after which an episode times out.
        terms: How many reward terms the world has.

    Raises:
        DriveRLError: names the array, what was found and what was expected.
    """
    pictures = state.get("frames", np.empty(0)).shape
    if len(pictures) == len(frames) and pictures != frames:
        raise DriveRLError(
            f"state of {pictures[0]} cars with pictures {pictures[1:]}: expected {frames[0]} with {frames[1:]}; {_FIX}"
        )
    check_state(state, _expected(frames, max_steps, terms))
    _check_drives(state, max_steps)


def _expected(frames: tuple[int, ...], max_steps: int, terms: int) -> dict[str, Expected]:
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
        "state": Expected((n, len(STATE_FIELDS)), np.float32, -_MOST, _MOST),
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
