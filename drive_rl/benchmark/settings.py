"""How much a benchmark of perception models measures. Frozen; every part's results are kept under what it was asked."""

from dataclasses import dataclass, field, replace
from typing import Literal

from drive_rl.perception.evaluation.corruptions import SEVERITIES
from drive_rl.perception.evaluation.latency import LatencySetting

BenchSplit = Literal["val", "test"]


@dataclass(frozen=True)
class SeesSetting:
    """What a model is shown."""

    pictures: int = 2000


@dataclass(frozen=True)
class RobustSetting:
    """Which corruptions and attacks, of how many pictures."""

    pictures: int = 200
    severities: tuple[int, ...] = SEVERITIES
    epsilons_px: tuple[float, ...] = (0.5, 1, 2, 4, 8)
    pgd_steps: int = 10
    seed: int = 0


@dataclass(frozen=True)
class DrivesSetting:
    """How many roads, how corrupted, how late."""

    roads: int = 100
    corrupted_roads: int = 25  # the first of them: corrupting takes longer than seeing
    corruptions: tuple[str, ...] = ("gaussian_noise", "motion_blur", "fog")  # one each of noise, blur, weather
    severity: int = 3
    delays_s: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5)  # beside the model's own latency


@dataclass(frozen=True)
class ExamplesSetting:
    """Of how many pictures the best, the worst and a few by chance are shown."""

    pictures: int = 200
    each: int = 2
    seed: int = 0


@dataclass(frozen=True)
class BenchSetting:
    """All of a benchmark."""

    split: BenchSplit = "test"
    threads: int = 1
    sees: SeesSetting = SeesSetting()
    fast: LatencySetting = field(default_factory=LatencySetting)
    robust: RobustSetting = RobustSetting()
    drives: DrivesSetting = DrivesSetting()
    examples: ExamplesSetting = ExamplesSetting()
    reduced: bool = False


def reduced(setting: BenchSetting) -> BenchSetting:
    """Return a setting for a first look: five models in minutes. Its intervals are wide."""
    return replace(
        setting,
        sees=SeesSetting(pictures=128),
        fast=LatencySetting(min_duration_s=1.0, min_queries=662, runtimes=("eager", "onnx")),
        robust=RobustSetting(pictures=32, severities=(3,), epsilons_px=(1, 4), pgd_steps=5),
        drives=DrivesSetting(
            roads=16, corrupted_roads=16, corruptions=("gaussian_noise", "contrast"), delays_s=(0.2, 0.3, 0.5)
        ),
        examples=ExamplesSetting(pictures=64, each=1),
        reduced=True,
    )
