"""The state of samples in a checkpoint: `samples.json`, `samples_optimizer.*` and `samples.npz`.

It knows files and their limits. It does not know what the samples are for.
"""

from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from drive_rl.errors import DriveRLError
from drive_rl.learn.samples.memory import Samples
from drive_rl.run.storage.json_values import JsonTable
from drive_rl.run.storage.manifest import FIX, Count
from drive_rl.run.storage.pcg64 import PCG64State
from drive_rl.run.storage.schema import Table, read_table

OPTIMIZER = "samples_optimizer"
COUNTERS = "samples.json"
SAMPLES = "samples.npz"


class SampleCounters(Table):
    """`samples.json`."""

    seen: Count
    owed: float = Field(ge=0)
    remaining: float = Field(le=1)  # < 0 beyond the budget
    helped: list[bool]
    random: PCG64State


class SampleState(NamedTuple):
    """All that training on samples resumes from, read and checked."""

    counters: SampleCounters
    owed: float  # minibatches
    optimizer: JsonTable  # torch's state dict
    samples: Samples | None  # None: none are kept


def read_counters(folder: Path, num_envs: int) -> SampleCounters:
    """Return the counters of samples of so many environments.

    Raises:
        DriveRLError: the file is missing or damaged, or is of another number of environments.
    """
    path = folder / COUNTERS
    counters = read_table(path, SampleCounters, FIX)
    if (found := len(counters.helped)) != num_envs:
        raise DriveRLError(f"{path}: helped: {found} values, but expected {num_envs}; {FIX}")
    return counters


def limited_owed(folder: Path, owed: float, most: float, exact: bool) -> float:
    """Return the minibatches owed, at most `most`.

    A checkpoint written within a rollout may owe more, which is forgiven: those pictures are lost.

    Raises:
        DriveRLError: an exact checkpoint owes more.
    """
    if exact and owed > most:
        raise DriveRLError(f"{folder / COUNTERS}: owed = {owed:g}: expected at most {most:g} minibatches; {FIX}")
    return min(owed, most)
