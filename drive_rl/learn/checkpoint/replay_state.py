"""A replay buffer as one npz file: only the filled part, and each picture once.

It knows the arrays of stable-baselines3's replay buffers; those of `FrameReplayBuffer` are in `frame_state`. It does
not know what the observations are.

stable-baselines3 keeps the next observation of a transition, which is nearly always the observation of the transition
after it. So the file holds `observations` in full and only the rows of `next_observations` that differ (an episode's
end, the newest row): half the size, and exact. Arrays are not compressed: see the figures in `docs/log.md`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer

from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.frame_state import check_frames, expected_frames, fill_frames, frame_arrays
from drive_rl.learn.sb3.frame_replay import FrameReplayBuffer
from drive_rl.run.storage.arrays import read_arrays
from drive_rl.sim.state import Expected, check_array

_FLAT = ("actions", "rewards", "dones", "timeouts")
_FIX = "fix: the run's own spec.yaml, or another checkpoint of the run"
_CHUNK = 1024  # rows compared at a time, so that the comparison needs little memory


def write_replay(path: Path, buffer: ReplayBuffer) -> None:
    """Write the filled part of `buffer`."""
    np.savez(path, allow_pickle=False, **_arrays(buffer))


def read_replay(path: Path, buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """Return the arrays that `write_replay` wrote of a buffer like this one, checked one by one.

    Raises:
        DriveRLError: the file is not npz, is of another buffer size, number of environments, observation or actions,
            or holds impossible values; with the array's name.
    """
    arrays = read_arrays(path)
    for name in ("rewards", "size", "pos", "full"):
        if name not in arrays:
            raise DriveRLError(f"{path}: {name}: is missing; {_FIX}")
    rows, envs = arrays["rewards"].shape if arrays["rewards"].ndim == 2 else (0, 0)
    capacity = buffer.buffer_size
    if arrays["size"].shape != () or arrays["size"] != capacity or envs != buffer.n_envs:
        raise DriveRLError(
            f"{path}: size = {arrays['size'].tolist()} rows of {envs} environments, but this driver's buffer has "
            f"{capacity} rows of {buffer.n_envs}; fix: resume with the run's own buffer size and environments"
        )
    expected = _expected(buffer, rows, arrays)
    for name in sorted(expected.keys() | arrays.keys()):
        if name not in arrays or name not in expected:
            raise DriveRLError(f"{path}: {name}: is {'missing' if name in expected else 'unknown'}; {_FIX}")
        check_array(f"{path}: {name}", arrays[name], expected[name], _FIX)
    full, at = bool(arrays["full"]), int(arrays["pos"])
    if rows != (capacity if full else at):
        raise DriveRLError(f"{path}: {rows} rows with pos = {at} and full = {full}; {_FIX}")
    if isinstance(buffer, FrameReplayBuffer):
        added = int(arrays["added"])
        if (at, full) != (added % capacity, added >= capacity):
            raise DriveRLError(f"{path}: added = {added} with pos = {at} and full = {full}; {_FIX}")
        check_frames(f"{path}: ages", buffer.frames, arrays, _FIX)
    return arrays


def fill_replay(buffer: ReplayBuffer, arrays: dict[str, np.ndarray]) -> None:
    """Fill `buffer` with what `read_replay` returned for it; large arrays are taken out of `arrays` and freed."""
    rows = len(arrays["rewards"])
    for name in _FLAT:
        getattr(buffer, name)[:rows] = arrays[name]
    if isinstance(buffer, FrameReplayBuffer):
        fill_frames(buffer.frames, arrays)
    else:
        _fill_pairs(buffer, arrays, rows)
    buffer.pos, buffer.full = int(arrays["pos"]), bool(arrays["full"])


def _expected(buffer: ReplayBuffer, rows: int, arrays: dict[str, np.ndarray]) -> dict[str, Expected]:
    """Return what each array must be, from the buffer and the number of rows in the file."""
    envs, capacity = buffer.n_envs, buffer.buffer_size
    expected = {
        "size": Expected((), np.int64),
        "pos": Expected((), np.int64, 0, capacity - 1),
        "full": Expected((), np.bool_),
    }
    for name in _FLAT:
        own: np.ndarray = getattr(buffer, name)
        low, high = (0, 1) if name in ("dones", "timeouts") else (-np.inf, np.inf)
        if name == "actions":
            low, high = _action_range(buffer.action_space)
        expected[name] = Expected((rows, *own.shape[1:]), own.dtype.type, low, high)
    if isinstance(buffer, FrameReplayBuffer):
        return expected | expected_frames(buffer.frames, arrays)
    for key, own in _parts(buffer.observations).items():
        shape, dtype = own.shape[2:], own.dtype.type
        differs = arrays.get(f"next_differs/{key}")
        count = int(np.count_nonzero(differs)) if differs is not None else None
        expected[f"observations/{key}"] = Expected((rows, envs, *shape), dtype)
        expected[f"next_differs/{key}"] = Expected((rows, envs), np.bool_)
        expected[f"next_observations/{key}"] = Expected((count, *shape), dtype)
    return expected


def _action_range(space: spaces.Space[Any]) -> tuple[float, float]:
    """Return the range of an action's numbers; discrete ones index a network's outputs."""
    if isinstance(space, spaces.Discrete):
        return int(space.start), int(space.start + space.n - 1)
    return (float(space.low.min()), float(space.high.max())) if isinstance(space, spaces.Box) else (-np.inf, np.inf)


def _arrays(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    rows = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: getattr(buffer, name)[:rows] for name in _FLAT}
    arrays |= {
        "pos": np.array(buffer.pos),
        "full": np.array(buffer.full),
        "size": np.array(buffer.buffer_size),
    }
    if isinstance(buffer, FrameReplayBuffer):
        return arrays | frame_arrays(buffer.frames)
    for key, observations in _parts(buffer.observations).items():
        following = _parts(buffer.next_observations)[key][:rows]
        differs = _differs(observations[:rows], following)
        arrays[f"observations/{key}"] = observations[:rows]
        arrays[f"next_differs/{key}"] = differs
        arrays[f"next_observations/{key}"] = following[differs]
    return arrays


def _fill_pairs(buffer: ReplayBuffer, arrays: dict[str, np.ndarray], rows: int) -> None:
    for key, target in _parts(buffer.observations).items():
        observations = arrays[f"observations/{key}"]
        target[:rows] = observations
        if rows:
            following = _parts(buffer.next_observations)[key]
            following[: rows - 1] = observations[1:]
            following[rows - 1] = observations[0]
            following[:rows][arrays[f"next_differs/{key}"]] = arrays[f"next_observations/{key}"]


def _differs(observations: np.ndarray, following: np.ndarray) -> NDArray[np.bool_]:
    """Return where the next observation differs from that of the next row (row 0 after the last): (rows, envs)."""
    rows, envs = observations.shape[:2]
    result = np.ones((rows, envs), dtype=bool)
    for start in range(0, rows, _CHUNK):
        here = np.arange(start, min(start + _CHUNK, rows))
        after = observations[(here + 1) % rows].reshape(len(here), envs, -1)
        result[here] = (after != following[here].reshape(len(here), envs, -1)).any(axis=2)
    return result


def _parts(observations: Any) -> dict[str, np.ndarray]:
    """Return the arrays of an observation: one, or one for each key of a Dict observation."""
    return observations if isinstance(observations, dict) else {"": observations}
