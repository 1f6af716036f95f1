"""Pictures that show motion: the changes between frames and the newest frame, free of light and shade.

A convolutional network that is given raw frames hardly sees how fast they move (docs/log.md). It
knows arrays, no world.
"""

import math

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit

GAIN = 360.0
LEAST_DEVIATION = 5.0  # of a picture's shades
POLARITIES = 2  # brighter, darker


@njit(nogil=True)
def show_motion(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what changed, (N, 2 x stack x C, H, W), in N stacks of frames, (N, stack, C, H, W), oldest first.

    The first planes are each frame less the one before, then the newest frame less its mean, all divided by the newest
    frame's standard deviation: where it is brighter, else 0. The second half is the same where it is darker. Mean and
    deviation are those of the lower 70 % of the picture, where the road is.
    """
    count, stack, planes, height, width = frames.shape
    darker = stack * planes  # the first plane of the second half
    shown = np.empty((count, POLARITIES * darker, height, width), np.uint8)
    for i in range(count):
        newest = frames[i, stack - 1]
        mean, scale = _light(newest)
        for k in range(1, stack):
            for c in range(planes):
                for row in range(height):
                    for column in range(width):
                        change = float(frames[i, k, c, row, column]) - float(frames[i, k - 1, c, row, column])
                        plane = (k - 1) * planes + c
                        shown[i, plane, row, column] = _shade(change, scale)
                        shown[i, darker + plane, row, column] = _shade(-change, scale)
        for c in range(planes):
            for row in range(height):
                for column in range(width):
                    plane = (stack - 1) * planes + c
                    beyond = float(newest[c, row, column]) - mean
                    shown[i, plane, row, column] = _shade(beyond, scale)
                    shown[i, darker + plane, row, column] = _shade(-beyond, scale)
    return shown


@njit
def _light(picture):
    """Return the mean shade of a picture's lower part, and the factor that brings its shades to a common range."""
    planes, height, width = picture.shape
    top, total, squares = 3 * height // 10, 0, 0
    for c in range(planes):
        for row in range(top, height):
            for column in range(width):
                shade = int(picture[c, row, column])
                total += shade
                squares += shade * shade
    number = planes * (height - top) * width
    mean = total / number
    return mean, GAIN / (math.sqrt(max(squares / number - mean * mean, 0.0)) + LEAST_DEVIATION)


@njit
def _shade(value, scale):
    return np.uint8(min(max(math.floor(value * scale + 0.5), 0.0), 255.0))
