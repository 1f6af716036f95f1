"""What stands beside the streets of a map: signs, buildings, trees, lamp posts. Knows no camera.

No wall, trunk or lamp post stands on pavement, where vehicles park beside it, or in a building; trees and lamp posts
keep away from the ends of lanes.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.streets.roadside import RoadsideSpec
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.map.network import Control, Floats, RoadNetwork
from drive_rl.sim.map.paved_field import PAVED_CELL_M, build_paved_field

BUILDING, TREE, LAMP_POST, STOP_SIGN, GIVE_WAY_SIGN, BUS_STOP_SIGN = range(6)
"""Values of `KIND`."""
COLUMNS = range(10)
KIND, X, Y, YAW, HALF_LENGTH, HALF_WIDTH, HEIGHT, RED, GREEN, BLUE = COLUMNS
"""Columns of a roadside: what it is; its middle [m] and which way it lies [rad], a sign that of the traffic that it
faces; its size [m]; its colour in [0, 1]."""

_STREAM = 31  # of the random numbers that belong to a map's seed
_SIGN_BESIDE_M, _SIGN_SIZE_M = 0.9, (0.05, 0.4, 2.6)
_CLEAR_M = 3.0
"""From pavement to all but signs [m]: vehicles park there."""
_LOT_M, _DEPTH_M, _SETBACK_M, _GAP_M = (10.0, 24.0), (8.0, 14.0), (4.5, 9.0), (1.0, 8.0)  # of buildings
_BUILDING_HEIGHT_M = 5.0, 18.0
_TREE_EVERY_M, _TREE_BESIDE_M = (9.0, 16.0), (3.6, 6.0)
_TREE_HEIGHT_M, _CROWN_HALF_M = (4.5, 9.0), (0.9, 1.8)
_POST_EVERY_M, _POST_BESIDE_M, _POST_HEIGHT_M = 28.0, 3.6, 6.5
_FROM_ENDS_M = 8.0
_MARGIN = 30  # cells around the map
_WALLS = np.array([(0.62, 0.55, 0.47), (0.55, 0.32, 0.26), (0.70, 0.68, 0.63), (0.45, 0.45, 0.48), (0.66, 0.58, 0.38)])
_LEAVES, _POLE = np.array([0.20, 0.34, 0.13]), np.array([0.36, 0.37, 0.38])
_SIGN, _BUS_SIGN = np.array([0.75, 0.06, 0.06]), np.array([0.05, 0.16, 0.55])
_BUS_STREET_M, _BUS_STREET_MPS, _BUS_EVERY = 60.0, 17.0, 2
_BUS_BEYOND_M, _BUS_ROOM_M = 5.0, (12.0, 2.0)  # from the middle of a street to the front; behind and before that


class _Kerb(NamedTuple):
    """The right edge of a lane."""

    lane: int
    length_m: float
    d_m: float


def draw_roadside(network: RoadNetwork, spec: RoadsideSpec, seed: int) -> Floats:
    """Return what stands beside the streets of a map, (n, 10); the seed is the map's."""
    rng, free = np.random.default_rng([seed, _STREAM]), _Free(network)
    kerbs = [
        _Kerb(lane, float(network.length_m[lane]), -float(network.width_m[lane]) / 2)
        for lane in np.flatnonzero((network.junction < 0) & (network.right < 0)).tolist()
    ]
    rows = _signs(network) if spec.signs else []
    for kerb in kerbs:
        rows += _buildings(network, kerb, spec.buildings, rng, free)
    for kerb in kerbs:
        rows += _lamp_posts(network, kerb, free) if rng.random() < spec.lamp_posts else []
        rows += _trees(network, kerb, spec.trees, rng, free)
    return np.array(rows, np.float64).reshape(-1, 10)


