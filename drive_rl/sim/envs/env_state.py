"""What a saved state of a `LaneEnv` must be."""

import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.sim.state import FARTHEST, Expected, State, check_generator, check_state
from drive_rl.sim.task.scoring import TRACE


def check_env_state(state: State, max_steps: int, frames: tuple[int, ...] | None) -> None:
    """Refuse a state that an environment cannot resume from.

    Args:
        state: The state.
        max_steps: Steps after which an episode times out.
        frames: Shape of the environment's pictures, (depth, C, H, W); None without a camera.

    Raises:
        DriveRLError: names the array, what was found and what was expected.
    """
    f8 = np.float64
    expected = {
        "seed": Expected((), np.int64, 0),
        "car": Expected((7,), f8, -FARTHEST, FARTHEST),
        "control": Expected((4,), f8, -FARTHEST, FARTHEST),
        "trace": Expected((None, len(TRACE)), f8, -1e9, 1e9),
        "random": Expected((6,), np.uint64),
    }
    check_state(state, expected | ({"frames": Expected(frames, np.uint8)} if frames else {}))
    check_generator("state: random", state["random"])
    steer, steps, over, _ = control = state["control"].tolist()
    if not (-1 <= steer <= 1 and steps == len(state["trace"]) <= max_steps - (not over) and over in (0, 1)):
        raise DriveRLError(
            f"state: control = {control} after {len(state['trace'])} steps: expected steering in [-1, 1], as"
            f" many steps, at most {max_steps}, and 0, or 1 for an episode that is over; fix: use the world that it"
            " was saved with"
        )
