"""The pinhole camera: which ray each pixel looks along, and where it meets the ground. Knows nothing of what is seen.

Camera axes start as the vehicle's (x forward, y left, z up); `pitch_rad` turns them about y, positive looks down.
Pixel (row 0, column 0) is the top left; rays pass through pixel centres.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.car_spec import CameraSpec
from drive_rl.sim.compiled import njit

TEXEL_M = 0.125
"""Finest detail of the ground [m]."""
TEXTURE_LEVELS = 6
"""Levels of detail; each resolves half as fine as the one before."""

_FARTHEST_M = 2000.0
_COARSEST = TEXTURE_LEVELS - 1


@dataclass(frozen=True)
class Rays:
    """A camera's rays in the vehicle frame; a picture's rows are level, so all but a ray's bearing is its row's.

    `rows` is (H, 8) float32: the ray's forward and upward component; where it meets the ground, forward [m], and its
    parameter there, which is also the depth [m]; how far that point moves over one pixel row, forward [m] and, for a
    ray of bearing 1, to the left [m]; how far it moves over one column, to the left [m]; and the texture's level of
    detail that these resolve. Rows that look at the sky hold -1 there, an infinite depth, and their elevation [rad] in
    place of the point. `bearings` is (W,) float32: the rays' leftward component, so that a pixel meets the ground at
    depth x bearing to the left. Rays have forward component 1 along the optical axis. `origin` is the camera's position
    (forward, left, up) [m].
    """

    rows: NDArray[np.float32]
    bearings: NDArray[np.float32]
    origin: tuple[float, float, float]


def focal_px(camera: CameraSpec) -> float:
    """Return the focal length [px]."""
    return camera.width_px / 2 / math.tan(camera.fov_rad / 2)


def cast_rays(camera: CameraSpec, height_error_m: float = 0.0, pitch_error_rad: float = 0.0) -> Rays:
    """Return the rays of a camera whose mount is a little off."""
    height, pitch, focal = camera.height_m + height_error_m, camera.pitch_rad + pitch_error_rad, focal_px(camera)
    rows = _rows(camera.height_px, focal, height, pitch, camera.forward_m)
    left = -(np.arange(camera.width_px) + 0.5 - camera.width_px / 2) / focal
    return Rays(rows, left.astype(np.float32), (camera.forward_m, 0.0, height))


@njit
def _rows(count: int, focal: float, height: float, pitch: float, camera_forward: float) -> NDArray[np.float32]:
    """Return `Rays.rows`."""
    rows = np.empty((count, 8), np.float32)
    cos, sin = math.cos(pitch), math.sin(pitch)
    for r in range(count):
        up = -(r + 0.5 - count / 2) / focal
        forward, upward = cos + up * sin, -sin + up * cos
        sky = upward >= -height / _FARTHEST_M
        depth = height if sky else height / -upward
        back, aside = depth * depth / height / focal, depth / focal
        rows[r, 0], rows[r, 1], rows[r, 4], rows[r, 5], rows[r, 6] = forward, upward, back, back * cos, aside
        if sky:
            rows[r, 2], rows[r, 3], rows[r, 7] = math.atan2(upward, forward), np.inf, -1
        else:
            level = round(math.log2(max(math.sqrt(back * aside), 1e-3) / TEXEL_M))
            rows[r, 2], rows[r, 3], rows[r, 7] = depth * forward + camera_forward, depth, min(max(level, 0), _COARSEST)
    return rows


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
