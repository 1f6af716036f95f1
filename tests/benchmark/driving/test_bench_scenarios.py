"""`drive-rl bench driving` over scenarios: their success rule, the ability table, its files and the page."""

import csv
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pytest
from blind_driver import BlindDriver
from command_line import call
from rich.console import Console

from drive_rl.benchmark.driving.groups import abilities, mean_of_abilities, success
from drive_rl.benchmark.driving.output.files import content, write_results
from drive_rl.benchmark.driving.output.sketch import HIT
from drive_rl.benchmark.driving.output.table import print_drivers
from drive_rl.benchmark.driving.run import Drive, DriverResult, drive_all, drive_and_score
from drive_rl.config.reader import load_world
from drive_rl.config.specs.world import WorldSpec
from drive_rl.report.scenario_list import scenario_rows
from drive_rl.run.process import copies

SMALL = ["streets.maps=2", "streets.route_m=100"]
RED = load_world("scenarios/vanilla_signalized_turn_encounter_red_light", [*SMALL, "streets.traffic.actors=0"])
FLOW = load_world("scenarios/non_signalized_junction_left_turn_enter_flow", SMALL)
TURN = load_world("scenarios/vanilla_non_signalized_turn", SMALL)
ROADS = 4


@pytest.fixture(scope="module")
def blind() -> DriverResult:
    (found,) = drive_all([[(BlindDriver(RED), RED)], [(BlindDriver(RED), FLOW)]], "val", ROADS)
    return found


def test_worlds_side_by_side_are_driven_as_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    found = list[str]()
    for cores in (1, 2):
        monkeypatch.setattr(copies, "usable_cores", lambda cores=cores: cores)
        driven = drive_all([[(BlindDriver(RED), world)] for world in (RED, FLOW, TURN)], "val", 2)
        found.append(json.dumps(content(driven, [RED, FLOW, TURN], "val")))
    assert found[0] == found[1]


def in_world(result: DriverResult, world: WorldSpec) -> list[Drive]:
    return [drive for drive in result.roads if drive.world == world.name]


def test_a_red_light_that_was_run_is_a_failure_where_the_scenario_forbids_it(blind: DriverResult) -> None:
    for drive in in_world(blind, RED):
        assert (drive.episode.end_reason, drive.scores.infractions.red_light) == ("arrived", 1)
        assert drive.failure == "ran a red light"
        assert not drive.episode.success
        (mark,) = drive.trace.marks  # the car is there while it crosses the line
        assert np.hypot(*(drive.trace.pose[:, :2] - mark).T).min() < 1e-9
    allowed = RED.model_copy(update={"scenario": RED.scenario and RED.scenario.model_copy(update={"forbids": ()})})
    assert not any(drive.failure for drive in drive_and_score(BlindDriver(RED), allowed, "val", ROADS))


def test_whom_it_hit_touches_the_car_where_the_drive_ended(blind: DriverResult) -> None:
    hit = [drive for drive in in_world(blind, FLOW) if drive.episode.end_reason == "collision"]
    assert hit
    for drive in hit:
        assert re.match(r"hit a (vehicle|cyclist)", drive.failure)
        x, y, _, half_length, half_width = drive.trace.others[drive.trace.hit]
        reach = np.hypot(half_length, half_width) + np.hypot(*drive.trace.half_m)
        assert np.hypot(x - drive.trace.pose[-1, 0], y - drive.trace.pose[-1, 1]) < reach


def test_success_by_ability_counts_each_ability_the_same(blind: DriverResult) -> None:
    groups = abilities([RED, FLOW])
    assert groups == {"merging": [FLOW.name], "traffic_signs": [RED.name]}
    counts = [sum(not drive.failure for drive in in_world(blind, world)) for world in (FLOW, RED)]
    assert [success(blind, names).value for names in groups.values()] == [count / ROADS for count in counts]
    mean = mean_of_abilities(blind, groups)
    assert mean.value == pytest.approx(sum(counts) / 2 / ROADS)
    assert mean.low < mean.value < mean.high or mean.value == 0


