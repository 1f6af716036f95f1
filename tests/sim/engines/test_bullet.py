"""The car driven in Bullet: braking distance, turning circle, contacts, exact repeats, and no NaN whatever is asked."""

import math

import numpy as np
import pybullet
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drive_rl.config.specs.car import CarSpec
from drive_rl.sim.engines.bullet import BulletWorld
from drive_rl.sim.vehicle import CarState

SPEC = CarSpec()
LENGTH_M = SPEC.cg_to_front_m + SPEC.cg_to_rear_m


@pytest.fixture(scope="module")
def world():
    world = BulletWorld(SPEC, 0.01)
    yield world
    world.close()


def _drive(world: BulletWorld, start: CarState, commands: list[tuple[float, float]], steps: int = 10) -> np.ndarray:
    """Return the car's states (n, 7) after each command."""
    world.place(start, [])
    out = []
    for steer, pedal in commands:
        assert not world.drive(steer, pedal, steps)
        out.append(world.state())
    return np.array(out)


@pytest.mark.parametrize("speed", [10.0, 20.0])
def test_braking_distance_closed_form(world: BulletWorld, speed: float) -> None:
    # m v dv/dx = -(F + k v^2)  =>  x = m / (2 k) ln(1 + k v^2 / F)
    force, k = SPEC.brake_force_n + SPEC.rolling_n, SPEC.drag_ns2pm2
    expected = SPEC.mass_kg / (2 * k) * math.log(1 + k * speed**2 / force)
    path = _drive(world, CarState(vx_mps=speed), [(0.0, -1.0)] * 60)
    assert path[-1, 3] < 0.01
    assert path[-1, 0] == pytest.approx(expected, rel=0.01)
    assert path[-1, 1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("side", [1, -1])
def test_turning_circle_at_walking_speed(world: BulletWorld, side: int) -> None:
    hold = SPEC.rolling_n / SPEC.drive_force_n  # the pedal that keeps the speed
    path = _drive(world, CarState(vx_mps=0.8), [(float(side), hold)] * 400)[50:]
    yaw = path[:, 2]
    rear = path[:, :2] - SPEC.cg_to_rear_m * np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    # circle through the points, by least squares on x^2 + y^2 = a x + b y + c
    (a, b, c), *_ = np.linalg.lstsq(np.c_[rear, np.ones(len(rear))], (rear**2).sum(axis=1), rcond=None)
    radius = math.sqrt(c + (a * a + b * b) / 4)
    assert radius == pytest.approx(LENGTH_M / math.tan(SPEC.max_steer_rad), rel=0.01)
    assert np.sign(path[-1, 5]) == side


def test_steady_circle_at_speed(world: BulletWorld) -> None:
    # equal tyres make the car neutral: yaw rate v delta / L at any speed, while angles are small
    path = _drive(world, CarState(vx_mps=15), [(0.03, 0.1)] * 50)
    steer = 0.03 * SPEC.max_steer_rad
    assert path[-1, 6] == pytest.approx(steer)
    assert path[-1, 5] == pytest.approx(path[-1, 3] * steer / LENGTH_M, rel=0.02)


def test_left_and_right_are_mirror_images(world: BulletWorld) -> None:
    rng = np.random.default_rng(1)
    commands = [(float(a), float(b)) for a, b in rng.uniform(-1, 1, (50, 2))]
    left = _drive(world, CarState(vx_mps=12), commands)
    right = _drive(world, CarState(vx_mps=12), [(-steer, pedal) for steer, pedal in commands])
    assert right * [1, -1, -1, 1, -1, -1, -1] == pytest.approx(left, abs=1e-6)


def test_a_car_at_rest_stays_at_rest(world: BulletWorld) -> None:
    start = CarState(3, -2, 0.7)
    for steer, pedal in ((0.0, 0.0), (1.0, 0.0), (0.3, -1.0)):
        path = _drive(world, start, [(steer, pedal)] * 50)
        assert path[-1, :6] == pytest.approx([3, -2, 0.7, 0, 0, 0], abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 0)), min_size=5, max_size=40), st.floats(5, 30))
