"""A map of streets and what drives there as meshes in Bullet, which draws them by a renderer of its own."""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pybullet
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.sim.map.markings import (
    BAY_LINE_M,
    GIVE_WAY_PARTS,
    GIVE_WAY_SHARE,
    LINE_M,
    STOP_LINE_M,
    bay_lines,
    dashes,
    painted_lines,
    stop_lines,
    zebra_stripes,
)
from drive_rl.sim.map.network import Control, RoadNetwork
from drive_rl.sim.sensors.solids import WHEEL

Outline = NDArray[np.float64]
"""(n, 2) [m], the corners of a polygon without holes."""
_MOST_TRIANGLES = 500
"""Of a mesh that Bullet takes as arrays."""


def paint_outlines(network: RoadNetwork) -> Iterator[Outline]:
    """Yield the outline of all that is painted on a map."""
    for points, marking in painted_lines(network):
        for piece in dashes(points) if marking.is_dashed else [points]:
            yield from _quads(piece, LINE_M)
    for ends, control in stop_lines(network):
        parts = GIVE_WAY_PARTS if control == Control.GIVE_WAY else 1
        share = GIVE_WAY_SHARE if parts > 1 else 1.0
        for part in range(parts):
            cut = np.array([part, part + share])[:, None] / parts
            yield from _quads(ends[0] + cut * (ends[1] - ends[0]), STOP_LINE_M)
    yield from zebra_stripes(network)
    for ends in bay_lines(network):
        yield from _quads(ends, BAY_LINE_M)


def near(outlines: Iterable[Outline], x_m: float, y_m: float, within_m: float) -> list[Outline]:
    """Return the outlines with a corner so near."""
    return [each for each in outlines if np.hypot(*(each - [x_m, y_m]).T).min() < within_m]


def _quads(points: Outline, width_m: float) -> Iterator[Outline]:
    """Yield a line's pieces as rectangles."""
    for a, b in pairwise(points):
        long = math.dist(a, b)
        if long > 1e-6:
            aside = np.array([a[1] - b[1], b[0] - a[0]]) / long * width_m / 2
            yield np.array([a + aside, a - aside, b - aside, b + aside])


def triangles(outline: Outline) -> NDArray[np.float64]:
    """Return a polygon, to some millimetres, as triangles (n, 3, 2), by cutting off its ears (Meisters 1975)."""
    around = (outline - outline[0]).astype(np.float32)
    left = cv2.approxPolyDP(around[:, None], 0.003, True)[:, 0].astype(np.float64)
    if cv2.contourArea(around, oriented=True) < 0:
        left = left[::-1]
    out = []
    while len(left) >= 3:
        corners = np.stack([np.roll(left, 1, axis=0), left, np.roll(left, -1, axis=0)])
        turns = _area(*corners)
        ears = (at for at in np.argsort(-turns) if turns[at] > 0 and _is_empty(corners[:, at], left))
        ear = next(ears, int(np.argmin(np.abs(turns))))  # none: only slivers are left
        out.append(corners[:, ear])
        left = np.delete(left, ear, axis=0)
    return np.array(out).reshape(-1, 3, 2) + outline[0]


def _area(a: Any, b: Any, c: Any) -> Any:
    """Return twice the area between three points (..., 2), positive counter-clockwise."""
    (x1, y1), (x2, y2) = np.moveaxis(b - a, -1, 0), np.moveaxis(c - a, -1, 0)
    return x1 * y2 - y1 * x2


def _is_empty(triangle: Outline, points: Outline) -> bool:
    """Return whether none of the points, but for its corners, is in a triangle."""
    a, b, c = triangle
    others = points[~(points[:, None] == triangle).all(axis=2).any(axis=1)]
    inside = (_area(a, b, others) >= 0) & (_area(b, c, others) >= 0) & (_area(c, a, others) >= 0)
    return not inside.any()


class MeshedScene:
    """A scene in a Bullet client of its own, drawn by TinyRenderer."""

    def __init__(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)

    def close(self) -> None:
        pybullet.disconnect(self._client)

    def add_ground(self, outlines: Iterable[Outline]) -> list[int]:
        """Add polygons at z = 0; return their bodies' numbers."""
        flat, own = np.concatenate([triangles(each) for each in outlines]), {"physicsClientId": self._client}
        bodies = []
        for part in np.array_split(flat, math.ceil(len(flat) / _MOST_TRIANGLES)):
            corners = np.column_stack([part.reshape(-1, 2), np.zeros(3 * len(part))])
            indices = list(range(len(corners)))
            shape = pybullet.createVisualShape(pybullet.GEOM_MESH, vertices=corners.tolist(), indices=indices, **own)
            bodies.append(pybullet.createMultiBody(0, -1, shape, **own))
        return bodies

    def add_solid(self, row: NDArray[np.float32]) -> int:
        """Add a `Solid`; return its body's number."""
        kind, x, y, z, long, wide, high, cos, sin = map(float, row)
        yaw = math.atan2(sin, cos)
        turn, own = pybullet.getQuaternionFromEuler([0, 0, yaw]), {"physicsClientId": self._client}
        if kind == WHEEL:  # a cylinder about its own y axis
            shape = pybullet.createVisualShape(pybullet.GEOM_CYLINDER, radius=high, length=2 * wide, **own)
            turn = pybullet.getQuaternionFromEuler([math.pi / 2, 0, yaw])
        else:
            shape = pybullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=[long, wide, high], **own)
        return pybullet.createMultiBody(0, -1, shape, [x, y, z], turn, **own)

    def photograph(self, camera: CameraSpec, x_m: float, y_m: float, yaw_rad: float) -> NDArray[np.int32]:
        """Return which body each pixel (H, W) shows; -1: none."""
        cos, sin, pitch = math.cos(yaw_rad), math.sin(yaw_rad), camera.pitch_rad
        lens = np.array([x_m + cos * camera.forward_m, y_m + sin * camera.forward_m, camera.height_m])
        ahead = np.array([cos * math.cos(pitch), sin * math.cos(pitch), -math.sin(pitch)])
        up = np.array([cos * math.sin(pitch), sin * math.sin(pitch), math.cos(pitch)])
        aspect = camera.width_px / camera.height_px
        vertical = math.degrees(2 * math.atan(math.tan(camera.fov_rad / 2) / aspect))
        projection = list(pybullet.computeProjectionMatrixFOV(vertical, aspect, 0.2, 600.0))
        projection[8] += 1 / camera.width_px  # TinyRenderer samples at the lower left corner of a pixel
        projection[9] += 1 / camera.height_px
        view = pybullet.computeViewMatrix(lens.tolist(), (lens + ahead).tolist(), up.tolist())
        *_, bodies = pybullet.getCameraImage(
            camera.width_px,
            camera.height_px,
            view,
            projection,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        return np.asarray(bodies, np.int32).reshape(camera.height_px, camera.width_px)
