"""A map of streets as a picture: PNG or SVG, north up, with a scale bar."""

import math
from pathlib import Path

import cv2
import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.plain_text import plain
from drive_rl.report.film.canvas import GROUND, Colour, Picture, blank, draw_lines, draw_shape, write
from drive_rl.report.street_map.shapes import GRASS, Shape, shapes
from drive_rl.run.storage.atomic import write_bytes
from drive_rl.sim.map.network import Floats, StreetMap

KINDS = (".png", ".svg")
"""Files that a map is drawn into."""

_LONGER_PX = 2400  # of the picture's sides
_MOST_PX_PER_M = 12.0
_MARGIN_PX = 40
_FOOT_PX = 56  # below the map, for its name and the scale bar
_SMOOTH = 2  # drawn larger by this, then averaged


class _Frame:
    """Where metres lie on the picture."""

    def __init__(self, points: Floats) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        self.px_per_m = min(_MOST_PX_PER_M, (_LONGER_PX - 2 * _MARGIN_PX) / float((high - low).max()))
        self.width, self.height = (math.ceil(side) + 2 * _MARGIN_PX for side in ((high - low) * self.px_per_m).tolist())
        self.height += _FOOT_PX
        self._low_x, self._high_y = float(low[0]), float(high[1])

    def px(self, points: Floats) -> Floats:
        """Return world points (n, 2) [m] as column and row [px]."""
        return (points - (self._low_x, self._high_y)) * (self.px_per_m, -self.px_per_m) + _MARGIN_PX

    def scale_bar(self) -> tuple[float, float]:
        """Return the length of a scale bar: a round number of metres, and in pixels."""
        room_m = 0.2 * self.width / self.px_per_m
        unit = 10 ** math.floor(math.log10(room_m))
        length_m = unit * max(step for step in (1, 2, 5) if step * unit <= room_m)
        return length_m, length_m * self.px_per_m


def check_kind(path: Path) -> None:
    """Refuse a file that is neither PNG nor SVG, before anything is drawn.

    Raises:
        DriveRLError: its suffix is another.
    """
    if path.suffix.lower() not in KINDS:
        raise DriveRLError(f"{path}: expected a name that ends in .png or .svg; fix: such as {path.stem or 'map'}.png")


def save_picture(streets: StreetMap, path: Path) -> None:
    """Draw a map into a PNG or SVG file."""
    drawn = list(shapes(streets.network))
    frame = _Frame(np.concatenate([shape.points for shape in drawn]))
    if path.suffix.lower() == ".svg":
        write_bytes(path, svg(streets.name, drawn, frame).encode())
    else:
        _, data = cv2.imencode(".png", png(streets.name, drawn, frame)[:, :, ::-1])
        write_bytes(path, data.tobytes())


def png(name: str, drawn: list[Shape], frame: _Frame) -> Picture:
    """Return the picture (H, W, 3) RGB uint8."""
    large = blank(frame.width * _SMOOTH, frame.height * _SMOOTH, GRASS)
    for shape in drawn:
        points = frame.px(shape.points) * _SMOOTH
        if shape.width_m:
            draw_lines(large, [points], shape.colour, max(1, round(shape.width_m * frame.px_per_m * _SMOOTH)))
        else:
            draw_shape(large, points, shape.colour)
    picture = np.asarray(cv2.resize(large, (frame.width, frame.height), interpolation=cv2.INTER_AREA), np.uint8)
    length_m, length_px = frame.scale_bar()
    row, left = frame.height - _FOOT_PX / 2, float(_MARGIN_PX)
    draw_lines(picture, [np.array([(left, row), (left + length_px, row)])], GROUND, 4)
    write(picture, f"{length_m:g} m", round(left + length_px) + 12, round(row) + 6, 20, GROUND)
    write(picture, name, frame.width - _MARGIN_PX, round(row) + 6, 20, GROUND, align="right")
    return picture


def svg(name: str, drawn: list[Shape], frame: _Frame) -> str:
    """Return the picture as the text of an SVG file."""
    length_m, length_px = frame.scale_bar()
    row, left = frame.height - _FOOT_PX / 2, _MARGIN_PX
    text = 'font-family="sans-serif" font-size="20"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {frame.width} {frame.height}">',
        f'<rect width="100%" height="100%" fill="{_hex(GRASS)}"/>',
        *(_element(shape, frame) for shape in drawn),
        f'<path d="M{left} {row}h{length_px:.1f}" stroke="{_hex(GROUND)}" stroke-width="4"/>',
        f'<text x="{left + length_px + 12:.0f}" y="{row + 6:.0f}" {text}>{length_m:g} m</text>',
        f'<text x="{frame.width - left}" y="{row + 6:.0f}" text-anchor="end" {text}>{_escaped(name)}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _element(shape: Shape, frame: _Frame) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in frame.px(shape.points).tolist())
    colour = _hex(shape.colour)
    if not shape.width_m:
        return f'<polygon points="{points}" fill="{colour}"/>'
    width = shape.width_m * frame.px_per_m
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:.2f}"/>'


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _escaped(text: str) -> str:
    return plain(text).replace("&", "&amp;").replace("<", "&lt;")
