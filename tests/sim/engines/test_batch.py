"""Both engines are one world: the same actions give the same drive, in PyBullet and in the batch."""

from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.task.outcome import END_REASONS, TIMEOUT

STEPS = 100  # 10 s


def wandering(rng: np.random.Generator, spread: float) -> np.ndarray:
    """Return smooth noise (STEPS, 2), steering first: one random value a second, straight lines between them."""
    values = rng.uniform(-spread, spread, (STEPS // 10 + 1, 2))
    return np.stack([np.interp(np.arange(STEPS) / 10, np.arange(len(values)), column) for column in values.T], axis=1)


class Drive:
    """What PyBullet made of one sequence of actions: the reference driver's, and noise."""

    def __init__(self, env: LaneEnv, driver: ReferenceDriver, seed: int, spread: float) -> None:
        noise = wandering(np.random.default_rng(seed), spread)
        seen, _ = env.reset(options={"road_seed": seed})
        numbers = len(env.world.task.command_names)
        self.actions, self.end = np.zeros((STEPS, numbers)), ""
        self.poses, self.rewards, self.pictures = [], [], [seen["camera"]]
        for step in range(STEPS):
            self.actions[step] = np.clip(driver.act(seen["state"][None])[0] + noise[step, :numbers], -1, 1)
            seen, reward, terminated, truncated, info = env.step(self.actions[step])
            self.poses.append((env.car.x_m, env.car.y_m, env.car.yaw_rad))
            self.rewards.append(reward)
            self.pictures.append(seen["camera"])
            if terminated or truncated:
                self.end = END_REASONS[info["end_reason"] - 1]
                break


def drives(world: WorldSpec, count: int, spread: float) -> list[Drive]:
    env = LaneEnv(world, "camera+state")
    driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
    made = [Drive(env, driver, seed, spread) for seed in range(count)]
    env.close()
    return made


# the bounds are 5 cm, 0.5 degrees and 0.01; measured: 3e-12 m, 7e-14 rad and 1e-12
@pytest.mark.parametrize(
    ("world", "count", "spread"),
    [
        *[("lane_follow", 200, 0.25), ("lane_follow_hard", 40, 0.4), ("parked_cars", 40, 0.5), ("lane_keep", 40, 0.25)],
        ("lane_follow task.steering=rate", 40, 0.25),
    ],
)
def test_the_same_actions_give_the_same_drive(world: str, count: int, spread: float) -> None:
    name, *changes = world.split()
    spec = load_world(name, changes)
    expected = drives(spec, count, spread)
    batch = Batch(spec, count)
    batch.begin(range(count), range(count))
    ends, others = [""] * count, []
    assert all(np.array_equal(batch.pictures[i], drive.pictures[0]) for i, drive in enumerate(expected))
    for step in range(STEPS):
        ended = batch.step(np.array([drive.actions[step] for drive in expected]))
        for i in ended.tolist():
            ends[i] = END_REASONS[batch.cars.end[i] - 1]
        for i, drive in enumerate(expected):
            if step < len(drive.poses):
                assert batch.cars.body[:2, i] == pytest.approx(drive.poses[step][:2], abs=1e-9)
                turned = batch.cars.body[2, i] - drive.poses[step][2]
                assert abs((turned + np.pi) % (2 * np.pi) - np.pi) < 1e-9
                assert batch.cars.reward[i] == pytest.approx(drive.rewards[step], abs=1e-9)
                # poses that are 1e-13 m apart may see the edge of a parked car in another pixel
                others.append(np.count_nonzero(batch.pictures[i] != drive.pictures[step + 1]))
    assert max(others) <= (3 if world == "parked_cars" else 0)
    assert np.count_nonzero(others) <= len(others) / 100
    assert ends == [drive.end for drive in expected]
    assert sum(end == "" for end in ends) > count / 4, "some must drive all the way"
    assert world != "parked_cars" or "collision" in ends
    batch.close()


def test_a_car_whose_episode_ended_stands_idle_until_it_begins_another() -> None:
    batch = Batch(load_world("lane_follow", ["road.length_m=60", "task.time_limit_s=1"]), 2, "state")
    batch.begin([0, 1], [1, 2])
    batch.idle(1)
    for _ in range(9):
        assert not len(batch.step(np.zeros((2, 2))))
    assert batch.step(np.zeros((2, 2))).tolist() == [0]
    assert batch.last_infos(np.array([0]))[0]["end_reason"] == TIMEOUT
    kept = batch.cars.body.copy()
    assert not len(batch.step(np.ones((2, 2))))
    assert np.array_equal(batch.cars.body, kept)
    batch.begin([0], [3])
    batch.step(np.ones((2, 2)))
    assert batch.maps.seeds[batch.slot[0]] == 3
    assert (batch.cars.body[:, 0] != kept[:, 0]).any()
    assert np.array_equal(batch.cars.body[:, 1], kept[:, 1])
    batch.close()


def test_roads_larger_than_those_before_find_room() -> None:
    """A slot's grid grows when a road needs it; the roads that lie in other slots stay as they are."""
    world = load_world("lane_follow")
    many, one = Batch(world, 24), Batch(world, 1)
    many.begin(range(24), range(100, 124))
    for car, seed in enumerate(range(100, 124)):
        one.begin([0], [seed])
        assert np.array_equal(one.pictures[0], many.pictures[car])
    many.close()
    one.close()


def test_a_state_has_nothing_of_episodes_before() -> None:
    batch = Batch(load_world("lane_follow"), 2, "state")
    batch.begin([0, 1], [1, 2])
    for _ in range(5):
        batch.step(np.zeros((2, 2)))
    batch.begin([0], [3])
    batch.step(np.zeros((2, 2)))
    trace = batch.get_state()["trace"]
    assert trace.shape[:2] == (2, 6)
    assert np.count_nonzero(trace[0, :1, 0]) == 1
    assert not trace[0, 1:].any()
    assert np.count_nonzero(trace[1, :, 0]) == 6
    batch.close()
