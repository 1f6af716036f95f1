"""Labelled pictures of streets, taken now and then from a car that drives routes in traffic.

It knows the environment and its labels. It knows neither the driver nor any file.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.engines.streets.truth import StreetTruth
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.task.outcome import STATE_FIELDS

MOST_PER_ROAD = 8
"""Pictures of a route, which end sooner where the route does."""
APART_S = 2.0, 8.0
"""A picture comes so long after the one before, drawn evenly, ..."""
APART_M = 5.0
"""... and at least so far: a car that waits is shown once."""

_TIMES = 6
"""Random stream of when pictures are taken; others have 0 to 5, and from 20 on."""
_SPEED = STATE_FIELDS.index("speed_mps")

Act = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""A driver's actions (B, A) for states (B, F)."""


@dataclass(frozen=True)
class StreetPicture:
    """A picture, its labels, and where it comes from."""

    truth: StreetTruth
    seed: int  # of the route
    step: int  # control steps since it began
    camera_height_m: float  # as mounted on this route, errors included
    camera_pitch_rad: float


def pictured(world: WorldSpec) -> WorldSpec:
    """Return a world of streets as pictures show it: one at a time, without the sign of the route, which hides what
    the labels are of.
    """
    assert world.streets is not None, "a world of streets"
    return world.model_copy(
        update={
            "streets": world.streets.model_copy(update={"navigation": "none"}),
            "camera": world.camera.model_copy(update={"frame_stack": 1, "frame_ages": None}),
        }
    )


def street_pictures(world: WorldSpec, split: Split, act: Act) -> Generator[StreetPicture, None, None]:
    """Give the pictures of a split's routes, one route after the other; the same for the same world and driver.

    Raises:
        DriveRLError: the world is not for the `field` renderer, or PyBullet is missing.
    """
    with closing(make_env(pictured(world), observation="state", actions="continuous")) as env:
        assert isinstance(env, StreetEnv)
        for seed in SPLITS[split]:
            yield from _along(env, seed, act)


def _along(env: StreetEnv, seed: int, act: Act) -> Iterator[StreetPicture]:
    rng = np.random.default_rng([seed, _TIMES])
    state, _ = env.reset(options={"road_seed": seed})
    camera, appearance, step_s = env.world.camera, env.episode.appearance, 1 / env.world.task.control_hz
    step, taken, left_s, left_m = 0, 0, rng.uniform(*APART_S), APART_M
    while taken < MOST_PER_ROAD:
        state, _, terminated, truncated, _ = env.step(act(state[None])[0])
        if terminated or truncated:
            return
        step, left_s, left_m = step + 1, left_s - step_s, left_m - abs(state[_SPEED]) * step_s
        if left_s <= 0 and left_m <= 0:
            yield StreetPicture(
                truth=env.truth(),
                seed=seed,
                step=step,
                camera_height_m=camera.height_m + appearance.camera_height_error_m,
                camera_pitch_rad=camera.pitch_rad + appearance.camera_pitch_error_rad,
            )
            taken, left_s, left_m = taken + 1, rng.uniform(*APART_S), APART_M
