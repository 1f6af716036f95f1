"""The exact ground of a map of streets, for tests and benchmarks: outlines, and pictures by many samples a pixel.

It shares the places of paint (`sim.map.markings`) and the palette with the renderer, and nothing else: every sample is
tested against polygons.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.sim.appearance import ASPHALT, MARKING, VERGE, YELLOW
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.map.markings import (
    BAY_LINE_M,
    LINE_M,
    STOP_LINE_M,
    bay_lines,
    dashes,
    painted_lines,
    paved_outlines,
    stop_lines,
    zebra_stripes,
)
from drive_rl.sim.map.network import Control, Floats, RoadNetwork
from drive_rl.sim.sensors.pinhole import focal_px

_BIN_M = 8.0
_CHUNK = 8  # points of a line's polygon


class Outlines(NamedTuple):
    """Polygons by bins of the map."""

    points: Floats  # (n, 2) [m]
    first: NDArray[np.int64]  # (polygons + 1,)
    kind: NDArray[np.int64]  # (polygons,), row of the palette
    bin_first: NDArray[np.int64]  # (rows x columns + 1,)
    bin_item: NDArray[np.int64]
    low: Floats  # (2,) [m]
    columns: int
    rows: int


def polygons(network: RoadNetwork) -> Iterator[tuple[int, Floats]]:
    """Yield all that covers the ground as (row of the palette, outline), the lowest first."""
    for outline in paved_outlines(network):
        yield ASPHALT, outline
    for ends in bay_lines(network):
        yield MARKING, _thick(ends, BAY_LINE_M)
    for points, marking in painted_lines(network):
        kind = YELLOW if marking.is_yellow else MARKING
        for piece in dashes(points) if marking.is_dashed else [points]:
            for i in range(0, len(piece) - 1, _CHUNK):
                yield kind, _thick(piece[i : i + _CHUNK + 1], LINE_M)
    for stripe in zebra_stripes(network):
        yield MARKING, stripe
    for ends, control in stop_lines(network):
        parts, share = (5, 0.6) if control == Control.GIVE_WAY else (1, 1.0)
        for i in range(parts):
            part = np.array([[i], [i + share]]) / parts
            yield MARKING, _thick(ends[0] + part * (ends[1] - ends[0]), STOP_LINE_M)


def _thick(points: Floats, width: float) -> Floats:
    points = points[np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6])]
    along = np.gradient(points, axis=0) if len(points) > 2 else np.repeat(np.diff(points, axis=0), 2, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    aside = width / 2 * np.stack([-along[:, 1], along[:, 0]], axis=1)
    return np.concatenate([points + aside, (points - aside)[::-1]])


def outlines_of(network: RoadNetwork) -> Outlines:
    """Return the polygons of a map."""
    kinds, parts = zip(*polygons(network), strict=True)
    boxes = np.array([[part.min(axis=0), part.max(axis=0)] for part in parts])
    low = boxes[:, 0].min(axis=0)
    bins = ((boxes - low) / _BIN_M).astype(int)
    columns, rows = (bins[:, 1].max(axis=0) + 1).tolist()
    lists: list[list[int]] = [[] for _ in range(rows * columns)]
    for number, ((i0, j0), (i1, j1)) in enumerate(bins):
        for j in range(j0, j1 + 1):
            for i in range(i0, i1 + 1):
                lists[j * columns + i].append(number)
    first = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    bin_first = np.concatenate([[0], np.cumsum([len(items) for items in lists])])
    item = np.array([number for items in lists for number in items], np.int64)
    return Outlines(np.concatenate(parts), first, np.array(kinds, np.int64), bin_first, item, low, columns, rows)


@njit
def ground_kind(outlines: Outlines, x: float, y: float) -> int:
    """Return the row of the palette of a point: that of the last polygon that holds it, `VERGE` if none does."""
    i, j = math.floor((x - outlines.low[0]) / _BIN_M), math.floor((y - outlines.low[1]) / _BIN_M)
    kind = VERGE
    if not (0 <= i < outlines.columns and 0 <= j < outlines.rows):
        return kind
    k = j * outlines.columns + i
    for place in range(outlines.bin_first[k], outlines.bin_first[k + 1]):
        n = outlines.bin_item[place]
        turns, end = 0, outlines.first[n + 1]
        ax, ay = outlines.points[end - 1]
        for p in range(outlines.first[n], end):
            bx, by = outlines.points[p]
            if (ay <= y) != (by <= y):
                left = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
                if (left > 0) == (by > ay):
                    turns += 1 if by > ay else -1
            ax, ay = bx, by
        if turns != 0:
            kind = int(outlines.kind[n])
    return kind


@njit
def _sampled(outlines, palette, at, lens, shape, samples):
    (x0, y0, yaw), (focal, height, pitch, ahead) = at, lens
    picture = np.zeros((palette.shape[1], *shape))
    cos, sin = math.cos(yaw), math.sin(yaw)
    for r in range(shape[0] * samples):
        up = (shape[0] / 2 - (r + 0.5) / samples) / focal
        forward, upward = math.cos(pitch) + up * math.sin(pitch), up * math.cos(pitch) - math.sin(pitch)
        if upward >= -1e-6:
            picture[:, r // samples] = np.nan
            continue
        depth = height / -upward
        for c in range(shape[1] * samples):
            f, left = depth * forward + ahead, depth * (shape[1] / 2 - (c + 0.5) / samples) / focal
            kind = ground_kind(outlines, x0 + cos * f - sin * left, y0 + sin * f + cos * left)
            for channel in range(palette.shape[1]):
                picture[channel, r // samples, c // samples] += palette[kind, channel]
    return picture * 255 / samples**2


def sampled_picture(
    outlines: Outlines, palette: NDArray[np.float32], camera: CameraSpec, pose: tuple[float, float, float], samples: int
) -> Floats:
    """Return a picture (C, H, W) in [0, 255] of ground without grain, NaN in rows that see sky.

    Args:
        outlines: The map.
        palette: (5, C), `Appearance.street_palette`.
        camera: The camera.
        pose: x [m], y [m] and yaw [rad] of the vehicle.
        samples: Samples along each side of a pixel.
    """
    lens = focal_px(camera), camera.height_m, camera.pitch_rad, camera.forward_m
    return _sampled(outlines, palette, pose, lens, (camera.height_px, camera.width_px), samples)


def poses_on(network: RoadNetwork, count: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Return poses of cars spread over a map's lanes by their lengths, a little off their centre lines."""
    lanes = rng.choice(network.length_m.size, count, p=network.length_m / network.length_m.sum())
    poses = []
    for lane in lanes.tolist():
        s, d, turned = rng.uniform(0, network.length_m[lane]), rng.uniform(-0.5, 0.5), rng.uniform(-0.2, 0.2)
        x, y, yaw = pose_at(network, lane, float(s), float(d))
        poses.append((x, y, yaw + float(turned)))
    return poses
