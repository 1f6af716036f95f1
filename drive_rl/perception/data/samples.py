"""What a labelled picture is: arrays that every source of pictures fills and every model learns from.

It knows shapes and units. It does not know where pictures come from.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.task.outcome import STATE_FIELDS

LANE_FIELDS = ("offset_m", "heading_error_rad", "curvature_0m", "curvature_5m", "curvature_10m", "curvature_20m")
"""What a lane head predicts, of the environment's STATE_FIELDS: the car's place in its lane, and how that bends."""

CURVATURES_AHEAD_M = tuple(float(name.removeprefix("curvature_").removesuffix("m")) for name in LANE_FIELDS[2:])
"""How far ahead of the car the lane's curvatures are [m]."""

LINES = 4
"""Painted lines that are distinguished: the ego lane's right line, its left line, and the two left of that."""

ROWS = 24
"""Anchor rows at which a line's column is given."""

WEATHER = ("clear", "fog", "dusk", "rain")
"""What a picture's weather can be."""

UNKNOWN_CLASS = 255
"""In masks: a pixel without a label."""
UNKNOWN_SCENE = -1
"""Of a picture whose tier or weather has no label."""

_HIGHEST_ROW = 0.2

assert set(LANE_FIELDS) <= set(STATE_FIELDS)


@dataclass(frozen=True)
class Samples:
    """B labelled pictures."""

    images: NDArray[np.uint8]
    """(B, C, H, W), grey or RGB, oldest picture of a stack first."""
    lane: NDArray[np.float32]
    """(B, 6), LANE_FIELDS in SI units; NaN where unknown."""
    classes: NDArray[np.uint8]
    """(B, H, W): 0 background, 1 road, 2 ego lane, 3 marking, 4 vehicle; UNKNOWN_CLASS (255) where unknown."""
    lines: NDArray[np.float32]
    """(B, LINES, ROWS), column / width where a line meets an anchor row; NaN: it does not."""
    lined: NDArray[np.bool_]
    """(B,), whether the lines are labelled at all."""
    scene: NDArray[np.int64]
    """(B, 2), index of the road's tier and of WEATHER; UNKNOWN_SCENE (-1) where unknown."""
    seeds: NDArray[np.int64]
    """(B,), road seeds; -1 where unknown."""

    def __len__(self) -> int:
        """Return B."""
        return len(self.images)

    def take(self, rows: NDArray[np.int64] | slice) -> Self:
        """Return some of the pictures."""
        return type(self)(**{name: array[rows] for name, array in self.arrays().items()})

    def copied(self) -> Self:
        """Return a copy, with arrays of its own."""
        return type(self)(**{name: array.copy() for name, array in self.arrays().items()})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def joined(cls, parts: "list[Samples]") -> "Samples":
        """Return the pictures of all parts, in order."""
        return cls(**{name: np.concatenate([part.arrays()[name] for part in parts]) for name in parts[0].arrays()})

    @classmethod
    def unlabelled(cls, images: NDArray[np.uint8]) -> "Samples":
        """Return pictures without labels."""
        count, _, height, width = images.shape
        return cls(
            images=images,
            lane=np.full((count, len(LANE_FIELDS)), np.nan, np.float32),
            classes=np.full((count, height, width), UNKNOWN_CLASS, np.uint8),
            lines=np.full((count, LINES, ROWS), np.nan, np.float32),
            lined=np.zeros(count, np.bool_),
            scene=np.full((count, 2), UNKNOWN_SCENE, np.int64),
            seeds=np.full(count, -1, np.int64),
        )


def anchor_rows(height: int) -> NDArray[np.float64]:
    """Return the anchor rows [px] of a picture, (ROWS,), top to bottom: below any horizon of a car's camera."""
    return np.linspace(_HIGHEST_ROW * height, height - 0.5, ROWS)
