"""How many cores torch uses on the CPU: one.

Batches are small, and two cores were slower on them than one (docs/log.md): instead, the lane network of a guided
driver is trained on a thread of its own, beside the policy. So neither scores nor runs depend on the number of cores.
For large encoders `OMP_NUM_THREADS` gives learning more; driving always uses one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def learning_threads() -> int:
    """Return how many cores learning uses."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else 1


@contextmanager
def driving() -> Iterator[None]:
    """Give torch one core within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
