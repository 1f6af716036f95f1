"""The environments of several worlds as one stable-baselines3 `VecEnv`. It knows vectors of environments, no world."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from drive_rl.sim.task.scoring import Info

T = TypeVar("T")


class JoinedVecEnv(VecEnv):
    """Vectors of environments, one after the other.

    They have one action space, and the same observations but for the privileged state: a shorter one is filled up with
    zeros.

    Args:
        parts: The vectors.
        threads: How many of them step at a time.
    """

    def __init__(self, parts: Sequence[VecEnv], threads: int = 1) -> None:
        self.parts = tuple(parts)
        self._rows = rows_of([part.num_envs for part in parts])
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        super().__init__(
            self._rows[-1].stop, _widest([part.observation_space for part in parts]), parts[0].action_space
        )

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed every environment by its place among all."""
        return [
            each
            for part, rows in zip(self.parts, self._rows, strict=True)
            for each in part.seed(None if seed is None else seed + rows.start)
        ]

    def set_options(self, options: list[Info] | Info | None = None) -> None:
        """Set what the next reset gets: all the same, or each its own."""
        for part, rows in zip(self.parts, self._rows, strict=True):
            part.set_options(options[rows] if isinstance(options, list) else options)

    def reset(self) -> Any:
        """Reset every environment, with the seeds and options set before."""
        found = [part.reset() for part in self.parts]  # the first compiles
        self._note_starts()
        return _joined(found, self.observation_space)

    def step_async(self, actions: np.ndarray) -> None:
        """Give each part its actions."""
        for part, rows in zip(self.parts, self._rows, strict=True):
            part.step_async(actions[rows])

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[Info]]:
        """Step every environment."""
        found = list(self._each(lambda part: part.step_wait()))
        observations, rewards, dones, infos = (list(column) for column in zip(*found, strict=True))
        for info in (each for of_part in infos for each in of_part if "terminal_observation" in each):
            info["terminal_observation"] = _filled_up(info["terminal_observation"], self.observation_space)
        self._note_starts()
        joined = _joined(observations, self.observation_space)
        return joined, np.concatenate(rewards), np.concatenate(dones), [each for of_part in infos for each in of_part]

    def close(self) -> None:
        """Close every environment."""
        for part in self.parts:
            part.close()
        if self._pool is not None:
            self._pool.shutdown()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return the picture of each environment."""
        return [image for part in self.parts for image in part.get_images()]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of some environments."""
        return [part.get_attr(attr_name, row)[0] for part, row in self._picked(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of some environments."""
        for part, row in self._picked(indices):
            part.set_attr(attr_name, value, row)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of some environments."""
        return [part.env_method(method_name, *args, indices=row, **kwargs)[0] for part, row in self._picked(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return which environments have a wrapper."""
        return [part.env_is_wrapped(wrapper_class, row)[0] for part, row in self._picked(indices)]

    def _each(self, call: Callable[[VecEnv], T]) -> Iterator[T]:
        return self._pool.map(call, self.parts) if self._pool else map(call, self.parts)

    def _note_starts(self) -> None:
        self.reset_infos = [info for part in self.parts for info in part.reset_infos]

    def _picked(self, indices: VecEnvIndices) -> list[tuple[VecEnv, int]]:
        places = [(part, row) for part in self.parts for row in range(part.num_envs)]
        return [places[at] for at in self._get_indices(indices)]


def rows_of(counts: Sequence[int]) -> list[slice]:
    """Return which rows of all belong to each of several parts of so many rows."""
    ends = np.cumsum(counts).tolist()
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _widest(found: Sequence[spaces.Space]) -> spaces.Space:
    """Return the space whose state has the most fields."""
    return max(found, key=lambda space: _fields(space["state"] if isinstance(space, spaces.Dict) else space))


def _fields(space: spaces.Space) -> int:
    return (space.shape or (0,))[0]


def _joined(rows: Sequence[Any], space: spaces.Space) -> Any:
    """Return the observations of all parts, (N, ...)."""
    if isinstance(space, spaces.Dict):
        return {key: _joined([part[key] for part in rows], of) for key, of in space.spaces.items()}
    return np.concatenate([_filled_up(part, space) for part in rows])


def _filled_up(observation: Any, space: spaces.Space) -> Any:
    """Return an observation (..., F) or several with the fields of `space`, those that it lacks 0."""
    if isinstance(space, spaces.Dict):
        return {key: _filled_up(observation[key], of) for key, of in space.spaces.items()}
    shape = cast(tuple[int, ...], space.shape)
    lacks = shape[-1] - observation.shape[-1]
    return np.pad(observation, [(0, 0)] * (observation.ndim - 1) + [(0, lacks)]) if lacks else observation
