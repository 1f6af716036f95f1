"""What a camera can see in an episode, as arrays that compiled functions take: the ground, its texture, and solids."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import RoadSpec
from drive_rl.sim.appearance import Appearance
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.distance_field import Field
from drive_rl.sim.sensors.pinhole import TEXTURE_LEVELS, Rays
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids

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
    """A road's cross section and its lines. Lines are numbered in lanes from the reference line."""

    lane_width: np.float32  # [m]
    line_width: np.float32  # [m]
    dash: np.float32  # length of a dash [m]
    period: np.float32  # length of a dash and the gap after it [m]
    right: np.float32  # d of the right-hand line [m]
    middle: np.float32  # d of the pavement's middle [m]
    half_paved: np.float32  # half the pavement's width, shoulders included [m]
    first_line: np.float32  # number of the right-hand line
    last_line: np.float32  # number of the left-hand line


def pack_markings(road: RoadSpec) -> NDArray[np.float32]:
    """Return the markings of a world's roads as an array, which numba takes faster than nine numbers."""
    right, left = -road.lanes_ahead * road.lane_width_m, road.lanes_oncoming * road.lane_width_m
    markings = Markings(
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
    return np.array(markings, np.float32)


@njit(inline="always")
def unpack_markings(packed):
    """Return packed markings by name; read before a loop, they do not keep it from vectorising."""
    return Markings(
        packed[0], packed[1], packed[2], packed[3], packed[4], packed[5], packed[6], packed[7], packed[8]
    )  # fmt: skip


class Ground(NamedTuple):
    """The ground of an episode, and its colours."""

    d_cells: NDArray[np.float32]  # (rows x columns,), distance_field.Field.d_m flattened
    s_cells: NDArray[np.float32]  # (rows x columns,), distance_field.Field.s_m flattened
    rows: int
    columns: int
    x0: float  # the field's corner [m]
    y0: float
    markings: NDArray[np.float32]  # (9,), Markings
    wear: np.float32  # of the paint, in [0, 1]
    palette: NDArray[np.float32]  # (4, C), appearance.Appearance.palette
    texels: NDArray[np.int8]  # TEXELS


class View(NamedTuple):
    """All that a camera can see in an episode."""

    rays: Rays
    ground: Ground
    solids: Solids


@dataclass(frozen=True)
class Scene:
    """What a camera can see: a road's field and markings, an appearance, and solids (parked cars; the own car from
    outside).
    """

    field: Field
    road: RoadSpec
    appearance: Appearance
    solids: Solids = NO_SOLIDS

    @cached_property
    def markings(self) -> NDArray[np.float32]:
        """The road's markings, packed."""
        return pack_markings(self.road)

    @cached_property
    def palettes(self) -> dict[int, NDArray[np.float32]]:
        """The appearance's colours by number of channels."""
        return {channels: self.appearance.palette(channels) for channels in (1, 3)}

    def view(self, rays: Rays, channels: int) -> View:
        """Return what a camera sees of it in grey (1 channel) or RGB (3)."""
        field = self.field
        ground = Ground(
            d_cells=field.d_m.reshape(-1),
            s_cells=field.s_m.reshape(-1),
            rows=field.d_m.shape[0],
            columns=field.d_m.shape[1],
            x0=field.origin_x_m,
            y0=field.origin_y_m,
            markings=self.markings,
            wear=np.float32(self.appearance.wear),
            palette=self.palettes[channels],
            texels=TEXELS,
        )
        return View(rays, ground, self.solids)
