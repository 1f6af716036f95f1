"""Pictures that show motion, in every engine and as a wrapper. It covers `drive_rl.wrappers`, too."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import small_specs
from gymnasium import spaces

import drive_rl
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.sensors.motion import show_motion
from drive_rl.wrappers import Motion

SEEDS = range(3)
ACTIONS = np.array([[0.3, 0.5], [-0.2, 1.0], [0.0, -0.4]])


def by_numpy(frames: np.ndarray) -> np.ndarray:
    """Return what `show_motion` shows of one stack of frames, worked out again."""
    shades = frames.astype(np.float64)
    road = shades[-1][:, 3 * frames.shape[2] // 10 :]
    planes = [*np.diff(shades, axis=0), shades[-1] - road.mean()]
    brighter = np.concatenate(planes) * 360 / (road.std() + 5)
    return np.clip(np.floor(np.concatenate((brighter, -brighter)) + 0.5), 0, 255)


@pytest.mark.parametrize(("stack", "planes"), [(1, 1), (3, 1), (2, 3)])
def test_it_shows_changes_and_the_newest_frame(stack: int, planes: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, stack, planes, 20, 12), np.uint8)
    shown = show_motion(frames)
    assert shown.shape == (4, 2 * stack * planes, 20, 12)
    for found, given in zip(shown, frames, strict=True):
        assert np.abs(found.astype(int) - by_numpy(given)).max() <= 1  # the mean is rounded otherwise


def test_light_changes_little_and_standing_shows_no_change() -> None:
    frame = np.random.default_rng(1).integers(40, 120, (1, 20, 12)).astype(np.uint8)
    still = np.stack([np.stack([frame, frame]), np.stack([2 * frame, 2 * frame])])
    shown = show_motion(still)  # each of two: brighter change, picture; darker change, picture
    assert (shown[:, [0, 2]] == 0).all()
    assert (shown[:, [1, 3]].max((-1, -2)) > 200).all()
    assert (np.minimum(shown[:, 1], shown[:, 3]) == 0).all()  # no pixel is both
    assert np.abs(shown[0].astype(int) - shown[1]).max() < 40


def pictures(world: WorldSpec, observation: Any) -> np.ndarray:
    """Return what three cars of the batch engine observe over some steps."""
    batch = Batch(world, len(SEEDS), observation)
    batch.begin(range(len(SEEDS)), SEEDS)
    seen = [batch.observe().copy()]
    for _ in range(5):
        batch.step(ACTIONS)
        seen.append(batch.observe().copy())
    np.testing.assert_array_equal(batch.observe_cars(np.array([1]))[0], seen[-1][1])
    return np.stack(seen)


@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_engines_and_the_wrapper_show_the_same(channels: str) -> None:
    world = small_specs.world(f"camera.channels={channels}")
    batch = pictures(world, "motion")
    for seed in SEEDS:
        own, wrapped = LaneEnv(world, "motion"), Motion(LaneEnv(world, "camera"), world.camera.frame_stack)
        assert own.observation_space == wrapped.observation_space
        for env in (own, wrapped):
            seen = [env.reset(options={"road_seed": seed})[0]]
            seen += [env.step(ACTIONS[seed])[0] for _ in range(5)]
            np.testing.assert_array_equal(np.stack(seen), batch[:, seed])
            env.close()


def test_it_is_what_an_id_returns_by_default() -> None:
    name, small = "drive_rl/LaneFollow-v1", {"width_px": 24, "height_px": 16}
    made = gymnasium.make(name, camera=small)
    wanted = gymnasium.make(name, camera=small, observation="motion")
    first, second = (env.reset(options={"road_seed": 5})[0] for env in (made, wanted))
    np.testing.assert_array_equal(first, second)
    vector = gymnasium.make_vec(name, 1, vectorization_mode="vector_entry_point", camera=small)
    np.testing.assert_array_equal(vector.reset(options={"road_seed": 5})[0][0], first)
    for env in (made, wanted, vector):
        env.close()
    assert drive_rl


@pytest.mark.parametrize(
    ("space", "frames"),
    [(spaces.Box(0, 255, (3, 20, 12), np.uint8), 2), (spaces.Box(-1, 1, (3,), np.float32), 1), (spaces.Discrete(3), 1)],
)
def test_the_wrapper_refuses_what_is_no_stack_of_pictures(space: spaces.Space[Any], frames: int) -> None:
    env: gymnasium.Env[Any, Any] = gymnasium.Env()
    env.observation_space = space
    with pytest.raises(DriveRLError, match="Motion: frames"):
        Motion(env, frames)
