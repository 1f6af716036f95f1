"""The results of the benchmark of drivers on a terminal: a row a driver. It measures nothing."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drive_rl.benchmark.driving.run import DriverResult
from drive_rl.benchmark.driving.scores import Measure
from drive_rl.report.table import print_whole

_FIRST = (
    "success",
    "route_completion",
    "carla_driving_score_2_0",
    "carla_driving_score_2_1",
    "nuplan_closed_loop_score",
    "min_ttc_s",
    "min_pet_s",
)


def print_drivers(results: Sequence[DriverResult], where: str, console: Console | None = None) -> None:
    """Print three tables: success and scores, the parts of nuPlan's score, and infractions a kilometre."""
    console = console or Console()
    console.print(where, markup=False, highlight=False, soft_wrap=True)
    names = [measure.name for measure in results[0].measures]
    parts = [name for name in names if name.startswith("nuplan_") and name not in _FIRST]
    rates = [name for name in names if name.endswith("_per_km")]
    for title, chosen in (("driver", _FIRST), ("nuPlan's parts", parts), ("per km", rates)):
        print_whole(console, _table(title, results, chosen))


def _table(title: str, results: Sequence[DriverResult], chosen: Sequence[str]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(title, no_wrap=True)
    by_name: list[Mapping[str, Measure]] = [{each.name: each for each in result.measures} for result in results]
    for name in chosen:
        measure = by_name[0][name]
        unit = "" if measure.unit == "1/km" else f"\n[{measure.unit}]"
        table.add_column(Text(measure.label + unit), justify="right", no_wrap=True)
    for result, found in zip(results, by_name, strict=True):
        table.add_row(Text(result.name), *(_cell(found[name]) for name in chosen))
    return table


def _cell(measure: Measure) -> Text:
    scale, digits = (100, 1) if measure.unit == "%" else (1, 2)
    value, low, high = (
        f"{scale * each:.{digits}f}" for each in (measure.value.value, measure.value.low, measure.value.high)
    )
    return Text(f"{value}\n{low} to {high}")
