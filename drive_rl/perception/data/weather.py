"""Fog, dusk and rain over a rendered picture, by its depth. The simulator's own weather is clear.

Fog is Koschmieder's law (Narasimhan and Nayar 2002, Vision and the Atmosphere): light of a point at distance z fades
by exp(-beta z) into the airlight, and visibility V is where 5 % are left, beta = 3 / V.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.samples import WEATHER

_AIRLIGHT = 205.0


def weather(
    image: NDArray[np.uint8], depth_m: NDArray[np.float32], kind: str, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a picture (C, H, W) as it would appear in a weather of `WEATHER`; `depth_m` is (H, W), inf in the sky."""
    if kind == "clear":
        return image
    light = image.astype(np.float32)
    if kind == "fog":
        light = _fog(light, depth_m, rng.uniform(25, 90))
    elif kind == "dusk":
        light = light * rng.uniform(0.2, 0.45) + rng.normal(0, 2.5, image.shape)
    else:
        light = _streaks(_fog(light, depth_m, rng.uniform(90, 250)) * 0.85, rng)
    return np.clip(light, 0, 255).astype(np.uint8)


def draw_weather(rng: np.random.Generator) -> int:
    """Return an index into `WEATHER`; half of all pictures are clear."""
    return 0 if rng.random() < 0.5 else int(rng.integers(1, len(WEATHER)))


def _fog(light: NDArray[Any], depth_m: NDArray[np.float32], visibility_m: float) -> NDArray[Any]:
    left = np.exp(-3 / visibility_m * depth_m)  # 0 in the sky
    return light * left + _AIRLIGHT * (1 - left)


def _streaks(light: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Draw falling rain: about one short bright streak in 80 pixels of area, all at nearly one slant."""
    height, width = light.shape[1:]
    rain = np.zeros((height, width), np.uint8)
    slant = rng.uniform(-0.3, 0.3)
    for _ in range(height * width // 80):
        x, y, long = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.1) * height
        ends = [(round(x), round(y)), (round(x + slant * long), round(y + long))]
        cv2.line(rain, ends[0], ends[1], int(rng.integers(60, 160)), 1, cv2.LINE_AA)
    return light + rain * 0.35