def test_the_files_hold_every_world_and_the_page_a_map_of_each_failure(
    blind: DriverResult, tmp_path: Path, browser: list[str]
) -> None:
    write_results(tmp_path, [blind], [RED, FLOW], "val")
    results: Any = json.loads((tmp_path / "results.json").read_text())
    (driver,) = results["drivers"]
    assert list(driver)[:2] == ["name", "success"]
    assert list(driver["abilities"]) == ["merging", "traffic_signs"]
    assert driver["worlds"][RED.name]["success"]["value"] == 0.0
    assert [drive["failure"] for drive in driver["roads"]] == [drive.failure for drive in blind.roads]
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["world"] for row in rows] == ["total", RED.name, FLOW.name]
    page = (tmp_path / "index.html").read_text()
    failed = [drive for drive in blind.roads if drive.failure]
    maps = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    assert len(maps) == len(failed)
    for drawn, drive in zip(maps, failed, strict=True):
        rings = [each for each in drawn.iter() if each.tag == "circle" and each.get("stroke") == HIT]
        assert len(rings) == len(drive.trace.marks) + (drive.trace.hit >= 0)
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--dump-dom"]
    command = [*browser, *offline, (tmp_path / "index.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in shown.stderr
    assert shown.stdout.count("<svg ") == len(failed)


def test_results_say_where_the_state_holds_only_what_was_seen(blind: DriverResult, tmp_path: Path) -> None:
    red, flow = (load_world(world.name, ("streets.seen_within_s=1",)) for world in (RED, FLOW))
    expected = (RED, FLOW, ""), (red, FLOW, " the last 1.0 s, in 1 of the worlds."), (red, flow, " the last 1.0 s.")
    for *worlds, said in expected:
        write_results(tmp_path, [blind], worlds, "val")
        (shown,) = re.findall("the same numbers.(.*)</p>", (tmp_path / "index.html").read_text())
        assert ("camera showed" in shown) == bool(said)
        assert shown.endswith(said)
        seen = json.loads((tmp_path / "results.json").read_text()).get("seen_within_s")
        assert seen == ({world.name: 1.0 for world in worlds if world in (red, flow)} or None)


def test_the_tables_have_a_row_for_each_ability_and_scenario_and_fit_80_columns(blind: DriverResult) -> None:
    console = Console(width=80, file=io.StringIO())
    print_drivers([blind], [RED, FLOW], "val", console)
    shown = cast(io.StringIO, console.file).getvalue()
    first = re.findall(r"^ *(merging|traffic signs|mean|total) +\d", shown, re.MULTILINE)
    assert first == ["merging", "traffic signs", "mean", "total"]
    assert re.search(r"vanilla_signalized_turn_encounter_red_light +0\.0 \(0\.0 to 49\.0\)", shown)  # Wilson: 0 of 4
    assert max(map(len, shown.splitlines())) <= 80


def test_a_shelf_of_ones_own_may_hold_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = tmp_path / "envs" / "scenarios"
    shelf.mkdir(parents=True)
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    files = {
        "mine": "{base: scenarios/t_junction, description: mine, scenario: {ability: give_way}}",
        "none": "{base: town}",
        "wrong": "{base: town, scenario: {ability: mergin}}",
    }
    for name, text in files.items():
        (shelf / f"{name}.yaml").write_text(text)
    listed = {name: (ability, words) for ability, name, words in scenario_rows()}
    assert listed["mine"] == ("give way", "mine")
    assert "none.yaml: holds no scenario; fix: a line such as `scenario: {ability: merging}`" in listed["none"][1]
    assert "scenario.ability = 'mergin': expected " in listed["wrong"][1]
    assert "did you mean 'merging'?" in listed["wrong"][1]
    assert load_world("scenarios/mine").streets == load_world("scenarios/t_junction").streets
    refused = call(tmp_path, "bench", "driving", "reference", "--scenarios", expect=2).stderr
    assert "none.yaml: holds no scenario" in refused
