"""The batch engine as a stable-baselines3 `VecEnv`: the observations of `SerialVecEnv`, without copying pictures.

Pictures stay unchanged until the step after the next, which is as long as stable-baselines3 reads them. Over a batch on
a GPU, observations, rewards and dones are torch tensors on the GPU, which only `DevicePPO` accepts.
"""

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from drive_rl.config.specs.base import SPLITS, Actions, Split
from drive_rl.errors import DriveRLError
from drive_rl.learn.curriculum import Curriculum
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.envs.chase_views import ChaseViews
from drive_rl.sim.envs.road_sampler import WORDS, RoadSampler, check_samplers, name_samplers, split_samplers
from drive_rl.sim.state import Expected, check_array
from drive_rl.sim.task.info import code_names
from drive_rl.sim.task.outcome import RUNNING, TIMEOUT
from drive_rl.sim.task.scoring import Info
from drive_rl.sim.task.spaces import (
    action_decoder,
    action_space,
    commands_of,
    known,
    observation_space,
    reset_options,
    road_seed_of,
)

_FIX = "fix: the run's own spec.yaml"
_FAILED = Expected((None,), np.uint64, 0, 2**63 - 1)


class BatchVecEnv(VecEnv):
    """N cars of the batch engine. The same seeds and options give the same roads as in `SerialVecEnv`.

    A car's info is empty until its episode ends; then it is `LaneEnv`'s, with what stable-baselines3's `Monitor` adds.

    Args:
        batch: The cars.
        actions: The action space.
        split: Where road seeds are drawn from.
        reward_scale: Factor on the learner's rewards.
        retry: Chance that an episode takes place on a road that was failed before.
        render_mode: `rgb_array` (frames of all cars), or None.
    """

    def __init__(
        self,
        batch: Batch,
        actions: Actions,
        split: Split,
        reward_scale: float = 1.0,
        retry: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        known("render_mode", render_mode, (None, "rgb_array"))
        known("split", split, tuple(SPLITS))
        self.batch, self.world, self.render_mode = batch, batch.world, render_mode
        self._views = ChaseViews(batch)
        n = batch.num_cars
        self._decoder = action_decoder(self.world.task, actions)
        self._scale = reward_scale
        self._samplers = [RoadSampler(split, seeding.np_random(None)[0]) for _ in range(n)]
        self._curricula = [Curriculum(retry) for _ in range(n)]
        self._returns = batch.zeros((n,), np.float64)
        self._commands = np.zeros((n, len(self.world.task.command_names)))
        super().__init__(n, observation_space(self.world, batch.observation), action_space(self.world, actions))
        self.metadata |= {"render_fps": self.world.task.control_hz, **code_names(self.world)}

    def reset(self) -> Any:
        """Begin every car's episode, with the seeds and options set before.

        Raises:
            DriveRLError: an option is not a road seed; no episode has begun.
        """
        named = [reset_options(each).get("road_seed") for each in self._options]
        named = [None if road is None else road_seed_of(road) for road in named]
        for sampler, seed in zip(self._samplers, self._seeds, strict=True):
            if seed is not None:
                sampler.rng = seeding.np_random(seed)[0]
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0
        drawn = map(self._next_road, range(self.num_envs), named)
        self.batch.begin(range(self.num_envs), list(drawn))
        self._note_starts(range(self.num_envs))
        return self.batch.observe()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._commands = commands_of(actions, self.num_envs, self._decoder)

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """Step every car; where an episode ends, return the first observation of the next."""
        ended = self.batch.step(self._commands)
        cars = self.batch.cars
        self._returns += cars.reward
        rewards, dones = self.batch.zeros((self.num_envs,), np.float32), cars.end != RUNNING
        rewards[:] = self._scale * cars.reward
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if len(ended):
            self._end_episodes(ended, infos)
            self.batch.begin(ended, map(self._next_road, ended.tolist()))
            self._note_starts(ended.tolist())
        return self.batch.observe(), rewards, dones, infos

    def _end_episodes(self, ended: NDArray[np.int64], infos: list[Info]) -> None:
        """Write the infos of the cars whose episodes have ended."""
        rows = self.batch.of_numpy(ended)
        returns, steps = (self.batch.to_numpy(of[rows]).tolist() for of in (self._returns, self.batch.cars.steps))
        last, observations = self.batch.last_infos(ended), self.batch.observe_cars(ended)
        for row, car in enumerate(ended.tolist()):
            infos[car] = info = last[row]
            info["episode"] = {"r": returns[row], "l": steps[row]}
            info["terminal_observation"] = observations[row]
            info["TimeLimit.truncated"] = bool(info["end_reason"] == TIMEOUT)
            self._curricula[car].record(int(info["road_seed"]), bool(info["is_success"]))
        self._returns[rows] = 0

    def _note_starts(self, cars: Iterable[int]) -> None:
        """Keep the infos of starts where stable-baselines3 looks for them."""
        infos = self.batch.info()
        for car in cars:
            self.reset_infos[car] = {name: array[car] for name, array in infos.items()}

    def _next_road(self, car: int, named: int | None = None) -> int:
        """Return the road of a car's next episode; a named one takes the place of the one drawn."""
        sampler = self._samplers[car]
        failed = self._curricula[car].replay(sampler.rng) if named is None else named
        drawn = sampler.next()
        return drawn if failed is None else failed

    def get_state(self) -> dict[str, np.ndarray]:
        """Return arrays from which `set_state` goes on exactly here."""
        failed = [curriculum.get_state().astype(np.uint64) for curriculum in self._curricula]
        roads = [np.concatenate([s.get_state(), seeds]) for s, seeds in zip(self._samplers, failed, strict=True)]
        return {**self.batch.get_state(), **name_samplers(roads), "returns": self.batch.to_numpy(self._returns).copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue where `get_state` was called.

        Raises:
            DriveRLError: the state is of other environments, or impossible; nothing has changed.
        """
        rest, samplers = split_samplers(state)
        returns = rest.pop("returns", np.empty(0))
        self.batch.check_state(rest)
        roads = check_samplers(samplers, self.num_envs, length=None)
        for car, words in enumerate(roads):
            check_array(f"state: failed roads of car {car}", words[WORDS:], _FAILED, _FIX)
        if not rest["drives"].all():
            raise DriveRLError(f"state: drives = {rest['drives'].tolist()}: expected a car on its road in each; {_FIX}")
        check_array("state: returns", returns, Expected((self.num_envs,), np.float64, -1e15, 1e15), _FIX)
        self.batch.set_state(rest)
        self._returns[:] = self.batch.of_numpy(returns)
        for sampler, curriculum, words in zip(self._samplers, self._curricula, roads, strict=True):
            sampler.set_state(words[:WORDS])
            curriculum.set_state(words[WORDS:])

    def close(self) -> None:
        """End the threads."""
        self.batch.close()

    def get_images(self) -> list[np.ndarray]:
        """Return the chase view of each car, (H, W, 3) RGB uint8."""
        return [self._views.frame(car) for car in range(self.num_envs)]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute, which is the same for every car."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: cars have no attributes of their own."""
        raise NotImplementedError("the cars of a batch have no attributes of their own")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Refuse: cars have no methods of their own."""
        raise NotImplementedError("the cars of a batch have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return True for `Monitor`, whose part this takes (`info["episode"]`), and False for any other wrapper."""
        return [issubclass(wrapper_class, Monitor)] * len(list(self._get_indices(indices)))
