"""`drive-rl bench driving`: the same drives give the same scores, its files, and what it refuses."""

import csv
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from blind_driver import BlindDriver
from command_line import call, check

from drive_rl.benchmark.driving.output.files import content
from drive_rl.benchmark.driving.record import ROAD_USERS, DriveRecord, RoadUser
from drive_rl.benchmark.driving.recorder import DriveRecorder
from drive_rl.benchmark.driving.run import DriverResult, drive_and_score
from drive_rl.benchmark.driving.scores import score_drive
from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.drivers.evaluate import drive_batch, split_seeds
from drive_rl.learn.load_driver import load_driver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.map.lane_geometry import pose_at
from drive_rl.sim.map.network import Control, Light
from drive_rl.sim.task.street_episode import built_map, draw_street_episode
from drive_rl.sim.traffic.actors import LANE, S

TOWN = load_world("town", ["streets.route_m=100", "streets.maps=2"])
ROADS = 17  # one more than are driven side by side


def reference(threads: int) -> DriverResult:
    driver, world = load_driver("reference", TOWN)
    return DriverResult(driver.name, tuple(drive_and_score(driver, world, "val", ROADS, threads=threads)))


@pytest.fixture(scope="module")
def driven() -> DriverResult:
    return reference(threads=1)


def test_the_same_drives_give_the_same_results_on_any_number_of_threads(driven: DriverResult) -> None:
    again = content([reference(threads=2)], [TOWN], "val")
    assert json.dumps(again) == json.dumps(content([driven], [TOWN], "val"))


def test_a_driver_that_keeps_the_rules_breaks_none(driven: DriverResult) -> None:
    measures = {measure.name: measure.value for measure in driven.measures()}
    assert next(iter(measures)) == "success"
    assert measures["success"].value == measures["nuplan_no_at_fault_collision"].value == 1.0
    assert all(value.value == 0 for name, value in measures.items() if name.endswith("_per_km"))
    assert all(value.low < value.high for value in measures.values())
    for drive in (each.scores for each in driven.roads):
        assert drive.driven_km == pytest.approx(0.1, abs=0.01)
        assert drive.infractions._replace(min_speed=()) == type(drive.infractions)()


def test_a_driver_without_regard_runs_lights_and_hits_others() -> None:
    """What the scores say is what the records show."""
    driver, records = BlindDriver(TOWN), dict[int, DriveRecord]()
    batch = cpu_batch(TOWN, 16, "state", 1)
    seeds = split_seeds("val", 48)
    drive_batch(driver, batch, seeds, None, DriveRecorder(batch, lambda each: records.update({each.road_seed: each})))
    batch.close()
    assert list(seeds) == sorted(records)
    red, hit = 0, 0
    for record in records.values():
        scores = score_drive(record)
        front, lines = record.ego.s_m + record.car.half_length_m, record.lines
        ran = 0
        for k in np.flatnonzero(lines.control == Control.SIGNAL):
            after = np.flatnonzero(front >= lines.s_m[k])
            ran += bool(len(after)) and after[0] > 0 and lines.light[after[0] - 1, k] == Light.RED
        assert scores.infractions.red_light == ran
        assert bool(scores.collisions) == (record.end_reason == "collision")
        assert scores.infractions.off_route == (record.end_reason in ("off_road", "wrong_way"))
        red, hit = red + ran, hit + bool(scores.collisions)
    assert red > 0
    assert hit > 0


@pytest.mark.parametrize(("who", "half_m"), [("pedestrian", (0.25, 0.25)), ("cyclist", (0.9, 0.3))])
def test_who_crosses_is_recorded_as_one_who_moves(who: RoadUser, half_m: tuple[float, float]) -> None:
    """Both engines move one from place to place; the scores read how fast and which way."""
    where = "distance_m: [30, 50], speed_mps: [1.5, 1.5], side: right"
    hazard = f"streets.hazard={{kind: crossing_pedestrian, who: {who}, {where}}}"
    world = load_world("town", ["streets.maps=2", "streets.route_m=100", hazard])
    batch, streets = cpu_batch(world, 6, "state", 1), cast(StreetsSpec, world.streets)
    records = list[DriveRecord]()
    drive_batch(BlindDriver(TOWN), batch, split_seeds("val", 6), None, DriveRecorder(batch, records.append))
    batch.close()
    hit = [getattr(score_drive(record).infractions, who) for record in records]
    assert sum(hit) > 0
    for record in records:
        walker = len(record.others.who) - 1  # the hazard's actor
        assert record.others.who[walker] == ROAD_USERS.index(who)
        speed, pose = record.others.speed_mps[:, walker], record.others.pose[:, walker]
        walks = np.flatnonzero(speed > 1.4)
        assert len(walks) > 0
        assert speed[walks] == pytest.approx(1.5, abs=1e-3)
        episode = draw_street_episode(world, streets, record.road_seed)
        network = built_map(streets.map, episode.map_seed).network
        along = pose_at(network, int(episode.traffic.whole[-1, LANE]), float(episode.traffic.real[-1, S]), 0.0)[2]
        assert np.cos(pose[walks[0], 2] - along - np.pi / 2) == pytest.approx(1, abs=1e-3)
        assert np.ptp(pose[:, 2]) < 1e-3
        assert record.others.half_m[walker] == pytest.approx(half_m)


