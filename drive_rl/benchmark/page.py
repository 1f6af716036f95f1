"""The page of a benchmark of perception models: one HTML file that opens from disk, without a network.

It knows results and how to show them. It measures nothing.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2

from drive_rl.benchmark.metrics import METRICS, TABLES, more_columns
from drive_rl.benchmark.part import Number
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.parts.accuracy import STATED
from drive_rl.benchmark.parts.closed_loop import ConditionDriven
from drive_rl.benchmark.plots import ROBUSTNESS, plots
from drive_rl.benchmark.results import BenchResults, Correlation, ModelResult, Pair
from drive_rl.benchmark.verdict import ALPHA, QUANTITIES
from drive_rl.perception.evaluation.certainty import CertaintyScores
from drive_rl.perception.heads.lane_benchmarks import ScenarioResult
from drive_rl.report.predict.drawing import CLASS_COLOURS
from drive_rl.run.storage.atomic import write_text
from drive_rl.stats import rate_margin

NONE_STATED = "none stated"


class Column(NamedTuple):
    """The head of a column."""

    label: str
    unit: str
    better: int


class Cell(NamedTuple):
    """A number of a model."""

    text: str
    value: Number | None
    """To sort by; None: not measured."""
    best: bool
    interval: str
    """Empty: none."""


class Row(NamedTuple):
    """A model; `error`: why it has no numbers, or empty."""

    name: str
    cells: list[Cell]
    error: str


class Table(NamedTuple):
    """A table of models and metrics."""

    title: str
    columns: list[Column]
    rows: list[Row]


class PairRow(NamedTuple):
    """A pair of models in words."""

    first: str
    second: str
    metric: str
    difference: str
    interval: str
    p: str
    apart: bool


class CorrelationRow(NamedTuple):
    """A rank correlation in words."""

    label: str
    spearman: str
    interval: str
    resampled: str
    kendall: str
    p: str
    models: int


def write_page(path: Path, results: BenchResults) -> None:
    """Write the page of some results, with the example pictures that they hold."""
    tables = {name: _table(PARTS[name].title, PARTS[name].columns, results, name) for name in TABLES}
    page = template("page.html").render(
        results=results,
        models=results.models,
        tables={**tables, "more": _table("More metrics", more_columns(), results)},
        plots=plots(results),
        correlations=[
            (target, METRICS[target].label, [_correlation(row) for row in rows])
            for target, rows in results.comparison.correlations.items()
        ],
        pairs=[_pair(pair) for pair in results.comparison.pairs or ()],
        conditions=_conditions(results),
        mce=_mce(results),
        certainty=_certainty(results),
        scenarios=_scenarios(results),
        colours=CLASS_COLOURS,
        rate_error=round(100 * rate_margin(results.setting.closed_loop.roads)),
    )
    write_text(path, page)


def template(name: str) -> jinja2.Template:
    """Return a template of a page, by its path in this folder."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined).get_template(name)


def number(value: Number | None) -> str:
    """Return a number for people: three digits, thousands apart, millions as M; a dash for none."""
    if value is None:
        return "–"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}\u202fM"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _table(title: str, columns: Sequence[str], results: BenchResults, part: str = "") -> Table:
    """Return a table without the columns that are empty for every model; the best of each column is marked."""
    models = results.models
    used = [c for c in columns if any(c in model.metrics or f"metric {c}" in model.errors for model in models)]
    best = {column: _best(column, models) for column in used}
    rows = [
        Row(model.name, [_cell(column, model, results, best[column]) for column in used], _error(model, part))
        for model in models
    ]
    return Table(title, [Column(METRICS[c].label, METRICS[c].unit, METRICS[c].better) for c in used], rows)


def _cell(column: str, model: ModelResult, results: BenchResults, best: Number | None) -> Cell:
    value = model.metrics.get(column)
    return Cell(cell_text(column, model), value, value is not None and value == best, _interval(column, model, results))


def cell_text(column: str, model: ModelResult) -> str:
    """Return a metric of a model for people, or why there is none."""
    if column in STATED and model.parts.accuracy is not None and model.parts.accuracy.certainty == {}:
        return NONE_STATED
    if f"metric {column}" in model.errors:
        return "failed"
    runtime, _, percentile = column.partition("_")
    if percentile == "p99_ms" and column not in model.metrics and f"{runtime}_preempted" in model.metrics:
        return "not quiet"
    return number(model.metrics.get(column))


def _interval(column: str, model: ModelResult, results: BenchResults) -> str:
    between = results.comparison.intervals.get(model.name) if column == "driving_score" else None
    if between is not None:
        return f"{number(between.low)} to {number(between.high)}"
    drive = model.parts.closed_loop
    if column == "failing_delay_s" and drive is not None and (found := drive.failing_delay) is not None:
        longest = "beyond" if found.high_s is None else number(found.high_s)
        return f"{number(found.low_s)} to {longest}"
    return ""


