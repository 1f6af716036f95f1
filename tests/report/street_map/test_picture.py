"""Pictures of maps: a hand-made ring drawn where it lies, SVG that parses, and the verb's files and refusals."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_streets import circle, street_map
from small_xodr import crossroads
from typer.testing import CliRunner

from drive_rl.cli.main import app
from drive_rl.config.map_reader import load_map
from drive_rl.errors import DriveRLError
from drive_rl.report.street_map.picture import save_picture
from drive_rl.report.street_map.shapes import ASPHALT, GRASS
from drive_rl.sim.map.network import Marking
from drive_rl.sim.map.streets.generate import map_of_seed

RUN = CliRunner()


def test_a_circle_is_asphalt_around_grass(tmp_path: Path) -> None:
    draft = circle(20.0)
    for lane in draft.lanes:
        lane.right_marking = Marking.WHITE_SOLID
    save_picture(street_map(draft), tmp_path / "circle.png")
    picture = cv2.imread(str(tmp_path / "circle.png"))
    assert picture is not None
    picture = picture[:, :, ::-1]
    scale = 12.0  # px/m, the largest: the map is small
    middle = np.array([picture.shape[1] / 2, 40 + (20 + 1.75 + 0.5) * scale])  # [px] column, row
    for radius_m, colour in ((0, GRASS), (17, GRASS), (19, ASPHALT), (21, ASPHALT), (21.75, (238, 240, 242))):
        for angle in (0.4, 2.5, 4.0):
            column, row = np.round(middle + radius_m * scale * np.array([np.cos(angle), -np.sin(angle)])).astype(int)
            assert np.abs(picture[row, column].astype(int) - colour).max() < 40, (radius_m, angle)


@pytest.mark.parametrize("kind", ["town", "roundabouts", "motorway", "country"])
def test_svg_is_xml_with_every_shape_on_the_page(kind: str, tmp_path: Path) -> None:
    save_picture(map_of_seed(load_map(kind), 0), tmp_path / "map.svg")
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    shapes = [each for each in root if "points" in each.attrib]
    assert len(shapes) > 100
    for shape in shapes:
        x, y = np.array([pair.split(",") for pair in shape.attrib["points"].split()], float).T
        assert (x.min(), y.min()) >= (0, 0)
        assert x.max() <= width
        assert y.max() <= height


def test_the_verb_draws_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("map: {kind: town, columns: 3, rows: 2}\n")
    first = RUN.invoke(app, ["show", "map", "mine.yaml", "map.rows=3", "--seed", "20001"])
    assert first.exit_code == 0, first.output
    assert "town 20001:" in first.output
    assert Path("mine-20001.png").stat().st_size > 10_000
    again = RUN.invoke(app, ["show", "map", "mine.yaml", "--seed", "20001"])
    assert "exists already" in str(again.exception)


def test_the_verb_draws_the_map_of_a_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cross.xodr").write_text(crossroads())
    Path("mine.yaml").write_text("base: town\nstreets: {map: {kind: opendrive, path: cross.xodr}}\n")
    drawn = RUN.invoke(app, ["show", "map", "mine.yaml", "--out", "mine.png"])
    assert drawn.exit_code == 0, drawn.output
    assert "cross.xodr: 32 lanes, 1.3 km" in drawn.output
    Path("section.yaml").write_text("map: {kind: opendrive, path: cross.xodr}\n")
    again = RUN.invoke(app, ["show", "map", "section.yaml", "--out", "section.png"])
    assert again.output.splitlines()[0] == drawn.output.splitlines()[0]
    assert Path("mine.png").read_bytes() == Path("section.png").read_bytes()


def test_a_lanelet2_map_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("lanelet2", "lanelet2.io"):
        monkeypatch.setitem(sys.modules, module, None)
    result = RUN.invoke(app, ["show", "map", str(tmp_path / "town.osm"), "--out", str(tmp_path / "town.png")])
    assert "lanelet2 is not installed; fix: pip install 'drive-rl[maps]'" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["map"], "give a map before any KEY=VALUE; fix: such as drive-rl show map town"),
        (["map", "twn"], "unknown map 'twn': expected a kind of map or a YAML file; did you mean 'town'?"),
        (["map", "town", "map.columns=1"], "command line: map.columns = 1: expected >= 2"),
        (["map", "town", "--out", "map.jpg"], "map.jpg: expected a name that ends in .png or .svg; fix: such"),
        (["map", "town", "map.columns=1", "--out", "bad.yaml"], "map.columns = 1: expected >= 2"),
        (["map", "town", "map.kind=motorway"], "map.kind = 'motorway': expected 'town'; fix: leave it so"),
        (["map", "town", "map.test_block_m=[9, 70]"], "test_block_m = [9.0, 70.0]: expected two values, low <= high"),
        (["map", "town", "--out", "folder.png", "--overwrite"], "folder.png: is a folder; expected a file; fix: ano"),
        (["map", "one.xodr", "map.columns=5"], "one.xodr is a file: no seed and no KEY=VALUE changes it; fix: leave"),
        (["map", "opendrive", "map.path=bare.yaml", "--seed", "3"], "its map is a file, "),
        (["map", "opendrive", "map.path=x.xodr"], "x.xodr: cannot be read: No such file"),
        (["map", "bare.yaml"], "bare.yaml: streets = null: expected a world with streets, or"),
        (["map", "opendrive"], "map.path: is missing; fix: add it"),
        (["map", "one.osm", "--seed", "0"], "one.osm is a file: no seed and no KEY=VALUE changes it; fix: leave"),
        (["lane_follow", "--overwrite"], "show: --seed, --out and --overwrite are for maps; fix: drive-rl show map"),
        (["lane_follow", "--seed", "3"], "show: --seed, --out and --overwrite are for maps; fix: drive-rl show map"),
        (["map", "bad.yaml"], "bad.yaml: map.kind = 'towns': expected one of town, roundabouts, motorway"),
        (["map", "more.yaml"], "more.yaml: base = 'town': unknown key; fix: one of map"),
        (["map", "town", "map.columns=2", "map.rows=2", "map.block_m=[60,61]"], "map town 0: found none in 50 tries"),
        (["map", "none.yaml"], "none.yaml: map = None: expected a section with the map's kind; fix:"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("map: {kind: towns}\n")
    Path("none.yaml").write_text("name: none\n")
    Path("more.yaml").write_text("base: town\nmap: {kind: town}\n")
    Path("bare.yaml").write_text("base: lane_follow\n")
    Path("folder.png").mkdir()
    result = RUN.invoke(app, ["show", *words])
    assert isinstance(result.exception, DriveRLError)
    assert message in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bad.yaml",
        "bare.yaml",
        "folder.png",
        "more.yaml",
        "none.yaml",
    ]
