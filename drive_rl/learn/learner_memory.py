"""Refuses a learner whose buffers (samples, rollouts, replay) do not fit into memory, before they are allocated.

The system hands out zeroed memory only when it is written: buffers that do not fit would get the process killed long
after the start, or fail at once with a traceback.
"""

import math

import numpy as np
import torch
from gymnasium import spaces

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.driver import DaggerSpec, LearnerSpec, RecurrentPpoSpec
from drive_rl.config.specs.off_policy import OffPolicySpec
from drive_rl.memory import free_bytes, require_memory

_NUMBERS = 8 + 3 * 4 + 1
"""Of a transition, beside its observations: action, reward, end, time-out, age of the stack [bytes]."""
_EPISODE_STEPS = 40
"""Of an episode in a replay buffer, which keeps its first stack whole. At random actions they last 49 to 52 steps."""


def check_learner(
    spec: LearnerSpec, observed: spaces.Space, learned: spaces.Space, device: torch.device, camera: CameraSpec
) -> None:
    """Refuse a learner whose buffers do not fit.

    Args:
        spec: The learner.
        observed: The environments' observations.
        learned: The policy's observations.
        device: The network's; the replay buffer is on the CPU.
        camera: The world's.

    Raises:
        DriveRLError: not enough memory, with the key that needs most.
    """
    there = free_bytes() if device.type == "cpu" else torch.cuda.mem_get_info(device)[0]
    if isinstance(spec, DaggerSpec):
        _check("samples", spec.samples, size_bytes(observed), there)
    elif spec.guidance is not None and isinstance(observed, spaces.Dict) and not isinstance(learned, spaces.Dict):
        _check("guidance.pictures", spec.guidance.pictures, size_bytes(observed), there)
    if isinstance(spec, OffPolicySpec):
        stack = camera.frame_stack if keeps_frames(spec, camera) else None
        _check("buffer_size", spec.buffer_size, transition_bytes(learned, stack), free_bytes())
    else:
        states = 4 * 4 * spec.lstm_units if isinstance(spec, RecurrentPpoSpec) else 0
        _check("steps_per_update", spec.steps_per_update, spec.num_envs * (size_bytes(learned) + states), there)


def keeps_frames(spec: OffPolicySpec, camera: CameraSpec) -> bool:
    """Whether the replay buffer keeps each frame once (`sb3.frame_replay`), which needs all those between."""
    return spec.help == "pixels" and spec.observation == "camera" and camera.depth == camera.frame_stack


def transition_bytes(learned: spaces.Space, stack: int | None) -> int:
    """Return the memory that a transition takes in a replay buffer [bytes].

    Args:
        learned: The policy's observations.
        stack: How many frames they are, if each frame is kept once; the first stack of an episode is kept whole.
    """
    size = size_bytes(learned)
    return _NUMBERS + (2 * size if stack is None else size // stack + size // _EPISODE_STEPS)


def size_bytes(space: spaces.Space) -> int:
    """Return the size of one sample of a space [bytes]."""
    if isinstance(space, spaces.Dict):
        return sum(size_bytes(part) for part in space.spaces.values())
    return math.prod(space.shape or ()) * np.dtype(space.dtype).itemsize


def _check(key: str, count: int, each: int, free: int) -> None:
    fix = f"agent.{key} <= {free // max(each, 1)}, or a smaller world.camera"
    require_memory(f"agent.{key} = {count}", count * each, free, fix)
