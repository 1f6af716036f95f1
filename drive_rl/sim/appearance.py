"""The appearance of an episode: shades, wear and the camera mount's error, drawn from a world's ranges."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import Bounds
from drive_rl.config.specs.world import AppearanceSpec

ASPHALT, VERGE, MARKING, SKY = range(4)
"""Rows of the palette."""
YELLOW = 4
"""Row of the yellow paint in the palette of streets."""

_TINTS = np.array([[1.0, 1.0, 1.03], [0, 0, 0], [1.0, 1.0, 0.97], [0.84, 0.98, 1.18]])
_EARTH, _GRASS = np.array([1.25, 0.97, 0.62]), np.array([0.72, 1.18, 0.45])
_YELLOW = np.array([1.0, 0.78, 0.22])  # of what white paint reflects
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Appearance:
    """How one episode looks."""

    rgb: NDArray[np.float32]  # (4, 3) colours of asphalt, verge, marking, sky, in [0, 1]
    wear: float  # of the painted lines, in [0, 1]
    camera_height_error_m: float
    camera_pitch_error_rad: float

    def palette(self, channels: int) -> NDArray[np.float32]:
        """Return the colours as (4, 1) grey or (4, 3) RGB float32."""
        return self.rgb if channels == 3 else (self.rgb @ _LUMA)[:, None].astype(np.float32)

    def street_palette(self, channels: int) -> NDArray[np.float32]:
        """Return the palette with a row more, that of yellow paint."""
        rgb = np.concatenate([self.rgb, self.rgb[MARKING : MARKING + 1] * _YELLOW]).astype(np.float32)
        return replace(self, rgb=rgb).palette(channels)


def draw_appearance(spec: AppearanceSpec, rng: np.random.Generator) -> Appearance:
    """Draw the appearance of an episode."""

    def draw(bounds: Bounds) -> float:
        return float(rng.uniform(*bounds))

    shades = np.array([draw(spec.asphalt), draw(spec.verge), draw(spec.marking), draw(spec.sky)])
    green, wear, brightness = draw(spec.greenness), draw(spec.wear), draw(spec.brightness)
    tints = _TINTS.copy()
    tints[VERGE] = green * _GRASS + (1 - green) * _EARTH
    tints /= (tints @ _LUMA)[:, None]
    rgb = np.clip(brightness * shades[:, None] * tints, 0, 1).astype(np.float32)
    height, pitch = spec.camera_height_error_m, spec.camera_pitch_error_rad
    return Appearance(rgb, wear, float(rng.uniform(-height, height)), float(rng.uniform(-pitch, pitch)))
