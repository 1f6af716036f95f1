"""How well a car drives on a perception model's predictions: the score, with a delay and with corrupted pictures.

It knows trained models and closed-loop scores. It knows neither how a delay is measured nor which corruptions exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, Protocol

import numpy as np

from drive_rl.benchmark.exam.adapt import input_of
from drive_rl.benchmark.exam.conditions import Condition, Images
from drive_rl.config.reader import load_agent
from drive_rl.config.specs.base import Actions, Engine, Observation, Split
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.driver import Driver, begin_episodes
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.perturbed import CorruptedDriver, Corruption, PerturbedDriver
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.learn.own_drivers import modular_driver
from drive_rl.perception.models.load import Trained
from drive_rl.sim.task.outcome import STATE_FIELDS
from drive_rl.sim.task.scoring import EpisodeMetrics

SETTLED_S = 3.0
"""From here on the car's start, drawn off the lane's middle, no longer counts."""
REFERENCE = "reference"
_OFFSET = STATE_FIELDS.index("offset_m")


@dataclass(frozen=True)
class Driven:
    """How a model drove some roads, once each."""

    driving_score: float
    """Mean over roads, in [0, 1], as `route_completion`."""
    route_completion: float
    success: float
    """A rate in [0, 1]."""
    mean_max_offset_m: float
    """Mean over roads of the largest distance of the car's centre from its lane's centre line [m]."""
    worst_max_offset_m: float
    driving_scores: tuple[float, ...] = ()
    """Of each road, in order, as `max_offsets_m`; empty: unknown, so there are no intervals."""
    max_offsets_m: tuple[float, ...] = ()
    successes: tuple[bool, ...] | None = None
    """Of each road; None: unknown, or a mean over conditions."""
    settled_offsets_m: tuple[float, ...] | None = None
    """The same as `max_offsets_m` after the first SETTLED_S seconds; of all, where an episode ended before."""


class Drive(Protocol):
    """Drives a model, or the reference driver (None), over the first roads of a split in a condition."""

    def __call__(
        self,
        trained: Trained | None,
        condition: Condition,
        split: Literal["val", "test"],
        episodes: int,
        delay_s: float,
        corrupt: Corruption | None,
        /,
    ) -> Driven:
        """Return how it drove."""
        ...


def drive_model(
    trained: Trained | None,
    condition: Condition,
    split: Split,
    episodes: int,
    delay_s: float = 0.0,
    corrupt: Corruption | None = None,
    engine: Engine = "batch",
) -> Driven:
    """Drive the first roads of a split in a condition, once each.

    Args:
        trained: A model that predicts the lane state; a geometric controller steers by it. None: the reference driver,
            the same controller on the true lane state.
        condition: World, mount and weather; the pictures are resampled to the model's input.
        split: Which roads.
        episodes: How many of them.
        delay_s: How long after a picture its command takes effect [s].
        corrupt: (B, C, H, W) uint8 pictures of the exam -> what is shown instead.
        engine: Which engine simulates.

    Raises:
        DriveRLError: the model predicts no lane state or reads more frames, the split has fewer roads, or the engine
            cannot run the world.
    """
    world = condition.world
    driver = _reference(condition) if trained is None else _on_pictures(trained, condition, corrupt)
    if delay_s:
        driver = PerturbedDriver(driver, delay_s, world.task.control_hz)
    recorder = OffsetRecorder(driver, round(SETTLED_S * world.task.control_hz))
    found, rows = evaluate(recorder, world, split, episodes, engine=engine)
    offsets_m = tuple(float(row.max_offset_m) for row in rows)
    return Driven(
        driving_score=found.driving_score.value,
        route_completion=found.route_completion.value,
        success=found.success.value,
        mean_max_offset_m=fmean(offsets_m),
        worst_max_offset_m=max(offsets_m),
        driving_scores=tuple(row.driving_score for row in rows),
        max_offsets_m=offsets_m,
        successes=tuple(row.success for row in rows),
        settled_offsets_m=recorder.settled_m(rows),
    )


def mean_driven(each: Sequence[Driven]) -> Driven:
    """Return how a model drove the same roads in several conditions: a road's values are their means."""
    settled = [driven.settled_offsets_m for driven in each if driven.settled_offsets_m is not None]
    return Driven(
        driving_score=fmean(driven.driving_score for driven in each),
        route_completion=fmean(driven.route_completion for driven in each),
        success=fmean(driven.success for driven in each),
        mean_max_offset_m=fmean(driven.mean_max_offset_m for driven in each),
        worst_max_offset_m=max(driven.worst_max_offset_m for driven in each),
        driving_scores=_by_road([driven.driving_scores for driven in each]),
        max_offsets_m=_by_road([driven.max_offsets_m for driven in each]),
        settled_offsets_m=_by_road(settled) if len(settled) == len(each) else None,
    )


