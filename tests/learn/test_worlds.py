"""An experiment that learns in several worlds: their shares, their teachers, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
from rich.console import Console

from drive_rl.config.reader import dump, load_run, load_world, parse_run
from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.export import export_driver
from drive_rl.learn.own_drivers import load_teacher
from drive_rl.learn.train import train
from drive_rl.learn.worlds import load_teachers, make_training_envs, shares
from drive_rl.run.own_spec import read_own_run
from drive_rl.sim.task.outcome import state_fields


def test_all_worlds_have_as_many_environments() -> None:
    assert shares(10, 4) == [3, 3, 2, 2]
    envs = make_training_envs(small_specs.in_several_streets(), 0)
    assert [world.name for world in envs.get_attr("world")] == ["town", "town", "scenarios/accident_two_ways"]
    envs.close()


def test_car_camera_and_controls_are_those_of_the_own_world() -> None:
    spec = load_run(
        "dagger-streets",
        [
            "world.camera.width_px=80",
            "world.car.mass_kg=1200",
            "world.task.steering=rate",
            "world.task.time_limit_s=99",
        ],
    )
    for world, named in zip(spec.training_worlds, spec.train_worlds, strict=True):
        assert world.camera == spec.world.camera
        assert world.car == spec.world.car
        assert world.task.steering == "rate"
        assert world.task.time_limit_s == named.task.time_limit_s
        assert world.streets == named.streets


def test_a_pattern_names_all_that_it_fits_and_a_run_keeps_them_whole() -> None:
    spec = load_run("dagger-streets")
    assert [world.name for world in spec.train_worlds] == [
        "town",
        *(f"scenarios/{n}" for n in entries("envs/scenarios")),
    ]
    assert parse_run(dump(spec), Path("spec.yaml")) == spec
    assert spec.train_worlds[0] == load_world("town")
    assert load_run("dagger-streets", ["train_worlds=null"]).training_worlds == (spec.world,)
    assert load_run("dagger-streets", ["train_worlds=['lane_kee?']"]).world_names == ("lane_keep",)
    mixed = load_run("dagger-streets", ["train_worlds=[lane_follow,{base: town, reward: {arrival: 3}}]"])
    assert parse_run(dump(mixed), Path("spec.yaml")) == mixed


def test_each_worlds_own_teacher_teaches_there() -> None:
    spec = small_specs.in_several_streets()
    envs, teachers = make_training_envs(spec, 0), load_teachers(spec)
    assert teachers is not None
    seen: Any = envs.reset()
    for _ in range(30):
        actions = teachers.act(seen["state"])
        for rows, world in zip((slice(0, 2), slice(2, 3)), spec.training_worlds, strict=True):
            own = load_teacher(spec.agent, world)
            assert own is not None
            np.testing.assert_array_equal(actions[rows], own.act(seen["state"][rows, : len(state_fields(world))]))
        seen = envs.step(actions)[0]
    envs.close()


def test_a_teacher_of_pictures_teaches_in_all_worlds() -> None:
    spec = small_specs.in_several_streets(
        "agent.teacher=small-160",
        "world.camera={width_px: 160, height_px: 80, channels: rgb, frame_stack: 1,"
        " fov_rad: 2.0, pitch_rad: 0.5, forward_m: -0.5}",
    )
    envs, teachers = make_training_envs(spec, 0), load_teachers(spec)
    assert teachers is not None
    seen: Any = envs.reset()
    alone = load_teacher(spec.agent, spec.training_worlds[0])
    assert alone is not None
    np.testing.assert_allclose(teachers.act(seen)[:2], alone.act({key: part[:2] for key, part in seen.items()}))
    envs.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train_worlds=town"], r"command line: train_worlds = 'town': expected a list of worlds; fix: such as \[town"),
        (["train_worlds=[twn]"], "unknown world 'twn'; did you mean 'town'"),
        (["train_worlds=[scenario/*]"], r"no world is called 'scenario/\*'; did you mean 'scenarios/"),
        (["train_worlds=[3]"], r"command line: train_worlds\.0 = 3: expected a name, or a mapping"),
        (
            ["train_worlds=[town,{base: twn}]"],
            r"command line: train_worlds\.1: unknown world 'twn'; did you mean 'town'",
        ),
        (["train_worlds=[{}]"], r"train_worlds\.0 = \{\}: expected a base; fix: such as `\{base: town"),
        (
            ["train_worlds=[{base: town, camera: {width_px: 99}}]"],
            r"train_worlds\.0\.camera: all worlds .* have the car",
        ),
        (["train_worlds=[{base: town, task: {control_hz: 20}}]"], r"train_worlds\.0\.task\.control_hz: all worlds"),
        (
            ["train_worlds=[{base: town, appearance: {camera_height_error_m: 0.5}}]", "world.camera.height_m=0.4"],
            r"train_worlds\.0 \(town\), with the car, camera and controls of town: appearance\..* under ground",
        ),
        (["agent.num_envs=8"], r"train_worlds: 45 worlds, but agent.num_envs = 8; fix: agent.num_envs >= 45"),
        (["train_tiers.easy=2"], r"train_tiers: are of `world`, but train_worlds names others; fix: train_tiers=\{\}"),
        (["agent=asymmetric", "agent.num_envs=50"], "the privileged state of scenarios/accident has other fields"),
        (
            ["train_worlds=[{base: town, streets: {rute_m: 3}}]"],
            r"command line: train_worlds\.0\.streets\.rute_m = 3: unknown key; did you mean 'route_m'",
        ),
        (
            ["train_worlds=[{base: town, streets: {map: {kind: null}}}]"],
            r"train_worlds\.0\.streets\.map\.kind: is missing; expected one of town, ",
        ),
        (
            ["train_worlds=[{base: town, task: {time_limit_s: 5}}]"],
            r"train_worlds\.0 \(town\), with .*: task\.time_limit_s = 5 is too short for streets\.route_m",
        ),
    ],
)
def test_what_cannot_be_learned_in_is_refused(changes: list[str], message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_run("dagger-streets", changes)


def test_a_learner_of_rewards_learns_in_several_worlds(tmp_path: Path) -> None:
    narrow = "{base: lane_follow, road: {length_m: 60, lane_width_m: 3}, task: {time_limit_s: 3.3}}"
    spec = small_specs.run("pixels", "train_tiers={}", f"train_worlds=[lane_follow,{narrow}]", "film=false")
    run = train(spec, tmp_path, "cpu", console=Console(quiet=True))
    assert run.finished.is_file()
    card = (export_driver(run, tmp_path / "two") / "README.md").read_text(encoding="utf-8")
    assert "\nWorlds that it learned in: lane_follow.\n" in card
    assert "It has met no other traffic, and is not fit" in card
    edited = run.spec.read_text(encoding="utf-8").replace("lane_width_m: 3.0", "lane_width_m: 3.2")
    assert edited != run.spec.read_text(encoding="utf-8")
    run.spec.write_text(edited, encoding="utf-8")
    with pytest.raises(DriveRLError, match=r"train_worlds\.1\.road\.lane_width_m = 3\.2, was 3\.0"):
        read_own_run(run.path)
