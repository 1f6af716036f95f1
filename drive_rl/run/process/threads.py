"""How many cores torch uses on the CPU: one.

Batches are small, and two cores were slower than one on them (docs/log.md): the eyes of a guided driver learn on a
thread of their own instead, beside the policy. Neither a score nor a run then depends on how many cores a machine has.
For large encoders `OMP_NUM_THREADS` gives learning more; driving keeps to one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def learning_threads() -> int:
    """Return how many cores learning uses."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return int(wished) if wished.isdecimal() and int(wished) > 0 else 1


@contextmanager
def driving() -> Iterator[None]:
    """Give torch one core within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
