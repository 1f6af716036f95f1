"""Training progress on the terminal: a bar, or plain lines where none can be drawn. It knows numbers only."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from drive_rl.learn.training_history import Evaluation
from drive_rl.run.process.terminal import can_redraw

_LINE_EVERY_S = 10.0


class Display:
    """Shows steps, steps/s, time left and the last held-out success (a context manager)."""

    def __init__(self, console: Console, budget_steps: int, begin: int) -> None:
        self._console = console
        self._budget, self._begin = budget_steps, begin
        self._start_s = self._printed_s = time.perf_counter()
        self._success = "none yet"
        self._bar: Progress | None = None
        if can_redraw(console.file):
            columns = (TextColumn("train"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
            text = TextColumn("{task.fields[text]}", markup=False)
            self._bar = Progress(*columns, text, console=console, refresh_per_second=2)
            self._task = self._bar.add_task("train", total=budget_steps, completed=begin, text="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, step: int) -> None:
        """Show that training has reached `step`."""
        if self._bar is not None:
            self._bar.update(self._task, completed=min(step, self._budget), text=self._text(step))
        elif time.perf_counter() - self._printed_s >= _LINE_EVERY_S:
            self._line(step)

    def evaluated(self, row: Evaluation) -> None:
        """Show a held-out evaluation."""
        self._success = f"{row.success:.0%}"
        if self._bar is not None:
            self.at(row.step)
        else:
            self._line(row.step)

    def _line(self, step: int) -> None:
        self._printed_s = time.perf_counter()
        self._console.print(
            f"{step:,} of {self._budget:,} steps, {self._text(step)}", markup=False, highlight=False, soft_wrap=True
        )

    def _text(self, step: int) -> str:
        if step <= self._begin:
            return f"held-out success {self._success}"
        speed = (step - self._begin) / max(time.perf_counter() - self._start_s, 1e-9)
        left_s = max(self._budget - step, 0) / max(speed, 1e-9)
        left = f"{left_s:.0f} s" if left_s < 120 else f"{left_s / 60:.0f} min"
        return f"{speed:,.0f} steps/s, {left} left, held-out success {self._success}"
