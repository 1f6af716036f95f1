"""Many cars at once: the same formulas as the PyBullet world, in one compiled loop over the cars.

Cars are integrated as Bullet integrates its rigid bodies (semi-implicit Euler), contacts are tests between rectangles,
and everything else (vehicle, outcome, pixels) is the very function that the PyBullet world calls. It knows one world
and no learner; its caller decides which road comes next.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.memory import free_bytes
from drive_rl.sim.engines.batch_state import check_batch, check_batch_state
from drive_rl.sim.engines.car_step import Cars, plan_of
from drive_rl.sim.engines.cpu_loop import SHARE, begin_cars, step_cars, weighing
from drive_rl.sim.engines.map_cache import Lens, MapCache
from drive_rl.sim.engines.work_queue import new_counter
from drive_rl.sim.sensors.motion import show_motion
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.view import TEXELS, pack_markings
from drive_rl.sim.state import State
from drive_rl.sim.task.extra_terms import ExtraTerms, extra_terms, term_names
from drive_rl.sim.task.info import end_info, step_info
from drive_rl.sim.task.outcome import END_REASONS, METRICS, RUNNING, state_fields
from drive_rl.sim.task.scoring import TRACE, EpisodeMetrics, Info, summarise
from drive_rl.sim.task.spaces import flat, stacks_of

_SPARE_ROADS = 64
"""Slots beyond one a car, for roads that are used again."""


class Batch:
    """N cars of a world, each on the road of its own seed.

    After `begin` and `step`, `frames` (N, depth, C, H, W) and `cars` hold the state of each car. There are two
    buffers of frames: those of a step stay unchanged until the step after the next.

    Args:
        world: The world.
        num_cars: N.
        observation: What drivers observe: no pictures are rendered for `state`.
        threads: Number of threads; None: one per core, if there are enough cars.

    Raises:
        DriveRLError: N or threads is not positive, memory does not suffice, or only PyBullet can run this world.
    """

    def __init__(
        self, world: WorldSpec, num_cars: int, observation: Observation = "camera", threads: int | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise DriveRLError(f"threads = {threads}: expected at least 1, or None for one per core")
        check_batch(world, num_cars, free_bytes())
        self._made: tuple[Any, ...] = world, num_cars, observation, threads
        self._set_up(world, num_cars, observation, min(num_cars, _SPARE_ROADS), threads)

    def _set_up(
        self, world: WorldSpec, n: int, observation: Observation, spare_roads: int, threads: int | None
    ) -> None:
        cores = len(os.sched_getaffinity(0)) if threads is None else threads
        self._helpers = max(1, min(cores, n // SHARE)) - 1  # threads beside the caller's
        self._closed = False
        self._start_threads()
        self.world, camera = world, world.camera
        self.observation: Observation = observation
        self._plan = plan_of(world)
        self.term_names, self._extra = term_names(world), extra_terms(world)
        self._weigh = self._weighing(self._extra) if self._extra else None
        self.cars = Cars(
            body=self.zeros((7, n), np.float64),
            steer=self.zeros((n,), np.float64),
            steps=self.zeros((n,), np.int64),
            metrics=self.zeros((n, len(METRICS)), np.float64),
            terms=self.zeros((n, len(self.term_names)), np.float64),
            trace=self.zeros((n, self._plan.rules.max_steps, len(TRACE)), np.float64),
            reward=self.zeros((n,), np.float64),
            end=self.zeros((n,), np.int64),
            state=self.zeros((n, len(state_fields(world))), np.float32),
            slot=self.zeros((n,), np.int64),
            drives=self.zeros((n,), np.bool_),
        )
        self._lay(spare_roads)
        self.road_seeds, self.tiers = np.full(n, -1, np.int64), np.zeros(n, np.int64)
        self.slot, self.drives = self.to_numpy(self.cars.slot), self.to_numpy(self.cars.drives)
        pictures = (n, camera.depth, camera.planes, camera.height_px, camera.width_px)
        shape = (n, 0, 0, 0, 0) if observation == "state" else pictures
        self.frames, self._frames_before = self.zeros(shape, np.uint8), self.zeros(shape, np.uint8)

    def _lay(self, spare_roads: int) -> None:
        self.maps = MapCache(self.world, len(self.cars.slot) + spare_roads)
        bearings = self.of_numpy(cast_rays(self.world.camera).bearings)
        self._lens = Lens(bearings, self.of_numpy(TEXELS), self.of_numpy(pack_markings(self.world.road)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make a copy: with its own threads and arrays, from the same state."""
        return _copy, (type(self), self._made, self.get_state(), self._closed)

    def _start_threads(self) -> None:
        self._pool, self._process = (ThreadPoolExecutor(self._helpers) if self._helpers else None), os.getpid()

    def _need_open(self, verb: str) -> None:
        if self._closed:
            raise DriveRLError(f"{verb}: the environment is closed; fix: make a new one")

    @property
    def num_cars(self) -> int:
        """N."""
        return len(self.slot)

    @property
    def pictures(self) -> Any:
        """The frame stacks, oldest first, (N, frame_stack x C, H, W)."""
        return flat(stacks_of(self.frames, self.world.camera))

    def begin(self, cars: Sequence[int] | NDArray[np.int64], seeds: Iterable[int]) -> None:
        """Start an episode in some cars, each on the road of its seed.

        Raises:
            DriveRLError: the batch is closed.
        """
        self._need_open("reset")
        for car, seed in zip(cars, seeds, strict=True):
            self.idle(car)
            self._place(car, int(seed))
        self._begin(np.asarray(cars, np.int64))
        self._weigh_extra()

    def step(self, commands: Any) -> NDArray[np.int64]:
        """Drive each car one control step; return which episodes ended.

        Those cars stand idle until `begin`; until then `last_infos` describes their episodes.

        Args:
            commands: (N, 1 or 2) float64, a `task.command_names` each, as `spaces.commands_of` returns them.

        Raises:
            DriveRLError: the batch is closed.
        """
        self._need_open("step")
        self.frames, self._frames_before = self._frames_before, self.frames
        self._step(commands)
        self._weigh_extra()
        ended = np.flatnonzero(self.drives & (self.to_numpy(self.cars.end) != RUNNING))
        for car in ended.tolist():
            self.idle(car)
        return ended

    def observe(self) -> Any:
        """Return the observations, (N, ...): pictures of `camera` may be a view of `frames`."""
        return self._seen(self.frames, self.cars.state)

    def observe_cars(self, cars: NDArray[np.int64]) -> list[Any]:
        """Return copies of the observations of some cars, one each."""
        rows = self.of_numpy(cars)
        seen = self._seen(self.frames[rows], self.cars.state[rows])
        if self.observation != "camera+state":
            return list(seen)
        return [{"camera": pictures, "state": state} for pictures, state in zip(*seen.values(), strict=True)]

    def _seen(self, frames: Any, state: Any) -> Any:
        """Return what cars observe, of their latest frames (n, depth, C, H, W) and states."""
        if self.observation == "state":
            return self.copy(state)
        stacks = stacks_of(frames, self.world.camera)
        if self.observation == "motion":
            return self.motion(stacks)
        return flat(stacks) if self.observation == "camera" else {"camera": flat(stacks), "state": self.copy(state)}

    def info(self) -> Info:
        """Return the `info` of all cars, (N,) arrays, as `LaneEnv` returns it while an episode runs."""
        metrics, terms = (self.to_numpy(rows).copy() for rows in (self.cars.metrics, self.cars.terms))
        return step_info(metrics, self.term_names, terms, self.road_seeds.copy(), self.tiers.copy())

    def last_infos(self, cars: NDArray[np.int64]) -> list[Info]:
        """Return the `info` of the steps that ended some cars' episodes, as `LaneEnv` returns it."""
        metrics, terms = self._rows(self.cars.metrics, cars), self._rows(self.cars.terms, cars)
        return [
            step_info(values, self.term_names, weights, self.road_seeds[car], self.tiers[car]) | end_info(episode)
            for car, values, weights, episode in zip(cars, metrics, terms, self.episode_metrics(cars), strict=True)
        ]

    def episode_metrics(self, cars: NDArray[np.int64]) -> list[EpisodeMetrics]:
        """Return the metrics of some cars' episodes that have just ended."""
        steps, ends = self._rows(self.cars.steps, cars), self._rows(self.cars.end, cars)
        traces = self._rows(self.cars.trace[:, : steps.max(initial=0)], cars)
        rules = self._plan.rules.kept_half, self.world.task.min_mean_speed_mps
        seeds, tiers = self.road_seeds[cars].tolist(), [self.world.tiers[at] for at in self.tiers[cars]]
        return [
            summarise(trace[:length], *rules, END_REASONS[end - 1], seed, tier)
            for trace, length, end, seed, tier in zip(traces, steps, ends, seeds, tiers, strict=True)
        ]

    def _rows(self, array: Any, cars: NDArray[np.int64]) -> NDArray[Any]:
        """Return some cars' rows of one of the batch's arrays: from a GPU all at once."""
        return self.to_numpy(array[self.of_numpy(cars)])

    def get_state(self) -> State:
        """Return NumPy arrays from which `set_state` resumes exactly, in this or another process."""
        longest = int(self.cars.steps.max())
        kept = self.cars._asdict() | {"trace": self.cars.trace[:, :longest], "frames": self.frames}
        arrays = {name: self.to_numpy(array) for name, array in kept.items()}
        driven = np.arange(longest) < arrays["steps"][:, None]  # beyond lie rows of episodes before
        arrays |= {"slot": self.road_seeds, "drives": self.drives}
        arrays["trace"] = np.where(driven[..., None], arrays["trace"], 0.0)
        return {name: array.copy() for name, array in arrays.items()}

    def set_state(self, state: State) -> None:
        """Resume where `get_state` was called, on a batch of the same world and N, on a CPU or a GPU.

        Raises:
            DriveRLError: it has another N or another camera, or a car cannot be in it; nothing has changed.
        """
        self.check_state(state)
        seeds = state["slot"].tolist()
        for car in range(self.num_cars):
            self.idle(car)
        for car in np.flatnonzero(state["slot"] >= 0).tolist():
            self._place(car, seeds[car])
            if not state["drives"][car]:
                self.idle(car)
        for name, array in self.cars._asdict().items():
            if name == "trace":
                array[:, : state["trace"].shape[1]] = self.of_numpy(state["trace"])
            elif name not in ("slot", "drives"):
                array[:] = self.of_numpy(state[name])
        self.frames[:] = self.of_numpy(state["frames"])

    def check_state(self, state: State) -> None:
        """Refuse a state that `set_state` cannot resume from.

        Raises:
            DriveRLError: names the array, what was found and what was expected.
        """
        check_batch_state(state, tuple(self.frames.shape), self._plan.rules.max_steps, self.cars)

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown()

    def idle(self, car: int) -> None:
        """Take a car off its road: `step` leaves it as it is."""
        if self.drives[car]:
            self.drives[car] = False
            self.maps.release(int(self.slot[car]))

    def _place(self, car: int, seed: int) -> None:
        self.slot[car] = slot = self.maps.take(seed)
        self.drives[car], self.road_seeds[car] = True, seed
        self.tiers[car] = self.world.tiers.index(self.maps.tiers[slot])

    def _weigh_extra(self) -> None:
        if self._extra and self._weigh:
            self._extra.explained(self._weigh, lambda: self._rows(self.cars.metrics, self.drives.nonzero()[0]))
            self._extra.check(self.cars.terms)

    def _begin(self, chosen: NDArray[np.int64]) -> None:
        shared = self.cars, self.maps.roads, self._plan, self._lens, self.frames
        self._together(partial(begin_cars, new_counter(), chosen, *shared), len(chosen) // SHARE)

    def _step(self, commands: NDArray[np.float64]) -> None:
        shared = self.cars, self.maps.roads, self._plan, self._lens, commands, self._frames_before, self.frames
        self._together(partial(step_cars, new_counter(), *shared), self.num_cars // SHARE)

    def _together(self, work: Callable[[], Any], shares: int) -> None:
        """Call a function on as many threads as there are shares of work, and wait for all."""
        if os.getpid() != self._process:
            self._start_threads()  # a fork has none
        helpers = min(self._helpers, shares - 1)
        running = [self._pool.submit(work) for _ in range(helpers)] if self._pool else []
        work()
        for helper in running:
            helper.result()

    def _weighing(self, extra: ExtraTerms) -> Callable[[], object]:
        """Return what weighs the extra reward terms of all cars that drive."""
        weigh_cars = weighing(extra)
        return lambda: weigh_cars(self.cars)

    # where the arrays live: a batch on a GPU overrides these
    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic]) -> Any:
        """Return zeros where the batch keeps its arrays."""
        return np.zeros(shape, dtype)

    def motion(self, frames: Any) -> Any:
        """Return what changed in stacks of frames, (n, stack, C, H, W) -> (n, 2 x stack x C, H, W)."""
        return show_motion(frames)

    def copy(self, array: Any) -> Any:
        """Return a copy of one of the batch's arrays."""
        return array.copy()

    def channels_last(self, pictures: Any) -> Any:
        """Return a view (..., H, W, C) of pictures (..., C, H, W)."""
        return np.moveaxis(pictures, -3, -1)

    def of_numpy(self, array: NDArray[Any]) -> Any:
        """Return a NumPy array where the batch keeps its arrays."""
        return array

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return one of the batch's arrays as a NumPy array."""
        return array


def _copy(kind: type[Batch], made: tuple[Any, ...], state: State, closed: bool) -> Batch:
    batch = kind(*made)
    batch.set_state(state)
    if closed:
        batch.close()
    return batch
