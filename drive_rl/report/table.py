"""Scores as tables on a terminal. It knows what `eval.json` holds; it does not know who drove."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from drive_rl.sim.scoring import EpisodeMetrics

_UNITS = {"survival_s": ("survival (median)", "s"), "lateral_deviation_m": ("lateral deviation (median)", "m")}
_UNITS |= {"mean_speed_mps": ("mean speed", "m/s")}
_BY_TIER = ("success", "driving_score", "route_completion")


def print_results(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what `learn.evaluate.results` returns: every metric with its interval, then each tier."""
    console = console or Console()
    score = results["score"]
    title = f"{results['driver']} in {results['world']}: {score['episodes']} roads of the {results['split']} split"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = _table("metric", "value", "95 % interval")
    for name, value in score.items():
        if isinstance(value, Mapping):
            label, unit = _UNITS.get(name, (name.replace("_", " "), "%"))
            table.add_row(label, f"{_number(value['value'], unit)} {unit}", _interval(value, unit))
    console.print(table)
    by_tier = _table("tier", "roads", "success %", "driving score %", "route completion %")
    for tier, values in results["tiers"].items():
        by_tier.add_row(tier, str(values["episodes"]), *(_percent(values[key]) for key in _BY_TIER))
    console.print(by_tier)


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[EpisodeMetrics], None]]:
    """Show on stderr, where it is a terminal, how many episodes are done and how many of them succeeded."""
    console = Console(file=sys.stderr)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    text = TextColumn("success {task.fields[successes]}")
    successes = 0
    with Progress(*columns, text, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total, successes=0)

        def advance(episode: EpisodeMetrics) -> None:
            nonlocal successes
            successes += episode.success
            progress.update(task, advance=1, successes=successes)

        yield advance


@contextmanager
def counted(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr, where it is a terminal, how many of `total` are done; yields what is told how many more are."""
    console = Console(file=sys.stderr)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total)
        yield lambda more: progress.advance(task, more)


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