class OffsetRecorder:
    """A driver whose car's distance from the lane's middle is recorded (a `Driver` with memory).

    The k-th episode that begins in a row of the batch belongs to the k-th road of that row (see `drivers.evaluate`).

    Args:
        driver: A driver that observes the true lane state, too.
        settled_steps: Steps at the start of each episode that do not count.
    """

    def __init__(self, driver: Driver, settled_steps: int) -> None:
        self.name = driver.name
        self.observation: Observation = driver.observation
        self.actions: Actions = driver.actions
        self._driver, self._settled_steps = driver, settled_steps
        self._steps = dict[int, int]()
        self._largest_m = dict[int, list[float]]()

    def begin(self, rows: Sequence[int]) -> None:
        """Begin an episode in some rows of the batch."""
        for row in rows:
            self._steps[row] = 0
            self._largest_m.setdefault(row, []).append(float("nan"))
        begin_episodes(self._driver, rows)

    def act(self, observations: Batch) -> np.ndarray:
        """Return the driver's actions; of rows in which no episode ever began, 0, without asking the driver."""
        state = np.asarray(observations["state"] if isinstance(observations, dict) else observations)
        for row, episodes in self._largest_m.items():
            if self._steps[row] >= self._settled_steps:
                episodes[-1] = float(np.fmax(episodes[-1], abs(state[row, _OFFSET])))
            self._steps[row] += 1
        used = max(self._largest_m) + 1
        asked = (
            {key: rows[:used] for key, rows in observations.items()} if isinstance(observations, dict) else state[:used]
        )
        given = self._driver.act(asked)
        return np.concatenate([given, np.zeros((len(state) - used, *given.shape[1:]), given.dtype)])

    def settled_m(self, rows: Sequence[EpisodeMetrics]) -> tuple[float, ...]:
        """Return the largest distance of each episode after its start [m]; of those that ended before, of all."""
        batch = len(self._largest_m)
        each = [self._largest_m[k % batch][k // batch] for k in range(len(rows))]
        return tuple(
            float(row.max_offset_m) if np.isnan(settled) else settled for settled, row in zip(each, rows, strict=True)
        )


def _reference(condition: Condition) -> Driver:
    spec = load_agent(REFERENCE)
    assert isinstance(spec, ReferenceSpec), "agents/reference.yaml is the geometric driver"
    return ReferenceDriver(spec, condition.world.car, condition.world.task)


def _on_pictures(trained: Trained, condition: Condition, corrupt: Corruption | None) -> Driver:
    fit = input_of(condition.world.camera, trained.spec.world.camera)
    seen = [each for each in (condition.filter, corrupt) if each is not None]

    def shown(images: Images) -> Images:
        for change in seen:
            images = change(images)
        return fit(images)

    return CorruptedDriver(modular_driver(trained, condition.world), shown)


def _by_road(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Return each road's mean over conditions; empty where one is not known by road."""
    return tuple(fmean(values) for values in zip(*rows, strict=True)) if all(rows) else ()
