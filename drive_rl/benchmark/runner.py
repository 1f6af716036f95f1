"""The benchmark of perception models: every part of every model, kept as soon as it is measured, and their comparison.

It strings the parts together and writes files. It does not know how anything is measured, and draws no page.
"""

import json
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from drive_rl import __version__
from drive_rl.benchmark.closed_loop import Drive, Driven
from drive_rl.benchmark.correlation import compare
from drive_rl.benchmark.exam.adapt import adaptations, input_of
from drive_rl.benchmark.exam.conditions import Condition, Exam
from drive_rl.benchmark.exam.pictures import PictureSource, hash_of
from drive_rl.benchmark.gate import junit, summary
from drive_rl.benchmark.metrics import COMPARISON, add_plugin_metrics, metrics_of
from drive_rl.benchmark.page import write_page
from drive_rl.benchmark.part import Part, Subject
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.parts.latency import delay_of
from drive_rl.benchmark.reading import check_results_are_of, read_as
from drive_rl.benchmark.requirements import Requirement, missed_requirements
from drive_rl.benchmark.results import (
    FORMAT,
    NOT_MADE,
    BenchResults,
    Comparison,
    ModelResult,
    PartResults,
    as_csv,
    results_json,
)
from drive_rl.benchmark.settings import BenchSetting
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.load import first_that_loads, load_model
from drive_rl.perception.data.formats.detect import DataFolder
from drive_rl.perception.evaluation import onnx_runtime
from drive_rl.perception.evaluation.latency import Latency
from drive_rl.perception.models.load import Trained
from drive_rl.run.provenance import provenance
from drive_rl.run.storage.atomic import explain_disk_errors, make_directory, sweep, write_json, write_text
from drive_rl.run.storage.json_values import plain
from drive_rl.run.storage.lock import only_writer
from drive_rl.run.storage.scratch import scratch

Progress = Callable[[float, str], None]
"""Called with the share that is done, in [0, 1], and what is being measured."""


def run_benchmark(
    models: Sequence[str],
    out: Path,
    setting: BenchSetting,
    drive: Drive,
    exam: Exam,
    requirements: Sequence[Requirement] = (),
    progress: Progress | None = None,
    resume: bool = True,
) -> BenchResults:
    """Measure models, and write their results and page into `out`.

    A complete part is kept in `out/parts/`, under a hash of the weights and of its setting, so that the same command
    resumes where it stopped and measures nothing twice. A part that fails leaves its reason, and the others continue;
    so do a model that cannot be loaded and a user's metric.

    Args:
        models: Names or paths, as `load_model` takes them.
        out: The folder.
        setting: How much to measure.
        drive: Drives a model.
        exam: The conditions, or a folder of labelled pictures; the same for all models.
        requirements: What every model must reach.
        progress: Called as measuring proceeds.
        resume: Whether parts that are kept already are taken as they are.

    Returns:
        The results, with a line in `missed_requirements` for each requirement that a model misses.

    Raises:
        DriveRLError: no model is named or can be loaded, the exam's folder is no data set, or `out` cannot be written
            or holds the results of something else.
    """
    loaded = dict([first_that_loads(models)])
    if exam.data is not None:
        DataFolder.open(exam.data)
    add_plugin_metrics()
    check_results_are_of("models", out)
    report = progress or _silent
    with only_writer(out / ".lock", out), explain_disk_errors(out):
        for folder in (out, *(out / "parts").glob("*/")):
            sweep(folder)
        with scratch(out / "corrupted", Path.mkdir) as corrupted:
            bench = _Bench(out, setting, drive, exam, resume, corrupted, _source(exam, setting), loaded)
            results = _measure_all(bench, models, requirements, report)
        write_json(out / "results.json", results_json(results))
        write_text(out / "results.csv", as_csv(results.models))
        write_page(out / "index.html", results)
        write_text(out / "junit.xml", junit(results))
        write_text(out / "summary.md", summary(results))
    report(1.0, "done")
    return results


def _measure_all(
    bench: "_Bench", models: Sequence[str], requirements: Sequence[Requirement], report: Progress
) -> BenchResults:
    rows: list[ModelResult] = []
    for i, name in enumerate(models):
        rows.append(bench.model(name, {row.name for row in rows}, _within(report, i, len(models))))
    comparison = compare(rows)
    rows = [_compared(row, comparison) for row in rows]
    return BenchResults(
        drive_rl=__version__,
        setting=bench.setting,
        provenance=provenance("field"),
        comparison=comparison,
        models=tuple(rows),
        data=None if bench.exam.data is None else str(bench.exam.data),
        exam=bench.exam.record(),
        skipped=tuple(bench.source.skipped),
        requirements=tuple(str(requirement) for requirement in requirements),
        missed_requirements=tuple(missed_requirements([(row.name, row.metrics) for row in rows], requirements)),
    )


def _compared(model: ModelResult, comparison: Comparison) -> ModelResult:
    """Return a model with the metrics that compare it with the others."""
    mce = {score: each[model.name] for score, each in (comparison.mce or {}).items() if model.name in each}
    return replace(model, metrics={**model.metrics, **metrics_of([(COMPARISON, mce)]).values})


