"""Closed-loop driving: clean in every condition of the exam, on corrupted pictures, and ever later."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from drive_rl.benchmark.closed_loop import Driven, mean_driven
from drive_rl.benchmark.part import Delay, Metric, Number, Part, Subject
from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.corruptions import corrupt
from drive_rl.perception.evaluation.exported_model import Running, for_driving
from drive_rl.perception.models.load import Trained
from drive_rl.run.process.threads import driving
from drive_rl.run.provenance import usable_cores
from drive_rl.stats import FailingDelay, find_failing_delay

NAME = "closed_loop"
_COMPARED = 8  # pictures over which the file that drives is compared with the model


@dataclass(frozen=True)
class ClosedLoopSetting:
    """How many roads, how corrupted, how late."""

    roads: int = 100  # in each condition of the exam
    corrupted_roads: int = 25  # the first of them: corrupting takes longer than predicting
    corruptions: tuple[str, ...] = ("gaussian_noise", "motion_blur", "fog")  # one each of noise, blur, weather
    severity: int = 3
    late_roads: int = 100  # the first of them
    longest_delay_s: float = 0.5  # 0: no delay beside the model's own
    delay_width_s: float = 0.01  # how closely the failing delay is bracketed


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
class ConditionDriven:
    """How a model drove in one condition of the exam."""

    driven: Driven
    excess_offset_m: float
    """Mean over roads of `excess_offsets_m`, as in `ClosedLoop`."""


@dataclass(frozen=True)
class ClosedLoop:
    """How a car drives on a model's predictions, with the model's measured latency as the delay."""

    roads: int
    corrupted_roads: int
    delay_s: float
    delay_of: str
    """The runtime whose median latency the delay is; `suite`: the suite's own delay."""
    clean: Driven
    """Over all conditions."""
    severity: int
    corrupted: Mapping[str, Driven]
    """By corruption, in the first condition."""
    corrupted_mean: CorruptedMean | None
    delays: tuple[LateDrive, ...]
    """Clean in the first condition, with `delay_s` and with each longer delay that was tried, in order."""
    failing_delay: FailingDelay | None
    """Where success falls below one half; None: not searched for."""
    conditions: Mapping[str, ConditionDriven]
    excess_offsets_m: tuple[float, ...]
    """Of each road: the largest distance from the lane's middle after the start, less that of the reference driver on
    the same road [m], mean over conditions."""
    predicted_by: str = "eager"
    """What predicted: that of the delay; with the suite's own delay, ONNX Runtime if it can run the model."""


def measure(subject: Subject, setting: ClosedLoopSetting) -> ClosedLoop:
    """Drive the first roads of the split: clean in every condition; in the first one corrupted, and late.

    Raises:
        DriveRLError: the model's latency was not measured, or it predicts no lane state.
    """
    delay, conditions = _delay(subject), subject.exam.conditions
    trained, runtime = _running(subject, delay)
    first, searched = conditions[0], setting.longest_delay_s > 0
    done = _counter(subject, len(conditions) + len(setting.corruptions) + 7 * searched)
    references = {each.name: subject.reference(each, setting.roads) for each in conditions}
    with driving(), ThreadPoolExecutor(usable_cores()) as pool:
        clean = {
            each.name: pool.submit(subject.drive, trained, each, subject.split, setting.roads, delay.seconds, None)
            for each in conditions
        }
        spoiled = _submit_corrupted(subject, trained, setting, delay.seconds, pool)
        # The search goes step by step, so it begins while the pool still drives the rest.
        delays = {delay.seconds: clean[first.name].result()}
        failing = _search(subject, trained, setting, delays, done) if searched else None
        driven = dict(_as_done(clean, done))
        corrupted = dict(_as_done(spoiled, done))
    excess = [_excess(driven[name], references[name]) for name in driven]
    return ClosedLoop(
        roads=setting.roads,
        corrupted_roads=_corrupted_roads(setting),
        delay_s=delay.seconds,
        delay_of=delay.runtime,
        clean=mean_driven(list(driven.values())),
        severity=setting.severity,
        corrupted=corrupted,
        corrupted_mean=_mean(list(corrupted.values())) if corrupted else None,
        delays=tuple(LateDrive(delay_s, delays[delay_s]) for delay_s in sorted(delays)),
        failing_delay=failing,
        conditions={
            name: ConditionDriven(driven[name], fmean(each)) for name, each in zip(driven, excess, strict=True)
        },
        excess_offsets_m=tuple(fmean(each) for each in zip(*excess, strict=True)),
        predicted_by=runtime,
    )


