"""A fit on the terminal: a progress bar, or plain lines where the terminal cannot redraw."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from drive_rl.perception.training.validation import Validation
from drive_rl.run.process.terminal import can_redraw

_LINE_EVERY_S = 10.0


class FitDisplay:
    """Shows pictures learned from, the loss, and validations (a context manager)."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = can_redraw(self._console.file)
        self._printed_s = time.perf_counter()
        columns = (TextColumn("fit"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        text = TextColumn("loss {task.fields[loss]:.3g}")
        self._bar = Progress(*columns, text, console=self._console, disable=not self._live)
        self._task = self._bar.add_task("fit", total=None, loss=float("nan"))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def echo(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def at(self, samples: int, of: int, loss: float) -> None:
        """Show how many pictures of all are learned from, and the loss."""
        self._bar.update(self._task, completed=samples, total=of, loss=loss)
        if not self._live and time.perf_counter() - self._printed_s >= _LINE_EVERY_S:
            self._printed_s = time.perf_counter()
            self.echo(f"{samples:,} of {of:,} pictures, loss {loss:.3g}")

    def validated(self, validation: Validation) -> None:
        """Show a validation."""
        self.echo(f"{validation.samples:,} pictures: {validation}")
