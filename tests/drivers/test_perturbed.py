from typing import get_args

import numpy as np
import pytest
import small_specs

from drive_rl.config.specs.base import Actions, Controls, Engine, Observation
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.driver import begin_episodes
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.perturbed import CorruptedDriver, PerturbedDriver
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError


class Echo:
    """Gives what it is shown."""

    name = "echo"
    observation: Observation = "state"
    actions: Actions = "continuous"

    def act(self, observations: Batch) -> np.ndarray:
        return np.asarray(observations, np.float32)


class Reader(Echo):
    """Steers by the mean of what it sees."""

    observation: Observation = "camera+state"

    def act(self, observations: Batch) -> np.ndarray:
        assert isinstance(observations, dict)
        return np.repeat(observations["camera"].mean(axis=(1, 2, 3))[:, None] / 255, 2, axis=1)


def said(delay_s: float, commands: list[float]) -> list[float]:
    driver = PerturbedDriver(Echo(), delay_s, control_hz=10)
    driver.begin([0])
    return [float(driver.act(np.full((1, 2), command))[0, 0]) for command in commands]


def test_a_command_takes_effect_after_the_delay() -> None:
    # by hand: the integral of what holds during each step of 0.1 s, over 0.1 s; 0 until the first command arrives
    commands = [0.8, -0.4, 0.2, 0.0]
    assert said(0, commands) == pytest.approx(commands)
    assert said(0.1, commands) == pytest.approx([0, 0.8, -0.4, 0.2])
    assert said(0.2, commands) == pytest.approx([0, 0, 0.8, -0.4])
    assert said(0.025, commands) == pytest.approx([0.6, 0.25 * 0.8 - 0.75 * 0.4, 0.25 * -0.4 + 0.75 * 0.2, 0.05])
    assert said(0.15, commands) == pytest.approx([0, 0.4, 0.5 * 0.8 - 0.5 * 0.4, 0.5 * -0.4 + 0.5 * 0.2])


def test_commands_beyond_the_range_are_cut_before_they_are_mixed() -> None:
    assert said(0.05, [3.0, -3.0]) == pytest.approx([0.5, 0.0])


def test_an_episode_begins_with_nothing_under_way() -> None:
    driver = PerturbedDriver(Echo(), 0.1, control_hz=10)
    driver.begin([0, 1])
    driver.act(np.full((2, 2), 0.5))
    driver.begin([1])
    assert driver.act(np.full((2, 2), 0.5))[:, 0].tolist() == [0.5, 0]


def test_whoever_wraps_a_driver_hands_on_that_an_episode_begins() -> None:
    driver = CorruptedDriver(PerturbedDriver(Reader(), 0.1, control_hz=10), lambda images: images)
    shown = {"camera": np.full((1, 2, 16, 24), 51, np.uint8), "state": np.zeros((1, 11), np.float32)}
    begin_episodes(driver, [0])
    assert [driver.act(shown)[0, 0] for _ in range(2)] == pytest.approx([0, 0.2])
    begin_episodes(driver, [0])
    assert driver.act(shown)[0, 0] == 0


@pytest.mark.parametrize("controls", get_args(Controls))
@pytest.mark.parametrize("engine", get_args(Engine))
def test_each_road_is_driven_the_same_whoever_drove_in_its_row_before(engine: Engine, controls: Controls) -> None:
    world = small_specs.world(f"task.controls={controls}")
    reference = ReferenceDriver(ReferenceSpec(name="reference", algorithm="reference"), world.car, world.task)
    driver = PerturbedDriver(reference, 0.15, world.task.control_hz)
    _, rows = evaluate(driver, world, "val", 18, engine=engine)
    again = evaluate(driver, world, "val", 18, engine=engine, num_envs=3)[1]
    _, prompt = evaluate(reference, world, "val", 18, engine=engine)
    assert rows == again
    assert [row.max_offset_m for row in rows] != [row.max_offset_m for row in prompt]


def test_the_driver_gets_corrupted_pictures() -> None:
    shown = {"camera": np.full((3, 2, 16, 24), 51, np.uint8), "state": np.zeros((3, 11), np.float32)}
    driver = CorruptedDriver(Reader(), lambda images: np.full_like(images, 102))
    assert driver.act(shown)[:, 0].tolist() == pytest.approx([0.4] * 3)
    assert (shown["camera"] == 51).all()
    assert driver.observation == "camera+state"


def test_impossible_perturbations_are_refused() -> None:
    with pytest.raises(DriveRLError, match="delay_s = -1"):
        PerturbedDriver(Echo(), -1, 10)
    with pytest.raises(DriveRLError, match="expected one with pictures"):
        CorruptedDriver(Echo(), np.zeros_like)
    discrete = Echo()
    discrete.actions = "discrete"
    with pytest.raises(DriveRLError, match="needs continuous actions"):
        PerturbedDriver(discrete, 0.1, 10)
