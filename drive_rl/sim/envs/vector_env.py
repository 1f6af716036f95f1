"""The Gymnasium vector environment: N cars of the batch engine behind `gymnasium.make_vec`.

Observations, rewards, ends, infos and the roads of a seed are those of `gymnasium.vector.SyncVectorEnv` over
`LaneEnv`s, with the autoreset mode SAME_STEP.
"""

from typing import Any, TypedDict, Unpack

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from drive_rl.config.reader import load_world
from drive_rl.config.specs.base import SPLITS, Actions, Observation, Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.envs.road_sampler import RoadSampler, check_samplers, name_samplers, split_samplers
from drive_rl.sim.state import State
from drive_rl.sim.task.info import code_names
from drive_rl.sim.task.outcome import RUNNING, TIMEOUT
from drive_rl.sim.task.scoring import Info
from drive_rl.sim.task.spaces import (
    ROAD_SEEDS,
    action_grid,
    action_space,
    array_of,
    commands_of,
    known,
    observation_space,
    reset_options,
    shown,
)


def make_vector_env(world: str | WorldSpec, num_envs: int = 1, **kwargs: Any) -> "BatchVectorEnv":
    """Return the vector environment of a world, by name, YAML path or spec; Gymnasium's vector entry point."""
    return BatchVectorEnv(world if isinstance(world, WorldSpec) else load_world(world), num_envs, **kwargs)


class EngineOptions(TypedDict, total=False):
    """Where the cars are simulated."""

    threads: int | None
    device: str | None


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
        render_mode: None; use `LaneEnv` for pictures of one car.
        copy: Whether observations are copies. False is faster: they are views, unchanged until the step after the
            next.
        engine: `threads`, the number of threads (None: one per core, if there are enough cars); `device`, a CUDA
            device for torch (None: the CPU).

    Raises:
        DriveRLError: an unknown mode, N is not positive, memory does not suffice, only PyBullet can run this
            world, or the device cannot be used.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium's
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        world: WorldSpec,
        num_envs: int = 1,
        observation: Observation = "camera",
        actions: Actions = "continuous",
        split: Split = "train",
        render_mode: str | None = None,
        copy: bool = True,
        **engine: Unpack[EngineOptions],
    ) -> None:
        if render_mode is not None:
            raise DriveRLError(
                f"render_mode = {render_mode!r}: a vector environment renders no frames; fix: use gymnasium.make"
            )
        known("split", split, tuple(SPLITS))
        self.single_observation_space = observation_space(world, observation)
        self.single_action_space = action_space(world, actions)
        self.batch = _make_batch(world, num_envs, observation, **engine)
        known("copy", copy, (True, False))
        self.world, self.num_envs, self._copy = world, num_envs, copy
        self.metadata = {**self.metadata, "render_fps": world.task.control_hz, **code_names(world)}
        self._grid = action_grid(world.task) if actions == "discrete" else None
        self._samplers = [RoadSampler(split, seeding.np_random(None)[0]) for _ in range(num_envs)]
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | list[int | None] | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Start N episodes, on the roads `options["road_seed"]` (one, or N of them) or on ones drawn from the split.

        Raises:
            DriveRLError: the seeds or options do not fit, or the environment is closed; no episode has started.
        """
        self._need_open("reset")
        seeds = (
            [None if seed is None else seed + i for i in range(self.num_envs)] if not isinstance(seed, list) else seed
        )
        if len(seeds) != self.num_envs:
            raise DriveRLError(f"reset: seed: {len(seeds)} given: expected one, or {self.num_envs}")
        named = _road_seeds(reset_options(options), self.num_envs)
        for sampler, own in zip(self._samplers, seeds, strict=True):
            if own is not None:
                sampler.rng = seeding.np_random(own)[0]
        drawn = [sampler.next() for sampler in self._samplers]
        self.batch.begin(range(self.num_envs), drawn if named is None else named)
        return self._observe(), self._infos()

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Info]:
        """Drive each car one control step; where an episode ends, return the next one's first observation.

        Raises:
            DriveRLError: the actions do not fit the action space, `reset` was not called, or the environment is closed;
                no car has moved.
        """
        self._need_open("step")
        if not self.batch.drives.all():
            raise DriveRLError("step: no episode was started; fix: call reset() first")
        batch = self.batch
        ended = batch.step(commands_of(batch.to_numpy(actions), self.num_envs, self._grid))
        cars = batch.cars
        rewards, over, truncated = batch.copy(cars.reward), cars.end != RUNNING, cars.end == TIMEOUT
        infos: Info = {}
        for car in ended.tolist():
            infos = self._add_info(infos, {"final_obs": self._final(car), "final_info": batch.last_info(car)}, car)
        if len(ended):
            batch.begin(ended, [self._samplers[car].next() for car in ended.tolist()])
        return self._observe(), rewards, over & ~truncated, truncated, infos | self._infos()

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads."""
        if hasattr(self, "batch"):  # not where the constructor refused
            self.batch.close()

    def _need_open(self, verb: str) -> None:
        if self.closed:
            raise DriveRLError(f"{verb}: the environment is closed; fix: make a new one")

    def _observe(self) -> Any:
        seen = self.batch.observe()
        if not self._copy or self.batch.observation == "state":
            return seen
        if isinstance(seen, dict):
            return {**seen, "camera": self.batch.copy(seen["camera"])}
        return self.batch.copy(seen)

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
        for sampler, words in zip(self._samplers, roads, strict=True):
            sampler.set_state(words)

    def _final(self, car: int) -> Any:
        """Return one car's last observation, as arrays."""
        seen, host = self.batch.observe_one(car), self.batch.to_numpy
        return {key: host(part) for key, part in seen.items()} if isinstance(seen, dict) else host(seen)

    def _infos(self) -> Info:
        """Return the `info` of all cars, and a mask beside each value, as Gymnasium's vector environments do."""
        everyone = np.ones(self.num_envs, bool)
        return {
            key: part
            for name, array in self.batch.info().items()
            for key, part in ((name, array), (f"_{name}", everyone))
        }


def _make_batch(
    world: WorldSpec, num_envs: int, observation: Observation, threads: int | None = None, device: str | None = None
) -> Batch:
    if device is None:
        return Batch(world, num_envs, observation, threads)
    if threads is not None:
        raise DriveRLError(f"threads = {threads}: a batch on a device has none; fix: threads=None, or device=None")
    from drive_rl.sim.engines.cuda import CudaBatch  # imports torch

    return CudaBatch(world, num_envs, observation, device)


def _road_seeds(options: Info, count: int) -> list[int] | None:
    if "road_seed" not in options:
        return None
    seeds = options["road_seed"]
    given = array_of(seeds)
    if (
        given is None
        or given.dtype.kind not in "iu"
        or given.shape not in ((), (count,))
        or not ((given >= 0) & (given < ROAD_SEEDS)).all()
    ):
        raise DriveRLError(
            f"reset: options: road_seed = {shown(seeds)}: expected an integer >= 0, or {count} of them, below 2^63"
        )
    return np.broadcast_to(given, (count,)).tolist()
