"""The state of a vector of environments as arrays, so that a resumed run continues within its episodes.

An environment provides ``get_state() -> dict[str, np.ndarray]`` and ``set_state(state)``, its random generator
included. This module knows that contract and the usual wrappers (Monitor, VecMonitor, TimeLimit); it does not know what
the arrays mean.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import (
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    is_vecenv_wrapped,
)

from drive_rl.errors import DriveRLError
from drive_rl.learn.sb3.joined_vec_env import JoinedVecEnv
from drive_rl.sim.state import Expected, check_array

_WRAPPED = ("rewards", "_elapsed_steps")  # Monitor's rewards of the episode so far; TimeLimit's clock
_WHOLE = "all"  # instead of an index: a vector of environments with one state
_PART = "world_"  # before a number and those names: one of several worlds' environments
_VEC_MONITOR = "vec_monitor"  # VecMonitor's return and length of the episode so far


def capture_env(vec_env: VecEnv) -> dict[str, np.ndarray]:
    """Return the state of every environment under names such as ``0/yaw`` or ``all/yaw``; empty where none is known.

    Raises:
        DriveRLError: a vector wrapper keeps statistics or frames, which would be lost.
    """
    for wrapper in (VecNormalize, VecFrameStack):
        if is_vecenv_wrapped(vec_env, wrapper):
            raise DriveRLError(
                f"{wrapper.__name__} keeps state that a checkpoint does not hold; fix: stack frames and scale"
                " observations in the world file instead"
            )
    whole: Any = vec_env.unwrapped
    if isinstance(whole, JoinedVecEnv):
        parts = enumerate(map(capture_env, whole.parts))
        return {f"{_PART}{i}/{name}": value for i, state in parts for name, value in state.items()}
    if hasattr(whole, "get_state"):
        return {f"{_WHOLE}/{name}": value for name, value in whole.get_state().items()}
    if not vec_env.has_attr("get_state"):  # asked first: a missing attribute ends a subprocess
        return {}
    states: list[dict[str, np.ndarray]] = vec_env.env_method("get_state")
    arrays = {f"{i}/{name}": np.asarray(value) for i, state in enumerate(states) for name, value in state.items()}
    for name in filter(vec_env.has_attr, _WRAPPED):
        for i, value in enumerate(vec_env.get_attr(name)):
            arrays[f"{i}/wrapper/{name}"] = np.asarray(value)
    if monitor := _vec_monitor(vec_env):
        for i in range(vec_env.num_envs):
            episode = (monitor.episode_returns[i], monitor.episode_lengths[i])
            arrays[f"{i}/wrapper/{_VEC_MONITOR}"] = np.asarray(episode, dtype=np.float64)
    return arrays


def restore_env(vec_env: VecEnv, arrays: dict[str, np.ndarray], path: Path) -> None:
    """Restore every environment to where `capture_env` was called. They are reset first, as wrappers require.

    Args:
        vec_env: The environments.
        arrays: What `capture_env` returned.
        path: Where the arrays were read, for messages.

    Raises:
        DriveRLError: the arrays are of another number of environments, do not fit, or hold an impossible state.
    """
    whole: Any = vec_env.unwrapped
    if isinstance(whole, JoinedVecEnv):
        vec_env.reset()
        for i, part in enumerate(whole.parts):
            own = f"{_PART}{i}/"
            state = {n.removeprefix(own): value for n, value in arrays.items() if n.startswith(own)}
            restore_env(part, state, path / own)
        known = tuple(f"{_PART}{i}/" for i in range(len(whole.parts)))
        if left := [name for name in arrays if not name.startswith(known)]:
            raise DriveRLError(
                f"{path}: {left[0]}: expected arrays of {len(known)} worlds, {known[0]} to {known[-1]}; fix: resume"
                " with the run's own spec.yaml, or take another checkpoint of the run"
            )
        return
    if hasattr(whole, "set_state"):
        vec_env.reset()
        with _explained(path):
            whole.set_state({name.removeprefix(f"{_WHOLE}/"): value for name, value in arrays.items()})
        return
    states = _by_env(path, arrays)
    if sorted(states) != list(range(vec_env.num_envs)):
        raise DriveRLError(
            f"{path}: the checkpoint holds {len(states)} environments and this run has {vec_env.num_envs}; fix: resume"
            " with the same number of environments"
        )
    for i, state in states.items():
        _check_wrappers(f"{path}: {i}", state)
    vec_env.reset()
    for i, state in states.items():
        own = {name: value for name, value in state.items() if not name.startswith("wrapper/")}
        with _explained(path):
            vec_env.env_method("set_state", own, indices=i)
        _restore_wrappers(vec_env, i, state)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Name the file of a state that an environment refuses."""
    try:
        yield
    except (
        AttributeError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        EOFError,
    ) as error:  # EOFError: in a subprocess
        raise DriveRLError(
            f"{path}: the environment state does not fit this world ({error}); fix: resume with the run's own"
            " spec.yaml, or take another checkpoint of the run"
        ) from error


_WRAPPER_STATES = {
    "wrapper/rewards": Expected((None,), np.float64),
    "wrapper/_elapsed_steps": Expected((), np.int64, 0),
    f"wrapper/{_VEC_MONITOR}": Expected((2,), np.float64, -1e15, 1e15),
}


def _check_wrappers(where: str, state: dict[str, np.ndarray]) -> None:
    for name, value in state.items():
        if name in _WRAPPER_STATES:
            check_array(f"{where}/{name}", value, _WRAPPER_STATES[name], "fix: the run's own spec.yaml")


def _restore_wrappers(vec_env: VecEnv, i: int, state: dict[str, np.ndarray]) -> None:
    for name in _WRAPPED:
        if f"wrapper/{name}" in state:
            value = state[f"wrapper/{name}"].tolist()  # a list of rewards, or a count
            vec_env.env_method("set_wrapper_attr", name, value, indices=i)
    monitor, name = _vec_monitor(vec_env), f"wrapper/{_VEC_MONITOR}"
    if monitor and name in state:
        monitor.episode_returns[i], monitor.episode_lengths[i] = state[name]


def _by_env(path: Path, arrays: dict[str, np.ndarray]) -> dict[int, dict[str, np.ndarray]]:
    states: dict[int, dict[str, np.ndarray]] = {}
    for name, value in arrays.items():
        index, _, key = name.partition("/")
        if not (index.isascii() and index.isdecimal() and len(index) < 9 and str(int(index)) == index):
            raise DriveRLError(
                f"{path}: {name}: expected the number of an environment and the name of an array; fix: take another"
                " checkpoint of the run"
            )
        states.setdefault(int(index), {})[key] = value
    return states


def _vec_monitor(vec_env: VecEnv) -> VecMonitor | None:
    while isinstance(vec_env, VecEnvWrapper):
        if isinstance(vec_env, VecMonitor):
            return vec_env
        vec_env = vec_env.venv
    return None
