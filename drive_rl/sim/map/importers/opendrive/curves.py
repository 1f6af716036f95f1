"""The plan view of a road: its reference line of lines, arcs, spirals and cubics, and cubics along it.

`s` [m] runs along the reference line. Formulas: ASAM OpenDRIVE 1.8, "Road reference line".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drive_rl.sim.map.importers.opendrive.elements import Element
from drive_rl.sim.map.network import Floats

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_PANEL_RAD = 0.5  # heading changes by no more between two nodes' panels: 8 nodes are then exact to 1e-12
_LONGEST_M, _MOST_RAD = 100_000.0, 1000.0  # of a piece
_TABLE = 256  # steps of a cubic's table of arc lengths
_KINDS = ("line", "arc", "spiral", "poly3", "paramPoly3")


@dataclass(frozen=True)
class Cubics:
    """Cubics one after another: from each start on, a + b ds + c ds^2 + d ds^3 with ds from that start.

    Attributes:
        starts: Where each begins (n,) [m], ascending.
        coefficients: a, b, c, d of each (n, 4).
    """

    starts: Floats
    coefficients: Floats

    def at(self, s: Floats) -> Floats:
        """Return the values at some places; before the first it is 0, and 0 where there is none."""
        if not self.starts.size:
            return np.zeros_like(s)
        index = np.searchsorted(self.starts, s + 1e-9, "right") - 1
        a, b, c, d = self.coefficients[np.maximum(index, 0)].T
        ds = s - self.starts[np.maximum(index, 0)]
        return np.where(index < 0, 0.0, a + ds * (b + ds * (c + ds * d)))


def read_cubics(elements: Sequence[Element], start: str = "s") -> Cubics:
    """Return the cubics that elements with attributes a, b, c, d hold; `start` names where each begins.

    Raises:
        ValueError: a value is not a number.
    """
    rows = sorted([each.number(start, 0.0), *(each.number(key) for key in "abcd")] for each in elements)
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Cubics(table[:, 0], table[:, 1:])


@dataclass(frozen=True)
class Piece:
    """A piece of a reference line: where it begins, and the parameters of its kind.

    Those are the curvature at start and end [1/m] of a line, arc or spiral; u and v (2, 4) of a cubic, and its last p.
    """

    s_m: float
    length_m: float
    pose: tuple[float, float, float]  # x [m], y [m], heading [rad]
    curvature: tuple[float, float] = (0.0, 0.0)
    uv: Floats | None = None
    last_p: float = 1.0

    def at(self, ds: Floats) -> Floats:
        """Return x, y and heading (n, 3) so far behind its start [m]."""
        u, v, turned = self._clothoid(ds) if self.uv is None else self._cubic(ds, self.uv)
        x, y, heading = self.pose
        cos, sin = math.cos(heading), math.sin(heading)
        return np.stack([x + cos * u - sin * v, y + sin * u + cos * v, heading + turned], axis=-1)

    def _clothoid(self, ds: Floats) -> tuple[Floats, Floats, Floats]:
        """Integrate the heading k0 s + (k1 - k0) s^2 / (2 length) by Gauss-Legendre quadrature."""
        start, end = self.curvature
        slope = (end - start) / self.length_m
        most = max(abs(start), abs(end)) * self.length_m
        panels = max(math.ceil(most / _PANEL_RAD), 1)
        shares = ((np.arange(panels)[:, None] + (_NODES + 1) / 2) / panels).ravel()
        weights = np.tile(_WEIGHTS / 2 / panels, panels)
        on = ds[:, None] * shares
        heading = on * (start + slope / 2 * on)
        u, v = ((each * weights).sum(axis=1) * ds for each in (np.cos(heading), np.sin(heading)))
        return u, v, ds * (start + slope / 2 * ds)

    def _cubic(self, ds: Floats, uv: Floats) -> tuple[Floats, Floats, Floats]:
        """Find p by the share of the curve's length, for p need not grow evenly along it."""
        table = np.linspace(0, self.last_p, _TABLE + 1)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(_polynomials(uv, table), axis=1)))])
        p = np.interp(ds / self.length_m * along[-1], along, table)
        slopes = uv[:, 1:] * (1, 2, 3)
        du, dv = _polynomials(slopes, p)
        u, v = _polynomials(uv, p)
        return u, v, np.arctan2(dv, du)


