"""The plan view of OpenDRIVE roads, against Fresnel integrals, quadrature and values in closed form."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import fresnel

from drive_rl.sim.map.importers.opendrive.curves import Piece, read_cubics, read_reference_line
from drive_rl.sim.map.importers.opendrive.elements import Element, parse

S = np.array([0.0, 3.0, 17.5, 40.0])


def road(*geometries: str) -> Element:
    return parse(f'<road id="7"><planView>{"".join(geometries)}</planView></road>'.encode())


def geometry(s: float, length: float, shape: str, pose: tuple[float, float, float] = (0, 0, 0)) -> str:
    x, y, heading = pose
    return f'<geometry s="{s}" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry>'


def test_a_spiral_is_a_fresnel_integral() -> None:
    line = read_reference_line(road(geometry(0, 40, '<spiral curvStart="0" curvEnd="0.08"/>')))
    scale = math.sqrt(math.pi * 40 / 0.08)
    y, x = fresnel(S / scale)
    np.testing.assert_allclose(line.at(S), np.stack([scale * x, scale * y, 0.08 * S**2 / 80], axis=1), atol=1e-10)


def test_a_spiral_from_one_bend_into_the_other() -> None:
    def heading(s: float) -> float:
        return 0.3 + 0.1 * s - 0.25 * s * s / 80

    line = read_reference_line(road(geometry(0, 40, '<spiral curvStart="0.1" curvEnd="-0.15"/>', (5, -2, 0.3))))
    for s in S:
        x, y = (start + quad(lambda u, f=f: f(heading(u)), 0, s)[0] for start, f in ((5, math.cos), (-2, math.sin)))
        np.testing.assert_allclose(line.at(np.array([s]))[0], [x, y, heading(s)], atol=1e-9)


def test_lines_and_arcs() -> None:
    shapes = (
        geometry(0, 10, "<line/>", (1, 2, math.pi / 2)),
        geometry(10, 5 * math.pi, '<arc curvature="0.1"/>', (1, 12, math.pi / 2)),
    )
    line = read_reference_line(road(*shapes))
    assert line.length_m == pytest.approx(10 + 5 * math.pi)
    found = line.at(np.array([0.0, 4.0, 10.0, 10 + 5 * math.pi]))
    expected = [(1, 2, math.pi / 2), (1, 6, math.pi / 2), (1, 12, math.pi / 2), (-9, 22, math.pi)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("p_range", ["normalized", "arcLength"])
def test_a_parametric_cubic_is_measured_along_itself(p_range: str) -> None:
    length = quad(lambda p: math.hypot(50, 16 * p + 12 * p * p), 0, 1)[0]
    last = 1.0 if p_range == "normalized" else length
    u, v = ([0, 50 / last, 0, 0], [0, 0, 8 / last**2, 4 / last**3])
    numbers = " ".join(
        f'{key}{axis}="{a}"' for axis, row in zip("UV", (u, v), strict=True) for key, a in zip("abcd", row, strict=True)
    )
    line = read_reference_line(road(geometry(0, length, f'<paramPoly3 pRange="{p_range}" {numbers}/>')))
    for p in (0.0, 0.37, 0.5, 1.0):
        s = quad(lambda q: math.hypot(50, 16 * q + 12 * q * q), 0, p)[0]
        expected = [50 * p, 8 * p**2 + 4 * p**3, math.atan2(16 * p + 12 * p * p, 50)]
        np.testing.assert_allclose(line.at(np.array([s]))[0], expected, atol=2e-4)


def test_a_cubic_of_y_ends_where_it_is_as_long_as_said() -> None:
    length = quad(lambda u: math.hypot(1, 0.01 * u), 0, 30)[0]
    end = read_reference_line(road(geometry(0, length, '<poly3 a="0" b="0" c="0.005" d="0"/>'))).at(np.array([length]))
    np.testing.assert_allclose(end[0], [30, 4.5, math.atan(0.3)], atol=1e-4)


def test_cubics_follow_each_other() -> None:
    rows = parse(b'<x><w sOffset="10" a="3" b="0" c="0" d="0"/><w sOffset="0" a="1" b="0.2" c="0.01" d="0.001"/></x>')
    found = read_cubics(list(rows.each("w")), "sOffset").at(np.array([-1.0, 0.0, 5.0, 10.0, 12.0]))
    np.testing.assert_allclose(found, [0, 1, 1 + 1 + 0.25 + 0.125, 3, 3])
    assert read_cubics([]).at(np.array([1.0])).tolist() == [0.0]


def test_a_piece_far_along_a_bend() -> None:
    x, y, heading = Piece(0.0, 1000.0, (0, 0, 0), (0.05, 0.05)).at(np.array([1000.0]))[0]
    assert (x, y, heading) == pytest.approx((math.sin(50) / 0.05, (1 - math.cos(50)) / 0.05, 50.0), abs=1e-9)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ((), "road 7>: has no <planView> with a <geometry> longer than 0"),
        ((geometry(0, 5, "<circle/>"),), "holds circle, expected one of"),
        ((geometry(0, -5, "<line/>"),), "length = '-5', expected a"),
        ((geometry(0, 5, "<line/>", (math.nan, 0, 0)),), "x = 'nan', expected a number"),
        ((geometry(0, 5, "<arc/>"),), "curvature is missing, expected"),
    ],
)  # fmt: skip
def test_a_broken_plan_view_is_refused(shapes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=rf"line 1: <.*{message}"):
        read_reference_line(road(*shapes))
