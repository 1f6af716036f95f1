"""What a run has seen of itself: held-out evaluations and the clock, kept in `training.json` over resumes.

It knows numbers and a file. It does not know who drives, or what is done about the numbers.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drive_rl.run.files import read_json, write_json
from drive_rl.sim.scoring import Score


@dataclass(frozen=True)
class Evaluation:
    """One held-out evaluation while training."""

    step: int
    success: float
    driving_score: float
    score: dict[str, Any]

    @classmethod
    def of(cls, step: int, score: Score) -> "Evaluation":
        """Return the evaluation of a score."""
        return cls(step, score.success.value, score.driving_score.value, score.to_dict())

    @property
    def rank(self) -> tuple[float, float]:
        """What makes one evaluation better than another: success first, then driving score."""
        return self.success, self.driving_score


@dataclass
class History:
    """The evaluations so far, and the seconds spent."""

    evaluations: list[Evaluation] = field(default_factory=list)
    wall_s: float = 0.0
    """Since training began, evaluations and checkpoints included, summed over resumes [s]."""
    evaluation_s: float = 0.0
    """Of these, in held-out evaluations [s]."""
    _tick: float = field(default_factory=time.perf_counter, repr=False)

    @classmethod
    def load(cls, path: Path, until_step: int) -> "History":
        """Return the history up to a step; an empty one where there is no file yet."""
        if not path.is_file():
            return cls()
        raw = read_json(path, "the run is damaged; train again")
        evaluations = [Evaluation(**row) for row in raw["evaluations"] if row["step"] <= until_step]
        return cls(evaluations, raw["wall_s"], raw["evaluation_s"])

    def save(self, path: Path) -> None:
        """Write the history."""
        rows = [asdict(row) for row in self.evaluations]
        self.tick()
        write_json(path, {"wall_s": self.wall_s, "evaluation_s": self.evaluation_s, "evaluations": rows})

    @property
    def train_s(self) -> float:
        """Seconds spent on anything but held-out evaluations [s]."""
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
        """Return how many of the newest evaluations in a row reach a success rate."""
        misses = [i for i, row in enumerate(reversed(self.evaluations)) if row.success < bar]
        return misses[0] if misses else len(self.evaluations)

    def start(self) -> None:
        """Start the clock."""
        self._tick = time.perf_counter()

    def tick(self) -> None:
        """Bring the clock up to date."""
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
