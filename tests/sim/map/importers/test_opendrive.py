"""OpenDRIVE maps: small ones in closed form, what is counted, what is refused, and that they are driven on."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_xodr import ARM_M, GAP_M, STOP_M, WIDTH_M, crossroads
from typer.testing import CliRunner

from drive_rl.cli.main import app
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.check import check_network
from drive_rl.sim.map.importers.opendrive.read import read_opendrive
from drive_rl.sim.map.network import Control, Marking, StreetMap, Turn

WINDING = Path(__file__).parent / "maps" / "winding.xodr"


@pytest.fixture
def xodr(tmp_path: Path) -> Path:
    path = tmp_path / "small.xodr"
    path.write_text(crossroads())
    return path


def lane(streets: StreetMap, name: str) -> int:
    return streets.lanes.index(name)


def points(streets: StreetMap, index: int) -> np.ndarray:
    network = streets.network
    span = slice(network.first_point[index], network.first_point[index + 1])
    return np.stack([network.x_m[span], network.y_m[span]], axis=1)


def after(streets: StreetMap, index: int) -> set[str]:
    first = streets.network.first_successor
    return {streets.lanes[each] for each in streets.network.successor[first[index] : first[index + 1]]}


def test_a_crossroads(xodr: Path) -> None:
    streets = read_opendrive(xodr)
    network = streets.network
    check_network(streets)
    assert streets.unsupported == {
        "lanes of type sidewalk": 8,
        "signals of type 274": 1,
        "objects of type tree": 1,
        "controllers of signals, replaced by programs": 2,
        "roads above or below the others, drawn on the same ground": 1,
        "dead ends, closed by loops to turn around in": 4,
        "junctions whose signals get a program of two phases": 1,
    }
    arms, inside = network.junction < 0, network.junction == 0
    assert inside.sum() == 12
    assert sorted(network.turn[inside]) == 4 * [Turn.LEFT] + 4 * [Turn.STRAIGHT] + 4 * [Turn.RIGHT]
    np.testing.assert_allclose(network.width_m[~np.char.startswith(streets.lanes, "turn")], WIDTH_M, rtol=1e-6)
    lengths = {Turn.STRAIGHT: 2 * GAP_M, Turn.LEFT: GAP_M + WIDTH_M / 2, Turn.RIGHT: GAP_M - WIDTH_M / 2}
    for index in np.flatnonzero(inside):
        turn = Turn(network.turn[index])
        expected = lengths[turn] * (1 if turn == Turn.STRAIGHT else math.pi / 2)
        assert network.length_m[index] == pytest.approx(expected, rel=2e-3)
    assert set(np.round(network.speed_limit_mps[arms] / 0.44704, 3)) == {25.0, round(30 / 3.6 / 0.44704, 3)}
    np.testing.assert_allclose(network.speed_limit_mps[inside], 25 * 0.44704)


def test_arms_are_cut_where_their_markings_change(xodr: Path) -> None:
    streets = read_opendrive(xodr)
    inner, outer = (lane(streets, f"road 0 section {at} lane 1") for at in (0, 1))
    network = streets.network
    np.testing.assert_allclose(
        points(streets, inner)[[0, -1]], [(GAP_M + 50, WIDTH_M / 2), (GAP_M, WIDTH_M / 2)], atol=1e-9
    )
    assert network.length_m[outer] == pytest.approx(ARM_M - 50)
    assert [network.left_marking[each] for each in (inner, outer)] == [Marking.YELLOW_DASHED, Marking.YELLOW_SOLID]
    assert network.right_marking[inner] == Marking.WHITE_SOLID
    assert streets.lanes[network.opposite[inner]] == "road 0 section 0 lane -1"
    assert after(streets, outer) == {"road 0 section 0 lane 1"}
    assert after(streets, inner) == {"road 100 lane -1", "road 101 lane -1", "road 102 lane -1"}


def test_signals_and_signs_govern_the_lanes_into_the_junction(xodr: Path) -> None:
    streets = read_opendrive(xodr)
    network = streets.network
    into = [lane(streets, f"road {at} section 0 lane 1") for at in range(4)]
    assert [network.control[each] for each in into] == [
        Control.SIGNAL, Control.STOP_SIGN, Control.SIGNAL, Control.GIVE_WAY,
    ]  # fmt: skip
    assert (network.control != Control.NONE).sum() == 4
    np.testing.assert_allclose(network.stop_s_m[into], [50, 50 - STOP_M, 50, 50 - STOP_M], atol=0.5)
    assert network.signal[into[0]] == network.signal[into[2]] >= 0


def test_a_crosswalk_crosses_both_lanes_under_it(xodr: Path) -> None:
    streets = read_opendrive(xodr)
    network = streets.network
    (corners,) = network.crossing_corners
    middle = np.array([0.0, -GAP_M - 8.0])
    np.testing.assert_allclose(np.sort(np.abs(corners - middle), axis=0), [(4, 1.5)] * 4, atol=1e-5)
    sides = corners[:2].mean(axis=0), corners[2:].mean(axis=0)
    assert abs(sides[0][0] - sides[1][0]) == pytest.approx(8.0, abs=1e-5)  # people walk from west to east
    met = np.flatnonzero(np.diff(network.first_crossing))
    assert {streets.lanes[each] for each in met} == {"road 3 section 0 lane -1", "road 3 section 0 lane 1"}


def test_a_winding_road_of_two_roads_end_to_end() -> None:
    streets = read_opendrive(WINDING)
    network = streets.network
    check_network(streets)
    assert streets.unsupported == {
        "lanes that widen or narrow, as wide as on average everywhere": 1,
        "lanes of type biking": 1,
        "orange markings, taken as white": 2,
        "lanes with rules of access": 1,
        "banked roads, drawn level": 1,
        "dead ends, closed by loops to turn around in": 2,
    }
    first = lane(streets, "road main section 1 lane -1")
    opening = lane(streets, "road main section 1 lane -2")
    assert streets.lanes[network.right[first]] == "road main section 1 lane -2"
    assert network.left[opening] == first
    assert [network.left_marking[first], network.right_marking[first]] == [Marking.YELLOW_DASHED, Marking.WHITE_DASHED]
    assert network.left_marking[lane(streets, "road main section 1 lane 1")] == Marking.YELLOW_SOLID
    limits = {name: network.speed_limit_mps[lane(streets, name)] * 3.6 for name in streets.lanes}
    assert limits["road main section 1 lane -1"] == pytest.approx(70)
    assert limits["road main section 2 lane -1"] == pytest.approx(50)
    assert limits["road main section 1 lane -2"] == pytest.approx(54)
    assert after(streets, lane(streets, "road main section 3 lane -2")) == {"road back lane 2"}
    ends = (
        points(streets, lane(streets, "road main section 3 lane -1"))[-1],
        points(streets, lane(streets, "road back lane 1"))[0],
    )
    middle, heading = np.array([125.3573421183, 82.3605917477]), 1.8  # the end of both roads, by quadrature
    right = middle + 3.25 / 2 * np.array([math.sin(heading), -math.cos(heading)])
    np.testing.assert_allclose(ends, [right, right], atol=1e-3)
    assert np.isclose(network.width_m[lane(streets, "road back lane 2")], 3.25)


def test_a_loop_at_a_dead_end_turns_around_wide_enough(xodr: Path) -> None:
    streets = read_opendrive(xodr)
    network = streets.network
    loop = lane(streets, "turn behind road 0 section 1 lane -1")
    line = points(streets, loop)
    np.testing.assert_allclose(line[[0, -1]], [(GAP_M + ARM_M, -WIDTH_M / 2), (GAP_M + ARM_M, WIDTH_M / 2)], atol=1e-6)
    bends = network.curvature_1pm[network.first_point[loop] : network.first_point[loop + 1]]
    assert np.abs(bends).max() < 1 / 9.0
    assert after(streets, loop) == {"road 0 section 1 lane 1"}


def without(pattern: str, text: str) -> str:
    changed = re.sub(pattern, "", text, flags=re.DOTALL)
    assert changed != text
    return changed


def swapped(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], r"is not XML: unclosed token: line \d+"),
        (lambda text: "no map", "is not XML: syntax error: line 1, column 0"),
        (lambda text: "", "is not XML: no element found"),
        (lambda text: f'<?xml version="1.0" encoding="klingon"?>{text}', "is not XML: unknown encoding: klingon"),
        (lambda text: re.sub(' length="[^"]*"', ' length="1e12"', text), "length = '1e12', expected a number of"),
        (lambda text: re.sub(' length="[^"]*"', ' length="1e6"', text), r"length = 1e\+06, expected at most 100000 m"),
        (lambda text: "<osm/>", "line 1: <osm>: is the outermost element, expected <OpenDRIVE>"),
        (lambda text: f'<!DOCTYPE x [<!ENTITY a "b">]>{text}', "line 1: has a document type"),
        (lambda text: "<OpenDRIVE/>", "holds no lanes for cars: expected lanes of a type such as driving"),
        (swapped('revMajor="1"', 'revMajor="2"'), "line 2: <header>: revMajor = '2', expected 1"),
        (swapped('junction="-1"', 'junction="-1" rule="LHT"'), "line 3: <road 0>: rule = 'LHT', expected right-hand"),
        (swapped('id="1" junction="-1"', 'id="0" junction="-1"'), "line 4: <road 0>: there is another road of"),
        (swapped('a="3.5"', 'a="wide"'), "line 3: <width>: a = 'wide', expected a number"),
        (swapped('a="3.5"', ""), "line 3: <width>: a is missing, expected a number"),
        (swapped('max="25"', 'max="-25"'), "line 3: <speed>: max = '-25', expected more than 0, such as 50"),
        (swapped('unit="mph"', 'unit="knots"'), "line 3: <speed>: unit = 'knots', expected one of m/s, km/h"),
        (swapped('<lane id="-2"', '<lane id="-3"'), "<laneSection>: has a lane -3, expected all lanes"),
        (swapped('<lane id="-1"', '<lane id="1"'), "line 3: <lane 1>: id = 1 in <right>, expected one below 0"),
        (swapped('incomingRoad="0"', 'incomingRoad="50"'), "<connection 100>: names road '50', expected the"),
        (swapped('<successor id="-1"', '<successor id="-7"'), "<lane -1>: is linked to lane -7 of road 1, expected"),
        (swapped('<signalReference id="10"', '<signalReference id="77"'), "<signalReference 77>: expected the id"),
        (lambda text: without("<lanes>.*?</lanes>", text), "line 3: <road 0>: has no <lanes> with a <laneSection>"),
        (lambda text: text.replace('type="driving"', 'type="biking"'), "holds no lanes for cars"),
        (lambda text: text.replace('id="1" type="driving"', 'id="1" type="stop"'), "none leads back to itself"),
        (swapped('x="1.2000000000000000e+01"', 'x="9.0e+05"'), r"reaches \d{3} km from the first lane"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused(damage: Callable[[str], str], message: str, xodr: Path) -> None:
    xodr.write_text(damage(xodr.read_text()))
    with pytest.raises(DriveRLError, match=f"small.xodr: .*{message}.*; fix: "):
        read_opendrive(xodr)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match=r"none.xodr: cannot be read: No such file.*; fix: "):
        read_opendrive(tmp_path / "none.xodr")


def test_coordinates_far_away_are_brought_near(xodr: Path) -> None:
    here = read_opendrive(xodr)
    north_m = 5_430_000.0
    moved = re.sub(r' y="([^"]*)" hdg', lambda found: f' y="{float(found[1]) + north_m}" hdg', xodr.read_text())
    xodr.write_text(moved)
    there = read_opendrive(xodr)
    np.testing.assert_allclose(there.network.y_m, here.network.y_m, atol=1e-6)
    np.testing.assert_allclose(there.network.crossing_corners, here.network.crossing_corners, atol=1e-3)


def test_lanes_that_hardly_miss_each_other_are_bent_and_others_are_not_linked(xodr: Path) -> None:
    text = xodr.read_text()
    head, road = re.split(r'(?<= id="101" junction="99">)', text)
    xodr.write_text(head + re.sub(' y="[^"]*"', ' y="0.2"', road, count=1))
    bent = read_opendrive(xodr)
    assert bent.unsupported["places where lanes miss each other by up to 0.5 m, bent"] == 2
    assert len(bent.lanes) == 32
    xodr.write_text(head + re.sub(' y="[^"]*"', ' y="0.8"', road, count=1))
    cut = read_opendrive(xodr)
    assert cut.unsupported["links of lanes that miss each other by more than 0.5 m, left out"] == 2
    assert set(bent.lanes) - set(cut.lanes) == {"road 101 lane -1"}


def test_the_verb_draws_it(xodr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(xodr.parent)
    done = CliRunner().invoke(app, ["show", "map", "small.xodr"])
    assert done.exit_code == 0, done.output
    held = "1 junctions, 2 signal groups, 1 lanes with a stop sign, 1 lanes that give way, 1 zebra crossings"
    assert f"small.xodr: 32 lanes, 1.3 km; {held}" in done.output
    assert "not supported: 8 lanes of type sidewalk, 1 signals of type 274" in done.output
    assert Path("small.png").is_file()
