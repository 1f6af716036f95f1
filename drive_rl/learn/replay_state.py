"""A replay buffer as one npz file: only the filled part, and each picture once.

It knows the arrays of stable-baselines3's replay buffers. It does not know what the observations show.

The next observation of a transition is nearly always the observation of the transition after it. So the file
holds `observations` in full and, of `next_observations`, only the rows that differ (an episode's end, the
newest row): half the size, and exact. Arrays are not compressed: see the figures in `docs/log.md`.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer

from drive_rl.errors import DriveRLError

_FLAT = ("actions", "rewards", "dones", "timeouts")
_CHUNK = 1024  # rows compared at a time, so that the comparison needs little memory


def write_replay(path: Path, buffer: ReplayBuffer) -> None:
    """Write the filled part of `buffer`.

    A buffer with its own ``get_state() -> dict[str, np.ndarray]`` and ``set_state`` is asked for its state
    instead.
    """
    own = getattr(buffer, "get_state", None)
    arrays: dict[str, Any] = own() if own is not None else _arrays(buffer)
    np.savez(path, allow_pickle=False, **arrays)


def load_replay(path: Path, buffer: ReplayBuffer) -> None:
    """Fill `buffer` with what `write_replay` wrote.

    Raises:
        DriveRLError: the file is not npz, or is of another buffer size, number of environments or
            observation.
    """
    arrays = read_arrays(path)
    own = getattr(buffer, "set_state", None)
    try:
        if own is not None:
            own(arrays)
        else:
            _fill(path, buffer, arrays)
    except (KeyError, ValueError) as error:
        if isinstance(error, DriveRLError):
            raise
        raise DriveRLError(f"{path}: does not fit this driver ({error}): use the run's own spec.yaml") from error


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file, read without pickle."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DriveRLError(
            f"{path}: cannot be read as npz ({error}): take another checkpoint of the run, or train again"
        ) from error


def _arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    rows = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: getattr(buffer, name)[:rows] for name in _FLAT}
    arrays |= {
        "pos": np.array(buffer.pos),
        "full": np.array(buffer.full),
        "size": np.array(buffer.buffer_size),
    }
    lean = buffer.optimize_memory_usage  # then the row at `pos` is the newest transition's next observation
    for key, observations in _parts(buffer.observations).items():
        arrays[f"observations/{key}"] = observations[: min(rows + lean, buffer.buffer_size)]
        if not lean:
            following = _parts(buffer.next_observations)[key][:rows]
            differs = _differs(observations[:rows], following)
            arrays[f"next_differs/{key}"] = differs
            arrays[f"next_observations/{key}"] = following[differs]
    return arrays


def _fill(path: Path, buffer: ReplayBuffer, arrays: dict[str, np.ndarray]) -> None:
    rows, envs = arrays["rewards"].shape
    if (int(arrays["size"]), envs) != (buffer.buffer_size, buffer.n_envs):
        raise DriveRLError(
            f"{path}: size = {int(arrays['size'])} rows of {envs} environments, but this driver's buffer has "
            f"{buffer.buffer_size} rows of {buffer.n_envs}: resume with the run's own buffer size and "
            "environments"
        )
    for name in _FLAT:
        getattr(buffer, name)[:rows] = arrays[name]
    for key, target in _parts(buffer.observations).items():
        observations = arrays[f"observations/{key}"]
        target[: len(observations)] = observations
        if not buffer.optimize_memory_usage and rows:
            following = _parts(buffer.next_observations)[key]
            following[: rows - 1] = observations[1:]
            following[rows - 1] = observations[0]
            following[:rows][arrays[f"next_differs/{key}"]] = arrays[f"next_observations/{key}"]
    buffer.pos, buffer.full = int(arrays["pos"]), bool(arrays["full"])


def _differs(observations: np.ndarray, following: np.ndarray) -> NDArray[np.bool_]:
    """Where the next observation is not the one a row on (row 0 after the last): (rows, envs)."""
    rows, envs = observations.shape[:2]
    result = np.ones((rows, envs), dtype=bool)
    for start in range(0, rows, _CHUNK):
        here = np.arange(start, min(start + _CHUNK, rows))
        after = observations[(here + 1) % rows].reshape(len(here), envs, -1)
        result[here] = (after != following[here].reshape(len(here), envs, -1)).any(axis=2)
    return result


def _parts(observations: Any) -> dict[str, np.ndarray]:
    """The arrays of an observation: one, or one for each key of a Dict observation."""
    return observations if isinstance(observations, dict) else {"": observations}
