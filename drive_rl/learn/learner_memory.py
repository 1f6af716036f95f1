"""What a learner will keep: pictures to learn from, rollouts, replay. Refused before it is allocated.

NumPy and torch ask the system for zeros, which it hands out only when they are written: what does not fit would be
killed long after the start, or be a traceback at once.
"""

import math

import numpy as np
import torch
from gymnasium import spaces

from drive_rl.config.driver_spec import DqnSpec, PpoSpec
from drive_rl.memory import free_bytes, require_memory


def check_learner(spec: PpoSpec | DqnSpec, shown: spaces.Space, learned: spaces.Space, device: torch.device) -> None:
    """Refuse a learner that would keep more than fits.

    Args:
        spec: The learner.
        shown: What the environments show.
        learned: What the policy learns from.
        device: Where the network learns; replay lies on the CPU.

    Raises:
        DriveRLError: memory does not suffice; the message names the key that asks for most.
    """
    there = free_bytes() if device.type == "cpu" else torch.cuda.mem_get_info(device)[0]
    if spec.guidance is not None and isinstance(shown, spaces.Dict) and not isinstance(learned, spaces.Dict):
        _check("guidance.pictures", spec.guidance.pictures, size_bytes(shown), there)
    if isinstance(spec, PpoSpec):
        _check("steps_per_update", spec.steps_per_update, spec.num_envs * size_bytes(learned), there)
    else:
        _check("buffer_size", spec.buffer_size, 2 * size_bytes(learned), free_bytes())  # and the next one


def size_bytes(space: spaces.Space) -> int:
    """Return what one sample of a space takes [bytes]."""
    if isinstance(space, spaces.Dict):
        return sum(size_bytes(part) for part in space.spaces.values())
    return math.prod(space.shape or ()) * np.dtype(space.dtype).itemsize


def _check(key: str, count: int, each: int, free: int) -> None:
    fix = f"agent.{key} <= {free // max(each, 1)}, or a smaller world.camera"
    require_memory(f"agent.{key} = {count}", count * each, free, fix)
