"""Solids are drawn within rectangles; pixel by pixel, against every solid, the picture is the same."""

import math

import numpy as np
import pytest
from scenes import picture, straight_scene

from drive_rl.config.specs.car import CameraSpec, CarSpec
from drive_rl.sim.sensors.pinhole import DEPTH, FORWARD, UPWARD, Viewpoint, cast_rays
from drive_rl.sim.sensors.renderer import VEHICLE
from drive_rl.sim.sensors.shading import paint_pixel
from drive_rl.sim.sensors.solids import Solids, car_solids, hit_solids, join
from drive_rl.sim.sensors.view import View

CAMERAS = {
    "small": CameraSpec(),
    "wide": CameraSpec(width_px=96, fov_rad=2.8),
    "narrow": CameraSpec(fov_rad=0.1, pitch_rad=0.03),
    "steep": CameraSpec(pitch_rad=1.2, height_m=6),
    "straight down": CameraSpec(pitch_rad=1.57, height_m=12),
    "low": CameraSpec(height_m=0.2, pitch_rad=-0.1),
    "tall": CameraSpec(width_px=16, height_px=96),
    "behind the car": CameraSpec(forward_m=-7.5, height_m=3, channels="rgb"),
}


def _crowd(seed: int) -> Solids:
    """Return cars of all headings, close to (100, 0) and far from it; some overlap."""
    rng = np.random.default_rng(seed)
    places = np.concatenate([rng.normal((100, 0), 5, (12, 2)), rng.normal((150, 0), (30, 8), (30, 2))])
    return join([car_solids(CarSpec(), x, y, *rng.uniform(-3, 3, 2)) for x, y in places.tolist()])


def _pixels(view: View, shape: tuple[int, ...], at: Viewpoint) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture and the depth [m] of solids, inf elsewhere, of pixels that look at every solid."""
    image, depth = np.zeros(shape, np.uint8), np.full(shape[1:], np.inf, np.float32)
    ground, rays = view.ground, view.rays
    local = [float(np.float32(a - b)) + b for a, b in ((at.x, ground.x0), (at.y, ground.y0))]
    there = Viewpoint(local[0], local[1], np.float32(at.cos), np.float32(at.sin))
    for r, c in np.ndindex(*depth.shape):
        paint_pixel(r, c, view, at, image)
        direction = rays.rows[r, FORWARD], np.float32(rays.bearings[c]), rays.rows[r, UPWARD]
        found, part, _, _ = hit_solids(view.solids, there, rays.origin, direction, rays.rows[r, DEPTH])
        if part >= 0:
            depth[r, c] = found
    return image, depth


@pytest.mark.parametrize("name", CAMERAS)
def test_a_picture_is_what_pixels_see_that_look_at_every_solid(name: str) -> None:
    camera, vehicles = CAMERAS[name], 0
    for seed, yaw in enumerate((0.0, 0.7, 3.0)):
        scene = straight_scene(_crowd(seed))
        truth = picture(scene, camera, 100.0, 0.0, yaw)
        at = Viewpoint(100.0, 0.0, math.cos(yaw), math.sin(yaw))
        image, depth = _pixels(scene.view(cast_rays(camera), camera.planes), truth.image.shape, at)
        is_vehicle = truth.classes == VEHICLE
        assert np.array_equal(is_vehicle, np.isfinite(depth))
        assert np.array_equal(truth.depth_m[is_vehicle], depth[is_vehicle])
        assert np.array_equal(truth.image[:, is_vehicle], image[:, is_vehicle])
        # on the ground, `paint_pixel` rounds shadows to float32 first
        assert np.abs(truth.image.astype(int) - image).max() <= 1
        vehicles += int(is_vehicle.sum())
    assert vehicles > 0
