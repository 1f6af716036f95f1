"""`metrics.csv`: scalars over training steps, one row a record, whole after a crash and across resumes.

It knows rows and columns. It does not know what the numbers mean.
"""

import csv
import io
import os
from itertools import takewhile
from pathlib import Path

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import explain_disk_errors, sync, write_text

STEP = "step"


class MetricsFile:
    """Appends rows to a CSV file whose first column is `step`; a new name adds a column.

    Opening an existing file drops a last line that a crash cut short and, given `resume_rows`, all rows after so many,
    which the resumed run writes again.

    Raises:
        DriveRLError: the file is not such a table, or no space is left.
    """

    def __init__(self, path: Path, resume_rows: int | None = None) -> None:
        self.path = path
        self.count = 0
        """The number of rows."""
        self._columns = [STEP]
        if path.exists():
            columns, rows = _read(path)
            kept = rows[:resume_rows]
            self._columns = [name for name in columns if name == STEP or any(row[name] for row in kept)]
            self._rewrite([{name: row[name] for name in self._columns} for row in kept])

    def append(self, step: int, scalars: dict[str, float]) -> None:
        """Write one row; missing scalars stay empty."""
        row = {STEP: str(step)} | {name: repr(float(value)) for name, value in scalars.items()}
        new = [name for name in row if name not in self._columns]
        if new or not self.path.exists():
            rows = _read(self.path)[1] if self.path.exists() else []
            self._columns += new
            self._rewrite([*rows, row])
        else:
            self._append(_text([row], self._columns))
            self.count += 1

    def sync(self) -> None:
        """Wait until all rows are on the disk, before a checkpoint that counts them is written."""
        if self.path.exists():
            with explain_disk_errors(self.path):
                sync(self.path)

    def rows(self) -> list[tuple[int, dict[str, float]]]:
        """Return the step and the scalars of every row, as `read_rows`."""
        return read_rows(self.path)

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        header = dict.fromkeys(self._columns, "") | {name: name for name in self._columns}
        write_text(self.path, _text([header, *rows], self._columns))
        self.count = len(rows)

    def _append(self, line: str) -> None:
        with explain_disk_errors(self.path), self.path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                data = line.encode()
                if file.write(data) != len(data):
                    file.write(data)  # a second write raises the reason of a short first one
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the rows of a `metrics.csv`; missing scalars are absent."""
    rows = _read(path)[1]
    try:
        return [{name: float(value) for name, value in row.items() if value != ""} for row in rows]
    except ValueError as error:
        raise DriveRLError(f"{path}: expected numbers ({error}); fix: move the file away and run again") from error


def read_rows(path: Path) -> list[tuple[int, dict[str, float]]]:
    """Return the step and the scalars of every row of a `metrics.csv`; none without a file."""
    rows = read_metrics(path) if path.exists() else []
    return [(int(row.pop(STEP)), row) for row in rows]


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return columns and rows, without an incomplete last line or the zeros that a power loss left."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise DriveRLError(f"{path}: cannot be read ({error}); fix: move it away and run again") from error
    reader = csv.DictReader(takewhile(lambda line: line.endswith("\n") and "\0" not in line, lines))
    try:
        columns = list(reader.fieldnames or [STEP])
        rows = [{name: value or "" for name, value in row.items() if name is not None} for row in reader]
    except csv.Error as error:
        raise DriveRLError(f"{path}: is not CSV ({error}); fix: move it away and run again") from error
    if columns[0] != STEP or not all(row[STEP].isdecimal() and len(row[STEP]) < 16 for row in rows):
        raise DriveRLError(
            f"{path}: first column = {columns[0]!r}: expected `{STEP}` and whole numbers; fix: move the file away"
            " and run again"
        )
    return columns, rows


def _text(rows: list[dict[str, str]], columns: list[str]) -> str:
    buffer = io.StringIO()
    csv.DictWriter(buffer, columns, restval="", lineterminator="\n").writerows(rows)
    return buffer.getvalue()
