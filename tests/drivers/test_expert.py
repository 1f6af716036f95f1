"""The expert's decisions, by gaps worked out by hand, and what it does with a car that turns like a bicycle."""

import math
from typing import cast

import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ExpertSpec, ReferenceSpec
from drive_rl.drivers.evaluate import drive_batch
from drive_rl.drivers.expert import ExpertDriver
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.task.outcome import STATE_FIELDS
from drive_rl.sim.traffic.passing import FAR_M, PASSING_FIELDS

TOWN = load_world("town")
EXPERT = ExpertDriver(cast(ExpertSpec, load_agent("expert")), TOWN.car, TOWN.task)
NOBODY = {
    "free_speed_mps": 12.0,
    "obstacle_m": FAR_M,
    "obstacle_end_m": FAR_M,
    "lane_left_m": 1.7,
    "beside_left_m": 5.1,
    "beside_direction": -1.0,
    "beside_ahead_m": FAR_M,
    "beside_behind_m": FAR_M,
}
STANDS = {"obstacle_m": 9.0, "obstacle_end_m": 17.8, "obstacle_left_m": 0.8}
"""A car that reaches 0.8 m to the left, 9 m ahead."""


def act(**fields: float) -> np.ndarray:
    values = {**NOBODY, **fields}
    return EXPERT.act(np.array([[values.get(name, 0.0) for name in (*STATE_FIELDS, *PASSING_FIELDS)]], np.float32))[0]


def test_without_obstacles_it_is_the_reference() -> None:
    reference = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), TOWN.car, TOWN.task)
    states = np.random.default_rng(0).normal(size=(20, len(STATE_FIELDS))).astype(np.float32)
    assert np.array_equal(EXPERT.act(states), reference.act(states))


def test_it_waits_for_a_gap_as_long_as_it_needs() -> None:
    """27.8 m past it and back, up to 8 m/s with 2 m/s^2: 4 s for 16 m and 1.475 s for the rest, 1.1 s to move over
    2.2 m; with 10 m to spare.
    """
    needed_m = 27.8 + 10 * 6.575 + 10
    for away_m, goes in ((needed_m - 0.1, False), (needed_m + 0.1, True)):
        steer, pedal = act(**STANDS, beside_ahead_m=away_m, beside_ahead_mps=-10)
        assert (steer > 0.1) == goes
        assert (pedal > 0.1) == goes


def test_inside_its_lane_it_needs_no_gap() -> None:
    needs = {**STANDS, "obstacle_left_m": -0.7, "beside_ahead_m": 10.0, "beside_ahead_mps": -10.0}
    assert act(**needs)[0] > 0.05
    assert act(**needs, lane_left_m=1.5)[0] == pytest.approx(0, abs=1e-6)


def test_who_comes_from_behind_goes_first() -> None:
    """8 m/s faster: 4 m, a reaction of 1.5 s and braking with 2 m/s^2 make 32 m."""
    for away_m, goes in ((31.9, False), (32.1, True)):
        steer = act(**STANDS, beside_direction=1, beside_behind_m=away_m, beside_behind_mps=8)[0]
        assert (steer > 0.1) == goes


def test_beside_it_it_goes_on() -> None:
    beside = {"obstacle_m": 1.0, "obstacle_end_m": 9.8, "obstacle_left_m": 0.8, "offset_m": 2.2}
    assert act(**beside, beside_ahead_m=5, beside_ahead_mps=-10, speed_mps=3)[1] > 0


@pytest.mark.parametrize(("left_m", "opens_s"), [(-0.4, 0), (0.8, 0), (0.8, 6), (1.2, 6)])
def test_it_passes_clear_of_it_and_comes_back(left_m: float, opens_s: float) -> None:
    x = y = yaw = steer_rad = least_m = 0.0
    speed, least_m = 10.0, math.inf
    for step in range(400):
        front_m, rear_m = 40 - x - 2.2, 44.4 - x + 2.2
        if x > 85:
            break
        near = {"obstacle_m": front_m, "obstacle_end_m": rear_m, "obstacle_left_m": left_m} if rear_m > 0 else {}
        comes = {"beside_ahead_m": 20.0, "beside_ahead_mps": -10.0} if step < 10 * opens_s else {}
        own = {"offset_m": y, "heading_error_rad": yaw, "steer_rad": steer_rad, "speed_mps": speed}
        steer, pedal = act(**own, **near, **comes)
        for _ in range(10):
            steer_rad += float(np.clip(steer * TOWN.car.max_steer_rad - steer_rad, -0.008, 0.008))
            speed = max(0.0, speed + 0.04 * float(pedal))
            slip = math.atan(1.4 / 2.7 * math.tan(steer_rad))
            x, y = x + speed * math.cos(yaw + slip) * 0.01, y + speed * math.sin(yaw + slip) * 0.01
            yaw += speed / 1.4 * math.sin(slip) * 0.01
            for along in (-2.2, 0.0, 2.2):
                if 40 <= x + along * math.cos(yaw) + 0.9 * math.sin(yaw) <= 44.4:
                    least_m = min(least_m, y + along * math.sin(yaw) - 0.9 * math.cos(yaw) - left_m)
    assert 0.4 < least_m < 0.7
    assert abs(y) < 0.1


def test_it_arrives_where_others_once_cut_its_corner_or_began_too_fast_to_wait() -> None:
    """Of 1,000 km of roads these six ended in collisions: `benchmarks/town.py`."""
    batch = cpu_batch(TOWN, 6, EXPERT.observation, 1)
    driven = drive_batch(EXPERT, batch, [570, 1052, 2129, 2351, 2583, 3560])
    batch.close()
    assert {episode.end_reason for episode in driven} == {"arrived"}
