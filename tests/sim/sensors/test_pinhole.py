"""The pinhole camera against OpenCV's, and its rays against its own projection."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import opencv_pixels

from drive_rl.config.specs.car import CameraSpec
from drive_rl.sim.sensors.pinhole import Rays, cast_rays, project

cameras = st.builds(
    CameraSpec,
    width_px=st.integers(16, 200),
    height_px=st.integers(16, 200),
    fov_rad=st.floats(0.3, 2.4),
    forward_m=st.floats(-8, 3),
    height_m=st.floats(0.3, 30),
    pitch_rad=st.floats(-0.3, 1.5),
)


@settings(max_examples=50, deadline=None)
@given(cameras, st.integers(0, 1000))
def test_projection_is_opencvs(camera: CameraSpec, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.c_[rng.uniform(-5, 60, 40), rng.uniform(-20, 20, 40)]
    ours = project(camera, points)
    ahead = ~np.isnan(ours[:, 0])
    depth = (points[:, 0] - camera.forward_m) * math.cos(camera.pitch_rad) + camera.height_m * math.sin(
        camera.pitch_rad
    )
    assert np.array_equal(ahead, depth > 0.05)
    if ahead.any():
        theirs = opencv_pixels(camera, np.c_[points, np.zeros(40)][ahead])
        assert ours[ahead] == pytest.approx(theirs, rel=1e-6, abs=1e-6)


def ground_points(rays: Rays) -> np.ndarray:
    """Return where each pixel meets the ground, forward and left [m]: (2, H, W)."""
    forward = np.broadcast_to(rays.rows[:, 2:3], (len(rays.rows), rays.bearings.size))
    with np.errstate(invalid="ignore"):  # the sky is infinitely far
        return np.stack([forward, rays.rows[:, 3:4] * rays.bearings]).astype(float)


@settings(max_examples=50, deadline=None)
@given(cameras, st.floats(-0.1, 0.1), st.floats(-0.05, 0.05))
def test_rays_meet_the_ground_where_the_projection_says(camera: CameraSpec, higher: float, lower: float) -> None:
    rays = cast_rays(camera, higher, lower)
    points = ground_points(rays)
    with np.errstate(invalid="ignore"):
        near = np.abs(points).max(axis=0) < 200  # float32 farther out
    rows, columns = np.nonzero(near & (rays.rows[:, 7] > 0)[:, None])
    pixels = project(camera, points[:, rows, columns].T, higher, lower)
    assert pixels == pytest.approx(np.c_[columns + 0.5, rows + 0.5], abs=0.05)


def test_field_of_view_is_horizontal_and_the_horizon_level() -> None:
    camera = CameraSpec(width_px=100, height_px=50, fov_rad=math.pi / 2, forward_m=0, height_m=1, pitch_rad=0)
    # 45 degrees to the left and right are the picture's edges; 10 m ahead at 1 m height is focal / 10 below the middle
    assert project(camera, np.array([[10.0, 10.0], [10.0, -10.0], [10.0, 0.0]])) == pytest.approx(
        np.array([[0, 30], [100, 30], [50, 30]])
    )
    sky = cast_rays(camera).rows[:, 7] < 0
    assert sky[:25].all()
    assert not sky[25:].any()
    down = CameraSpec(**{**camera.model_dump(), "pitch_rad": 1.57})
    assert not (cast_rays(down).rows[:, 7] < 0).any()


def test_footprints_are_the_distance_to_the_next_pixel() -> None:
    camera = CameraSpec(width_px=320, height_px=200)
    rays = cast_rays(camera)
    forward, left = ground_points(rays)[:, 130:]
    back, drift, aside = rays.rows[130:, 4:7].T.astype(float)
    across = np.abs(np.diff(left, axis=1))
    assert np.broadcast_to(aside[:, None], across.shape) == pytest.approx(across, rel=0.02)
    assert (back[:-1] + back[1:]) / 2 == pytest.approx(-np.diff(forward[:, 0]), rel=0.06)
    middle = (drift[:-1] + drift[1:])[:, None] / 2 * rays.bearings
    assert np.abs(middle) == pytest.approx(np.abs(np.diff(left, axis=0)), rel=0.06, abs=1e-4)


def test_mount_errors_are_a_camera_mounted_otherwise() -> None:
    off = cast_rays(CameraSpec(height_m=1.4, pitch_rad=0.15), 0.05, -0.01)
    other = cast_rays(CameraSpec(height_m=1.45, pitch_rad=0.14))
    assert np.allclose(off.rows, other.rows)
    assert np.allclose(off.bearings, other.bearings)
    assert off.origin == pytest.approx(other.origin)
