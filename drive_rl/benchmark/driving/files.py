"""`results.json` and `results.csv` of the benchmark of drivers. The same drives give the same bytes."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from drive_rl import __version__
from drive_rl.benchmark.driving.run import DriverResult
from drive_rl.config.specs.base import Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import check_writable, explain_disk_errors, make_directory, write_json, write_text
from drive_rl.run.storage.json_values import plain

FORMAT = 1


def check_folder(out: Path) -> None:
    """Refuse a folder of results that cannot be written, before any work.

    Raises:
        DriveRLError: it is a file, or takes none.
    """
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise DriveRLError(f"--out {out}: {there} is a file; expected a folder; fix: another name")
    check_writable(out)


def write_results(out: Path, results: Sequence[DriverResult], world: WorldSpec, split: Split) -> None:
    """Write `results.json` and `results.csv` into a folder, which is made if need be.

    Raises:
        DriveRLError: it cannot be written.
    """
    with explain_disk_errors(out):
        make_directory(out)
    write_json(out / "results.json", content(results, world, split))
    write_text(out / "results.csv", as_csv(results))


def content(results: Sequence[DriverResult], world: WorldSpec, split: Split) -> Mapping[str, object]:
    """Return what `results.json` holds: of each driver all measures, success first, then its drives."""
    return {
        "format": FORMAT,
        "drive_rl": __version__,
        "world": world.name,
        "split": split,
        "engine": "batch",
        "episodes": len(results[0].episodes),
        "drivers": [_driver(result) for result in results],
    }


def as_csv(results: Sequence[DriverResult]) -> str:
    """Return a table, one driver a row: its name, and each measure with the bounds of its 95 % interval."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [measure.name for measure in results[0].measures]
    writer.writerow(["driver", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))])
    for result in results:
        values = [measure.value for measure in result.measures]
        writer.writerow([result.name, *(number for v in values for number in (v.value, v.low, v.high))])
    return out.getvalue()


def _driver(result: DriverResult) -> Mapping[str, object]:
    roads = [
        {"success": episode.success, **plain(drive)}
        for episode, drive in zip(result.episodes, result.roads, strict=True)
    ]
    return {"name": result.name, **{each.name: plain(each.value) for each in result.measures}, "roads": roads}
