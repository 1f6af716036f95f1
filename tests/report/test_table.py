"""Scores on a terminal: every metric with its interval, and each tier."""

import io

from rich.console import Console

from drive_rl.config.reader import load_world
from drive_rl.drivers.evaluate import results
from drive_rl.report.table import print_results
from drive_rl.sim.task.scoring import EpisodeMetrics

ROWS = [
    EpisodeMetrics(True, "arrived", 1.0, 40.0, 10.0, 0.6, 0.2, 0.0, 0, 1.0, 0.25, 20_000, "easy"),
    EpisodeMetrics(False, "off_road", 0.5, 20.0, 8.0, 2.0, 0.4, 0.5, 0, 1.0, 0.25, 20_001, "hard"),
]


def test_scores_with_intervals_and_tiers() -> None:
    console = Console(record=True, width=160, file=io.StringIO())
    print_results(results("me", load_world("lane_follow"), "test", ROWS, "batch", ["car.mass_kg=2000"]), console)
    shown = console.export_text()
    assert "me in lane_follow, car.mass_kg=2000, engine=batch: 2 roads of the test split" in shown
    assert "50.0 %" in shown  # success, one of two
    assert "30.00 s" in shown  # survival, the median of 20 s and 40 s
    assert "easy" in shown
    assert "hard" in shown


def test_a_narrow_terminal_cuts_nothing_off() -> None:
    console = Console(record=True, width=30, file=io.StringIO())
    print_results(results("me", load_world("lane_follow"), "test", ROWS), console)
    text = console.export_text()
    assert "…" not in text
    assert "route completion %" in text
