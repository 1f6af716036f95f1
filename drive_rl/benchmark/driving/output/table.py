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

    The first where worlds are scenarios, the second where there are several. Drivers are columns.
    """
    console = console or Console()
    console.print(where, markup=False, highlight=False, soft_wrap=True)
    if names := [*abilities(worlds)]:
        table = _titled("success [%] by ability", results)
        each = [by_ability(result, worlds) for result in results]
        for row, name in enumerate((*names, "mean", "total")):
            table.add_row(name.replace("_", " "), *(_percent(found[row]) for found in each))
        print_whole(console, table)
    if len(worlds) > 1:
        table = _titled("success [%] in", results)
        for world in worlds:
            table.add_row(Text(short(world.name)), *(_percent(success(result, [world.name])) for result in results))
        print_whole(console, table)
    measures = [measure.name for measure in results[0].measures()]
    parts = [name for name in measures if name.startswith("nuplan_") and name not in _FIRST]
    rates = [name for name in measures if name.endswith("_per_km")]
    for title, chosen in (("scores", _FIRST), ("nuPlan's parts", parts), ("per km", rates)):
        print_whole(console, _measures(title, results, chosen))


def _measures(title: str, results: Sequence[DriverResult], chosen: Sequence[str]) -> Table:
    table = _titled(title, results)
    each: list[Mapping[str, Measure]] = [{found.name: found for found in result.measures()} for result in results]
    for name in chosen:
        measure = each[0][name]
        unit = "" if measure.unit == "1/km" else f" [{measure.unit}]"
        table.add_row(Text(measure.label + unit), *(_cell(found[name]) for found in each))
    return table


def _titled(title: str, results: Sequence[DriverResult]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(title, no_wrap=True)
    for result in results:
        table.add_column(Text(result.name), justify="right", no_wrap=True)
    return table


def _cell(measure: Measure) -> Text:
    return _percent(measure.value) if measure.unit == "%" else _text(measure.value, 1, 2)


def _percent(value: Estimate) -> Text:
    return _text(value, 100, 1)


def _text(found: Estimate, scale: float, digits: int) -> Text:
    value, low, high = (f"{scale * each:.{digits}f}" for each in (found.value, found.low, found.high))
    return Text(f"{value} ({low} to {high})")
