"""The style of everything drawn for people: colours, type and boxes. Knows nothing of roads or cars.

Pictures are (H, W, 3) RGB uint8, drawn on in place; positions are pixels (column, row) from the top left.
"""

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB uint8."""
Colour = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""

GROUND: Colour = (16, 19, 24)
PANEL: Colour = (27, 31, 38)
RULE: Colour = (58, 65, 77)
DIM: Colour = (152, 161, 175)
TEXT: Colour = (235, 238, 243)
BLUE: Colour = (86, 170, 255)
AMBER: Colour = (255, 184, 76)
GREEN: Colour = (76, 214, 138)
RED: Colour = (255, 104, 104)

_SANS = cv2.FontFace("sans")
_ALIGN = {"left": cv2.PUT_TEXT_ALIGN_LEFT, "centre": cv2.PUT_TEXT_ALIGN_CENTER, "right": cv2.PUT_TEXT_ALIGN_RIGHT}
_FRACTION_BITS = 4


class Box(NamedTuple):
    """A rectangle [px]: its top left corner, width and height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below it."""
        return self.y + self.height

    def of(self, picture: Picture) -> Picture:
        """Return the view of a picture inside the box."""
        return picture[self.y : self.bottom, self.x : self.right]

    def fitted(self, width: int, height: int) -> "Box":
        """Return the largest box of an aspect ratio within, centred; its sides are even."""
        scale = min(self.width / width, self.height / height)
        fit_width, fit_height = (max(2, int(side * scale) // 2 * 2) for side in (width, height))
        return Box(
            self.x + (self.width - fit_width) // 2, self.y + (self.height - fit_height) // 2, fit_width, fit_height
        )


def blank(width: int, height: int, colour: Colour = GROUND) -> Picture:
    """Return a picture of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def fill(picture: Picture, box: Box, colour: Colour) -> None:
    """Fill a box."""
    box.of(picture)[:] = colour


def write(
    picture: Picture,
    text: str,
    x: int,
    baseline: int,
    size: int = 15,
    colour: Colour = TEXT,
    weight: int = 400,
    align: Literal["left", "centre", "right"] = "left",
) -> None:
    """Write a line of text; `x` is its left end, middle or right end, as `align` says."""
    cv2.putText(picture, text, (x, baseline), colour, _SANS, size, weight, _ALIGN[align])


def text_width(text: str, size: int = 15, weight: int = 400) -> int:
    """Return how wide `write` makes a text [px]."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), _SANS, size, weight)[2])


def draw_lines(picture: Picture, lines: list[NDArray[np.float64]], colour: Colour, thickness: int = 1) -> None:
    """Draw open lines of points (n, 2) [px], smoothed, to a sixteenth of a pixel."""
    cv2.polylines(picture, [_fixed(line) for line in lines], False, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)


def draw_shape(picture: Picture, outline: NDArray[np.float64], colour: Colour) -> None:
    """Fill a closed outline of points (n, 2) [px], smoothed."""
    cv2.fillPoly(picture, [_fixed(outline)], colour, cv2.LINE_AA, _FRACTION_BITS)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(points * 2**_FRACTION_BITS).astype(np.int32).reshape(-1, 1, 2)
