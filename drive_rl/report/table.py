"""Scores as tables on a terminal. It knows the contents of `eval.json`; it does not know who drove."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_UNITS = {"survival_s": ("survival (median)", "s"), "lateral_deviation_m": ("lateral deviation (median)", "m")}
_UNITS |= {"mean_speed_mps": ("mean speed", "m/s")}
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
        table.add_row(metric["label"], value, "")
    console.print(table)
    by_tier = _table("tier", "roads", "success %", "driving score %", "route completion %")
    for tier, values in results["tiers"].items():
        by_tier.add_row(tier, str(values["episodes"]), *(_percent(values[key]) for key in _BY_TIER))
    console.print(by_tier)


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
