"""Replay buffers come back array for array, whichever kind, full or not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.replay_state import fill_replay, read_replay, write_replay
from drive_rl.learn.sb3.frame_replay import FrameReplayBuffer

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


def frames_after(steps: int) -> FrameReplayBuffer:
    """Return a buffer of 10 rows of 2 environments, whose episodes last 2 to 5 steps; stacks are of 3 frames."""
    buffer = FrameReplayBuffer(20, spaces.Box(0, 255, (3, 4, 6), np.uint8), spaces.Discrete(5), n_envs=2, frame_stack=3)
    rng = np.random.default_rng(0)
    continue_frames(buffer, rng.integers(0, 256, (2, 3, 4, 6), dtype=np.uint8), steps, rng)
    return buffer


def continue_frames(buffer: FrameReplayBuffer, last: np.ndarray, steps: int, rng: np.random.Generator) -> None:
    for _ in range(steps):
        following = np.concatenate([last[:, 1:], rng.integers(0, 256, (2, 1, 4, 6), dtype=np.uint8)], axis=1)
        done = rng.random(2) < 0.3
        buffer.add(last, following, rng.integers(5, size=2), rng.random(2), done, [{}, {}])
        last = following.copy()
        last[done] = rng.integers(0, 256, last[done].shape, dtype=np.uint8)


@pytest.mark.parametrize("steps", [0, 1, 7, 10, 12, 13, 14, 57])  # the ring of frames holds 13
@pytest.mark.parametrize("piece", [2**28, 150])  # of three rows
def test_frames_kept_once_come_back(steps: int, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came back goes on like what was saved."""
    monkeypatch.setattr("drive_rl.learn.checkpoint.frame_state._PIECE_BYTES", piece)
    buffer, copy, path = frames_after(steps), frames_after(3), tmp_path / "replay.npz"
    write_replay(path, buffer)
    fill_replay(copy, read_replay(path, copy))
    assert copy.frames.frames.shape == buffer.frames.frames.shape
    assert (copy.pos, copy.full) == (buffer.pos, buffer.full)
    for more in (0, 4, 30):
        for each in (buffer, copy):
            last = np.random.default_rng(more).integers(0, 256, (2, 3, 4, 6), dtype=np.uint8)
            continue_frames(each, last, more, np.random.default_rng(more))
        rows, envs = (axis.ravel() for axis in np.indices((buffer.size(), 2)))
        for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
            expected, found = getattr(buffer, name)[rows, envs], getattr(copy, name)[rows, envs]
            np.testing.assert_array_equal(found, expected, err_msg=name)
    for each, name in ((buffer, "a.npz"), (copy, "b.npz")):
        write_replay(tmp_path / name, each)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_frames_are_written_once(tmp_path: Path) -> None:
    buffer = frames_after(100)
    write_replay(tmp_path / "replay.npz", buffer)
    with np.load(tmp_path / "replay.npz") as arrays:
        assert arrays["frames/0"].shape == (13, 2, 1, 4, 6)
        assert len(arrays["starts"]) == np.count_nonzero(arrays["ages"] == 0) < 26


@pytest.mark.parametrize(("steps", "name", "change", "message"), [
    (57, "added", lambda a: a + 1, r"added = 58 with pos = 7 and full = True"),
    (57, "added", lambda a: a - 50, r"ages: \(13, 2\) uint8, but expected \(7, 2\)"),
    (57, "added", lambda a: a.astype(np.float64) * np.nan, r"added: \(\) float64, but expected \(\) int64"),
    (57, "ages", lambda a: np.maximum(a, 1), r"starts: \(\d+, 3, 4, 6\) uint8, but expected \(0, 3, 4, 6\)"),
    (57, "ages", lambda a: np.where(a == 3, 2, a).astype(np.uint8), r"ages: do not count the steps since an episode"),
    (57, "ages", lambda a: np.where(a == 3, 4, a).astype(np.uint8), r"ages: holds 4, but expected \[0, 3\]"),
    (7, "ages", lambda a: np.where(np.arange(7)[:, None] < 1, 1, a).astype(np.uint8), r"starts: .*expected"),
    (57, "frames/0", lambda a: a[:, :, :, :, :5], r"frames/0: \(13, 2, 1, 4, 5\) uint8, but expected"),
    (57, "starts", lambda a: a[:-1], r"starts: .*expected"),
])  # fmt: skip
def test_frames_that_do_not_fit_together_are_refused(
    steps: int, name: str, change: Any, message: str, tmp_path: Path
) -> None:
    buffer, path = frames_after(steps), tmp_path / "replay.npz"
    write_replay(path, buffer)
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    arrays[name] = change(arrays[name])
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(DriveRLError, match=rf"replay\.npz: {message}"):
        read_replay(path, buffer)
