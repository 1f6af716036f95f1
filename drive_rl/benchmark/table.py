"""A benchmark of perception models on a terminal: its progress and its results. It measures nothing."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from drive_rl.benchmark.metrics import METRICS, of_users
from drive_rl.benchmark.page import cell_text, number, scenario_text
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.results import NOT_MADE, BenchResults
from drive_rl.benchmark.runner import Progress as Report
from drive_rl.report.table import print_whole
from drive_rl.run.process.terminal import can_redraw

COLUMNS = (
    *("driving_score", "success", "excess_offset_m", "driving_score_corrupted", "failing_delay_s"),
    *("ego_lane_iou", "offset_mae_m", "offset_nll_worst", "offset_within_95_worst"),
    *("onnx_p50_ms", "onnx_p99_ms", "onnx_preempted"),
)
_SHORT = {
    "driving_score": "driving",
    "ego_lane_iou": "IoU",
    "offset_mae_m": "offset",
    "excess_offset_m": "excess",
    "offset_nll_worst": "worst NLL",
    "offset_within_95_worst": "95 % hold",
    "onnx_preempted": "preempted",
    "driving_score_corrupted": "corrupt",
    "failing_delay_s": "fails",
    "onnx_p50_ms": "p50",
    "onnx_p99_ms": "p99",
}
_MOST = 3  # correlations shown for each target


def print_benchmark(results: BenchResults, console: Console | None = None) -> None:
    """Print a row for each model, the strongest correlations with driving, failures, and missed requirements."""
    console = console or Console()
    models = results.models
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    used = [name for name in COLUMNS if any(name in model.metrics for model in models)]
    for name in used:
        unit = METRICS[name].unit
        table.add_column(_SHORT.get(name, METRICS[name].label) + (f"\n\\[{unit}]" if unit else ""), justify="right")
    for model in models:
        table.add_row(escape(model.name), *(cell_text(name, model) for name in used))
    print_whole(console, table)
    for line in _lines(results):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def benchmark_progress() -> Iterator[Report]:
    """Show on stderr, if it is a terminal, how far a benchmark is and what it measures."""
    console = Console(file=sys.stderr)
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not can_redraw(sys.stderr)) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share, what: progress.update(task, completed=share, description=escape(what))


def _lines(results: BenchResults) -> Iterator[str]:
    yield from results.comparison.verdict or ()
    yield from _correlations(results)
    if on := results.comparison.pareto.models:
        yield f"Pareto front of accuracy, latency and driving: {', '.join(on)}"
    for model in results.models:
        accuracy = model.parts.accuracy
        for head, scores in (accuracy.heads or {}).items() if accuracy else ():
            yield f"{model.name}: {head}: {', '.join(f'{name} {number(value)}' for name, value in scores.items())}"
    yield from _scenarios(results) if results.data else ()
    yield from _own_metrics(results)
    for model in results.models:
        if unmade := [what for what, reason in model.errors.items() if reason == NOT_MADE]:
            yield f"{model.name}: not made for {', '.join(unmade)}"
        for part in (each for each in ("model", *PARTS) if each in model.errors):
            yield f"failed: {model.name}: {part}: {model.errors[part]}"
    for name in of_users():
        reasons = [model.errors[key] for model in results.models if (key := f"metric {name}") in model.errors]
        if reasons:
            yield f"failed: metric {name}, of {len(reasons)} of {len(results.models)} models: {reasons[0]}"
    yield from results.skipped
    for missed in results.missed_requirements:
        yield f"missed: {missed}"


def _scenarios(results: BenchResults) -> Iterator[str]:
    for model in results.models:
        lines = model.parts.accuracy and model.parts.accuracy.lines
        if lines and lines.culane_scenarios:
            each = (f"{name} {scenario_text(found)}" for name, found in lines.culane_scenarios.items())
            yield f"{model.name}: CULane F1: {', '.join(each)}"


def _own_metrics(results: BenchResults) -> Iterator[str]:
    """Yield a line for each metric of a user; scores of heads have theirs."""
    for model in results.models:
        accuracy = model.parts.accuracy
        of_heads = {
            f"{head}_{name}" for head, scores in ((accuracy and accuracy.heads) or {}).items() for name in scores
        }
        for name in (each for each in of_users() if each not in of_heads):
            if f"metric {name}" in model.errors:
                yield f"{model.name}: {METRICS[name].label}: failed"
            elif name in model.metrics:
                value = f"{number(model.metrics[name])} {METRICS[name].unit}".rstrip()
                yield f"{model.name}: {METRICS[name].label}: {value}"


def _correlations(results: BenchResults) -> Iterator[str]:
    for target, rows in results.comparison.correlations.items():
        for row in [row for row in rows if math.isfinite(row.spearman)][:_MOST]:
            between = "" if math.isnan(row.low) else f" ({row.low:+.2f} to {row.high:+.2f})"
            found = f"{row.spearman:+.2f}{between}, {row.models} models"
            yield f"{METRICS[row.metric].label} and {METRICS[target].label}: rank correlation {found}"
