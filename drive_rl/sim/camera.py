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
    up = -(np.arange(camera.height_px) + 0.5 - camera.height_px / 2) / focal
    left = -(np.arange(camera.width_px) + 0.5 - camera.width_px / 2) / focal
    cos, sin = math.cos(pitch), math.sin(pitch)
    forward, upward = cos + up * sin, -sin + up * cos
    sky = upward >= -height / _FARTHEST_M
    depth = height / np.where(sky, 1, -upward)
    back, aside = depth * depth / height / focal, depth / focal
    level = np.round(np.log2(np.maximum(np.sqrt(back * aside), 1e-3) / TEXEL_M))
    rows = np.stack(
        [
            forward,
            upward,
            np.where(sky, np.arctan2(upward, forward), depth * forward + camera.forward_m),
            np.where(sky, np.inf, depth),
            back,
            back * cos,
            aside,
            np.where(sky, -1, np.clip(level, 0, TEXTURE_LEVELS - 1)),
        ],
        axis=1,
    )
    return Rays(rows.astype(np.float32), left.astype(np.float32), (camera.forward_m, 0.0, height))


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
