"""Closed-loop driving: clean, on corrupted pictures, and with longer and longer delays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from drive_rl.benchmark.closed_loop import Driven
from drive_rl.benchmark.part import Delay, Metric, Number, Part, Subject
from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.corruptions import corrupt
from drive_rl.stats import failing_delay

NAME = "closed_loop"


@dataclass(frozen=True)
class ClosedLoopSetting:
    """How many roads, how corrupted, how late."""

    roads: int = 100
    corrupted_roads: int = 25  # the first of them: corrupting takes longer than predicting
    corruptions: tuple[str, ...] = ("gaussian_noise", "motion_blur", "fog")  # one each of noise, blur, weather
    severity: int = 3
    delays_s: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5)  # beside the model's own latency


REDUCED = ClosedLoopSetting(
    roads=16, corrupted_roads=16, corruptions=("gaussian_noise", "contrast"), delays_s=(0.2, 0.3, 0.5)
)


@dataclass(frozen=True)
class CorruptedMean:
    """Means over corruptions."""

    driving_score: float
    route_completion: float
    success: float


@dataclass(frozen=True)
class LateDrive:
    """How a model drove with a delay."""

    delay_s: float
    driven: Driven


@dataclass(frozen=True)
class ClosedLoop:
    """How a car drives on a model's predictions, with the model's measured latency as the delay."""

    roads: int
    corrupted_roads: int
    delay_s: float
    delay_of: str
    """The runtime whose median latency the delay is."""
    clean: Driven
    severity: int
    corrupted: Mapping[str, Driven]
    """By corruption."""
    corrupted_mean: CorruptedMean | None
    delays: tuple[LateDrive, ...]
    """Clean, with `delay_s` and with each longer delay of the setting."""
    failing_delay_s: float | None
    """Where success falls below one half; None: nowhere."""


def measure(subject: Subject, setting: ClosedLoopSetting) -> ClosedLoop:
    """Drive the first roads of the split: clean, corrupted, and late.

    Raises:
        DriveRLError: the model's latency was not measured, or it predicts no lane state.
    """
    delay = _delay(subject)
    later = [delay_s for delay_s in setting.delays_s if delay_s > delay.seconds]
    done = _counter(subject, 1 + len(setting.corruptions) + len(later))
    clean = subject.drive(subject.trained, subject.split, setting.roads, delay.seconds, None)
    done("clean")
    corrupted = _drive_corrupted(subject, setting, delay.seconds, done)
    delays = [LateDrive(delay.seconds, clean)]
    for delay_s in later:
        driven = subject.drive(subject.trained, subject.split, setting.roads, delay_s, None)
        delays.append(LateDrive(delay_s, driven))
        done(f"{delay_s:g} s late")
    return ClosedLoop(
        roads=setting.roads,
        corrupted_roads=_corrupted_roads(setting),
        delay_s=delay.seconds,
        delay_of=delay.runtime,
        clean=clean,
        severity=setting.severity,
        corrupted=corrupted,
        corrupted_mean=_mean(list(corrupted.values())) if corrupted else None,
        delays=tuple(delays),
        failing_delay_s=failing_delay([delay.seconds, *later], [row.driven.success for row in delays]),
    )


def corruption_in_time(name: str, severity: int, planes: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Return a corruption of a stream: each call draws anew, as a sensor does, and the same stream gives the same."""
    calls = iter(range(2**31))
    return lambda images: corrupt(images, name, severity, next(calls), planes)


def _delay(subject: Subject) -> Delay:
    if subject.delay is None:
        raise DriveRLError("no latency was measured, so there is no delay to drive with; fix: see the latency part")
    return subject.delay


def _counter(subject: Subject, total: int) -> Callable[[str], None]:
    count = iter(range(1, total + 1))
    return lambda what: subject.progress(next(count), total, what)


def _drive_corrupted(
    subject: Subject, setting: ClosedLoopSetting, delay_s: float, done: Callable[[str], None]
) -> dict[str, Driven]:
    planes, found = subject.trained.spec.world.camera.planes, {}
    for name in setting.corruptions:
        corruption = corruption_in_time(name, setting.severity, planes)
        found[name] = subject.drive(subject.trained, subject.split, _corrupted_roads(setting), delay_s, corruption)
        done(name)
    return found


def _corrupted_roads(setting: ClosedLoopSetting) -> int:
    return min(setting.roads, setting.corrupted_roads)


def _mean(rows: list[Driven]) -> CorruptedMean:
    return CorruptedMean(
        fmean(row.driving_score for row in rows),
        fmean(row.route_completion for row in rows),
        fmean(row.success for row in rows),
    )


def _metric(label: str, unit: str, better: int, value: Callable[[ClosedLoop], Number | None]) -> Metric[ClosedLoop]:
    return Metric(NAME, label, unit, better, value)


PART = Part(
    name=NAME,
    title="Closed-loop driving",
    full=ClosedLoopSetting(),
    reduced=REDUCED,
    result=ClosedLoop,
    measure=measure,
    metrics={
        "driving_score": _metric("driving score", "", 1, lambda it: it.clean.driving_score),
        "success": _metric("success", "", 1, lambda it: it.clean.success),
        "route_completion": _metric("route completion", "", 1, lambda it: it.clean.route_completion),
        "mean_max_offset_m": _metric("lateral deviation", "m", -1, lambda it: it.clean.mean_max_offset_m),
        "worst_max_offset_m": _metric("largest lateral deviation", "m", -1, lambda it: it.clean.worst_max_offset_m),
        "driving_score_corrupted": _metric(
            "driving score, corrupted", "", 1, lambda it: it.corrupted_mean and it.corrupted_mean.driving_score
        ),
        "route_completion_corrupted": _metric(
            "route completion, corrupted", "", 1, lambda it: it.corrupted_mean and it.corrupted_mean.route_completion
        ),
        "failing_delay_s": _metric("failing delay", "s", 1, lambda it: it.failing_delay_s),
    },
    columns=(
        "driving_score",
        "success",
        "route_completion",
        "mean_max_offset_m",
        "worst_max_offset_m",
        "driving_score_corrupted",
    ),
    more=("failing_delay_s", "route_completion_corrupted"),
    depends_on=lambda subject: {"delay": _delay(subject)},
)
