"""The pinhole camera: each pixel's ray, and where it meets the ground. Knows nothing of the scene.

Camera axes start as the vehicle's (x forward, y left, z up); `pitch_rad` turns them about y, positive downwards.
Pixel (row 0, column 0) is the top left; rays pass through pixel centres.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.sim.compiled import njit

Real = float | np.float32

TEXEL_M = 0.125
"""Finest detail of the ground [m]."""
TEXTURE_LEVELS = 6
"""Levels of detail; each resolves half as fine as the one before."""

FORWARD, UPWARD, GROUND, DEPTH, BACK, DRIFT, ASIDE, LEVEL = range(8)
"""Columns of `Rays.rows`."""
ELEVATION = GROUND
"""The column's meaning in rows that point at the sky [rad]."""

_FARTHEST_M = 2000.0
_COARSEST = TEXTURE_LEVELS - 1


class Rays(NamedTuple):
    """A camera's rays in the vehicle frame. The camera does not roll, so a ray shares all but its bearing with its row.

    Rays have component 1 along the optical axis, so that their parameter is the depth. Columns of `rows`:
        FORWARD, UPWARD: components of the ray.
        GROUND: where it meets the ground, forward [m]; in the sky its ELEVATION [rad].
        DEPTH: the depth there [m]; infinite in the sky.
        BACK, DRIFT: how far that point moves over one pixel row, forward [m], and to the left [m] at bearing 1.
        ASIDE: how far it moves over one column, to the left [m].
        LEVEL: the texture's level of detail that these resolve; -1 in the sky.
    """

    rows: NDArray[np.float32]  # (H, 8)
    bearings: NDArray[np.float32]  # (W,), leftward components: a pixel meets the ground depth x bearing to the left
    origin: tuple[float, float, float]  # the camera's position: forward, left, up [m]


class Viewpoint(NamedTuple):
    """Where the vehicle is that carries a camera: x, y [m], and cosine and sine of its yaw."""

    x: Real
    y: Real
    cos: Real
    sin: Real


def focal_px(camera: CameraSpec) -> float:
    """Return the focal length [px]."""
    return camera.width_px / 2 / math.tan(camera.fov_rad / 2)


def cast_rays(camera: CameraSpec, height_error_m: float = 0.0, pitch_error_rad: float = 0.0) -> Rays:
    """Return the rays of a camera, its mount off by the given errors."""
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
        rows[r, FORWARD], rows[r, UPWARD] = forward, upward
        rows[r, BACK], rows[r, DRIFT], rows[r, ASIDE] = back, back * cos, aside
        if sky:
            rows[r, ELEVATION], rows[r, DEPTH], rows[r, LEVEL] = math.atan2(upward, forward), np.inf, -1
        else:
            level = round(math.log2(max(math.sqrt(back * aside), 1e-3) / TEXEL_M))
            rows[r, GROUND], rows[r, DEPTH] = depth * forward + camera_forward, depth
            rows[r, LEVEL] = min(max(level, 0), _COARSEST)
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


def to_ground(
    camera: CameraSpec, pixels: NDArray[np.float64], height_error_m: float = 0.0, pitch_error_rad: float = 0.0
) -> NDArray[np.float64]:
    """Return the ground points (n, 2) [m] in the vehicle frame that `project` brings to pixels below the horizon."""
    height, pitch, focal = camera.height_m + height_error_m, camera.pitch_rad + pitch_error_rad, focal_px(camera)
    cos, sin = math.cos(pitch), math.sin(pitch)
    left, up = ((camera.width_px / 2, camera.height_px / 2) - pixels).T / focal
    depth = height / (sin - up * cos)
    return np.stack([camera.forward_m + depth * (cos + up * sin), depth * left], axis=1)
