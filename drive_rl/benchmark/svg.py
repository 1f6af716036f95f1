"""Plots as SVG inside a page: they take the page's colours, light or dark, and need no script.

It knows numbers, axes and marks, not what they mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 560, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 14, 48
_LETTER_PX, _LINE_PX = 7, 14
_LABEL_PX = 36  # the turned label of the y axis, and the gap beside a tick
COLOURS = ("#3b82f6", "#e07b39", "#1fa67a", "#b667d1", "#dc4c58", "#8f9a12", "#12a1b5", "#8a8f98")
"""One colour a model, in order; each stands out on a white and on a black page."""

Point = tuple[float, float]


@dataclass
class Axis:
    """One axis: its label and range."""

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return the position of a value, in [0, 1] of the axis."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)

    def ticks(self) -> list[float]:
        """Return round values along the axis."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            each = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
        else:
            step = _round_step((self.high - self.low) / 6)
            first = math.ceil(self.low / step - 1e-9)
            each = [step * n for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in each if -1e-9 <= self.place(tick) <= 1 + 1e-9]


def axis_of(label: str, values: Sequence[float], log: bool = False, low: float | None = None) -> Axis:
    """Return an axis that fits all values, with a margin; `low`: its first value."""
    least, most = min(values), max(values)
    if log:
        return Axis(label, least / 1.5, most * 1.5, True)
    room = 0.08 * (most - least) or 0.1 * abs(most) or 1.0
    return Axis(label, least - room if low is None else low, most + room)


@dataclass
class Plot:
    """Marks on two axes; `svg` draws them."""

    x: Axis
    y: Axis
    alt: str
    _marks: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str, str]] = field(default_factory=list)
    _written: list[tuple[float, float, float]] = field(default_factory=list)  # row, first and last column [px]

    def line(self, points: Sequence[Point], colour: str, label: str = "", dash: str = "", dots: bool = True) -> None:
        """Draw a line through points; a label goes into the legend."""
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._at, points))
        self._marks.append(
            f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        for x, y in points if dots else ():
            self.dot((x, y), colour, f"{label}: {x:g}, {y:.3g}", 3)
        if label:
            self._legend.append((label, colour, dash))

    def dot(self, at: Point, colour: str, title: str, radius: float = 7, ring: bool = False) -> None:
        """Draw a point, named on hover; a ring makes it stand out."""
        x, y = self._at(at)
        name = f"<title>{escape(title)}</title>"
        if ring:
            self._marks.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="{radius + 4}"/>')
        self._marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}">{name}</circle>')

    def text(self, at: Point, text: str, right: float = 12, up: float = 4) -> None:
        """Write beside a point, towards the middle of the plot, and clear of earlier text."""
        x, y = self._at(at)
        left = x > WIDTH * 0.66
        anchor, x = ("end", x - right) if left else ("start", x + right)
        begin = x - _LETTER_PX * len(text) if left else x
        end = begin + _LETTER_PX * len(text)
        while any(abs(y - other) < _LINE_PX and begin < b and a < end for other, a, b in self._written):
            y -= 1
        self._written.append((y, begin, end))
        self._marks.append(f'<text x="{x:.1f}" y="{y + up:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def level(self, y: float) -> None:
        """Draw a horizontal line across the plot."""
        self.line([(self.x.low, y), (self.x.high, y)], "currentColor", dash="2 4", dots=False)

    def svg(self) -> str:
        """Return the plot as an `<svg>` element."""
        legend = self._legend_lines()
        height = HEIGHT + 18 * len(legend)
        parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(self.alt)}">']
        parts += [f"<title>{escape(self.alt)}</title>", *self._axes(), *self._marks]
        for row, entries in enumerate(legend):
            parts += self._legend_row(entries, HEIGHT + 12 + 18 * row)
        return "".join([*parts, "</svg>"])

    @property
    def _left(self) -> float:
        """Where the plot begins [px]: room for the widest tick beside the label of the y axis."""
        return max(_LEFT, _LABEL_PX + _LETTER_PX * max((len(f"{tick:g}") for tick in self.y.ticks()), default=0))

    def _at(self, point: Point) -> Point:
        across, up = self.x.place(point[0]), self.y.place(point[1])
        return self._left + across * (WIDTH - self._left - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def _axes(self) -> list[str]:
        parts = []
        bottom, top = HEIGHT - _BOTTOM, _TOP
        for tick in self.x.ticks():
            x = self._at((tick, self.y.low))[0]
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
            parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
        for tick in self.y.ticks():
            y = self._at((self.x.low, tick))[1]
            parts.append(f'<line class="grid" x1="{self._left:g}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{self._left - 8:g}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        middle_x, middle_y = (self._left + WIDTH - _RIGHT) / 2, (top + bottom) / 2
        parts.append(f'<text x="{middle_x}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x.label)}</text>')
        turned = f'transform="rotate(-90 16 {middle_y})"'
        parts.append(f'<text x="16" y="{middle_y}" text-anchor="middle" {turned}>{escape(self.y.label)}</text>')
        return parts

    def _legend_lines(self) -> list[list[tuple[str, str, str]]]:
        lines: list[list[tuple[str, str, str]]] = []
        left = 0.0
        for entry in self._legend:
            width = _entry_px(entry[0])
            if not lines or left + width > WIDTH - self._left:
                lines.append([])
                left = 0.0
            lines[-1].append(entry)
            left += width
        return lines

    def _legend_row(self, entries: Sequence[tuple[str, str, str]], y: float) -> list[str]:
        parts, x = [], self._left
        for label, colour, dash in entries:
            stroke = f'stroke="{colour}" stroke-width="3" stroke-dasharray="{dash}"'
            parts.append(f'<line x1="{x:.1f}" x2="{x + 22:.1f}" y1="{y - 4}" y2="{y - 4}" {stroke}/>')
            parts.append(f'<text x="{x + 28:.1f}" y="{y}">{escape(label)}</text>')
            x += _entry_px(label)
        return parts


def intervals(rows: Sequence[tuple[str, float, float, float]], label: str, alt: str) -> str:
    """Return values in [-1, 1] as dots with their intervals, one a row: (name, value, low, high); NaN: no interval."""
    row_px, left = 24, 280
    height = row_px * len(rows) + 46

    def at(value: float) -> float:
        return left + (value + 1) / 2 * (WIDTH - left - _RIGHT)

    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(alt)}"><title>{escape(alt)}</title>']
    for tick in (-1, -0.5, 0, 0.5, 1):
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{at(tick)}" x2="{at(tick)}" y1="4" y2="{height - 38}"/>')
        parts.append(f'<text x="{at(tick)}" y="{height - 22}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{at(0)}" y="{height - 4}" text-anchor="middle">{escape(label)}</text>')
    for i, (name, value, low, high) in enumerate(rows):
        y = row_px * i + 18
        parts.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        if math.isfinite(low) and math.isfinite(high):
            whisker = f'stroke="{COLOURS[0]}" stroke-width="3" stroke-opacity="0.5"'
            parts.append(f'<line x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{y}" y2="{y}" {whisker}/>')
        parts.append(f'<circle cx="{at(value):.1f}" cy="{y}" r="5" fill="{COLOURS[0]}"/>')
    return "".join([*parts, "</svg>"])


def shade(share: float) -> str:
    """Return a colour for a share in [0, 1]: red, amber, green."""
    return f"hsl({120 * min(max(share, 0.0), 1.0):.0f} 62% 47%)"


def _round_step(step: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _entry_px(label: str) -> float:
    return 48 + _LETTER_PX * len(label)
