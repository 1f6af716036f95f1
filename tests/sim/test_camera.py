"""The pinhole camera against OpenCV's, and its rays against its own projection."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import opencv_pixels

from drive_rl.sim.camera import cast_rays, project
from drive_rl.spec import CameraSpec

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


@settings(max_examples=50, deadline=None)
@given(cameras, st.floats(-0.1, 0.1), st.floats(-0.05, 0.05))
def test_rays_meet_the_ground_where_the_projection_says(camera: CameraSpec, higher: float, lower: float) -> None:
    rays = cast_rays(camera, higher, lower)
    rows, columns = np.nonzero(rays.ground[5] > 0)
    near = np.abs(rays.ground[:2, rows, columns]).max(axis=0) < 200  # float32 farther out
    rows, columns = rows[near], columns[near]
    pixels = project(camera, rays.ground[:2, rows, columns].T.astype(float), higher, lower)
    assert pixels == pytest.approx(np.c_[columns + 0.5, rows + 0.5], abs=0.05)


def test_field_of_view_is_horizontal_and_the_horizon_level() -> None:
    camera = CameraSpec(width_px=100, height_px=50, fov_rad=math.pi / 2, forward_m=0, height_m=1, pitch_rad=0)
    # 45 degrees to the left and right are the picture's edges; 10 m ahead at 1 m height is focal / 10 below the middle
    assert project(camera, np.array([[10.0, 10.0], [10.0, -10.0], [10.0, 0.0]])) == pytest.approx(
        np.array([[0, 30], [100, 30], [50, 30]])
    )
    sky = cast_rays(camera).ground[5] < 0
    assert sky[:25].all()
    assert not sky[25:].any()
    down = CameraSpec(**{**camera.model_dump(), "pitch_rad": 1.57})
    assert not (cast_rays(down).ground[5] < 0).any()


def test_footprints_are_the_distance_to_the_next_pixel() -> None:
    camera = CameraSpec(width_px=320, height_px=200)
    ground = cast_rays(camera).ground[:, 130:].astype(float)
    across = np.abs(np.diff(ground[1], axis=1))
    assert ground[4, :, 1:] == pytest.approx(across, rel=0.02)
    middle = (ground[:, :-1] + ground[:, 1:]) / 2
    assert middle[2] == pytest.approx(-np.diff(ground[0], axis=0), rel=0.06)
    assert np.abs(middle[3]) == pytest.approx(np.abs(np.diff(ground[1], axis=0)), rel=0.06, abs=1e-4)


def test_mount_errors_are_a_camera_mounted_otherwise() -> None:
    off = cast_rays(CameraSpec(height_m=1.4, pitch_rad=0.15), 0.05, -0.01)
    other = cast_rays(CameraSpec(height_m=1.45, pitch_rad=0.14))
    assert np.allclose(off.ground, other.ground)
    assert np.allclose(off.directions, other.directions)
    assert off.origin == pytest.approx(other.origin)
