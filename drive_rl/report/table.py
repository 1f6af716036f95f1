"""Scores as tables on a terminal. It knows the contents of `eval.json`; it does not know who drove."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drive_rl.drivers.compare import Comparison
from drive_rl.stats import Estimate

_UNITS = {"survival_s": ("survival (median)", "s"), "lateral_deviation_m": ("lateral deviation (median)", "m")}
_UNITS |= {"mean_speed_mps": ("mean speed", "m/s"), "steering_reversals_hz": ("steering reversals", "Hz")}
_WIDEST = 400
_BY_TIER = ("success", "driving_score", "route_completion")


def print_results(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what `learn.evaluate.results` returns: every metric with its interval, then each tier."""
    console = console or Console()
    score = results["score"]
    changed = "".join(f", {change}" for change in results.get("changes", []))
    engine = f", engine={results['engine']}" if results.get("engine", "bullet") != "bullet" else ""
    where = f"{results['driver']} in {results['world']}{changed}{engine}"
    title = f"{where}: {score['episodes']} roads of the {results['split']} split"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = _table("metric", "value", "95 % interval")
    for name, value in score.items():
        if isinstance(value, Mapping):
            label, unit = _UNITS.get(name, (name.replace("_", " "), "%"))
            table.add_row(label, f"{_number(value['value'], unit)} {unit}", _interval(value, unit))
    for metric in results.get("metrics", {}).values():
        value = "not defined" if metric["value"] is None else f"{metric['value']:.3g} {metric['unit']}"
        table.add_row(Text(metric["label"]), Text(value), "")
    print_whole(console, table)
    by_tier = _table("tier", "roads", "success %", "driving score %", "route completion %")
    for tier, values in results["tiers"].items():
        by_tier.add_row(Text(tier), str(values["episodes"]), *(_percent(values[key]) for key in _BY_TIER))
    print_whole(console, by_tier)


def print_comparison(found: Comparison, where: str, console: Console | None = None) -> None:
    """Print each driver's scores, each pair's differences, and a sentence for each pair."""
    console = console or Console()
    print_line = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    print_line(where)
    letters = {one.name: chr(ord("A") + i) if i < 26 else str(i + 1) for i, one in enumerate(found.drivers)}
    for one in found.drivers:
        print_line(f"{letters[one.name]}: {one.name}" + (f" ({len(one.seeds)} seeds)" if len(one.seeds) > 1 else ""))
    table = _table("", "success %", "driving score %", "IQM of seeds %")
    for one in found.drivers:
        iqm = f"{100 * one.success_iqm:.1f}" if len(one.seeds) > 1 else ""
        table.add_row(letters[one.name], _points(one.success), _points(one.driving_score), iqm)
    print_whole(console, table)
    table = _table("", "success: points", "score: points", "P(improvement) %", "p")
    for pair in found.pairs:
        differences = (_points(value) for value in (pair.success, pair.driving_score, pair.probability_of_improvement))
        table.add_row(f"{letters[pair.first]} - {letters[pair.second]}", *differences, f"{pair.p_holm:.2g}")
    print_whole(console, table)
    for pair in found.pairs:
        print_line(pair.sentence)


def print_whole(console: Console, table: Table) -> None:
    """Print a table as wide as it is: a narrow terminal folds its lines, and nothing of it is cut off."""
    whole = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
    console.width = max(console.width, whole)
    console.print(table)


def _points(value: Estimate) -> str:
    return "{:.1f} ({:.1f} to {:.1f})".format(*(round(100 * v, 1) + 0.0 for v in (value.value, value.low, value.high)))


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", no_wrap=True)
    return table


def _number(value: float, unit: str) -> str:
    return f"{100 * value:.1f}" if unit == "%" else f"{value:.2f}"


def _interval(value: Mapping[str, float], unit: str) -> str:
    return f"{_number(value['low'], unit)} to {_number(value['high'], unit)}"


def _percent(value: Mapping[str, float]) -> str:
    return f"{100 * value['value']:.1f} ({100 * value['low']:.0f} to {100 * value['high']:.0f})"
