"""Stacks that leave frames out: those of the ages asked for, of a stack that holds them all, in every engine."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from command_line import check, run_main

from drive_rl.registration import gym_id

AGES = [5, 3, 0]
DEEP, SOME = {"frame_stack": 6}, {"frame_stack": 3, "frame_ages": AGES}
WHERE = [("lane_follow", {}), ("town", {"streets": {"maps": 1, "traffic": {"actors": 4}}})]


def driven(env: Any, number: int, steps: int = 8) -> Iterator[np.ndarray]:
    """Give the pictures (n, channels, H, W) of a start and of some steps."""
    yield np.reshape(env.reset(seed=3)[0], (number, -1, 40, 64)).copy()
    for step in range(steps):
        action = np.tile(np.array([0.3 * (-1) ** (step // 3), 0.6], np.float32), (number, 1))
        seen = env.step(action if number > 1 else action[0])[0]
        yield np.reshape(seen, (number, -1, 40, 64)).copy()


def made(world: str, engine: str, camera: dict[str, Any], **kwargs: Any) -> Any:
    if engine == "bullet":
        return gymnasium.make(gym_id(world), camera=camera, **kwargs)
    return gymnasium.make_vec(
        gym_id(world), num_envs=2, vectorization_mode="vector_entry_point", camera=camera, **kwargs
    )


@pytest.mark.parametrize("engine", ["bullet", "batch"])
@pytest.mark.parametrize(("world", "changes"), WHERE)
def test_a_stack_holds_the_frames_of_its_ages(world: str, changes: dict[str, Any], engine: str) -> None:
    number = 1 if engine == "bullet" else 2
    deep, some = (
        made(world, engine, camera, observation="camera", actions="continuous", **changes) for camera in (DEEP, SOME)
    )
    pairs = list(zip(driven(deep, number), driven(some, number), strict=True))
    for all_frames, picked in pairs:
        assert np.array_equal(picked, all_frames[:, [5 - age for age in AGES]])
    assert len({frames[0, 0].tobytes() for _, frames in pairs}) > 3  # pictures change
    deep.close()
    some.close()


def test_motion_is_that_from_each_of_those_frames_to_the_next() -> None:
    motion, camera = (made("lane_follow", "batch", SOME, observation=kind) for kind in ("motion", "camera"))
    shown, seen = (env.reset(seed=3)[0][0].astype(int) for env in (motion, camera))
    assert shown.shape == (6, 40, 64)
    for k in range(2):  # brighter planes, then darker
        assert ((shown[k] > 0) <= (seen[k + 1] > seen[k])).all()
        assert ((shown[3 + k] > 0) <= (seen[k + 1] < seen[k])).all()
    assert shown[:2].any()
    motion.close()
    camera.close()


@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_a_saved_state_holds_the_frames_between(engine: str) -> None:
    number = 1 if engine == "bullet" else 2
    envs = [made("lane_follow", engine, SOME, observation="camera", actions="continuous") for _ in range(2)]
    first, second = envs
    list(driven(first, number))
    second.reset(seed=9)
    state = first.unwrapped.get_state()
    second.unwrapped.set_state(state)
    action = np.zeros((number, 2), np.float32)
    for _ in range(6):
        ours, theirs = (env.step(action if number > 1 else action[0])[0] for env in envs)
        assert np.array_equal(ours, theirs)
    for env in envs:
        env.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("[0, 1, 5]", r"frame_ages = \[0, 1, 5\]: expected ages that fall to 0, .*; fix: such as \[15, 5, 1, 0\]"),
        ("[5, 3, 1]", r"frame_ages = \[5, 3, 1\]: expected ages that fall to 0"),
        ("[5, 5, 0]", r"frame_ages = \[5, 5, 0\]: expected ages that fall to 0"),
        ("[]", r"frame_ages = \[\]: expected ages that fall to 0"),
        ("[15, 5, 1, 0]", r"frame_ages = .*: expected frame_stack = 3 of them; fix: frame_stack = 4, or"),
        ("[1000, 5, 0]", r"world\.camera\.frame_ages\.0 = 1000: expected <= 100"),
        ("5", r"world\.camera\.frame_ages = 5: expected a list"),
    ],
)
def test_ages_that_do_not_fit_are_refused(
    change: str, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run_main(["eval", "reference", f"world.camera.frame_ages={change}"], monkeypatch)
    assert re.search(said, check(code, capfd.readouterr().err))


def test_a_data_set_of_frames_left_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    camera = ["world.camera.frame_ages=[5, 3, 0]"]
    code = run_main(["data", "make", "lane_follow", *camera, "--out", str(tmp_path / "out")], monkeypatch)
    said = r"world\.camera\.frame_ages = \[5, 3, 0\]: .*; fix: world\.camera\.frame_ages=null"
    assert re.search(said, check(code, capfd.readouterr().err))
    assert not (tmp_path / "out").exists()
