"""Maps of streets as arrays, slot after slot, which all cars of a batch share. It knows no car's state."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.streets.map import MapSpec
from drive_rl.config.specs.streets.roadside import RoadsideSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.network import LaneLines
from drive_rl.sim.map.roadside import COLUMNS
from drive_rl.sim.sensors.streets.ground import StreetGround
from drive_rl.sim.sensors.streets.solids import signals_of
from drive_rl.sim.task.street_episode import built_ground, built_map, built_roadside
from drive_rl.sim.traffic.streets import Streets


class Maps(NamedTuple):
    """Maps as arrays; the first axis is the slot. Of the others the first is as long as the longest map needs."""

    # lane_geometry's view of a network
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    first_point: NDArray[np.int32]
    length_m: NDArray[np.float64]
    step_m: NDArray[np.float64]
    # traffic.streets.Streets
    lane: NDArray[np.float64]
    tie: NDArray[np.int64]
    next: NDArray[np.int64]
    previous: NDArray[np.int64]
    meets: NDArray[np.int64]
    meets_m: NDArray[np.float64]
    signal_s: NDArray[np.float64]
    goal: NDArray[np.int64]
    to_goal: NDArray[np.float64]
    # ground.StreetGround
    corners: NDArray[np.int32]
    stroke: NDArray[np.float32]
    first: NDArray[np.int32]
    item: NDArray[np.int32]
    shape: NDArray[np.int64]  # rows, columns, tile_rows, tile_columns
    corner: NDArray[np.float64]  # x0, y0
    # solids
    signal: NDArray[np.float64]
    # roadside
    beside: NDArray[np.float64]
    # how long each of the above is
    sizes: NDArray[np.int64]  # (slots, 23)


_SMALL_B = 64_000_000
"""All maps that together take less stay, in each world."""
(
    POINTS, _, _, _, LANES, _, _, _, NEXT, PREVIOUS, MEETS, _, SIGNALS, GOALS, TO_GOAL,
    CELLS, STROKES, FIRST, ITEMS, _, _, POSTS, BESIDE,
) = range(23)  # fmt: skip


@njit(inline="always")
def lines_of(m, maps):
    """Return the lanes' lines of the map in slot m."""
    points, lanes = maps.sizes[m, POINTS], maps.sizes[m, LANES]
    return LaneLines(
        maps.x_m[m, :points],
        maps.y_m[m, :points],
        maps.yaw_rad[m, :points],
        maps.first_point[m, : lanes + 1],
        maps.length_m[m, :lanes],
        maps.step_m[m, :lanes],
    )


@njit(inline="always")
def streets_at(m, maps):
    """Return the streets of the map in slot m."""
    sizes = maps.sizes
    return Streets(
        maps.lane[m, : sizes[m, LANES]],
        maps.tie[m, : sizes[m, LANES]],
        maps.next[m, : sizes[m, NEXT]],
        maps.previous[m, : sizes[m, PREVIOUS]],
        maps.meets[m, : sizes[m, MEETS]],
        maps.meets_m[m, : sizes[m, MEETS]],
        maps.signal_s[m, : sizes[m, SIGNALS]],
        maps.goal[m, : sizes[m, GOALS]],
        maps.to_goal[m, : sizes[m, TO_GOAL]],
    )


@njit(inline="always")
def ground_at(m, maps):
    """Return the ground of the map in slot m."""
    sizes, shape, corner = maps.sizes, maps.shape, maps.corner
    return StreetGround(
        maps.corners[m, : sizes[m, CELLS]],
        shape[m, 0],
        shape[m, 1],
        corner[m, 0],
        corner[m, 1],
        maps.stroke[m, : sizes[m, STROKES]],
        maps.first[m, : sizes[m, FIRST]],
        maps.item[m, : sizes[m, ITEMS]],
        shape[m, 2],
        shape[m, 3],
    )


class StreetMaps:
    """Slots of maps, built on demand; a map that nobody drives on stays until another needs its place.

    Args:
        spec: Which maps.
        slots: How many to begin with; there are more once more are in use at a time.
        most: How many maps there are, which all stay where they are small.
        roadside: What stands beside their streets; None: nothing.
    """

    def __init__(self, spec: MapSpec, slots: int, most: int, roadside: RoadsideSpec | None = None) -> None:
        self._spec, self._most, self._roadside = spec, most, roadside
        self.seeds, self._users = np.full(slots, -1, np.int64), np.zeros(slots, np.int64)
        empty: Any = [np.zeros((slots, 0, *part.shape[1:]), part.dtype) for part in _parts(spec, None, 0)]
        self.maps = Maps._make([*empty, np.zeros((slots, len(empty)), np.int64)])

    def take(self, map_seed: int) -> int:
        """Return the slot that holds the map of a seed, and keep it there until `release`."""
        found = np.flatnonzero(self.seeds == map_seed)
        slot = int(found[0]) if len(found) else self._build(map_seed)
        self._users[slot] += 1
        return slot

    def release(self, slot: int) -> None:
        """Undo one `take`."""
        self._users[slot] -= 1

    def _build(self, map_seed: int) -> int:
        slots = len(self.seeds)
        if self._users.all():
            self._reshape([(2 * slots, 0)] * len(self.maps))
        elif slots < self._most and self.seeds.min() >= 0 and self._size_b * self._most < _SMALL_B * slots:
            self._reshape([(self._most, 0)] * len(self.maps))
        unused = np.flatnonzero(self._users == 0)
        slot = int(unused[np.argmin(self.seeds[unused])])  # one that was never used, if any
        parts = _parts(self._spec, self._roadside, map_seed)
        self._reshape([(0, len(part)) for part in parts])
        for at, (array, part) in enumerate(zip(self.maps, parts, strict=False)):
            array[slot, : len(part)] = part
            self.maps.sizes[slot, at] = len(part)
        self.seeds[slot] = map_seed
        return slot

    @property
    def _size_b(self) -> int:
        return sum(array.nbytes for array in self.maps)

    def _reshape(self, least: list[tuple[int, int]]) -> None:
        """Give each array room for at least so many slots, and rows in each."""
        grown = []
        for array, (slots, rows) in zip(self.maps, [*least, (0, 0)], strict=False):
            shape = max(slots, array.shape[0]), max(rows, array.shape[1]), *array.shape[2:]
            grown.append(array)
            if shape != array.shape:
                grown[-1] = np.zeros(shape, array.dtype)
                grown[-1][: array.shape[0], : array.shape[1]] = array
        self.maps = Maps(*grown)
        more = self.maps.sizes.shape[0] - len(self.seeds)
        self.seeds, self._users = np.pad(self.seeds, (0, more), constant_values=-1), np.pad(self._users, (0, more))


def _parts(spec: MapSpec, roadside: RoadsideSpec | None, map_seed: int) -> list[NDArray[np.generic]]:
    """Return the arrays of a map, in the order of `Maps`."""
    town, ground = built_map(spec, map_seed), built_ground(spec, map_seed)
    network = town.network
    return [
        network.x_m, network.y_m, network.yaw_rad, network.first_point, network.length_m, network.step_m,
        *town.streets,
        ground.corners, ground.stroke, ground.first, ground.item,
        np.array([ground.rows, ground.columns, ground.tile_rows, ground.tile_columns], np.int64),
        np.array([ground.x0, ground.y0]),
        signals_of(network),
        built_roadside(spec, roadside, map_seed) if roadside else np.zeros((0, len(COLUMNS))),
    ]  # fmt: skip