@dataclass
class _Bench:
    """What the parts of all models share."""

    out: Path
    setting: BenchSetting
    drive: Drive
    exam: Exam
    resume: bool
    corrupted: Path
    source: PictureSource
    loaded: dict[str, Trained]
    """A model that was loaded to see whether any can be, by name, until its turn comes."""
    _references: dict[tuple[str, int], Driven] = field(default_factory=dict)

    def model(self, name: str, taken: Container[str], report: Progress) -> ModelResult:
        """Return the results of one model, under a name that is not taken."""
        try:
            trained = self.loaded.pop(name, None) or load_model(name)
        except DriveRLError as error:
            return ModelResult(_label(Path(name).name or name, taken), name, errors={"model": str(error)})
        label, own, exam = _label(trained.name, taken), trained.spec.world.camera, self.exam
        try:
            if exam.data is None:
                input_of(exam.camera, own)
        except DriveRLError as error:
            return ModelResult(label, name, errors={"model": str(error)})
        parts, errors = PartResults(), dict[str, str]()
        export = cache(lambda: onnx_runtime.export(trained.model, np.zeros((1, *trained.model.shape), np.uint8)))
        asked = [part for name, part in PARTS.items() if name in (self.setting.parts or PARTS)]
        for i, part in enumerate(asked):
            step = _within(report, i, len(asked), f"{label}: {part.name}")
            try:
                result = self._part(self._subject(trained, parts.latency, export, step), label, part)
                parts = replace(parts, **{part.name: result})
            except Exception as error:  # whatever it is, it concerns this part alone
                errors[part.name] = (
                    str(error) if isinstance(error, DriveRLError) else f"{type(error).__name__}: {error}"
                )
        metrics = metrics_of(parts.measured())
        return ModelResult(
            name=label,
            given=name,
            parts=parts,
            errors={
                **dict.fromkeys(trained.model.not_made_for, NOT_MADE),
                **errors,
                **{f"metric {name}": reason for name, reason in metrics.errors.items()},
            },
            metrics=metrics.values,
            encoder=trained.network,
            heads=trained.heads,
            input=tuple(trained.model.shape),
            weights_sha256=trained.sha256,
            notes=adaptations(exam.camera, own) or None,
        )

    def _part(self, subject: Subject, label: str, part: Part[Any, Any]) -> object:
        """Return the result of a part, measured or as it was kept."""
        subject.progress(0, 1, "")
        setting = getattr(self.setting, part.name)
        exam = {"exam": self.exam.suite.model_dump(mode="json"), "split": subject.split}
        asked = {**asdict(setting), **exam, **part.depends_on(subject)}
        key, file = (
            _key(subject.trained, f"{part.name} {part.version}", asked),
            self.out / "parts" / _slug(label) / f"{part.name}.json",
        )
        if self.resume and (kept := _kept(file, key, part.result)) is not None:
            return kept
        found = part.measure(subject, setting)
        if part.is_complete(found):
            with explain_disk_errors(file):
                make_directory(file.parent)
            write_json(file, {"key": key, "asked": plain(asked), "found": plain(found)})
        return found

    def _subject(
        self, trained: Trained, latency: Latency | None, export: Callable[[], bytes], report: Progress
    ) -> Subject:
        world = trained.spec.world
        return Subject(
            trained=trained,
            split=self.setting.split,
            threads=self.setting.threads,
            exam=self.exam,
            drive=self.drive,
            reference=self._reference,
            pictures=lambda count: self.source.pictures(world, count),
            data=self.source.stamp,
            corrupted=self.corrupted / self.source.key(world),
            delay=delay_of(latency),
            progress=_counted(report),
            export=export,
        )

    def _reference(self, condition: Condition, roads: int) -> Driven:
        """Return how the reference driver drives, once for all models."""
        key = condition.name, roads
        if key not in self._references:
            self._references[key] = self.drive(None, condition, self.setting.split, roads, 0.0, None)
        return self._references[key]


def _source(exam: Exam, setting: BenchSetting) -> PictureSource:
    most = max(setting.accuracy.pictures, setting.robustness.pictures, setting.examples.pictures)
    return PictureSource(exam, setting.split, most, setting.accuracy.limit)


def _label(name: str, taken: Container[str]) -> str:
    """Return a model's name, numbered if others have it already."""
    label, number = name, 2
    while label in taken:
        label, number = f"{name} ({number})", number + 1
    return label


def _key(trained: Trained, part: str, asked: Mapping[str, object]) -> str:
    weights, spec = trained.sha256, trained.spec.model_dump(mode="json")
    return hash_of([__version__, FORMAT, part, weights, spec, asked])


def _kept(file: Path, key: str, kind: type) -> object:
    """Return a part's result that was measured under the same key; None if there is none, or the file is damaged."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return read_as(kind, stored["found"]) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _slug(label: str) -> str:
    return re.sub(r"[^\w.-]+", "-", label).strip(".-") or "model"


def _within(report: Progress, index: int, count: int, what: str = "") -> Progress:
    """Return progress of one of `count` equal steps."""
    return lambda share, detail: report((index + share) / count, " ".join(filter(None, (what, detail))))


def _counted(report: Progress) -> Callable[[int, int, str], None]:
    return lambda done, total, what: report(min(1.0, done / total), what)


def _silent(share: float, what: str) -> None:
    """Progress that nobody watches."""
