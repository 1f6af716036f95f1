"""Films of a driver: each control step becomes a frame. Knows drivers and environments; not training."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from drive_rl.config.specs.base import Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver, actions_of, begin_episodes
from drive_rl.drivers.evaluate import split_seeds
from drive_rl.drivers.observations import stacked
from drive_rl.report.film.canvas import Picture
from drive_rl.report.film.layout import Layout, Step, newest_picture
from drive_rl.report.film.outcome_card import outcome_card
from drive_rl.report.film.writers import FilmWriter, film_writer
from drive_rl.run.process.threads import driving
from drive_rl.sim.task.outcome import rules_of
from drive_rl.sim.task.scoring import EpisodeMetrics

if TYPE_CHECKING:
    from drive_rl.sim.envs.lane_env import LaneEnv

CARD_S = 1.2
"""How long the outcome of an episode is shown [s]."""


class FilmProgress(NamedTuple):
    """How far a film is."""

    film_s: float
    """Its length so far [s]."""
    number: int
    """The road being driven, from 1."""
    route_completion: float
    """The share of that road driven so far, in [0, 1]."""


Progress = Callable[[FilmProgress], None]


def render_film(
    driver: Driver,
    world: WorldSpec,
    split: Split,
    episodes: int,
    out: Path,
    *,
    seeds: Sequence[int] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[EpisodeMetrics]:
    """Film episodes in real time, one frame a control step, and return their metrics.

    Args:
        driver: Who drives.
        world: The world to drive in.
        split: Which roads.
        episodes: How many, from the first.
        out: The film: `.mp4` (H.264, 1280x720), `.gif` (640x360), or a folder of PNGs (no suffix).
        seeds: Road seeds to film instead of the split's first.
        overwrite: Whether an existing film is replaced.
        progress: Called with each frame that is added.

    Raises:
        DriveRLError: the split has fewer roads; `out` has another suffix, exists or cannot be written. Nothing
            half-written remains, neither then nor after an interrupt.
    """
    from drive_rl.sim.envs.make_env import make_env  # a run that is not filmed needs no PyBullet

    roads = split_seeds(split, episodes) if seeds is None else seeds
    layout = Layout(world, driver.name, driver.observation, len(roads))
    rows: list[EpisodeMetrics] = []
    with film_writer(out, world.task.control_hz, overwrite) as writer:
        film = _Film(writer, world.task.control_hz, progress)
        env = make_env(world, observation=driver.observation, actions=driver.actions, split=split)
        with closing(env), driving():
            for number, seed in enumerate(roads, start=1):
                rows.append(_film_episode(driver, env, layout, film, number, seed))
    return rows


def card_frames(world: WorldSpec) -> int:
    """Return how many frames show the outcome of an episode."""
    return max(1, round(CARD_S * world.task.control_hz))


class _Film:
    """Hands frames to the writer, and reports progress."""

    def __init__(self, writer: FilmWriter, frames_per_s: int, progress: Progress | None) -> None:
        self._writer, self._frames_per_s, self._progress = writer, frames_per_s, progress
        self._frames, self._number = 0, 0

    def begin_episode(self, number: int) -> None:
        self._number = number
        self._writer.begin_episode()

    def add(self, frame: Picture, route_completion: float) -> None:
        self._writer.add(frame)
        self._frames += 1
        if self._progress is not None:
            self._progress(FilmProgress(self._frames / self._frames_per_s, self._number, route_completion))


def _film_episode(
    driver: Driver, env: "LaneEnv", layout: Layout, film: _Film, number: int, seed: int
) -> EpisodeMetrics:
    observation, _ = env.reset(seed=seed, options={"road_seed": seed})
    begin_episodes(driver, [0])
    layout.open(env.episode, number)
    film.begin_episode(number)
    while True:
        action = actions_of(driver, stacked([observation], env.observation_space), [0])[0]
        observation, reward, terminated, truncated, info = env.step(action)
        picture = newest_picture(observation, env.world)
        frame = layout.frame(Step(env, info, reward, picture))
        film.add(frame, float(info["route_completion"]))
        if terminated or truncated:
            break
    episode = env.episode_metrics()
    card = outcome_card(frame, episode, rules_of(env.world).kept_half)
    for _ in range(card_frames(env.world)):
        film.add(card, 1.0)
    return episode
