"""How many cores torch uses. Driving takes one: batches are small, and a score must not depend on the machine's cores.

Learning takes the cores this process may use. `OMP_NUM_THREADS` wins over both numbers, as everywhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from drive_rl.run.provenance import usable_cores

_MOST = 8
"""Small networks profit from no more."""


def for_driving() -> None:
    """Give torch one core."""
    torch.set_num_threads(1)


def for_learning() -> None:
    """Give torch the cores it may use."""
    torch.set_num_threads(learning_threads())


def learning_threads() -> int:
    """Return how many cores learning uses."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return int(wished) if wished.isdecimal() and int(wished) > 0 else min(usable_cores(), _MOST)


@contextmanager
def driving() -> Iterator[None]:
    """Give torch one core within the block."""
    before = torch.get_num_threads()
    for_driving()
    try:
        yield
    finally:
        torch.set_num_threads(before)
