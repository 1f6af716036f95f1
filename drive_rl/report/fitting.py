"""Fitting on the terminal: a progress bar, or plain lines where there is none."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from drive_rl.perception.looks import Look

_LINE_EVERY_S = 10.0


class FitDisplay:
    """Shows pictures learned from, the loss, and looks at held-out roads (a context manager).

    Args:
        frames: Pictures to learn from; None where a resumed run knows it.
    """

    def __init__(self, frames: int | None) -> None:
        self._console = Console()
        self._frames = frames
        self._spoke_s = time.perf_counter()
        columns = (TextColumn("fit"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        text = TextColumn("loss {task.fields[loss]:.3g}")
        self._bar = Progress(*columns, text, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("fit", total=frames, loss=float("nan"))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line for people."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def at(self, frames: int, loss: float) -> None:
        """Show that so many pictures are learned from."""
        self._bar.update(self._task, completed=frames, loss=loss)
        if not self._console.is_terminal and time.perf_counter() - self._spoke_s >= _LINE_EVERY_S:
            self._spoke_s = time.perf_counter()
            self.say(f"{frames:,} of {self._frames or 0:,} pictures, loss {loss:.3g}")

    def looked(self, look: Look) -> None:
        """Show a look at held-out roads."""
        self.say(f"{look.frames:,} pictures: {look}")
