"""The car's formula against the textbook: linear single-track closed forms, friction ellipse, symmetry, power."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import fsolve

from drive_rl.config.specs.car import CarSpec
from drive_rl.sim.vehicle import GRAVITY_MPS2, car_params, cruise_pedal, forces, side_force, steer_towards

SPEC = CarSpec()
CAR = car_params(SPEC)
LENGTH_M = SPEC.cg_to_front_m + SPEC.cg_to_rear_m
WEIGHT_N = SPEC.mass_kg * 9.81

speeds = st.floats(-60, 60)
slides = st.floats(-20, 20)
rates = st.floats(-5, 5)
steers = st.floats(-SPEC.max_steer_rad, SPEC.max_steer_rad)
commands = st.floats(-1, 1)


@pytest.mark.parametrize("speed", [6.0, 12.0, 25.0])
@pytest.mark.parametrize("steer", [0.002, -0.004])
@pytest.mark.parametrize("spec", [SPEC, CarSpec(cg_to_front_m=1.1, cg_to_rear_m=1.6, tyre_mu=0.8, tyre_b=10)])
def test_steady_circle_is_the_linear_single_track_model(speed: float, steer: float, spec: CarSpec) -> None:
    """Rajamani 2012, section 3.3: yaw rate v delta / (L + K v^2) and slip angle l_r / R - l_f m v^2 / (C_r L R)."""
    car, length = car_params(spec), spec.cg_to_front_m + spec.cg_to_rear_m
    front_load = spec.mass_kg * 9.81 * spec.cg_to_rear_m / length
    rear_load = spec.mass_kg * 9.81 * spec.cg_to_front_m / length
    front_stiffness, rear_stiffness = (spec.tyre_mu * f * spec.tyre_b * spec.tyre_c for f in (front_load, rear_load))
    gradient = spec.mass_kg / length * (spec.cg_to_rear_m / front_stiffness - spec.cg_to_front_m / rear_stiffness)
    yaw_rate = speed * steer / (length + gradient * speed**2)
    slip = yaw_rate * spec.cg_to_rear_m / speed - (
        spec.cg_to_front_m * spec.mass_kg * speed * yaw_rate / (rear_stiffness * length)
    )

    def unbalanced(motion: tuple[float, float]) -> tuple[float, float]:
        _, left, moment = forces(speed, motion[0], motion[1], steer, 0.0, car)
        return left - spec.mass_kg * speed * motion[1], moment

    lateral_speed, found_rate = np.asarray(fsolve(unbalanced, (0.0, 0.0), xtol=1e-12))
    assert found_rate == pytest.approx(yaw_rate, rel=0.01)
    assert lateral_speed / speed == pytest.approx(slip, rel=0.01, abs=1e-6)


@given(st.floats(-math.pi, math.pi), st.floats(0, 20_000), st.floats(-20_000, 20_000))
def test_a_tyre_never_leaves_the_friction_circle(alpha: float, load: float, along: float) -> None:
    limit = CAR.mu * max(load, 1.0)
    along = min(max(along, -limit), limit)
    side = side_force(alpha, max(load, 1.0), along, CAR)
    assert math.hypot(side, along) <= limit * (1 + 1e-9)


@given(st.floats(4.1, 60), slides, rates, steers, commands)
def test_the_ground_never_pushes_harder_than_friction(
    vx: float, vy: float, yaw_rate: float, steer: float, pedal: float
) -> None:
    forward, left, _ = forces(vx, vy, yaw_rate, steer, pedal, CAR)
    drag = CAR.drag * vx * abs(vx) + CAR.rolling
    assert math.hypot(forward + drag, left) <= CAR.mu * WEIGHT_N * (1 + 1e-6)


@given(speeds, slides, rates, steers, commands)
def test_left_and_right_are_mirror_images(vx: float, vy: float, yaw_rate: float, steer: float, pedal: float) -> None:
    forward, left, moment = forces(vx, vy, yaw_rate, steer, pedal, CAR)
    assert all(map(math.isfinite, (forward, left, moment)))
    assert forces(vx, -vy, -yaw_rate, -steer, pedal, CAR) == pytest.approx((forward, -left, -moment))


def test_side_force_starts_with_the_slope_mu_load_b_c_and_ends_on_the_limit() -> None:
    slope = side_force(1e-5, 4000.0, 0.0, CAR) / 1e-5
    assert slope == pytest.approx(SPEC.tyre_mu * 4000 * SPEC.tyre_b * SPEC.tyre_c, rel=1e-4)
    peak = max(side_force(a / 1000, 4000.0, 0.0, CAR) for a in range(1000))
    assert peak == pytest.approx(SPEC.tyre_mu * 4000, rel=1e-4)
    assert side_force(0.1, 4000.0, SPEC.tyre_mu * 4000, CAR) == 0


def test_wheels_turn_no_faster_and_no_farther_than_the_spec() -> None:
    assert steer_towards(0.0, 1.0, 0.1, CAR) == pytest.approx(SPEC.steer_rate_radps * 0.1)
    assert steer_towards(0.0, -1.0, 0.1, CAR) == pytest.approx(-SPEC.steer_rate_radps * 0.1)
    assert steer_towards(0.0, 0.1, 10.0, CAR) == pytest.approx(0.1 * SPEC.max_steer_rad)
    angle = 0.0
    for _ in range(1000):
        angle = steer_towards(angle, 1.0, 0.01, CAR)
    assert angle == pytest.approx(SPEC.max_steer_rad)


def test_driving_force_is_limited_by_force_then_power() -> None:
    def resistance(speed: float) -> float:
        return SPEC.drag_ns2pm2 * speed**2 + SPEC.rolling_n

    assert forces(10.0, 0, 0, 0, 1.0, CAR)[0] == pytest.approx(SPEC.drive_force_n - resistance(10))
    assert forces(30.0, 0, 0, 0, 1.0, CAR)[0] == pytest.approx(SPEC.power_w / 30 - resistance(30))
    assert forces(30.0, 0, 0, 0, 0.5, CAR)[0] == pytest.approx(SPEC.power_w / 60 - resistance(30))
    assert forces(20.0, 0, 0, 0, -1.0, CAR)[0] == pytest.approx(-SPEC.brake_force_n - resistance(20))


def test_locked_wheels_brake_no_harder_than_friction() -> None:
    strong = car_params(CarSpec(brake_force_n=100_000, drag_ns2pm2=0, rolling_n=0))
    assert forces(20.0, 0, 0, 0, -1.0, strong)[0] == pytest.approx(-WEIGHT_N, rel=1e-9)
    assert pytest.approx(9.81) == GRAVITY_MPS2


@given(commands)
def test_nothing_acts_on_a_car_at_rest_that_is_not_driven(steer: float) -> None:
    for pedal in (0.0, -1.0):
        assert forces(0.0, 0.0, 0.0, steer * SPEC.max_steer_rad, pedal, CAR) == (0, 0, 0)


@pytest.mark.parametrize("speed", [0.3, 0.9])
def test_at_walking_speed_the_car_is_kinematic(speed: float) -> None:
    steer = 0.3
    rate = speed * math.tan(steer) / LENGTH_M
    _, left, moment = forces(speed, SPEC.cg_to_rear_m * rate, rate, steer, 0.0, CAR)
    assert moment == pytest.approx(0, abs=1e-6)
    assert left == pytest.approx(SPEC.mass_kg * speed * rate)


@pytest.mark.parametrize(
    ("speed", "target", "pedal"), [(12, 12, 0), (11, 12, 0.6), (12, 11.5, -0.3), (0, 12, 1), (12, 3, -1)]
)
def test_a_car_that_holds_its_speed_is_proportional_and_bounded(speed: float, target: float, pedal: float) -> None:
    assert cruise_pedal(float(speed), float(target)) == pytest.approx(pedal)
