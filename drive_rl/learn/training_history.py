"""A run's history: its held-out evaluations and clock, part of each checkpoint to resume from.

It knows numbers and a file. It does not know drivers, or what follows from the numbers.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from drive_rl.run.storage.manifest import FIX, Count
from drive_rl.run.storage.schema import Table, read_table
from drive_rl.sim.task.scoring import Score

_Seconds = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Evaluation(Table):
    """One held-out evaluation while training."""

    step: Count
    success: _Share
    driving_score: _Share
    score: dict[str, Any]  # of `Score.to_dict`, as JSON

    @classmethod
    def of(cls, step: int, score: Score) -> "Evaluation":
        """Return the evaluation of a score."""
        success, driving_score = score.success.value, score.driving_score.value
        return cls(step=step, success=success, driving_score=driving_score, score=score.to_dict())

    @property
    def rank(self) -> tuple[float, float]:
        """Orders evaluations: success first, then driving score."""
        return self.success, self.driving_score


class HistoryFile(Table):
    """`training.json`."""

    wall_s: _Seconds
    evaluation_s: _Seconds
    rows: Count
    unlogged: dict[str, float | None]  # None: not a finite number
    evaluations: list[Evaluation]


@dataclass
class History:
    """The evaluations so far, and the seconds spent."""

    evaluations: list[Evaluation] = field(default_factory=list)
    wall_s: float = 0.0
    """Time since training began, with evaluations and checkpoints, summed over resumes [s]."""
    evaluation_s: float = 0.0
    """Of this, the time in held-out evaluations [s]."""
    rows: int = 0
    """Rows of `metrics.csv` at the last save."""
    unlogged: dict[str, float] = field(default_factory=dict)
    """The learner's records at the last save for a row not yet written."""
    _tick: float = field(default_factory=time.perf_counter, repr=False)

    @classmethod
    def load(cls, path: Path) -> "History":
        """Return the history that `state` returned.

        Raises:
            DriveRLError: no such file, or not a history.
        """
        file = read_table(path, HistoryFile, FIX)
        unlogged = {name: math.nan if value is None else value for name, value in file.unlogged.items()}
        return cls(file.evaluations, file.wall_s, file.evaluation_s, file.rows, unlogged)

    def state(self) -> HistoryFile:
        """Return the history, with the clock updated."""
        self.tick()
        unlogged = {name: value if math.isfinite(value) else None for name, value in self.unlogged.items()}
        return HistoryFile(
            wall_s=self.wall_s,
            evaluation_s=self.evaluation_s,
            rows=self.rows,
            unlogged=unlogged,
            evaluations=self.evaluations,
        )

    @property
    def train_s(self) -> float:
        """Time without held-out evaluations [s]."""
        return self.wall_s - self.evaluation_s

    @property
    def best(self) -> Evaluation | None:
        """The best evaluation, the latest of equals."""
        return max(self.evaluations, key=lambda row: (*row.rank, row.step), default=None)

    @property
    def last(self) -> Evaluation | None:
        """The newest evaluation."""
        return self.evaluations[-1] if self.evaluations else None

    def held(self, bar: float) -> int:
        """Return how many of the newest evaluations reach a success rate without a break."""
        misses = [i for i, row in enumerate(reversed(self.evaluations)) if row.success < bar]
        return misses[0] if misses else len(self.evaluations)

    def start(self) -> None:
        """Start the clock."""
        self._tick = time.perf_counter()

    def tick(self) -> None:
        """Update the clock."""
        now = time.perf_counter()
        self.wall_s += now - self._tick
        self._tick = now

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Count the block's seconds as evaluation."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.evaluation_s += time.perf_counter() - begin
