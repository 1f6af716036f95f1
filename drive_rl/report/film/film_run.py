"""The film of a finished run, in the run's folder. It knows runs and films; it does not know training."""

import sys
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.learn.load_driver import load_driver
from drive_rl.report.film.film import render_film
from drive_rl.run.folder import RunFolder


def film_run(run: Path) -> Path | None:
    """Film one held-out road into a run's `films/`; a film that fails only prints a line."""
    out = RunFolder(run).films / "val.mp4"
    try:
        driver, world = load_driver(str(run))
        render_film(driver, world, "val", 1, out, overwrite=True)
    except (DriveRLError, OSError) as error:
        print(f"film: not made: {error}", file=sys.stderr)
        return None
    return out