def _error(model: ModelResult, part: str) -> str:
    """Return why a model has no numbers of a part; without a part, its other numbers stand."""
    return model.errors.get(part) or model.errors.get("model", "") if part else ""


def _best(column: str, models: Sequence[ModelResult]) -> Number | None:
    values = [model.metrics[column] for model in models if column in model.metrics]
    better = METRICS[column].better
    return max(values, key=lambda value: better * value) if better and len(set(values)) > 1 else None


def _pair(pair: Pair) -> PairRow:
    digits = 3 if METRICS[pair.metric].unit else 4
    return PairRow(
        first=pair.first,
        second=pair.second,
        metric=METRICS[pair.metric].label,
        difference=f"{pair.difference:+.{digits}f} {METRICS[pair.metric].unit}".rstrip(),
        interval=f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}",
        p=f"{pair.p_holm:.2g}",
        apart=pair.p_holm <= ALPHA,
    )


def _conditions(results: BenchResults) -> Table | None:
    """Return the driving score in each condition; below it, the excess deviation."""
    driven = {m.name: m.parts.closed_loop.conditions for m in results.models if m.parts.closed_loop}
    names = list(dict.fromkeys(name for conditions in driven.values() for name in conditions))
    if not names:
        return None
    best = {c: max(each[c].driven.driving_score for each in driven.values() if c in each) for c in names}
    rows = [
        Row(model, [_condition(each[c], best[c]) for c in names if c in each], "") for model, each in driven.items()
    ]
    return Table("Conditions", [Column(name.replace("_", " "), "", 1) for name in names], rows)


def _condition(found: ConditionDriven, best: float) -> Cell:
    score = found.driven.driving_score
    return Cell(number(score), score, score == best, f"{found.excess_offset_m:+.2f} m")


def _certainty(results: BenchResults) -> list[Table]:
    """Return for each quantity the share in the stated 95 % intervals by condition; below it, NLL and the interval."""
    found = {m.name: m.parts.accuracy.certainty for m in results.models if m.parts.accuracy}
    stated = {name: each for name, each in found.items() if each is not None}
    tables = []
    for quantity, words in QUANTITIES.items():
        by_model = {name: each[quantity].groups if quantity in each else {} for name, each in stated.items()}
        names = list(dict.fromkeys(group for groups in by_model.values() for group in groups))
        rows = [Row(m, [_trusted(groups.get(name)) for name in names], "") for m, groups in by_model.items()]
        columns = [Column(name.replace("_", " "), "", 0) for name in names]
        tables += [Table(words.capitalize(), columns, rows)] if names else []
    return tables


def _scenarios(results: BenchResults) -> Table | None:
    """Return CULane's F1 in each scenario; where there are no lanes, how many are predicted."""
    lines = {m.name: m.parts.accuracy.lines for m in results.models if m.parts.accuracy}
    found = {name: each.culane_scenarios for name, each in lines.items() if each and each.culane_scenarios}
    names = list(dict.fromkeys(name for each in found.values() for name in each))
    rows = [Row(model, [_scenario(each[name]) for name in names if name in each], "") for model, each in found.items()]
    return Table("CULane F1", [Column(name.replace("_", " "), "", 0) for name in names], rows) if found else None


def _scenario(found: ScenarioResult) -> Cell:
    return Cell(scenario_text(found), found.fp if math.isnan(found.f1) else found.f1, False, f"n = {found.n}")


def scenario_text(found: ScenarioResult) -> str:
    """Return F1 for people, or the number of false positives where no lane is true."""
    return f"{number(found.fp)} FP" if math.isnan(found.f1) else number(found.f1)


def _trusted(found: CertaintyScores | None) -> Cell:
    if found is None:
        return Cell(NONE_STATED, None, False, "")
    between = f"{100 * found.low_95:.0f} to {100 * found.high_95:.0f} %"
    return Cell(f"{100 * found.within_95:.0f} %", found.within_95, False, f"{between}; NLL {number(found.nll)}")


def _mce(results: BenchResults) -> Table | None:
    """Return the mean corruption errors, a score a column."""
    found = results.comparison.mce or {}
    models = list(dict.fromkeys(model for each in found.values() for model in each))
    rows = [Row(m, [Cell(number(each.get(m)), each.get(m), False, "") for each in found.values()], "") for m in models]
    columns = [Column(ROBUSTNESS[name], "mCE", -1) for name in found]
    return Table("Mean corruption error", columns, rows) if found else None


def _correlation(row: Correlation) -> CorrelationRow:
    return CorrelationRow(
        label=METRICS[row.metric].label,
        spearman=_defined(row.spearman, f"{row.spearman:+.2f}"),
        interval=_defined(row.low, f"{row.low:+.2f} to {row.high:+.2f}"),
        resampled=" and ".join(row.resampled) or "nothing",
        kendall=_defined(row.kendall, f"{row.kendall:+.2f}"),
        p=_defined(row.p, f"{row.p:.3f}"),
        models=row.models,
    )


def _defined(value: float, text: str) -> str:
    return "–" if math.isnan(value) else text
