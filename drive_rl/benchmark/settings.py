"""How much the benchmark measures. Frozen; each part's result is kept under its setting."""

from dataclasses import dataclass, replace
from typing import Literal

from drive_rl.benchmark.parts import PARTS, accuracy, closed_loop, examples, latency, robustness
from drive_rl.benchmark.parts.accuracy import AccuracySetting
from drive_rl.benchmark.parts.closed_loop import ClosedLoopSetting
from drive_rl.benchmark.parts.examples import ExamplesSetting
from drive_rl.benchmark.parts.robustness import RobustnessSetting
from drive_rl.perception.evaluation.latency import LatencySetting


@dataclass(frozen=True)
class BenchSetting:
    """The setting of each part, and what they share."""

    split: Literal["val", "test"] = "test"
    threads: int = 1
    accuracy: AccuracySetting = accuracy.PART.full
    latency: LatencySetting = latency.PART.full
    robustness: RobustnessSetting = robustness.PART.full
    closed_loop: ClosedLoopSetting = closed_loop.PART.full
    examples: ExamplesSetting = examples.PART.full
    reduced: bool = False
    parts: tuple[str, ...] | None = None
    """The parts that are measured; None: all."""


def reduced(setting: BenchSetting) -> BenchSetting:
    """Return a setting for a quick check: five models in minutes, with wide intervals."""
    return replace(setting, reduced=True, **{name: part.reduced for name, part in PARTS.items()})


def gate(setting: BenchSetting) -> BenchSetting:
    """Return a setting for CI: pictures and clean driving alone, which give the same numbers every time."""
    driving = ClosedLoopSetting(roads=10, corrupted_roads=0, corruptions=(), longest_delay_s=0)
    return replace(reduced(setting), closed_loop=driving, parts=(accuracy.NAME, closed_loop.NAME))
