"""The lamps at the back of other vehicles, in pictures: they say what their drivers do."""

import itertools
from typing import NamedTuple, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from drive_rl.config.reader import load_world
from drive_rl.learn.load_driver import load_driver
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.traffic.hazards.hazard import ACTS, PHASE, WAITS

CAMERA = ("camera.width_px=240", "camera.height_px=150", "camera.channels=rgb", "camera.frame_stack=1")


class Lamps(NamedTuple):
    """A vehicle in a picture: its speed [m/s], what it is about, and the columns of its pixels of a colour."""

    speed_mps: float
    phase: int
    bright: NDArray[np.int64]
    dark: NDArray[np.int64]
    amber: NDArray[np.int64]


def drive(name: str, seed: int) -> list[Lamps]:
    """Drive as the reference driver; return how the vehicle of the hazard looks, where 150 pixels or more show it."""
    world = load_world(f"scenarios/{name}", CAMERA)
    env, driver = make_env(world, observation="state"), load_driver("reference", world)[0]
    assert isinstance(env, StreetEnv)
    state, _ = env.reset(options={"road_seed": seed})
    found, ended = list[Lamps](), False
    while not ended:
        state, _, terminated, truncated, _ = env.step(driver.act(state[None])[0])
        ended = terminated or truncated
        truth, cars = env.truth(), env._scene.cars
        actor = cars.whole.shape[1] - 1
        shown = cast(NDArray[np.int32], truth.instances) == actor
        red, green, blue = truth.image.astype(int)
        colours = (
            (red > 150) & (green < 70),
            (red > 50) & (red < 90) & (green < 20) & (blue < 20),
            (red > 150) & (green > 100) & (blue < 50),
        )
        if shown.sum() >= 150:
            columns = [np.flatnonzero((shown & colour).any(axis=0)) for colour in colours]
            found.append(Lamps(float(cars.real[0, actor, 2]), int(cars.hazard[0, PHASE]), *columns))
    env.close()
    return found


@pytest.mark.parametrize("seed", [10_001, 10_003])
def test_brake_lamps_are_bright_while_a_vehicle_slows_down_and_dark_while_it_drives_on(seed: int) -> None:
    found = drive("hard_break_route", seed)
    steps = [(before.speed_mps - now.speed_mps, now) for before, now in itertools.pairwise(found)]
    braking = [now for slower, now in steps if slower > 0.3 and now.phase == ACTS]
    driving = [now for slower, now in steps if -0.5 < slower < 0.02 and now.speed_mps > 3 and now.phase != ACTS]
    assert len(braking) >= 5
    assert len(driving) >= 20
    assert all(len(now.bright) > 0 and len(now.dark) == 0 for now in braking)
    assert all(len(now.bright) == 0 for now in driving)
    assert np.mean([len(now.dark) > 0 for now in driving]) > 0.8


def test_who_cuts_in_from_the_right_flashes_on_its_left_side() -> None:
    """Flashes: lit in about half of the pictures, never for long."""
    found = drive("parking_cut_in", 10_001)
    waiting, begins = [now for now in found if now.phase == WAITS], [now for now in found if now.phase == ACTS]
    assert begins
    assert not any(len(now.amber) for now in waiting)
    lit = [now for now in begins[:20] if len(now.amber)]
    assert 0.25 < len(lit) / 20 < 0.75
    for now in lit:
        other = np.concatenate([now.bright, now.dark])
        assert other.size == 0 or now.amber.mean() < other.mean()
