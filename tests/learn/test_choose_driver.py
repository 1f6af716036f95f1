"""The driver and the world that a command line asks for, and the engine."""

from typing import Any

import pytest

from drive_rl.cli.names import choose_engine
from drive_rl.config.reader import load_world
from drive_rl.errors import DriveRLError
from drive_rl.learn import load_driver, own_drivers
from drive_rl.learn.choose_driver import choose, choose_all, newest


def test_changes_apply_to_the_drivers_own_world_and_rename_it() -> None:
    lines: list[object] = []
    driver, world = choose("dqn-lane-follow", ["world.road.lane_width_m=3.2"], "cpu", False, lines.append)
    own = load_driver.load_driver("dqn-lane-follow")[1]
    assert driver.name == "dqn-lane-follow"
    assert world.road.lane_width_m == 3.2 != own.road.lane_width_m
    assert world.name == f"{own.name} (changed)"
    lane = own.road.model_copy(update={"lane_width_m": 3.2})
    assert world == own.model_copy(update={"road": lane, "name": world.name})
    assert str(lines[0]).startswith("device: cpu")


def test_without_changes_the_world_keeps_its_name() -> None:
    assert choose("reference", [], "cpu", False, str)[1] == load_world("lane_follow")
    assert choose("reference", ["world=parked_cars"], "cpu", False, str)[1] == load_world("parked_cars")


def test_a_driver_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    original = own_drivers.read_export
    monkeypatch.setattr(own_drivers, "read_export", lambda folder: (reads.append(folder), original(folder))[1])
    choose("dqn-lane-follow", ["world.road.lane_width_m=3.2"], "cpu", False, str)
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["road.lane_width_m=3"], r"expected world\.KEY=VALUE; fix: world\.road\.lane_width_m=3"),
        (["world.road.lane_width_m=-3"], r"command line: world\.road\.lane_width_m = -3: expected >= 2"),
        (["world.road.lane_widht_m=3"], r"command line: world\.road\.lane_widht_m = 3: unknown key; did you mean"),
        (["world.camera.width_px=32"], r"dqn-lane-follow: trained in lane_follow with .*, but .* has .* of 32x"),
    ],
)
def test_impossible_changes_are_refused(changes: list[str], message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        choose("dqn-lane-follow", changes, "cpu", False, str)


def test_drivers_to_compare_share_a_world_and_keep_their_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    own = load_world("lane_follow", ["camera.width_px=84", "reward_threshold=1"])
    wide = load_driver.LoadedDriver(own, lambda world: load_driver.load_driver("reference", world)[0])
    opened = load_driver.open_driver
    monkeypatch.setattr(
        "drive_rl.learn.choose_driver.open_driver",
        lambda name, device, trust: wide if name == "wide" else opened(name, device, trust),
    )
    found = choose_all(["reference", "wide", "dqn-lane-follow"], [], "cpu", False, str)
    assert [world.camera.width_px for _, world in found] == [84, 84, 64]
    hard = load_driver.LoadedDriver(load_world("lane_follow_hard"), wide.in_world)
    monkeypatch.setattr("drive_rl.learn.choose_driver.open_driver", lambda name, *_: hard if name == "hard" else wide)
    with pytest.raises(
        DriveRLError, match=r"wide was trained in lane_follow, but hard in lane_follow_hard, which .*road"
    ):
        choose_all(["wide", "hard"], [], "cpu", False, str)
    both = choose_all(["wide", "hard"], ["world=lane_follow"], "cpu", False, str)
    assert both[0][1] == both[1][1] == load_world("lane_follow")
    seen = choose_all(["wide", "hard"], ["world=parked_cars"], "cpu", False, str, own_camera=True)
    assert [world.camera.width_px for _, world in seen] == [84, 64]
    assert {world.name for _, world in seen} == {"parked_cars"}


def test_the_engine() -> None:
    assert choose_engine(["engine=batch", "world=x"]) == ("batch", ["world=x"])
    assert choose_engine([]) == ("bullet", [])
    with pytest.raises(DriveRLError, match="engine = 'bath': unknown engine; did you mean 'batch'"):
        choose_engine(["engine=bath"])


def test_only_runs_are_renamed() -> None:
    assert newest("dqn-lane-follow") == ("dqn-lane-follow", None)
