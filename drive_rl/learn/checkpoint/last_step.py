"""`last_step.npz` of a checkpoint: the observations that a learner acts on next, and what it remembers.

It knows where stable-baselines3 keeps them. It does not know environments or files beside its own.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.arrays import read_arrays
from drive_rl.run.storage.manifest import FIX
from drive_rl.sim.state import Expected, check_array


def last_step(model: BaseAlgorithm) -> dict[str, np.ndarray]:
    """Return the model's last observations; for PPO whether an episode has just begun, and an LSTM's state."""
    last = model._last_obs
    assert last is not None, "the model has not begun to learn"
    starts = model._last_episode_starts
    arrays = {"episode_starts": starts if starts is not None else np.zeros(model.n_envs, dtype=bool)}
    parts = last if isinstance(last, dict) else {"": last}
    arrays |= {f"obs/{key}": value for key, value in parts.items()} | _memory(model)
    return {name: torch.as_tensor(value).cpu().numpy() for name, value in arrays.items()}


def read_last_step(model: BaseAlgorithm, path: Path) -> dict[str, np.ndarray]:
    """Return what `last_step` wrote of a model like this one.

    Raises:
        DriveRLError: the file is damaged, or is of another model or other environments.
    """
    arrays, n, space = read_arrays(path), model.n_envs, model.observation_space
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    expected = {
        f"obs/{key}": Expected((n, *(part.shape or ())), np.dtype(part.dtype).type) for key, part in parts.items()
    }
    expected["episode_starts"] = Expected((n,), np.bool_)
    expected |= {name: Expected(tuple(state.shape), np.float32) for name, state in _memory(model).items()}
    if arrays.keys() != expected.keys():
        raise DriveRLError(f"{path}: holds {', '.join(arrays)}, but expected {', '.join(expected)}; {FIX}")
    if (found := arrays["episode_starts"].size) != n:
        raise DriveRLError(
            f"{path}: the checkpoint holds {found} environments and this run has {n}; fix: resume with the same number"
            " of environments"
        )
    for name, each in expected.items():
        check_array(f"{path}: {name}", arrays[name], each, FIX)
    return arrays


def set_last_step(model: BaseAlgorithm, arrays: dict[str, np.ndarray] | None) -> None:
    """Have a model act next on what `read_last_step` returned; None: it begins new episodes."""
    model._last_obs = None  # `learn` then resets the environments
    if arrays is None:
        return
    model._last_episode_starts = arrays["episode_starts"]
    for name, state in _memory(model).items():
        state.copy_(torch.as_tensor(arrays[name]))
    parts: Any = {name.removeprefix("obs/"): value for name, value in arrays.items() if name.startswith("obs/")}
    model._last_obs = parts.get("", parts)


def _memory(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Return what a recurrent model remembers of its episodes, (layers, environments, units) each: none for others."""
    states = getattr(model, "_last_lstm_states", None)
    if states is None:
        return {}
    return {f"lstm/{net}/{part}": state for net in ("pi", "vf") for part, state in enumerate(getattr(states, net))}