class _Free:
    """Where nothing stands yet, on a grid: how far its cells are from pavement, and which a building takes."""

    def __init__(self, network: RoadNetwork) -> None:
        field = build_paved_field(network)
        bare = np.pad((field.steps <= 0).astype(np.uint8), _MARGIN, constant_values=1)
        self._away_m = cv2.distanceTransform(bare, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * PAVED_CELL_M
        self._taken = np.zeros_like(bare)
        self._corner = np.array([field.x0, field.y0]) - _MARGIN * PAVED_CELL_M

    def is_free(self, points: Floats) -> bool:
        """Return whether points (n, 2) [m] are far enough from all pavement, and in no building."""
        columns, rows = self._cells(points).T
        away_m, taken = self._away_m[rows, columns], self._taken[rows, columns]
        return bool(away_m.min() >= _CLEAR_M + PAVED_CELL_M and not taken.any())

    def build(self, x: float, y: float, yaw: float, half_length: float, half_width: float) -> bool:
        """Keep the place of a building, if it is free; return whether it was."""
        if not self.is_free(_outline(x, y, yaw, half_length, half_width)):
            return False
        corners = _outline(x, y, yaw, half_length + PAVED_CELL_M, half_width + PAVED_CELL_M)
        cv2.fillConvexPoly(self._taken, cv2.convexHull(self._cells(corners).astype(np.int32)), 1)
        return True

    def _cells(self, points: Floats) -> NDArray[np.int64]:
        cells = np.round((points - self._corner) / PAVED_CELL_M).astype(np.int64)
        return np.clip(cells, 0, np.array(self._taken.shape[::-1]) - 1)


def _outline(x: float, y: float, yaw: float, half_length: float, half_width: float) -> Floats:
    """Return points (n, 2) around a building, some 2 m apart."""
    along, across = np.linspace(-half_length, half_length, 12), np.linspace(-half_width, half_width, 8)
    u = np.concatenate([along, along, np.full(8, -half_length), np.full(8, half_length)])
    v = np.concatenate([np.full(12, -half_width), np.full(12, half_width), across, across])
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.column_stack([x + cos * u - sin * v, y + sin * u + cos * v])


def bus_stops(network: RoadNetwork) -> Floats:
    """Return where on each lane buses stop with their fronts [m], NaN: nowhere, (L,): near the middle, both ways, of
    every second street that is long and slow enough, off its zebra crossings.
    """
    stops, lanes = np.full(network.length_m.size, np.nan), dict[int, list[int]]()
    long = (network.length_m >= _BUS_STREET_M) & (network.speed_limit_mps <= _BUS_STREET_MPS)
    for lane in np.flatnonzero(long & (network.junction < 0) & (network.right < 0)).tolist():
        inner = lane
        while network.left[inner] >= 0:
            inner = int(network.left[inner])
        if network.opposite[inner] >= 0:
            lanes.setdefault(min(inner, int(network.opposite[inner])), []).append(lane)
    for lane in [lane for street in sorted(lanes)[::_BUS_EVERY] for lane in lanes[street]]:
        front = network.length_m[lane] / 2 + _BUS_BEYOND_M
        met = slice(network.first_crossing[lane], network.first_crossing[lane + 1])
        before = network.crossing_end_s_m[met] < front - _BUS_ROOM_M[0]
        if (before | (network.crossing_s_m[met] > front + _BUS_ROOM_M[1])).all():
            stops[lane] = front
    return stops


def _signs(network: RoadNetwork) -> list[tuple[float, ...]]:
    rows, stops = [], bus_stops(network)
    for lane in np.flatnonzero(~np.isnan(stops)).tolist():
        d = -(float(network.width_m[lane]) / 2 + _POST_BESIDE_M)
        rows.append((BUS_STOP_SIGN, *pose_at(network, lane, float(stops[lane]), d), *_SIGN_SIZE_M, *_BUS_SIGN))
    for control, kind in ((Control.STOP_SIGN, STOP_SIGN), (Control.GIVE_WAY, GIVE_WAY_SIGN)):
        for lane in np.flatnonzero((network.control == control) & (network.right < 0)).tolist():
            d, s = -(float(network.width_m[lane]) / 2 + _SIGN_BESIDE_M), float(network.stop_s_m[lane])
            rows.append((kind, *pose_at(network, lane, s, d), *_SIGN_SIZE_M, *_SIGN))
    return rows


def _buildings(
    network: RoadNetwork, kerb: _Kerb, share: float, rng: np.random.Generator, free: _Free
) -> list[tuple[float, ...]]:
    rows, s = [], 0.0
    while s < kerb.length_m:
        long, deep, back = rng.uniform(*_LOT_M), rng.uniform(*_DEPTH_M), rng.uniform(*_SETBACK_M)
        high, stands, wall = rng.uniform(*_BUILDING_HEIGHT_M), rng.random() < share, rng.integers(len(_WALLS))
        colour = _WALLS[wall] * rng.uniform(0.8, 1.15)
        x, y, yaw = pose_at(network, kerb.lane, s + long / 2, kerb.d_m - back - deep / 2)
        if stands and s + long <= kerb.length_m and free.build(x, y, yaw, long / 2, deep / 2):
            rows.append((BUILDING, x, y, yaw, long / 2, deep / 2, high, *colour))
        s += long + rng.uniform(*_GAP_M)
    return rows


def _trees(
    network: RoadNetwork, kerb: _Kerb, share: float, rng: np.random.Generator, free: _Free
) -> list[tuple[float, ...]]:
    rows, s = [], _FROM_ENDS_M + rng.uniform(*_TREE_EVERY_M)
    while s < kerb.length_m - _FROM_ENDS_M:
        beside, high, crown = rng.uniform(*_TREE_BESIDE_M), rng.uniform(*_TREE_HEIGHT_M), rng.uniform(*_CROWN_HALF_M)
        stands, turn, colour = rng.random() < share, rng.uniform(0, math.pi), _LEAVES * rng.uniform(0.7, 1.4, 3)
        x, y, _ = pose_at(network, kerb.lane, s, kerb.d_m - beside)
        if stands and free.is_free(np.array([[x, y]])):
            rows.append((TREE, x, y, turn, crown, crown, high, *colour))
        s += rng.uniform(*_TREE_EVERY_M)
    return rows


def _lamp_posts(network: RoadNetwork, kerb: _Kerb, free: _Free) -> list[tuple[float, ...]]:
    rows = []
    for s in np.arange(_POST_EVERY_M / 2, kerb.length_m - _FROM_ENDS_M, _POST_EVERY_M).tolist():
        x, y, yaw = pose_at(network, kerb.lane, s, kerb.d_m - _POST_BESIDE_M)
        if free.is_free(np.array([[x, y]])):
            rows.append((LAMP_POST, x, y, yaw, 0.07, 0.07, _POST_HEIGHT_M, *_POLE))
    return rows
