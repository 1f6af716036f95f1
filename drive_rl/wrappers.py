"""Gymnasium wrappers for pictures of your own: what our worlds do by default, for any environment."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.sensors.motion import POLARITIES, show_motion

__all__ = ["Motion"]


class Motion(gymnasium.ObservationWrapper[Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Stacked frames as changes between them and the newest frame, as `observation="motion"` of our worlds shows them.

    Args:
        env: Observes uint8 pictures (frames x channels, H, W), oldest first, bounded by 0 and 255.
        frames: How many frames are stacked.

    Raises:
        DriveRLError: it observes something else.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], frames: int) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, frames=frames)
        super().__init__(env)
        space = env.observation_space
        shape = space.shape or ()
        if space.dtype != np.uint8 or len(shape) != 3 or frames < 1 or shape[0] % frames:
            raise DriveRLError(
                f"Motion: frames = {frames} and observations {space}: expected uint8 pictures (frames x channels, H,"
                " W); fix: stack frames along the first axis"
            )
        self._frames = frames
        self.observation_space = gymnasium.spaces.Box(0, 255, (POLARITIES * shape[0], *shape[1:]), np.uint8)

    def observation(self, observation: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a picture (2 x frames x channels, H, W)."""
        stack = np.ascontiguousarray(observation).reshape(1, self._frames, -1, *observation.shape[1:])
        return show_motion(stack)[0]
