"""The Gymnasium vector environment: N cars of the batch engine behind `gymnasium.make_vec`.

Observations, rewards, ends, infos and the roads of a seed are those of `gymnasium.vector.SyncVectorEnv` over
`LaneEnv`s, in each autoreset mode.
"""

from typing import Any, TypedDict, Unpack

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Actions, Observation, Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.envs.chase_views import ChaseViews
from drive_rl.sim.envs.parts import take_world
from drive_rl.sim.envs.road_sampler import RoadSampler, check_samplers, name_samplers, split_samplers
from drive_rl.sim.state import State
from drive_rl.sim.task.info import code_names, end_info
from drive_rl.sim.task.outcome import RUNNING, TIMEOUT
from drive_rl.sim.task.scoring import Info
from drive_rl.sim.task.spaces import (
    action_decoder,
    action_space,
    commands_of,
    known,
    observation_space,
    reset_mask_of,
    reset_options,
    road_seeds_of,
    shown,
)


def make_vector_env(world: str | WorldSpec, num_envs: int = 1, **kwargs: Any) -> "BatchVectorEnv":
    """Return the vector environment of a world, by name, YAML path or spec; Gymnasium's vector entry point.

    Args:
        world: The world.
        num_envs: N.
        **kwargs: `BatchVectorEnv`'s, of which `observation` is the world's by default, and changes of the world's
            parts, such as `camera={"width_px": 84}`.
    """
    spec = take_world(world, kwargs)
    kwargs.setdefault("observation", spec.observation)
    return BatchVectorEnv(spec, num_envs, **kwargs)


class VectorOptions(TypedDict, total=False):
    """How the cars are simulated, and what a step returns."""

    threads: int | None
    device: str | None
    copy: bool
    autoreset_mode: AutoresetMode | str
    max_episode_steps: int | None


class BatchVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """N cars, each in the right-hand lane of a road of its own; `LaneEnv` describes observations and actions.

    On a GPU, observations, rewards and ends are torch tensors there; infos are always NumPy arrays.
    A copy (`copy.deepcopy`, `pickle`) resumes from the same state, and from then on the two are independent.

    Args:
        world: The world.
        num_envs: N.
        observation: What the driver observes.
        actions: What the driver returns.
        split: Where road seeds are drawn from, unless `reset` gets some.
        render_mode: `rgb_array` (a frame of each car), or None.
        channels_last: Whether pictures are (H, W, channels x frame_stack), as Gymnasium's image wrappers expect.
        **options: `autoreset_mode`, when an ended episode's car begins another: in the next step (`NextStep`, the
            default, as in Gymnasium), in the same one (`SameStep`), or when `reset` says so (`Disabled`);
            `max_episode_steps`, a shorter time limit; `copy`, whether observations are copies (False is faster: they
            are views, unchanged until the step after the next); `threads`, the number of threads (None: one per core,
            if there are enough cars); `device`, a CUDA device for torch (None: the CPU).

    Raises:
        DriveRLError: an unknown mode, N is not positive, memory does not suffice, only PyBullet can run this
            world, or the device cannot be used.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium's
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        world: WorldSpec,
        num_envs: int = 1,
        observation: Observation = "camera",
        actions: Actions = "continuous",
        split: Split = "train",
        render_mode: str | None = None,
        channels_last: bool = False,
        **options: Unpack[VectorOptions],
    ) -> None:
        known("render_mode", render_mode, (None, "rgb_array"))
        known("split", split, tuple(SPLITS))
        known("copy", options.get("copy", True), (True, False))
        self.autoreset_mode = _autoreset_mode(options.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        world = _limited(world, options.get("max_episode_steps"))
        self.single_observation_space = observation_space(world, observation, channels_last)
        self.single_action_space = action_space(world, actions)
        self.batch = _make_batch(world, num_envs, observation, options.get("threads"), options.get("device"))
        self.world, self.num_envs, self.render_mode = world, num_envs, render_mode
        self._copy, self._channels_last = options.get("copy", True), channels_last
        self.metadata = {
            **self.metadata,
            "autoreset_mode": self.autoreset_mode,
            "render_fps": world.task.control_hz,
            **code_names(world),
        }
        self._decoder = action_decoder(world.task, actions)
        self._samplers = [RoadSampler(split, seeding.np_random(None)[0]) for _ in range(num_envs)]
        self._begun, self._views = False, ChaseViews(self.batch)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Start episodes, on the roads `options["road_seed"]` (one, or N of them) or on ones drawn from the split.

        They start in every car, or in those that `options["reset_mask"]`, (N,) of bool, chooses.

        Raises:
            DriveRLError: the seeds or options do not fit, or the environment is closed; no episode has started.
        """
        self._need_open("reset")
        n = self.num_envs
        seeds = [None if seed is None else seed + i for i in range(n)] if not isinstance(seed, list) else seed
        if len(seeds) != n:
            raise DriveRLError(f"reset: seed: {len(seeds)} given: expected one, or {n}")
        given = reset_options(options, ("road_seed", "reset_mask"))
        named, chosen = road_seeds_of(given, n), reset_mask_of(given, n)
        if not (self._begun or chosen.all()):
            raise DriveRLError("reset: reset_mask: the first reset starts every car; fix: reset() without it")
        for sampler, own, resets in zip(self._samplers, seeds, chosen, strict=True):
            if own is not None and resets:
                sampler.rng = seeding.np_random(own)[0]
        cars = np.flatnonzero(chosen)
        drawn = [self._samplers[car].next() for car in cars]
        self.batch.begin(cars, drawn if named is None else [named[car] for car in cars])
        self._begun = True
        return self._observe(), self._infos(chosen)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Info]:
        """Drive each car one control step; a car whose episode has ended begins another as the autoreset mode says.

        Raises:
            DriveRLError: the actions do not fit the action space, an episode is over or was never started, or the
                environment is closed; no car has moved.
        """
        self._need_open("step")
        batch, waiting = self.batch, self._waiting()
        ended = batch.step(commands_of(batch.to_numpy(actions), self.num_envs, self._decoder))
        self._begin(waiting)
        cars = batch.cars
        rewards, over, truncated = batch.copy(cars.reward), cars.end != RUNNING, cars.end == TIMEOUT
        rewards[waiting] = 0.0
        final: Info = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = self._final(ended)
            self._begin(ended)
        infos = final | self._infos(np.ones(self.num_envs, bool))
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            for car, episode in zip(ended.tolist(), batch.episode_metrics(ended), strict=True):
                infos = self._add_info(infos, end_info(episode), car)
        return self._observe(), rewards, over & ~truncated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the chase view of each car, N of (H, W, 3) uint8, in `rgb_array` mode."""
        self._need_open("render")
        self._need_begun("render")
        return tuple(map(self._views.frame, range(self.num_envs))) if self.render_mode else None

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads."""
        if hasattr(self, "batch"):  # not where the constructor refused
            self.batch.close()

    def _need_open(self, verb: str) -> None:
        if self.closed:
            raise DriveRLError(f"{verb}: the environment is closed; fix: make a new one")

    def _need_begun(self, verb: str) -> None:
        if not self._begun:
            raise DriveRLError(f"{verb}: no episode was started; fix: call reset() first")

    def _waiting(self) -> NDArray[np.int64]:
        """Return the cars that begin an episode in this step, instead of driving."""
        self._need_begun("step")
        over = np.flatnonzero(~self.batch.drives)
        if len(over) and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            raise DriveRLError(
                f"step: the episodes of cars {shown(over.tolist())} are over; fix:"
                " reset(options={'reset_mask': terminated | truncated})"
            )
        return over

    def _begin(self, cars: NDArray[np.int64]) -> None:
        if len(cars):
            self.batch.begin(cars, [self._samplers[car].next() for car in cars.tolist()])

    def _observe(self) -> Any:
        seen = self._shaped(self.batch.observe())
        if not self._copy or self.batch.observation == "state":
            return seen
        if isinstance(seen, dict):
            return {**seen, "camera": self.batch.copy(seen["camera"])}
        return self.batch.copy(seen)

    def _shaped(self, seen: Any) -> Any:
        """Return observations of one or all cars with channels where the caller wants them."""
        if not self._channels_last or self.batch.observation == "state":
            return seen
        if isinstance(seen, dict):
            return {**seen, "camera": self.batch.channels_last(seen["camera"])}
        return self.batch.channels_last(seen)

    def get_state(self) -> State:
        """Return arrays from which `set_state` resumes exactly, in this or another process."""
        return {**self.batch.get_state(), **name_samplers([sampler.get_state() for sampler in self._samplers])}

    def set_state(self, state: State) -> None:
        """Resume where `get_state` was called, on an environment of the same world, modes and N.

        Raises:
            DriveRLError: it is of another one, or an environment cannot be in it; nothing has changed.
        """
        self._need_open("set_state")
        rest, samplers = split_samplers(state)
        self.batch.check_state(rest)
        roads = check_samplers(samplers, self.num_envs)
        self.batch.set_state(rest)
        self._begun = bool((rest["drives"] | (rest["steps"] > 0)).all())
        for sampler, words in zip(self._samplers, roads, strict=True):
            sampler.set_state(words)

    def _final(self, ended: NDArray[np.int64]) -> Info:
        """Return the last observations and infos of episodes, as arrays, as Gymnasium's vector environments do."""
        final: Info = {}
        last = zip(self.batch.observe_cars(ended), self.batch.last_infos(ended), strict=True)
        for car, (seen, info) in zip(ended.tolist(), last, strict=True):
            final = self._add_info(final, {"final_obs": self._arrays(self._shaped(seen)), "final_info": info}, car)
        return final

    def _arrays(self, observation: Any) -> Any:
        if isinstance(observation, dict):
            return {key: self._arrays(part) for key, part in observation.items()}
        return self.batch.to_numpy(observation)

    def _infos(self, chosen: NDArray[np.bool_]) -> Info:
        """Return the `info` of some cars, and a mask beside each value, as Gymnasium's vector environments do."""
        infos: Info = {}
        for name, array in self.batch.info().items():
            infos |= {name: array if chosen.all() else np.where(chosen, array, array.dtype.type(0)), f"_{name}": chosen}
        return infos


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        names = ", ".join(each.value for each in AutoresetMode)
        raise DriveRLError(f"autoreset_mode = {mode!r}: expected one of {names}") from None


def _limited(world: WorldSpec, max_episode_steps: int | None) -> WorldSpec:
    """Return a world with a time limit of so many steps, if that is shorter; None or -1: its own."""
    if max_episode_steps is None or max_episode_steps == -1:
        return world
    if isinstance(max_episode_steps, bool) or not isinstance(max_episode_steps, int) or max_episode_steps < 1:
        raise DriveRLError(f"max_episode_steps = {max_episode_steps!r}: expected an integer >= 1, or -1 for no limit")
    return world.model_copy(update={"task": world.task.limited(max_episode_steps)})


def _make_batch(
    world: WorldSpec, num_envs: int, observation: Observation, threads: int | None, device: str | None
) -> Batch:
    if device is None:
        return cpu_batch(world, num_envs, observation, threads)
    if threads is not None:
        raise DriveRLError(f"threads = {threads}: a batch on a device has none; fix: threads=None, or device=None")
    from drive_rl.sim.engines.cuda import CudaBatch  # imports torch

    return CudaBatch(world, num_envs, observation, device)