def test_no_energy_comes_from_steering_and_braking(
    world: BulletWorld, commands: list[tuple[float, float]], speed: float
) -> None:
    path = np.array([[0, 0, 0, speed, 0, 0, 0], *_drive(world, CarState(vx_mps=speed), commands)])
    energy = SPEC.mass_kg * (path[:, 3] ** 2 + path[:, 4] ** 2) / 2 + SPEC.yaw_inertia_kgm2 * path[:, 5] ** 2 / 2
    fast = np.hypot(path[:-1, 3], path[:-1, 4]) > 4.5  # below, the kinematic model decides
    assert (np.diff(energy)[fast] <= 0.002 * energy[:-1][fast] + 1).all()


TOP = {"mass_kg": 4668.0, "steer_rate_radps": 20.0, "yaw_inertia_kgm2": 20.0, "cg_to_front_m": 10.0, "tyre_mu": 3.0}


@settings(max_examples=40, deadline=None)
@example(commands=[(1.0, 0.0), (0.0, 0.0)], speed=3.0, hz=10, car={**TOP, "tyre_b": 1.0, "drag_ns2pm2": 0.0})
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=60),
    st.floats(0, 60),
    st.sampled_from([10, 20, 50, 100, 1000]),
    st.fixed_dictionaries(
        {},
        optional={
            "mass_kg": st.floats(50, 50_000),
            "yaw_inertia_kgm2": st.floats(5, 500_000),
            "tyre_mu": st.floats(0.05, 3),
            "tyre_b": st.floats(1, 30),
            "drive_force_n": st.floats(1, 200_000),
            "brake_force_n": st.floats(1, 500_000),
            "drag_ns2pm2": st.floats(0, 20),
            "rolling_n": st.floats(0, 5000),
            "cg_to_front_m": st.floats(0.1, 10),
            "steer_rate_radps": st.floats(0.05, 20),
        },
    ),
)
def test_never_nan_whatever_the_car_and_the_driver(
    commands: list[tuple[float, float]], speed: float, hz: int, car: dict[str, float]
) -> None:
    try:
        spec = CarSpec.model_validate(car)
    except ValidationError:  # such as one that cannot move
        reject()
    world = BulletWorld(spec, 1 / hz)
    try:
        path = _drive(world, CarState(vx_mps=speed), commands, max(1, hz // 10))
    finally:
        world.close()
    assert np.isfinite(path).all()
    assert np.abs(path[:, 3:6]).max() < 1000


def test_contact_with_a_parked_car(world: BulletWorld) -> None:
    world.place(CarState(vx_mps=10), [(20.0, 0.0, 0.0)])
    touched = [world.drive(0.0, 0.0, 10) for _ in range(30)]
    assert touched.index(True) == pytest.approx((20 - SPEC.length_m) / 10 / 0.1, abs=1.1)  # the gap at 1 m a step
    world.place(CarState(vx_mps=10), [(20.0, SPEC.width_m + 0.2, 0.0)])
    assert not any(world.drive(0.0, 0.0, 10) for _ in range(30)), "passed 0.2 m beside it"
    world.place(CarState(vx_mps=10), [(20.0, SPEC.width_m - 0.1, 0.0)])
    assert any(world.drive(0.0, 0.0, 10) for _ in range(30)), "caught its corner"
    world.place(CarState(vx_mps=10), [])
    assert not any(world.drive(0.0, 0.0, 10) for _ in range(30)), "the parked cars are gone"


def test_the_same_commands_give_the_same_path_bit_for_bit() -> None:
    rng = np.random.default_rng(2)
    commands = [(float(a), float(b)) for a, b in rng.uniform(-1, 1, (60, 2))]
    start = CarState(5, 6, 0.4, 11, 0.1, 0.05, 0.01)
    paths = []
    for warm_up in (0, 3):
        world = BulletWorld(SPEC, 0.01)
        for _ in range(warm_up):
            _drive(world, CarState(vx_mps=20), commands[:7])
        paths.append(_drive(world, start, commands))
        world.close()
    assert np.array_equal(paths[0], paths[1])


def test_state_can_be_set_anywhere_on_the_way(world: BulletWorld) -> None:
    commands = [(0.4, 0.5), (-0.6, 0.2), (0.1, -0.3), (0.9, 0.8)] * 5
    whole = _drive(world, CarState(vx_mps=9), commands)
    rest = _drive(world, CarState(*(float(v) for v in whole[9])), commands[10:])
    assert np.array_equal(rest, whole[10:])


def test_closing_frees_the_client_and_may_be_done_twice() -> None:
    world = BulletWorld(SPEC, 0.01)
    client = world.client
    assert pybullet.isConnected(client)
    world.close()
    assert not pybullet.isConnected(client)
    world.close()
    assert world.client == -1