def corruption_in_time(name: str, severity: int, planes: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Return a corruption of a stream: each call draws anew, as a sensor does, and the same stream gives the same."""
    calls = iter(range(2**31))
    return lambda images: corrupt(images, name, severity, next(calls), planes)


def _excess(driven: Driven, reference: Driven) -> list[float]:
    """Return how much farther than the reference driver a model strays, on each road [m]."""
    pairs = driven.settled_offsets_m or (), reference.settled_offsets_m or ()
    return [own - best for own, best in zip(*pairs, strict=True)]


def _delay(subject: Subject) -> Delay:
    if (given_s := subject.exam.suite.delay_s) is not None:
        return Delay(given_s, "suite")
    if subject.delay is None:
        raise DriveRLError("no latency was measured, so there is no delay to drive with; fix: see the latency part")
    return subject.delay


def _counter(subject: Subject, total: int) -> Callable[[str], None]:
    done = count(1)  # how often the failing delay is bracketed is not known before
    return lambda what: subject.progress(min(next(done), total), total, what)


def _running(subject: Subject, delay: Delay) -> Running:
    if "lane" not in subject.trained.heads:
        return Running(subject.trained, "eager")  # `drive` refuses it
    images = subject.pictures(_COMPARED).samples.images
    return for_driving(subject.trained, delay.runtime, images, subject.export)


def _submit_corrupted(
    subject: Subject, trained: Trained, setting: ClosedLoopSetting, delay_s: float, pool: ThreadPoolExecutor
) -> dict[str, "Future[Driven]"]:
    first, roads, found = subject.exam.conditions[0], _corrupted_roads(setting), {}
    for name in setting.corruptions:
        corruption = corruption_in_time(name, setting.severity, first.world.camera.planes)
        found[name] = pool.submit(subject.drive, trained, first, subject.split, roads, delay_s, corruption)
    return found


def _search(
    subject: Subject,
    trained: Trained,
    setting: ClosedLoopSetting,
    delays: dict[float, Driven],
    done: Callable[[str], None],
) -> FailingDelay:
    """Return the failing delay in the first condition; `delays`, which holds the shortest, keeps each that is tried."""
    first, trials = subject.exam.conditions[0], min(setting.roads, setting.late_roads)

    def successes(delay_s: float) -> int:
        if delay_s not in delays:
            delays[delay_s] = subject.drive(trained, first, subject.split, trials, delay_s, None)
            done(f"{delay_s:.3g} s late")
        return sum((delays[delay_s].successes or ())[:trials])

    return find_failing_delay(successes, trials, min(delays), setting.longest_delay_s, setting.delay_width_s)


def _as_done(found: Mapping[str, "Future[Driven]"], done: Callable[[str], None]) -> Iterator[tuple[str, Driven]]:
    """Yield what was driven at once on all cores, in the order in which it was asked for."""
    for name, future in found.items():
        yield name, future.result()
        done(name)


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


def _worst_condition(found: ClosedLoop) -> Number | None:
    return min(each.driven.driving_score for each in found.conditions.values())


PART = Part(
    name=NAME,
    title="Closed-loop driving",
    full=ClosedLoopSetting(),
    reduced=ClosedLoopSetting(
        roads=10, corrupted_roads=5, corruptions=("gaussian_noise", "contrast"), late_roads=5, delay_width_s=0.05
    ),
    result=ClosedLoop,
    measure=measure,
    version=2,
    metrics={
        "driving_score": _metric("driving score", "", 1, lambda it: it.clean.driving_score),
        "success": _metric("success", "", 1, lambda it: it.clean.success),
        "route_completion": _metric("route completion", "", 1, lambda it: it.clean.route_completion),
        "excess_offset_m": _metric("excess deviation", "m", -1, lambda it: fmean(it.excess_offsets_m)),
        "driving_score_worst": _metric("driving score, worst condition", "", 1, _worst_condition),
        "mean_max_offset_m": _metric("lateral deviation", "m", -1, lambda it: it.clean.mean_max_offset_m),
        "worst_max_offset_m": _metric("largest lateral deviation", "m", -1, lambda it: it.clean.worst_max_offset_m),
        "driving_score_corrupted": _metric(
            "driving score, corrupted", "", 1, lambda it: it.corrupted_mean and it.corrupted_mean.driving_score
        ),
        "route_completion_corrupted": _metric(
            "route completion, corrupted", "", 1, lambda it: it.corrupted_mean and it.corrupted_mean.route_completion
        ),
        "failing_delay_s": _metric("failing delay", "s", 1, lambda it: it.failing_delay and it.failing_delay.value_s),
    },
    columns=(
        "driving_score",
        "success",
        "excess_offset_m",
        "driving_score_worst",
        "driving_score_corrupted",
        "failing_delay_s",
    ),
    more=("route_completion", "mean_max_offset_m", "worst_max_offset_m", "route_completion_corrupted"),
    depends_on=lambda subject: {"delay": _delay(subject)},
)
