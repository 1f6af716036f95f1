"""What a navigation system shows of a route: an arrow in the upper left corner of the driver's picture, over a bar
that grows shorter on the way to where the turn or the change of lanes begins.

It knows pictures and turns; it does not know where junctions and changes of lanes are.
"""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit

CELLS = 7
"""The sign is a square of so many cells, each as wide as a 64th of the picture and at least a pixel."""
_COLUMNS = 64
_DRAWN = (
    # Turn.LEFT, Turn.STRAIGHT, Turn.RIGHT
    (".......", "..#....", ".##....", "######.", ".##..#.", "..#..#.", "......."),
    (".......", "...#...", "..###..", ".#####.", "...#...", "...#...", "......."),
    (".......", "....#..", "....##.", ".######", ".#..##.", ".#..#..", "......."),
    # ego.CHANGE_LEFT, CHANGE_RIGHT
    (".......", ".####..", ".##....", ".#.#...", ".#..#..", ".....#.", "......."),
    (".......", "..####.", "....##.", "...#.#.", "..#..#.", ".#.....", "......."),
)
_SIGNS: NDArray[np.uint8] = np.array(
    [[[255 * (cell == "#") for cell in row] for row in sign] for sign in _DRAWN], np.uint8
)


@njit
def paint_sign(turn, left, image):
    """Paint the sign of what `turn_ahead` returned into an image (C, H, W) uint8, white on black; none for 0."""
    if turn == 0:
        return
    channels, height, width = image.shape
    cell, bar = max(width // _COLUMNS, 1), math.ceil(left * CELLS)
    for r in range(min(CELLS * cell, height)):
        for c in range(min(CELLS * cell, width)):
            row, column = r // cell, c // cell
            lit = 255 if row == CELLS - 1 and column < bar else _SIGNS[turn - 1, row, column]
            for channel in range(channels):
                image[channel, r, c] = lit
