"""256 colours for a picture: chosen by clustering, applied through a table. Knows nothing of films.

Colours are (n, 3) RGB uint8. Nothing is dithered: moving pictures would flicker and GIFs grow.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.report.film.canvas import AMBER, BLUE, DIM, GREEN, GROUND, PANEL, RED, RULE, TEXT, Picture
from drive_rl.report.film.road_map import speed_colours

_COLOURS = 256
_BITS = 6  # of each channel that the table uses
_SAMPLES = 12_000


class Palette:
    """The colours of a picture and of everything that later frames may draw."""

    def __init__(self, picture: Picture) -> None:
        fixed = np.concatenate([np.array([AMBER, BLUE, DIM, GREEN, GROUND, PANEL, RED, RULE, TEXT]), _text_shades()])
        fixed = np.concatenate([fixed, speed_colours()[::32]])
        self.colours = np.concatenate([fixed, _clusters(picture, _COLOURS - len(fixed))]).astype(np.uint8)
        self._table = _table(self.colours)

    @property
    def argb(self) -> NDArray[np.uint8]:
        """The colours as (256, 4): opaque, red, green, blue."""
        return np.concatenate([np.full((_COLOURS, 1), 255, np.uint8), self.colours], axis=1)

    def indices(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the (H, W) index of the nearest colour of each pixel."""
        red, green, blue = (picture[..., c].astype(np.int32) >> (8 - _BITS) for c in range(3))
        return self._table[red << 2 * _BITS | green << _BITS | blue]


def _text_shades() -> NDArray[np.float64]:
    """Return the shades between text and its ground that smoothed letters consist of."""
    ends = ((GROUND, TEXT), (GROUND, DIM), (PANEL, BLUE), (PANEL, AMBER), (PANEL, GREEN), (GROUND, RED))
    return np.concatenate([np.linspace(a, b, 8)[1:-1] for a, b in ends])


def _clusters(picture: Picture, count: int) -> NDArray[np.float32]:
    pixels = picture.reshape(-1, 3)
    some = pixels[:: max(1, len(pixels) // _SAMPLES)].astype(np.float32)
    darker = np.concatenate([some, some[::8] / 3])  # an outcome card dims what is behind it
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 6, 0.0)
    labels = np.empty(0, np.int32)
    return np.asarray(cv2.kmeans(darker, count, labels, stop, 1, cv2.KMEANS_RANDOM_CENTERS)[2], np.float32)


def _table(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the index of the nearest colour for each of the coarser colours of `_BITS` bits a channel."""
    levels = (np.arange(2**_BITS) + 0.5) * 2 ** (8 - _BITS)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    palette = colours.astype(np.float32)
    part = [np.argmin((palette**2).sum(1) - 2 * rows @ palette.T, axis=1) for rows in np.array_split(grid, 16)]
    return np.concatenate(part).astype(np.uint8)
