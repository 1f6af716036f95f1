"""Progress of a verb on stderr: a bar on a terminal, and a plain line now and then in a log or a notebook."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from drive_rl.run.process.terminal import can_redraw

if TYPE_CHECKING:  # scoring needs no film library
    from drive_rl.report.film.film import FilmProgress
    from drive_rl.sim.task.scoring import EpisodeMetrics

_LINE_EVERY_S = 30.0

Show = Callable[[float, str], None]
"""Shows the share that is done, in [0, 1], and in words."""


@contextmanager
def shown(label: str, every_s: float = _LINE_EVERY_S) -> Iterator[Show]:
    """Show progress on stderr, or a line every `every_s` seconds if it is no terminal; yields the function to call."""
    if not can_redraw(sys.stderr):
        yield _lines(label, every_s)
        return
    columns = (TextColumn(label), BarColumn(), TextColumn("{task.description}", markup=False), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share, words: progress.update(task, completed=share, description=words)


@contextmanager
def episodes_bar(label: str, total: int) -> Iterator[Callable[["EpisodeMetrics"], None]]:
    """Show how many episodes are done and how many of them succeeded."""
    done = successes = 0
    with shown(label) as show:

        def advance(episode: "EpisodeMetrics") -> None:
            nonlocal done, successes
            done, successes = done + 1, successes + episode.success
            show(done / total, f"{done} of {total} roads, {successes} driven with success")

        yield advance


@contextmanager
def film_bar(roads: int) -> Iterator[Callable[["FilmProgress"], None]]:
    """Show the film's length so far, and the progress on its current road."""
    with shown("film") as show:

        def advance(filmed: "FilmProgress") -> None:
            share = (filmed.number - 1 + filmed.route_completion) / roads
            show(share, f"{filmed.film_s:.1f} s of film, road {filmed.number} of {roads}")

        yield advance


@contextmanager
def counted(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` are done; yields the function to report each further number to."""
    done = 0
    with shown(label) as show:

        def advance(more: int) -> None:
            nonlocal done
            done += more
            show(done / total, f"{done:,} of {total:,}")

        yield advance


@contextmanager
def seed_lines(seeds: Iterable[int]) -> Iterator[Callable[[int, str], None]]:
    """Show the newest line of each seed that trains, on stdout: one a seed on a terminal, else all as they come."""
    if not can_redraw(sys.stdout):
        yield lambda seed, words: print(f"seed {seed}: {words}", flush=True)
        return
    with Progress(TextColumn("{task.description}", markup=False), console=Console()) as progress:
        tasks = {seed: progress.add_task(f"seed {seed}: waiting") for seed in seeds}
        yield lambda seed, words: progress.update(tasks[seed], description=f"seed {seed}: {words}")


def _lines(label: str, every_s: float) -> Show:
    spoke_s = time.monotonic()

    def show(share: float, words: str) -> None:
        nonlocal spoke_s
        if share < 1 and time.monotonic() - spoke_s >= every_s:
            spoke_s = time.monotonic()
            print(f"{label}: {share:.0%}, {words}", file=sys.stderr, flush=True)

    return show
