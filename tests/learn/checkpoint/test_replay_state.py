"""Replay buffers come back array for array, whichever kind, full or not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from drive_rl.learn.checkpoint.replay_state import fill_replay, read_replay, write_replay

IMAGE = spaces.Box(0, 255, (2, 4, 6), np.uint8)
MIXED = spaces.Dict({"camera": IMAGE, "state": spaces.Box(-1, 1, (3,), np.float32)})


def make(kind: str) -> ReplayBuffer:
    action = spaces.Discrete(5)
    if kind == "dict":
        return DictReplayBuffer(20, MIXED, action, n_envs=2)
    return ReplayBuffer(20, IMAGE, action, n_envs=2)


def fill(buffer: ReplayBuffer, steps: int) -> None:
    space = buffer.observation_space
    space.seed(0)
    rng = np.random.default_rng(0)
    last = sample(space)
    for _ in range(steps):
        following, done = sample(space), rng.random(2) < 0.2
        buffer.add(last, following, rng.integers(5, size=2), rng.random(2), done, [{}, {}])  # type: ignore[arg-type]
        last = sample(space) if done.any() else following


def sample(space: spaces.Space):
    pair = [space.sample(), space.sample()]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([item[key] for item in pair]) for key in space.spaces}
    return np.stack(pair)


def parts(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    names = ["observations", "actions", "rewards", "dones", "timeouts", "next_observations"]
    result = {}
    for name in names:
        value = getattr(buffer, name)
        for key, array in (value if isinstance(value, dict) else {"": value}).items():
            result[f"{name}/{key}"] = array
    return result


@pytest.mark.parametrize("kind", ["plain", "dict"])
@pytest.mark.parametrize("steps", [0, 1, 7, 10, 14])  # the buffers hold 10 rows of 2
def test_round_trip(kind: str, steps: int, tmp_path: Path) -> None:
    buffer, copy = make(kind), make(kind)
    fill(buffer, steps)
    write_replay(tmp_path / "replay.npz", buffer)
    fill_replay(copy, read_replay(tmp_path / "replay.npz", copy))
    assert (copy.pos, copy.full) == (buffer.pos, buffer.full)
    for name, array in parts(buffer).items():
        rows = buffer.buffer_size if buffer.full else buffer.pos
        np.testing.assert_array_equal(parts(copy)[name][:rows], array[:rows], err_msg=name)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_picture_is_written_once(mixed: bool, tmp_path: Path) -> None:
    space = spaces.Box(0, 255, (1, 64, 64), np.uint8)
    pictures: Any = np.random.default_rng(0).integers(0, 256, (501, 1, 1, 64, 64), dtype=np.uint8)
    if mixed:
        both = spaces.Dict({"camera": space, "state": MIXED["state"]})
        buffer: ReplayBuffer = DictReplayBuffer(500, both, spaces.Discrete(2))
        observations: Any = [{"camera": picture, "state": np.full((1, 3), i)} for i, picture in enumerate(pictures)]
    else:
        buffer, observations = ReplayBuffer(500, space, spaces.Discrete(2)), pictures
    for i in range(500):
        buffer.add(observations[i], observations[i + 1], np.zeros(1), np.zeros(1), np.zeros(1), [{}])
    write_replay(tmp_path / "replay.npz", buffer)
    assert (tmp_path / "replay.npz").stat().st_size < 1.02 * pictures.nbytes