def _polynomials(coefficients: Floats, p: Floats) -> Floats:
    """Return the values (m, n) of m polynomials, lowest power first, at n places."""
    return np.array(np.polynomial.polynomial.polyval(p, coefficients.T), np.float64)


@dataclass(frozen=True)
class ReferenceLine:
    """A road's reference line, piece after piece."""

    pieces: tuple[Piece, ...]

    @property
    def length_m(self) -> float:
        """Length of all pieces [m]."""
        return self.pieces[-1].s_m + self.pieces[-1].length_m

    @property
    def breaks_m(self) -> Floats:
        """Where its pieces begin (n,) [m]."""
        return np.array([piece.s_m for piece in self.pieces])

    def at(self, s: Floats) -> Floats:
        """Return x [m], y [m] and heading [rad] (n, 3) at some places, which are put within the line."""
        s = np.clip(s, 0, self.length_m)
        index = np.maximum(np.searchsorted(self.breaks_m, s + 1e-9, "right") - 1, 0)
        out = np.empty((len(s), 3))
        for at in np.unique(index):
            here = index == at
            out[here] = self.pieces[at].at(s[here] - self.pieces[at].s_m)
        return out


def read_reference_line(road: Element) -> ReferenceLine:
    """Return a road's reference line; its pieces follow each other, whatever `s` they name.

    Raises:
        ValueError: the road has no plan view, or a piece of it is of an unknown kind or has wrong values.
    """
    pieces: list[Piece] = []
    s = 0.0
    for geometry in sorted(road.each("planView/geometry"), key=lambda each: each.number("s", 0.0)):
        length = geometry.number("length", at_least=0)
        if length > 0:
            pieces.append(_checked(geometry, _piece(geometry, s, length)))
            s += length
    if not pieces:
        raise road.wrong("has no <planView> with a <geometry> longer than 0, expected one")
    return ReferenceLine(tuple(pieces))


def _checked(geometry: Element, piece: Piece) -> Piece:
    turn_rad = max(map(abs, piece.curvature)) * piece.length_m
    if piece.length_m > _LONGEST_M:
        raise geometry.wrong(f"length = {piece.length_m:g}, expected at most {_LONGEST_M:g} m")
    if turn_rad > _MOST_RAD:
        raise geometry.wrong(f"turns by up to {turn_rad:g} rad, expected at most {_MOST_RAD:g}")
    return piece


def _piece(geometry: Element, s_m: float, length_m: float) -> Piece:
    pose = geometry.number("x"), geometry.number("y"), geometry.number("hdg")
    shape = next((child for child in geometry.children if child.tag in _KINDS), None)
    if shape is None:
        found = ", ".join(child.tag for child in geometry.children) or "nothing"
        raise geometry.wrong(f"holds {found}, expected one of {', '.join(_KINDS)}")
    match shape.tag:
        case "line":
            return Piece(s_m, length_m, pose)
        case "arc":
            return Piece(s_m, length_m, pose, (shape.number("curvature"), shape.number("curvature")))
        case "spiral":
            return Piece(s_m, length_m, pose, (shape.number("curvStart"), shape.number("curvEnd")))
        case "poly3":
            v = [shape.number(key) for key in "abcd"]
            uv = np.array([[0.0, 1.0, 0.0, 0.0], v])
            return Piece(s_m, length_m, pose, uv=uv, last_p=_poly3_end(uv, length_m))
        case _:
            uv = np.array([[shape.number(f"{key}{axis}") for key in "abcd"] for axis in "UV"])
            by_length = shape.text("pRange") == "arcLength"
            return Piece(s_m, length_m, pose, uv=uv, last_p=length_m if by_length else 1.0)


def _poly3_end(uv: Floats, length_m: float) -> float:
    """Return the u at which v(u) is as long as the piece."""
    u = np.linspace(0, length_m, 4 * _TABLE + 1)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(_polynomials(uv, u), axis=1)))])
    return float(np.interp(length_m, along, u))
