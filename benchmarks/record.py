"""What the benchmarks share: pinning to a core, timed child processes, and result files with their provenance."""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from drive_rl.run.provenance import Provenance, provenance
from drive_rl.run.storage.atomic import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
QUICK = RESULTS / "quick"
"""Results of anything but the claim's full setting: git ignores them, so a smoke run never replaces a result."""


@dataclass(frozen=True)
class Bar:
    """A figure and its bar."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether the value is within its bounds."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        bar = f">= {self.least:,g}" if self.least is not None else f"<= {self.most:,g}"
        return f"{'met   ' if self.met else 'MISSED'}  {self.what}: {self.value:,.4g} (bar: {bar})"


class Bench:
    """One benchmark's run: arguments, the stamp taken at its start, and the result file at its end."""

    def __init__(self, name: str, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--out", type=Path, help="where the JSON goes (default: results/, or results/quick/)")
        self.args = parser.parse_args()
        self.name = name
        self.full = all(
            getattr(self.args, key) == parser.get_default(key) for key in vars(self.args) if key not in _FREE
        )
        self._begin = time.perf_counter()
        self._stamp = {
            "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "load_average_1min": os.getloadavg()[0],
            "provenance": _provenance(),  # before the process is pinned: it counts the cores
        }

    def finish(self, figures: dict[str, Any], samples: Any, bars: Sequence[Bar] = ()) -> None:
        """Write the result, and print which bars it reaches."""
        name = f"{self.name}.json"
        path: Path = self.args.out or (RESULTS if self.full else QUICK) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        settings = {key: value for key, value in vars(self.args).items() if key not in _FREE}
        write_json(
            path,
            {
                "name": self.name,
                "full_setting": self.full,
                **self._stamp,
                "seconds": round(time.perf_counter() - self._begin, 1),
                "settings": {key: str(v) if isinstance(v, Path) else v for key, v in settings.items()},
                "bars": [{**asdict(bar), "met": bar.met} for bar in bars],
                "figures": figures,
                "samples": samples,
            },
        )
        for bar in bars:
            print(bar)
        shown = path.resolve()
        print(f"written: {shown.relative_to(ROOT) if shown.is_relative_to(ROOT) else path}")


_FREE = ("examine", "out", "cpu", "python", "keep")
"""Arguments that do not change what is measured."""


def one_core(cpu: int | None = None) -> int:
    """Pin this process and its children to one core; return its number."""
    chosen = max(os.sched_getaffinity(0)) if cpu is None else cpu
    os.sched_setaffinity(0, {chosen})
    return chosen


def run(command: Sequence[str | Path], cwd: Path | None = None) -> tuple[str, float]:
    """Run a command; return its standard output and its wall-clock seconds. A failure ends the benchmark."""
    begin = time.perf_counter()
    done = subprocess.run([str(part) for part in command], cwd=cwd, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
        sys.exit(f"failed with exit code {done.returncode}: {shlex.join(str(part) for part in command)}")
    return done.stdout, seconds


def run_json(command: Sequence[str | Path], cwd: Path | None = None) -> Any:
    """Run a command that prints JSON; return the value."""
    return json.loads(run(command, cwd)[0])


def median(values: Sequence[float]) -> float:
    """Return the median as a plain float."""
    return float(statistics.median(values))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and most."""
    return {"median": median(values), "min": float(min(values)), "max": float(max(values))}


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; floats with four figures."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*(f"{cell:,.4g}" if isinstance(cell, float) and cell < 1000 else _text(cell) for cell in row))
    Console(width=max(120, Console().width)).print(table)


def _text(cell: object) -> str:
    return f"{cell:,.0f}" if isinstance(cell, int | float) else str(cell)


def _provenance() -> Provenance:
    """Return the code's and the machine's description; other benchmarks' fresh results do not make a checkout dirty."""
    made = provenance("field")
    if made["git"] is not None:
        changed = subprocess.run(
            ["git", "-C", ROOT, "status", "--porcelain", "--", ".", ":!benchmarks/results"],
            capture_output=True,
            text=True,
            check=True,
        )
        made["git"]["dirty"] = bool(changed.stdout)
    return made
