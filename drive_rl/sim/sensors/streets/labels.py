"""What each pixel of a picture of streets shows: class of the ground, depth, and which solid. It knows no colours."""

import numpy as np

from drive_rl.sim.compiled import njit
from drive_rl.sim.map.paint_tiles import COS, DASH, FROM, HALF_WIDTH, OWN_FROM, OWN_TO, PERIOD, SIN, TO, S, X, Y
from drive_rl.sim.sensors.pinhole import DEPTH, FORWARD, GROUND, LEVEL, UPWARD, Viewpoint
from drive_rl.sim.sensors.renderer import BACKGROUND, LINE, ROAD
from drive_rl.sim.sensors.shading import cell_of, meet
from drive_rl.sim.sensors.solids import hit_solids
from drive_rl.sim.sensors.streets.ground import edge_at, tile_of


@njit(error_model="numpy", nogil=True)
def label_street(view, at, classes, depth, solid):
    """Fill what the centres of pixels show, (H, W) each, from a vehicle at a `Viewpoint`.

    Args:
        view: A `StreetView`.
        at: Where the vehicle is.
        classes: Of the ground: `BACKGROUND`, `ROAD` or `LINE`; paint counts as it was laid, worn or not.
        depth: Along the optical axis [m]; infinite in the sky.
        solid: The index of the solid before it; -1: none is.
    """
    rays, ground = view.rays, view.ground
    rows, bearings, x0, y0 = rays.rows, rays.bearings, ground.x0, ground.y0
    local = Viewpoint(np.float32(at.x - x0), np.float32(at.y - y0), np.float32(at.cos), np.float32(at.sin))
    seen_from = Viewpoint(local.x + x0, local.y + y0, local.cos, local.sin)
    for r in range(classes.shape[0]):
        for c in range(classes.shape[1]):
            classes[r, c] = BACKGROUND
            if rows[r, LEVEL] >= 0:
                wx, wy = meet(rows[r, GROUND], rows[r, DEPTH], bearings[c], local)
                classes[r, c] = _ground_class(ground, wx, wy)
            ray = rows[r, FORWARD], bearings[c], rows[r, UPWARD]
            depth[r, c], solid[r, c], _, _ = hit_solids(view.solids, seen_from, rays.origin, ray, rows[r, DEPTH])


@njit
def _ground_class(ground, wx, wy):
    k, fu, fv = cell_of(wx, wy, ground.rows, ground.columns)
    if edge_at(ground.corners[k], fu, fv)[0] < 0:
        return BACKGROUND
    k = tile_of(wx, wy, ground.tile_rows, ground.tile_columns)
    for place in range(ground.first[k], ground.first[k + 1]):
        if _is_on(ground.stroke, ground.item[place], wx, wy):
            return LINE
    return ROAD


@njit
def _is_on(stroke, n, wx, wy):
    """Return whether a point [m] lies on stroke n."""
    dx, dy, cos, sin = wx - stroke[n, X], wy - stroke[n, Y], stroke[n, COS], stroke[n, SIN]
    along, beside = cos * dx + sin * dy, cos * dy - sin * dx
    if abs(beside) > stroke[n, HALF_WIDTH] or along < stroke[n, OWN_FROM] or along >= stroke[n, OWN_TO]:
        return False
    s, period = stroke[n, S] + along, stroke[n, PERIOD]
    if s < stroke[n, FROM] or s > stroke[n, TO]:
        return False
    return period == 0 or s - np.floor(s / period) * period <= stroke[n, DASH]
