"""One Gymnasium id for each world on the shelf: `envs/lane_follow.yaml` -> `drive_rl/LaneFollow-v0`."""

import re
import warnings

import gymnasium

from drive_rl.errors import DriveRLError
from drive_rl.shelf import entries


def gym_id(name: str) -> str:
    """Return the Gymnasium id of a world's name."""
    return f"drive_rl/{''.join(part.capitalize() for part in re.split(r'[^A-Za-z0-9]+', name))}-v0"


def register_worlds() -> None:
    """Register every world; the file is read when the environment is made.

    A shelf that cannot be read is a warning here, so that importing never fails; using it says so again as an error.
    """
    try:
        worlds = entries("envs")
    except DriveRLError as error:
        warnings.warn(f"no world is registered: {error}", stacklevel=2)
        return
    for name, path in worlds.items():
        if gym_id(name) not in gymnasium.registry:
            gymnasium.register(
                gym_id(name),
                entry_point="drive_rl.sim.lane_env:make_env",
                vector_entry_point="drive_rl.sim.vector_env:make_vector_env",
                kwargs={"world": str(path)},
                disable_env_checker=True,
                order_enforce=False,
            )
