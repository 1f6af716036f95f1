"""What a benchmark found, as frozen values; and its files `results.json` and `results.csv`.

It knows what the parts return. It measures nothing, and draws no page.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from drive_rl.benchmark.exam.conditions import ExamRecord
from drive_rl.benchmark.metrics import METRICS
from drive_rl.benchmark.part import Number
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.parts.closed_loop import ClosedLoop
from drive_rl.benchmark.parts.examples import Examples
from drive_rl.benchmark.parts.robustness import Robustness
from drive_rl.benchmark.reading import read_as
from drive_rl.benchmark.settings import BenchSetting
from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.accuracy import Accuracy
from drive_rl.perception.evaluation.latency import Latency
from drive_rl.run.storage.json_values import plain

FORMAT = 3
_FIX = "fix: measure again with `drive-rl bench perception MODEL... --out FOLDER`"


@dataclass(frozen=True)
class PartResults:
    """The results of a model's parts; the fields are the names of PARTS. None: see the model's errors."""

    accuracy: Accuracy | None = None
    latency: Latency | None = None
    robustness: Robustness | None = None
    closed_loop: ClosedLoop | None = None
    examples: Examples | None = None

    def measured(self) -> Iterator[tuple[str, object]]:
        """Yield the name and result of each part that has one."""
        for name in PARTS:
            if (result := getattr(self, name)) is not None:
                yield name, result


NOT_MADE = "not made for it"


@dataclass(frozen=True)
class ModelResult:
    """One model: what it is, its parts, why parts are missing, and its metrics."""

    name: str
    """Unique within the benchmark."""
    given: str
    """As it was named on the command line."""
    parts: PartResults = PartResults()
    errors: Mapping[str, str] = field(default_factory=dict)
    """Part, `model` if it could not be loaded, or `metric NAME` of a user -> why it failed; or what the model is not
    made for, such as `attacks` without gradients -> NOT_MADE."""
    metrics: Mapping[str, Number] = field(default_factory=dict)
    encoder: str | None = None
    heads: tuple[str, ...] = ()
    input: tuple[int, ...] = ()
    """(channels, height, width)."""
    weights_sha256: str | None = None
    notes: tuple[str, ...] | None = None
    """How the exam's pictures differ from those that the model was made for; None: not at all."""


@dataclass(frozen=True)
class Correlation:
    """How similarly an offline metric and a measure of driving order the models (see `stats.RankCorrelation`)."""

    metric: str
    spearman: float
    low: float
    high: float
    kendall: float
    p: float
    models: int
    resampled: tuple[str, ...]
    """What the interval accounts for: pictures, roads, or both; or models, by Fisher's z, where all resamples agree."""


@dataclass(frozen=True)
class Pareto:
    """The models that no other beats in accuracy, latency and driving at once."""

    axes: tuple[str, ...]
    """The metrics compared: accuracy, latency, driving."""
    models: tuple[str, ...]
    left_out: tuple[str, ...]
    """Models that lack one of the metrics."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """One model against another on the same roads: the first's mean less the second's, and a paired test of it."""

    first: str
    second: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    """Adjusted for all pairs and metrics (Holm 1979)."""


@dataclass(frozen=True)
class Comparison:
    """What follows from all models together."""

    correlations: Mapping[str, tuple[Correlation, ...]]
    """Measure of driving -> the offline metrics that may predict it, the strongest first."""
    pareto: Pareto
    intervals: Mapping[str, Interval]
    """Model -> the interval of its driving score."""
    pairs: tuple[Pair, ...] | None = None
    """Every pair of models on the same roads; None: not compared."""
    verdict: tuple[str, ...] | None = None
    """What may be concluded of them, in sentences."""
    mce: Mapping[str, Mapping[str, float]] | None = None
    """Score -> model -> its mean corruption error against the first model that has the score."""


@dataclass(frozen=True)
class BenchResults:
    """What `results.json` holds."""

    drive_rl: str
    """The version that measured."""
    setting: BenchSetting
    provenance: Mapping[str, object]
    """The machine and the packages, as `run.provenance` records them."""
    comparison: Comparison
    models: tuple[ModelResult, ...]
    exam: ExamRecord
    """What all models drove, and what their pictures are of."""
    data: str | None = None
    """The folder of pictures; None: rendered ones."""
    skipped: tuple[str, ...] = ()
    """Records of the folder that could not be read."""
    requirements: tuple[str, ...] = ()
    missed_requirements: tuple[str, ...] = ()
    """A line for each requirement that a model misses."""
    format: int = FORMAT


def results_json(results: BenchResults) -> dict[str, object]:
    """Return results as JSON can hold them, without what only intervals and the page need."""
    models = tuple(_without_details(model) for model in results.models)
    return plain(replace(results, models=models))


def read_results(path: Path) -> BenchResults:
    """Read a `results.json`.

    Raises:
        DriveRLError: it cannot be read, is damaged, or has another format.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DriveRLError(f"{path}: is not readable JSON ({error}); {_FIX}") from error
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != FORMAT:
        raise DriveRLError(f"{path}: format = {found!r}: expected {FORMAT}; {_FIX}")
    try:
        return read_as(BenchResults, raw)
    except ValueError as error:
        raise DriveRLError(f"{path}: {str(error).removeprefix('.')}; {_FIX}") from error


def as_csv(models: Iterable[ModelResult]) -> str:
    """Return a table, one model a row: its name, every metric (empty: not measured), and why a part is missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["model", *METRICS, "errors"])
    for model in models:
        errors = "; ".join(f"{what}: {reason}" for what, reason in model.errors.items())
        writer.writerow([model.name, *(model.metrics.get(name, "") for name in METRICS), errors])
    return out.getvalue()


def _without_details(model: ModelResult) -> ModelResult:
    accuracy = model.parts.accuracy and replace(model.parts.accuracy, by_road=None)
    return replace(model, parts=replace(model.parts, accuracy=accuracy, examples=None))
