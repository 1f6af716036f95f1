"""The results of the benchmark of drivers on a terminal. It measures nothing."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drive_rl.benchmark.driving.groups import abilities, by_ability, success
from drive_rl.benchmark.driving.output.page import short
from drive_rl.benchmark.driving.run import DriverResult
from drive_rl.benchmark.driving.scores import Measure
from drive_rl.config.specs.world import WorldSpec
from drive_rl.report.table import print_whole
from drive_rl.stats import Estimate

_FIRST = (
    "success",
    "route_completion",
    "carla_driving_score_2_0",
    "carla_driving_score_2_1",
    "nuplan_closed_loop_score",
    "min_ttc_s",
    "min_pet_s",
)


def print_drivers(
    results: Sequence[DriverResult], worlds: Sequence[WorldSpec], where: str, console: Console | None = None
) -> None:
    """Print success by ability and by world, then success and scores, nuPlan's parts, and infractions a kilometre.

    The first where worlds are scenarios, the second where there are several.
    """
    console = console or Console()
    console.print(where, markup=False, highlight=False, soft_wrap=True)
    if abilities(worlds):
        print_whole(console, _by_ability(results, worlds))
    if len(worlds) > 1:
        print_whole(console, _by_world(results, worlds))
    names = [measure.name for measure in results[0].measures()]
    parts = [name for name in names if name.startswith("nuplan_") and name not in _FIRST]
    rates = [name for name in names if name.endswith("_per_km")]
    for title, chosen in (("driver", _FIRST), ("nuPlan's parts", parts), ("per km", rates)):
        print_whole(console, _table(title, results, chosen))


def _by_ability(results: Sequence[DriverResult], worlds: Sequence[WorldSpec]) -> Table:
    table = _titled("success [%]")
    for name in (*abilities(worlds), "mean", "total"):
        table.add_column(Text(name.replace("_", " ")), justify="right", no_wrap=True)
    for result in results:
        table.add_row(Text(result.name), *(_percent(each) for each in by_ability(result, worlds)))
    return table


def _by_world(results: Sequence[DriverResult], worlds: Sequence[WorldSpec]) -> Table:
    table = _titled("success [%] in")
    for result in results:
        table.add_column(Text(result.name), justify="right", no_wrap=True)
    for world in worlds:
        found = [success(result, [world.name]) for result in results]
        table.add_row(Text(short(world.name)), *(_percent(each, " (", ")") for each in found))
    return table


def _table(title: str, results: Sequence[DriverResult], chosen: Sequence[str]) -> Table:
    table = _titled(title)
    by_name: list[Mapping[str, Measure]] = [{each.name: each for each in result.measures()} for result in results]
    for name in chosen:
        measure = by_name[0][name]
        unit = "" if measure.unit == "1/km" else f"\n[{measure.unit}]"
        table.add_column(Text(measure.label + unit), justify="right", no_wrap=True)
    for result, found in zip(results, by_name, strict=True):
        table.add_row(Text(result.name), *(_cell(found[name]) for name in chosen))
    return table


def _titled(title: str) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(title, no_wrap=True)
    return table


def _cell(measure: Measure) -> Text:
    return _percent(measure.value) if measure.unit == "%" else _text(measure.value, 1, 2, "\n", "")


def _percent(value: Estimate, before: str = "\n", after: str = "") -> Text:
    return _text(value, 100, 1, before, after)


def _text(found: Estimate, scale: float, digits: int, before: str, after: str) -> Text:
    value, low, high = (f"{scale * each:.{digits}f}" for each in (found.value, found.low, found.high))
    return Text(f"{value}{before}{low} to {high}{after}")
