"""The page of the benchmark of drivers: one HTML file with all tables and a small map of each failure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from drive_rl import __version__
from drive_rl.benchmark.driving.groups import abilities, by_ability, success
from drive_rl.benchmark.driving.output.sketch import HIT, OTHER, ROUTE, WAY, sketch
from drive_rl.benchmark.driving.run import Drive, DriverResult
from drive_rl.benchmark.page import Cell, Column, Row, Table, template
from drive_rl.config.specs.base import Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.run.storage.atomic import write_text
from drive_rl.stats import Estimate


class Failure(NamedTuple):
    """A drive that failed, in words and as a picture."""

    road_seed: int
    why: str
    at: str
    svg: str


class Failures(NamedTuple):
    """A driver's failures in one world, of so many drives."""

    driver: str
    world: str
    roads: int
    shown: list[Failure]


def write_page(path: Path, results: Sequence[DriverResult], worlds: Sequence[WorldSpec], split: Split) -> None:
    """Write the page. It opens from disk, without a network.

    Raises:
        DriveRLError: it cannot be written.
    """
    page = template("driving/output/page.html").render(
        version=__version__,
        split=split,
        drivers=[result.name for result in results],
        worlds=worlds,
        roads=len(results[0].roads) // len(worlds),
        by_ability=_by_ability(results, worlds) if abilities(worlds) else None,
        by_world=_by_world(results, worlds) if len(worlds) > 1 else None,
        measures=_measures(results),
        failures=list(_failures(results, {world.name: world for world in worlds})),
        colours={"the route": ROUTE, "the car and its way": WAY, "others": OTHER, "what it hit or ran": HIT},
    )
    write_text(path, page)


def _by_ability(results: Sequence[DriverResult], worlds: Sequence[WorldSpec]) -> Table:
    names = [*(ability.replace("_", " ") for ability in abilities(worlds)), "mean of abilities", "total"]
    return _table([Column(name, "%", 1) for name in names], {each.name: by_ability(each, worlds) for each in results})


def _by_world(results: Sequence[DriverResult], worlds: Sequence[WorldSpec]) -> Table:
    columns = [Column(result.name, "%", 1) for result in results]
    rows = {}
    for world in worlds:
        ability = f" ({world.scenario.ability.replace('_', ' ')})" if world.scenario else ""
        rows[short(world.name) + ability] = [success(result, [world.name]) for result in results]
    return _table(columns, rows)


def _measures(results: Sequence[DriverResult]) -> Table:
    """Return all measures of all drives, a driver a column."""
    found = [result.measures() for result in results]
    rows = {}
    for k, measure in enumerate(found[0]):
        scale = 100 if measure.unit == "%" else 1
        rows[f"{measure.label} [{measure.unit}]"] = [_cell(each[k].value, scale) for each in found]
    columns = [Column(result.name, "", 0) for result in results]
    return Table("", columns, [Row(name, cells, "") for name, cells in rows.items()])


def _failures(results: Sequence[DriverResult], worlds: Mapping[str, WorldSpec]) -> Iterator[Failures]:
    for result in results:
        for world, roads in groupby(result.roads, lambda drive: drive.world):
            each = list(roads)
            if failed := [_failure(worlds[world], drive) for drive in each if drive.failure]:
                yield Failures(result.name, short(world), len(each), failed)


def _failure(world: WorldSpec, drive: Drive) -> Failure:
    at = f"after {drive.episode.time_s:.1f} s and {1000 * drive.scores.driven_km:.0f} m"
    return Failure(drive.scores.road_seed, drive.failure, at, sketch(world, drive))


def short(world: str) -> str:
    """Return the name of a scenario without its shelf; other worlds keep theirs."""
    return world.removeprefix("scenarios/")


def _table(columns: Sequence[Column], rows: Mapping[str, Sequence[Estimate]]) -> Table:
    return Table("", list(columns), [Row(name, [_cell(each, 100) for each in row], "") for name, row in rows.items()])


def _cell(found: Estimate, scale: float) -> Cell:
    value, low, high = (f"{scale * each:.{1 if scale == 100 else 2}f}" for each in (found.value, found.low, found.high))
    return Cell(value, found.value, False, f"{low} to {high}")
