"""Which solids a camera's picture shows: those that a pixel's centre meets first."""

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit
from drive_rl.sim.sensors.culling import rectangle, screen_of
from drive_rl.sim.sensors.pinhole import DEPTH, FORWARD, UPWARD, Rays, Viewpoint
from drive_rl.sim.sensors.solids import hit, ray_from, solid_at


@njit(error_model="numpy", nogil=True)
def visible_solids(rays: Rays, at: Viewpoint, shape: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which solids, (n, 9) of `Solid`, the camera of a vehicle at a viewpoint shows, (n,)."""
    screen = screen_of(rays, at)
    nearest, first = np.empty((screen.height, screen.width)), np.full((screen.height, screen.width), -1)
    for r in range(screen.height):
        nearest[r] = rays.rows[r, DEPTH]
    for n in range(shape.shape[0]):
        solid = solid_at(shape, n)
        box = rectangle(screen, solid)
        for r in range(box.top, box.bottom):
            for c in range(box.left, box.right):
                if nearest[r, c] > box.depth:
                    ray = ray_from(at, rays.origin, (rays.rows[r, FORWARD], rays.bearings[c], rays.rows[r, UPWARD]))
                    depth, _, _ = hit(solid, ray)
                    if 0.0 < depth < nearest[r, c]:
                        nearest[r, c], first[r, c] = depth, n
    shown = np.zeros(shape.shape[0], np.bool_)
    for n in first.ravel():
        if n >= 0:
            shown[n] = True
    return shown
