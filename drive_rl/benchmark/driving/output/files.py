"""What the benchmark of drivers writes: JSON, CSV and a page. The same drives give the same bytes."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from drive_rl import __version__
from drive_rl.benchmark.driving.groups import Abilities, abilities, mean_of_abilities, success
from drive_rl.benchmark.driving.output.page import write_page
from drive_rl.benchmark.driving.run import Drive, DriverResult
from drive_rl.benchmark.driving.scores import Measure
from drive_rl.benchmark.reading import check_results_are_of
from drive_rl.config.specs.base import Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import check_writable, explain_disk_errors, make_directory, write_json, write_text
from drive_rl.run.storage.json_values import plain

FORMAT = 2


def check_folder(out: Path) -> None:
    """Refuse a folder of results that cannot be written, before any work.

    Raises:
        DriveRLError: it is a file, takes none, or holds the results of something else.
    """
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise DriveRLError(f"--out {out}: {there} is a file; expected a folder; fix: another name")
    check_writable(out)
    check_results_are_of("drivers", out)


def write_results(out: Path, results: Sequence[DriverResult], worlds: Sequence[WorldSpec], split: Split) -> None:
    """Write `results.json`, `results.csv` and `index.html` into a folder, which is made if need be.

    Raises:
        DriveRLError: it cannot be written.
    """
    with explain_disk_errors(out):
        make_directory(out)
    write_json(out / "results.json", content(results, worlds, split))
    write_text(out / "results.csv", as_csv(results, worlds))
    write_page(out / "index.html", results, worlds, split)


def content(results: Sequence[DriverResult], worlds: Sequence[WorldSpec], split: Split) -> Mapping[str, object]:
    """Return what `results.json` holds: of each driver all measures, success first, those in each world, its drives.

    Where the worlds are scenarios, success by ability, too; where the state holds only what the camera showed, for how
    long.
    """
    seen = {each.name: each.streets.seen_within_s for each in worlds if each.streets and each.streets.seen_within_s}
    return {
        "format": FORMAT,
        "drive_rl": __version__,
        "split": split,
        "engine": "batch",
        "episodes": len(results[0].roads) // len(worlds),
        **({"seen_within_s": seen} if seen else {}),
        "drivers": [_driver(result, worlds) for result in results],
    }


def as_csv(results: Sequence[DriverResult], worlds: Sequence[WorldSpec]) -> str:
    """Return a table: driver, world, and each measure with the bounds of its 95 % interval. `total`: all worlds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [measure.name for measure in results[0].measures()]
    writer.writerow(["driver", "world", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))])
    for result in results:
        for world in (None, *(world.name for world in worlds)):
            values = [measure.value for measure in result.measures(world)]
            row = (number for v in values for number in (v.value, v.low, v.high))
            writer.writerow([result.name, world or "total", *row])
    return out.getvalue()


def _driver(result: DriverResult, worlds: Sequence[WorldSpec]) -> Mapping[str, object]:
    return {
        "name": result.name,
        **_plain(result.measures()),
        **(_by_ability(result, groups) if (groups := abilities(worlds)) else {}),
        "worlds": {world.name: _plain(result.measures(world.name)) for world in worlds},
        "roads": [_drive(drive) for drive in result.roads],
    }


def _by_ability(result: DriverResult, groups: Abilities) -> Mapping[str, object]:
    each = {ability: plain(success(result, names)) for ability, names in groups.items()}
    return {"mean_of_abilities": plain(mean_of_abilities(result, groups)), "abilities": each}


def _plain(found: Sequence[Measure]) -> Mapping[str, object]:
    return {measure.name: plain(measure.value) for measure in found}


def _drive(drive: Drive) -> Mapping[str, object]:
    return {"world": drive.world, "success": not drive.failure, "failure": drive.failure, **plain(drive.scores)}