def test_it_works_on_single_roads() -> None:
    driver, world = load_driver("reference", load_world("parked_cars", ["road.length_m=100"]))
    found = [drive.scores for drive in drive_and_score(driver, world, "val", 3)]
    assert [drive.nuplan.speed_limit for drive in found] == [1.0, 1.0, 1.0]  # there is none
    assert all(drive.route_completion == 1.0 and drive.infractions.off_lane == 0.0 for drive in found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driving")
    (folder / "near.yaml").write_text("{base: town, streets: {route_m: 100, maps: 2}}\n")
    (folder / "taken").write_text("")
    (folder / "other").mkdir()
    (folder / "other" / "results.json").write_text('{"models": []}')
    return folder


def test_the_command_prints_and_writes_its_results(folder: Path) -> None:
    words = ("bench", "driving", "reference", "--world", "near.yaml", "--split", "val", "--episodes", "2", "--out", "o")
    done = call(folder, *words)
    assert "near.yaml: 2 roads of the val split" in done.stdout
    assert "CARLA 2.0" in done.stdout
    results: Any = json.loads((folder / "o" / "results.json").read_text())
    (driver,) = results["drivers"]
    assert list(driver)[:2] == ["name", "success"]
    assert "abilities" not in driver
    assert driver["success"] == {"value": 1.0, "low": pytest.approx(0.3424, abs=1e-4), "high": 1.0}
    assert [drive["road_seed"] for drive in driver["roads"]] == [10_000, 10_001]
    row, same = csv.DictReader((folder / "o" / "results.csv").open())
    assert list(row)[:3] == ["driver", "world", "success"]
    assert (row.pop("world"), same.pop("world")) == ("total", "near")
    assert row == same
    assert "None: every drive succeeded." in (folder / "o" / "index.html").read_text()
    assert float(row["carla_driving_score_2_1"]) == driver["carla_driving_score_2_1"]["value"]
    before = {path.name: path.read_bytes() for path in (folder / "o").iterdir()}
    assert call(folder, *words).stdout == done.stdout
    assert before == {path.name: path.read_bytes() for path in (folder / "o").iterdir()}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["refrence"], "unknown driver 'refrence'; did you mean 'reference'?"),
        (["reference", "--world", "twon"], "unknown world 'twon'; did you mean 'town'?"),
        (["reference", "--world", "scenarios/t_juction"], "scenarios/t_juction'; did you mean 'scenarios/t_junction'?"),
        (["reference", "--world", "town", "--world", "town"], "two worlds are called town; fix: leave one out"),
        (["reference", "--world", "town", "--scenarios"], "--world town beside --scenarios; fix: one of them"),
        (["scenarios/t_junction"], "it is a world; fix: drive-rl bench driving DRIVER --world scenarios/t_junction"),
        (["town"], "it is a world; fix: drive-rl bench driving DRIVER --world town"),
        (["ppo"], "is a recipe and has no weights"),
        (["ppo-lane-follow", "--world", "lane_keep"], "trained in lane_follow with controls steering+pedal"),
        (["reference", "reference"], "'reference' is named twice"),
        (["reference", "--episodes", "0"], "episodes = 0: expected 1 to 1000"),
        (["reference", "--out", "taken"], "--out taken: "),
        (["reference", "--out", "taken/below"], "taken is a file; expected a folder; fix: another name"),
        (["reference", "--out", "other"], "results.json: has no 'drivers': expected results of this benchmark"),
        (["reference", "--split", "train"], "'train' is not one of 'test', 'val'"),
    ],
)
def test_what_it_refuses(folder: Path, words: list[str], expected: str) -> None:
    assert expected in check(2, call(folder, "bench", "driving", *words, expect=2).stderr)
    assert not (folder / "driving-bench").exists()
