"""Where files lie: the user's own shelf first, unknown names with the nearest match, one Gymnasium id a world."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import gymnasium
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.shelf import entries, find, nearest, shelf_folders
from drive_rl.errors import DriveRLError
from drive_rl.registration import gym_id, register_worlds


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "envs").mkdir()
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    return tmp_path


def test_the_shipped_shelves_are_found() -> None:
    assert {"lane_follow", "lane_follow_hard", "parked_cars"} <= set(entries("envs"))
    assert {"ppo", "dqn", "reference"} <= set(entries("agents"))
    assert "quickstart" in entries("configs")
    for path in entries("envs").values():
        assert path.is_file()


def test_the_users_own_shelf_comes_first(own: Path) -> None:
    (own / "envs" / "lane_follow.yaml").write_text("road: {length_m: 77, tiers: {a: {min_radius_m: 50, weight: 1}}}")
    assert find("envs", "lane_follow").parent == own / "envs"
    assert load_world("lane_follow").road.length_m == 77
    assert load_world("parked_cars").road.length_m == 77, "a shipped world's base is looked for there too"
    assert shelf_folders("agents")[0] != own / "agents", "a shelf without agents/ leaves the shipped ones"


def test_several_shelves_are_separated_by_colons(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = tmp_path / "second"
    (second / "envs").mkdir(parents=True)
    for folder, length in ((own, 100), (second, 200)):
        (folder / "envs" / "mine.yaml").write_text(f"base: lane_follow\nroad: {{length_m: {length}}}")
    (second / "envs" / "other.yaml").write_text("base: mine")
    monkeypatch.setenv("DRIVE_RL_PATH", f"{own}:{second}")
    assert load_world("mine").road.length_m == 100
    assert load_world("other").road.length_m == 100


def test_a_missing_shelf_is_refused_when_used_but_does_not_break_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_RL_PATH", "/nowhere/at/all")
    with pytest.raises(DriveRLError, match=r"DRIVE_RL_PATH: /nowhere/at/all is not a folder; fix:"):
        find("envs", "lane_follow")
    done = subprocess.run([sys.executable, "-c", "import drive_rl"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "DRIVE_RL_PATH: /nowhere/at/all is not a folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_shelf_breaks_the_import(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    odd = tmp_path / "odd" / "envs"
    odd.mkdir(parents=True)
    for name in ("größe", "日本", "--", "a\nb", "\x1b[31m", "\udcff", "x" * 250, "a:b/".strip("/")):
        (odd / f"{name}.yaml").write_text("base: lane_follow")
    (odd / "folder.yaml").mkdir()
    (odd / "broken.yaml").symlink_to("nowhere")
    script = (
        "import os, warnings, importlib, sys\n"
        "import gymnasium\n"
        "for shelf in sys.argv[1:]:\n"
        "    os.environ['DRIVE_RL_PATH'] = shelf\n"
        "    with warnings.catch_warnings(record=True) as found:\n"
        "        warnings.simplefilter('always')\n"
        "        import drive_rl.registration\n"
        "        drive_rl.registration.register_worlds()\n"
        "    print(*[str(warning.message)[:60] for warning in found][-1:])\n"
    )
    shelves = ["x" * 300, "/".join(["x" * 200] * 30), str(tmp_path / "file"), str(tmp_path / "odd")]
    done = subprocess.run(
        [sys.executable, "-c", script, *shelves],
        env=os.environ | {"DRIVE_RL_PATH": "x" * 300},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *warned, odd_shelf = done.stdout.splitlines()
    assert all(line.startswith("no world is registered: DRIVE_RL_PATH: ") for line in warned)
    assert len(warned) == 3
    assert odd_shelf == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
@pytest.mark.parametrize("which", ["", "envs"])
def test_a_shelf_that_cannot_be_read_is_refused(own: Path, which: str) -> None:
    (own / which).chmod(0)
    try:
        with pytest.raises(DriveRLError, match="cannot be read by this user; fix:"):
            entries("envs")
    finally:
        (own / which).chmod(0o700)


@pytest.mark.parametrize(
    ("shelf", "name", "shown"),
    [
        ("envs", "lane_folow", "unknown world 'lane_folow'; did you mean 'lane_follow'?"),
        ("agents", "pppo", "unknown driver 'pppo'; did you mean 'ppo'?"),
        ("configs", "quickstar", "unknown experiment 'quickstar'; did you mean 'quickstart'?"),
        ("envs", "quickstart", "unknown world 'quickstart': it is an experiment; fix: one of "),
        ("agents", "unet", "unknown driver 'unet': it is a perception recipe; did you mean 'unet-160'?"),
        ("configs", "/nowhere/at/all", "/nowhere/at/all: no such file or folder; fix: check the path"),
        ("envs", "zzz", "unknown world 'zzz'; fix: one of "),
        ("envs", "", "unknown world ''; fix: one of "),
        ("envs", "none/such.yaml", "none/such.yaml: no such file; fix:"),
        ("envs", "x" * 5000 + ".yaml", "no such file; fix:"),
        ("envs", "nul\0.yaml", "no such file; fix:"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(shelf, name: str, shown: str) -> None:
    with pytest.raises(DriveRLError) as error:
        find(shelf, name)
    assert shown in str(error.value)


def test_nearest_lists_all_when_nothing_is_near() -> None:
    assert nearest("xyz", ["b", "a"]) == "fix: one of a, b"
    assert nearest("xyz", []) == "fix: leave it out, for there is none"


def test_one_id_a_world() -> None:
    assert gym_id("lane_follow") == "drive_rl/LaneFollow-v1"
    for name in entries("envs"):
        assert gym_id(name) in gymnasium.registry


def test_own_worlds_become_ids_whatever_their_file_is_called(own: Path) -> None:
    (own / "envs" / "my odd-world!.yaml").write_text("base: lane_follow\nroad: {length_m: 99}")
    register_worlds()
    try:
        env = gymnasium.make("drive_rl/MyOddWorld-v1", observation="state")
        assert env.unwrapped.world.road.length_m == 99  # pyright: ignore[reportAttributeAccessIssue]
        env.close()
    finally:
        del gymnasium.registry["drive_rl/MyOddWorld-v1"]


def test_two_worlds_of_one_id_are_refused_with_both_names(own: Path) -> None:
    (own / "envs" / "twin_road.yaml").write_text("base: lane_follow\nroad: {length_m: 99}")
    register_worlds()
    (own / "envs" / "twin-road.yaml").write_text("base: lane_follow\nroad: {length_m: 98}")
    register_worlds()
    try:
        for make in (gymnasium.make, partial(gymnasium.make_vec, num_envs=2)):
            with pytest.raises(DriveRLError) as error:
                make("drive_rl/TwinRoad-v1")
            assert f"{own}/envs/twin-road.yaml and {own}/envs/twin_road.yaml; fix: rename one" in str(error.value)
        assert load_world("twin-road").road.length_m == 98, "by its name each is known"
        assert load_world("twin_road").road.length_m == 99
    finally:
        del gymnasium.registry["drive_rl/TwinRoad-v1"]
