"""Evaluation: each road driven exactly once, deterministically, with the same score for any number of environments.

It knows environments, drivers and scores; it does not know where drivers come from, or where scores go.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

import gymnasium
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Engine, Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver, actions_of, begin_episodes
from drive_rl.drivers.observations import stacked
from drive_rl.drivers.plugin_metrics import episode_metrics
from drive_rl.errors import DriveRLError
from drive_rl.run.process.threads import driving
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.task.scoring import EpisodeMetrics, Score, score, score_tiers
from drive_rl.sim.task.spaces import action_decoder, commands_of

if TYPE_CHECKING:
    from drive_rl.sim.envs.lane_env import LaneEnv

Progress = Callable[[EpisodeMetrics], None]

BATCH = 8
"""Rows of a batch in PyBullet, and the most environments side by side."""

CARS = 16
"""Rows of a batch in the batch engine."""


class Recorder(Protocol):
    """Steps beside a batch that is driven, and reads from it what it wants."""

    def begin(self, cars: Sequence[int], /) -> None:
        """Take note: episodes have begun in some cars, and no step was driven."""
        ...

    def step(self, ended: NDArray[np.int64], /) -> None:
        """Take note: all cars have driven a step, which ended the episodes of some; nothing new has begun there."""
        ...


class Evaluator:
    """A pool of environments kept open for repeated evaluations (a context manager).

    Args:
        driver: The driver.
        world: The world to drive in.
        split: The roads'.
        num_envs: PyBullet environments side by side, at most 8; the score does not depend on it.
        engine: Which engine simulates.
    """

    def __init__(
        self, driver: Driver, world: WorldSpec, split: Split, num_envs: int = BATCH, engine: Engine = "bullet"
    ) -> None:
        self._driver = driver
        self._split: Split = split
        self._batch = cpu_batch(world, CARS, driver.observation) if engine == "batch" else None
        self._envs = [] if self._batch else _make_envs(driver, world, split, min(num_envs, BATCH))

    def run(self, episodes: int, progress: Progress | None = None) -> tuple[Score, list[EpisodeMetrics]]:
        """Drive the first roads of the split; return the score and the episodes in order of their seeds."""
        seeds = split_seeds(self._split, episodes)
        with driving():
            if self._batch:
                rows = drive_batch(self._driver, self._batch, seeds, progress)
            else:
                rows = drive(self._driver, self._envs, seeds, progress)
        return score(rows), rows

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()
        if self._batch:
            self._batch.close()

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make_envs(driver: Driver, world: WorldSpec, split: Split, count: int) -> list["LaneEnv"]:
    from drive_rl.sim.envs.make_env import make_env  # the batch engine needs no PyBullet

    return [make_env(world, observation=driver.observation, actions=driver.actions, split=split) for _ in range(count)]


def evaluate(
    driver: Driver,
    world: WorldSpec,
    split: Split,
    episodes: int,
    num_envs: int = BATCH,
    progress: Progress | None = None,
    engine: Engine = "bullet",
) -> tuple[Score, list[EpisodeMetrics]]:
    """Drive the first `episodes` roads of a split once each and score them.

    Args:
        driver: The driver.
        world: The world to drive in.
        split: The roads'.
        episodes: How many of them.
        num_envs: How many are driven side by side, at most 8; the score does not depend on it.
        progress: Called with each episode as it ends, in no fixed order.
        engine: Which engine simulates.

    Raises:
        DriveRLError: the split has fewer roads, or the engine cannot run the world.
    """
    split_seeds(split, episodes)
    with Evaluator(driver, world, split, min(num_envs, episodes), engine) as evaluator:
        return evaluator.run(episodes, progress)


class Results(TypedDict):
    """The contents of a file of scores, ready for JSON."""

    driver: str
    world: str
    changes: list[str]
    split: Split
    engine: Engine
    score: Mapping[str, object]
    metrics: NotRequired[Mapping[str, Mapping[str, object]]]
    tiers: Mapping[str, Mapping[str, object]]
    episodes: Sequence[Mapping[str, object]]


def results(
    driver: str,
    world: WorldSpec,
    split: Split,
    rows: Sequence[EpisodeMetrics],
    engine: Engine = "bullet",
    changes: Sequence[str] = (),
) -> Results:
    """Return the contents of a file of scores: the score, each tier's score, and every episode.

    Args:
        driver: The driver's name.
        world: The world.
        split: The roads'.
        rows: The episodes.
        engine: Which engine simulated.
        changes: Changes to the world, as typed.
    """
    found: Results = {
        "driver": driver,
        "world": world.name,
        "changes": list(changes),
        "split": split,
        "engine": engine,
        "score": score(rows).to_dict(),
        "tiers": {tier: value.to_dict() for tier, value in score_tiers(rows).items()},
        "episodes": [row.to_dict() for row in rows],
    }
    if metrics := episode_metrics(rows):
        found["metrics"] = {name: value._asdict() for name, value in metrics.items()}
    return found


def split_seeds(split: Split, episodes: int) -> range:
    """Return the first road seeds of a split.

    Raises:
        DriveRLError: the split has fewer roads, or `episodes` is below 1.
    """
    seeds = SPLITS[split]
    if not 1 <= episodes <= len(seeds):
        raise DriveRLError(
            f"episodes = {episodes}: expected 1 to {len(seeds)}, the roads of the {split} split; fix: such as"
            f" --episodes {min(200, max(1, episodes))}"
        )
    return seeds[:episodes]


def drive(
    driver: Driver, envs: Sequence["LaneEnv"], seeds: Iterable[int], progress: Progress | None = None
) -> list[EpisodeMetrics]:
    """Drive each road once; return the episodes in the order of `seeds`.

    The k-th road is always in row k mod 8 of a batch of 8: rounding in matrix kernels depends on batch size and row,
    and the score must not depend on how many cars drive side by side.
    """
    order = tuple(seeds)
    done: dict[int, EpisodeMetrics] = {}
    for first in range(0, BATCH, len(envs)):
        queues = {row: deque(order[row::BATCH]) for row in range(first, min(first + len(envs), BATCH))}
        for episode in _drive_rows(driver, envs, queues):
            done[episode.road_seed] = episode
            if progress is not None:
                progress(episode)
    return [done[seed] for seed in order]


def drive_batch(
    driver: Driver,
    batch: Batch,
    seeds: Iterable[int],
    progress: Progress | None = None,
    recorder: Recorder | None = None,
) -> list[EpisodeMetrics]:
    """Drive each road once with the batch engine; return the episodes in the order of `seeds`.

    The k-th road is always in row k mod N of a batch of N, so that the same roads get the same score.

    Args:
        driver: The driver.
        batch: The batch.
        seeds: Of the roads.
        progress: Called with each episode as it ends.
        recorder: Follows the batch.
    """
    order = tuple(seeds)
    decoder = action_decoder(batch.world.task, driver.actions)
    queues = [deque(order[row :: batch.num_cars]) for row in range(batch.num_cars)]
    for row in range(batch.num_cars):
        batch.idle(row)
    first = [row for row, queue in enumerate(queues) if queue]
    batch.begin(first, [queues[row].popleft() for row in first])
    begin_episodes(driver, first)
    if recorder is not None:
        recorder.begin(first)
    done: dict[int, EpisodeMetrics] = {}
    while batch.drives.any():
        actions = actions_of(driver, batch.observe(), batch.drives.nonzero()[0].tolist())
        ended = batch.step(commands_of(actions, batch.num_cars, decoder))
        if recorder is not None:
            recorder.step(ended)
        for episode in batch.episode_metrics(ended):
            done[episode.road_seed] = episode
            if progress is not None:
                progress(episode)
        more = [row for row in ended.tolist() if queues[row]]
        batch.begin(more, [queues[row].popleft() for row in more])
        begin_episodes(driver, more)
        if recorder is not None:
            recorder.begin(more)
    return [done[seed] for seed in order]


def _drive_rows(driver: Driver, envs: Sequence["LaneEnv"], queues: dict[int, deque[int]]) -> Iterator[EpisodeMetrics]:
    """Drive the roads of some rows of the batch, one environment a row; yield each episode as it ends."""
    space = envs[0].observation_space
    rows: list[Any] = [_nothing(space)] * BATCH
    active = {row: env for (row, queue), env in zip(queues.items(), envs, strict=False) if queue}
    for row, env in active.items():
        rows[row] = _start(env, queues[row].popleft())
    begin_episodes(driver, list(active))
    while active:
        actions = actions_of(driver, stacked(rows, space), list(active))
        for row, env in list(active.items()):
            rows[row], _, terminated, truncated, _ = env.step(actions[row])
            if terminated or truncated:
                yield env.episode_metrics()
                if queues[row]:
                    rows[row] = _start(env, queues[row].popleft())
                    begin_episodes(driver, [row])
                else:
                    del active[row]


def _start(env: "LaneEnv", seed: int) -> Any:
    return env.reset(seed=seed, options={"road_seed": seed})[0]


def _nothing(space: gymnasium.Space) -> Any:
    """Return an empty observation, for an idle row."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _nothing(part) for key, part in space.spaces.items()}
    return np.zeros(space.shape or (), space.dtype)
