"""A stable-baselines3 `VecEnv` over environments of this process, with episode statistics and without copies.

`DummyVecEnv` and `Monitor` deep-copy every info of every step. This one passes the environments' own infos on, with
the entries that stable-baselines3 reads (`episode`, `terminal_observation`, `TimeLimit.truncated`). It knows no world.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from drive_rl.drivers.observations import copied, stacked
from drive_rl.learn.curriculum import Curriculum
from drive_rl.sim.state import Expected, check_array

_FIX = "fix: the run's own spec.yaml"


class EnvSlot:
    """One environment and the return and length of its running episode; other names go to the environment.

    The learner gets `reward_scale` times the reward; the episode's return sums the reward itself. `retry` is the
    curriculum's.
    """

    def __init__(self, env: gymnasium.Env, reward_scale: float = 1.0, retry: float = 0.0) -> None:
        self.env = env
        self.reward_scale = reward_scale
        self.curriculum = Curriculum(retry)
        self.episode_return = 0.0
        self.episode_length = 0

    def __getattr__(self, name: str) -> Any:
        if name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode and return its first observation."""
        self.episode_return, self.episode_length = 0.0, 0
        if seed is None and options is None:
            failed = self.curriculum.replay(self.env.np_random)
            options = None if failed is None else {"road_seed": failed}
        return self.env.reset(seed=seed, options=options)[0]

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Take a step; at an episode's end, return the next episode's first observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.episode_return += float(reward)
        self.episode_length += 1
        done = bool(terminated or truncated)
        if done:
            info["episode"] = {"r": self.episode_return, "l": self.episode_length}
            info["terminal_observation"] = copied(observation)
            info["TimeLimit.truncated"] = bool(truncated and not terminated)
            if self.curriculum.retry:  # environments of other makers need not name roads
                self.curriculum.record(int(info["road_seed"]), bool(info["is_success"]))
            observation = self.reset()
        return observation, self.reward_scale * float(reward), done, info

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the environment's state and the running episode's statistics."""
        episode = np.array([self.episode_return, self.episode_length], np.float64)
        return {**cast(Any, self.env).get_state(), "episode": episode, "failed": self.curriculum.get_state()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what `get_state` returned.

        Raises:
            DriveRLError: the state is of another environment, or impossible.
        """
        rest = dict(state)
        episode, failed = rest.pop("episode", np.empty(0)), rest.pop("failed", np.empty(0))
        check_array("state: episode", episode, Expected((2,), np.float64, -1e15, 1e15), _FIX)
        check_array("state: failed", failed, Expected((None,), np.int64, 0), _FIX)
        cast(Any, self.env).set_state(rest)
        self.episode_return, length = episode.tolist()
        self.episode_length = int(length)
        self.curriculum.set_state(failed)


class SerialVecEnv(VecEnv):
    """Environments stepped one after the other in this process."""

    def __init__(
        self, makers: Iterable[Callable[[], gymnasium.Env]], reward_scale: float = 1.0, retry: float = 0.0
    ) -> None:
        self.slots = [EnvSlot(make(), reward_scale, retry) for make in makers]
        first = self.slots[0].env
        self._actions = np.empty(0)
        super().__init__(len(self.slots), first.observation_space, first.action_space)

    def reset(self) -> Any:
        """Reset every environment, with the seeds and options set before."""
        seeds, options = self._seeds, self._options
        rows = [slot.reset(seeds[i], options[i] or None) for i, slot in enumerate(self.slots)]
        self._reset_seeds()
        self._reset_options()
        return stacked(rows, self.observation_space)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Step every environment."""
        rows, rewards, dones, infos = zip(*map(EnvSlot.step, self.slots, self._actions), strict=True)
        batch = stacked(rows, self.observation_space)
        return batch, np.array(rewards, np.float32), np.array(dones), list(infos)

    def close(self) -> None:
        """Close every environment."""
        for slot in self.slots:
            slot.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of some environments."""
        return [getattr(slot, attr_name) for slot in self._picked(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of some environments."""
        for slot in self._picked(indices):
            setattr(slot.env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of some environments."""
        return [getattr(slot, method_name)(*args, **kwargs) for slot in self._picked(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return which environments have a wrapper."""
        return [isinstance(slot.env, wrapper_class) for slot in self._picked(indices)]

    def _picked(self, indices: VecEnvIndices) -> list[EnvSlot]:
        return [self.slots[i] for i in self._get_indices(indices)]
