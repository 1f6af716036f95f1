"""What a camera can see in an episode, as arrays that compiled functions take: the ground, its texture, and solids."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.world_spec import RoadSpec
from drive_rl.sim.sensors.pinhole import TEXTURE_LEVELS, Rays
from drive_rl.sim.sensors.solids import Solids

TEXELS_A_SIDE = 256
GRAIN_STEPS = 127


def _textures() -> NDArray[np.int8]:
    """Return tileable noise (TEXTURE_LEVELS, n, n), the same in every process: octaves from 4 m down to a texel.

    Each level leaves out the finest octave of the one before, for pixels that cover too much ground to resolve it.
    """
    rng = np.random.default_rng(7)
    at = np.arange(TEXELS_A_SIDE)
    octaves = []
    for level in range(TEXTURE_LEVELS):
        cells = TEXELS_A_SIDE >> level
        coarse = rng.uniform(-1, 1, (cells, cells))
        low, part = at >> level, (at / 2**level) % 1
        high = (low + 1) % cells
        rows = coarse[low] * (1 - part)[:, None] + coarse[high] * part[:, None]
        octaves.append(rows[:, low] * (1 - part) + rows[:, high] * part)
    levels = np.cumsum(octaves[::-1], axis=0)[::-1]
    return np.round(levels / np.abs(levels[0]).max() * GRAIN_STEPS).astype(np.int8)


TEXELS = _textures().reshape(-1)
"""The ground's grain, (levels x n x n) int8 in steps of 1 / 127: bytes stay in the cache."""


class Markings(NamedTuple):
    """A road's cross section and its lines, float32. Lines are numbered in lanes from the reference line."""

    lane_width: np.float32  # [m]
    line_width: np.float32  # [m]
    dash: np.float32  # [m], length of a dash
    period: np.float32  # [m], length of a dash and the gap after it
    right: np.float32  # d [m] of the right-hand line
    middle: np.float32  # d [m] of the middle of the pavement
    half_paved: np.float32  # half the width of the pavement, shoulders included [m]
    first_line: np.float32  # number of the right-hand line
    last_line: np.float32  # number of the left-hand line


def markings_of(road: RoadSpec) -> Markings:
    """Return the markings of a world's roads."""
    right, left = -road.lanes_ahead * road.lane_width_m, road.lanes_oncoming * road.lane_width_m
    return Markings(
        lane_width=np.float32(road.lane_width_m),
        line_width=np.float32(road.line_width_m),
        dash=np.float32(road.dash_length_m),
        period=np.float32(road.dash_length_m + road.dash_gap_m),
        right=np.float32(right),
        middle=np.float32((left + right) / 2),
        half_paved=np.float32((left - right) / 2 + road.shoulder_m),
        first_line=np.float32(-road.lanes_ahead),
        last_line=np.float32(road.lanes_oncoming),
    )


class Ground(NamedTuple):
    """The ground of an episode, and its colours."""

    d_cells: NDArray[np.float32]  # (rows x columns,), distance_field.Field.d_m flattened
    s_cells: NDArray[np.float32]  # (rows x columns,), distance_field.Field.s_m flattened
    rows: int
    columns: int
    x0: float  # the field's corner [m]
    y0: float
    markings: Markings
    wear: np.float32  # of the paint, in [0, 1]
    palette: NDArray[np.float32]  # (4, C), appearance.Appearance.palette
    texels: NDArray[np.int8]  # TEXELS


class View(NamedTuple):
    """All that a camera can see in an episode."""

    rays: Rays
    ground: Ground
    solids: Solids
