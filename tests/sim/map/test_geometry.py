"""The reference line against closed forms: circles, clothoids (Fresnel integrals), and there-and-back round trips."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import fresnel

from drive_rl.sim.map.geometry import Road, integrate, pose_at, wrap


def _road(curvature: np.ndarray, yaw: float = 0.0) -> Road:
    return Road(integrate(curvature, 0.0, 0.0, yaw), 0.0, len(curvature) - 1.0, "any")


@pytest.mark.parametrize("radius", [15.0, -15.0, 60.0, 1e4])
@pytest.mark.parametrize("s", [0.0, 0.3, 7.0, 42.5, 100.0])
def test_circle_closed_form(radius: float, s: float) -> None:
    knots = integrate(np.full(101, 1 / radius), 0.0, 0.0, 0.0)
    x, y, heading, curvature = pose_at(knots, s)
    assert x == pytest.approx(radius * math.sin(s / radius), abs=1e-8)
    assert y == pytest.approx(radius * (1 - math.cos(s / radius)), abs=1e-8)
    assert heading == pytest.approx(s / radius, abs=1e-12)
    assert curvature == pytest.approx(1 / radius)


@pytest.mark.parametrize("slope", [1 / 300, -1 / 300, 1 / 5000])
@pytest.mark.parametrize("s", [0.5, 4.0, 11.25, 20.0])
def test_clothoid_is_the_fresnel_integral(slope: float, s: float) -> None:
    # heading slope s^2 / 2, so x = sqrt(pi / slope) C(s sqrt(slope / pi)), and y the same of S
    knots = integrate(slope * np.arange(21.0), 0.0, 0.0, 0.0)
    scale = math.sqrt(math.pi / abs(slope))
    sine, cosine = fresnel(s / scale)
    x, y, heading, curvature = pose_at(knots, s)
    assert x == pytest.approx(scale * cosine, abs=1e-8)
    assert y == pytest.approx(math.copysign(scale * sine, slope), abs=1e-8)
    assert heading == pytest.approx(slope * s * s / 2, abs=1e-12)
    assert curvature == pytest.approx(slope * s)


def test_start_pose_moves_and_turns_the_line() -> None:
    curvature = np.linspace(0, 0.05, 50)
    plain, moved = integrate(curvature, 0.0, 0.0, 0.0), integrate(curvature, 3.0, -4.0, math.pi / 2)
    assert np.allclose(moved[:, 0], 3 - plain[:, 1])
    assert np.allclose(moved[:, 1], -4 + plain[:, 0])
    assert np.allclose(moved[:, 2], plain[:, 2] + math.pi / 2)


@settings(deadline=None)
@given(
    st.lists(st.floats(-1 / 15, 1 / 15), min_size=4, max_size=12),
    st.floats(0.01, 0.99),
    st.floats(-0.7, 0.7),
    st.floats(-3, 3),
    st.floats(-3.1, 3.1),
)
def test_place_and_locate_undo_each_other(
    knots: list[float], along: float, across: float, turn: float, yaw: float
) -> None:
    curvature = np.interp(np.arange(60), np.linspace(0, 59, len(knots)), np.array(knots) / 4)
    road = _road(curvature, yaw)
    s, d = along * road.length_m, across * 15
    x, y, heading = road.place(s, d, turn)
    at = road.locate(x, y, heading)
    assert at.s_m == pytest.approx(s, abs=1e-6)
    assert at.d_m == pytest.approx(d, abs=1e-6)
    assert at.heading_error_rad == pytest.approx(turn, abs=1e-6)
    assert at.curvature_1pm == pytest.approx(float(np.interp(s, np.arange(60), curvature)), abs=1e-6)


def test_locate_finds_the_nearest_point_of_the_line() -> None:
    road = _road(np.interp(np.arange(120), [0, 30, 60, 90, 119], [0, 1 / 15, 0, -1 / 20, 0]))
    dense = road.line(0.0, 0.0, road.length_m, 0.01)
    rng = np.random.default_rng(3)
    for s, d in zip(rng.uniform(2, 117, 100), rng.uniform(-8, 8, 100), strict=True):
        x, y, _ = road.place(float(s), float(d))
        nearest = float(np.hypot(*(dense - [x, y]).T).min())
        found = road.locate(x, y).d_m
        assert 0 <= nearest**2 - found**2 + 1e-9 <= 1e-4  # the dense points are 0.01 m apart


def test_left_is_positive() -> None:
    road = _road(np.zeros(50))  # along x
    assert road.locate(10.0, 2.0).d_m == pytest.approx(2)
    assert road.locate(10.0, -2.0, 0.1).heading_error_rad == pytest.approx(0.1)
    assert road.line(1.0, 5.0, 7.0) == pytest.approx(np.array([[5, 1], [6, 1], [7, 1]]))


@given(st.floats(-50, 50))
def test_wrap_keeps_the_direction(angle: float) -> None:
    wrapped = wrap(angle)
    assert -math.pi < wrapped <= math.pi
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-9)
    assert math.sin(wrapped) == pytest.approx(math.sin(angle), abs=1e-9)
