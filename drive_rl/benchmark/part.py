"""What a part of the benchmark is: its setting, its result, how it is measured, and the numbers that it yields.

It knows the shape of a part. It knows no part, no file and no page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar

from drive_rl.benchmark.closed_loop import Drive, Driven
from drive_rl.benchmark.exam.conditions import Condition, Exam
from drive_rl.benchmark.exam.pictures import Pictures
from drive_rl.perception.evaluation.robustness import Progress
from drive_rl.perception.models.load import Trained

R = TypeVar("R")
S = TypeVar("S")
Number = int | float
BATCH = 32
"""Pictures shown to a model at a time."""


class Delay(NamedTuple):
    """How late a model's commands take effect."""

    seconds: float
    runtime: str
    """The runtime whose median latency it is; `suite`: the suite sets it."""


@dataclass(frozen=True)
class Subject:
    """A model under measurement, and what its parts need beside their settings."""

    trained: Trained
    split: Literal["val", "test"]
    threads: int
    exam: Exam
    drive: Drive
    reference: Callable[[Condition, int], Driven]
    """How the reference driver drives so many roads of a condition."""
    pictures: Callable[[int | None], Pictures]
    """So many pictures, spread over all, or as many as there are (None: all); the same for all models."""
    data: str | None
    """A hash of the folder of pictures; None: rendered ones."""
    corrupted: Path
    """Where corrupted pictures are kept for the next model."""
    delay: Delay | None
    """None: no latency was measured."""
    progress: Progress
    export: Callable[[], bytes]
    """Returns the model as `onnx_runtime.export` does for one picture, exported once for all parts."""


@dataclass(frozen=True)
class Metric(Generic[R]):
    """A number of one model, found in the result of one part."""

    part: str
    label: str
    unit: str
    """Empty for a share or a count."""
    better: int
    """1: higher, -1: lower, 0: neither."""
    value: Callable[[R], Number | None]
    """None: not measured, or not a finite number."""


@dataclass(frozen=True)
class Part(Generic[S, R]):
    """A part of the benchmark: measured, kept and shown by itself."""

    name: str
    title: str
    """The heading of its table."""
    full: S
    """The setting of published results."""
    reduced: S
    """The setting of a quick check."""
    result: type[R]
    measure: Callable[[Subject, S], R]
    metrics: Mapping[str, Metric[R]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    """The metrics in its table."""
    more: tuple[str, ...] = ()
    """Its metrics in the table of more metrics."""
    depends_on: Callable[[Subject], Mapping[str, object]] = lambda subject: {"data": subject.data}
    """What its result depends on beside the model, the split and its setting (any value that JSON can hold)."""
    version: int = 1
    """Raised where it measures what it did not: results that were kept before are measured again."""
    is_complete: Callable[[R], bool] = lambda result: True
    """Whether a result is kept, or measured again by the next run."""
