"""The pinhole camera: which ray each pixel looks along, and where it meets the ground. Knows nothing of what is seen.

Camera axes start as the vehicle's (x forward, y left, z up); `pitch_rad` turns them about y, positive looks down.
Pixel (row 0, column 0) is the top left; rays pass through pixel centres.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.spec import CameraSpec

TEXEL_M = 0.125
"""Finest detail of the ground [m]."""
TEXTURE_LEVELS = 6
"""Levels of detail; each resolves half as fine as the one before."""

_FARTHEST_M = 2000.0


@dataclass(frozen=True)
class Rays:
    """A camera's rays in the vehicle frame.

    `ground` is (6, H, W) float32, for each pixel: the point where its ray meets the ground (forward, left) [m], how far
    that point moves over one pixel row (forward, left) [m] and over one column (left) [m], and the texture's level of
    detail that its size resolves. Pixels that look at the sky hold -1 there, and their ray's elevation [rad] first.
    `directions` is (H, W, 3) float32: the rays, of forward component 1 along the optical axis, so that a ray's
    parameter is the depth [m]. `origin` is the camera's position (forward, left, up) [m].
    """

    ground: NDArray[np.float32]
    directions: NDArray[np.float32]
    origin: tuple[float, float, float]


def focal_px(camera: CameraSpec) -> float:
    """Return the focal length [px]."""
    return camera.width_px / 2 / math.tan(camera.fov_rad / 2)


def cast_rays(camera: CameraSpec, height_error_m: float = 0.0, pitch_error_rad: float = 0.0) -> Rays:
    """Return the rays of a camera whose mount is a little off."""
    height, pitch, focal = camera.height_m + height_error_m, camera.pitch_rad + pitch_error_rad, focal_px(camera)
    up = -(np.arange(camera.height_px) + 0.5 - camera.height_px / 2)[:, None] / focal
    left = -(np.arange(camera.width_px) + 0.5 - camera.width_px / 2)[None, :] / focal
    cos, sin = math.cos(pitch), math.sin(pitch)
    shape = (camera.height_px, camera.width_px)
    dx, dy, dz = (np.broadcast_to(a, shape) for a in (cos + up * sin, left, -sin + up * cos))
    ground = np.zeros((6, *shape))
    sky = dz >= -height / _FARTHEST_M
    t = height / np.where(sky, 1, -dz)
    ground[0] = t * dx + camera.forward_m
    ground[1] = t * dy
    ground[2] = t * t / height / focal
    ground[3] = t * t / height * dy * cos / focal
    ground[4] = t / focal
    seen_m = np.sqrt(ground[2] * ground[4])
    ground[5] = np.clip(np.round(np.log2(np.maximum(seen_m, 1e-3) / TEXEL_M)), 0, TEXTURE_LEVELS - 1)
    ground[:, sky] = 0
    ground[0][sky] = np.arctan2(dz, np.hypot(dx, dy))[sky]
    ground[5][sky] = -1
    directions = np.stack([dx, dy, dz], axis=-1)
    return Rays(ground.astype(np.float32), directions.astype(np.float32), (camera.forward_m, 0.0, height))


def project(
    camera: CameraSpec, points: NDArray[np.float64], height_error_m: float = 0.0, pitch_error_rad: float = 0.0
) -> NDArray[np.float64]:
    """Return the pixels (n, 2) as (column, row) of ground points (n, 2) [m] in the vehicle frame.

    Coordinates are continuous, pixel centres at .5; points behind the camera become NaN.
    """
    height, pitch, focal = camera.height_m + height_error_m, camera.pitch_rad + pitch_error_rad, focal_px(camera)
    cos, sin = math.cos(pitch), math.sin(pitch)
    forward = points[:, 0] - camera.forward_m
    depth = forward * cos + height * sin
    depth = np.where(depth > 0.05, depth, np.nan)
    up = forward * sin - height * cos
    column = camera.width_px / 2 - focal * points[:, 1] / depth
    row = camera.height_px / 2 - focal * up / depth
    return np.stack([column, row], axis=1)
