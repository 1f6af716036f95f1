"""YAML and overrides to specs: what loads, what `base:` merges, and that every failure is one paragraph.

Covers `raw`, `overrides` and `spec_keys`, which the reader is made of.
"""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drive_rl.config.raw import read_yaml
from drive_rl.config.reader import (
    dump,
    load_agent,
    load_perception,
    load_run,
    load_world,
    parse_run,
    read_perception,
    read_run,
)
from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError

WORLDS = sorted(entries("envs"))
RECIPES = sorted(name for name, path in entries("agents").items() if path.is_file())
EXPERIMENTS = sorted(entries("configs"))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shelf of the user's own, first in line."""
    for part in ("envs", "agents", "configs", "configs/perception"):
        (tmp_path / part).mkdir()
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    return tmp_path


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- what loads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_loads_and_reads_back(name: str, tmp_path: Path) -> None:
    world = load_world(name)
    assert world.name == name
    assert world.description
    assert load_world(str(_write(tmp_path / f"{name}.yaml", dump(world)))) == world


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_loads_and_reads_back(name: str, tmp_path: Path) -> None:
    agent = load_agent(name)
    assert agent.name == name
    assert load_agent(str(_write(tmp_path / f"{name}.yaml", dump(agent)))) == agent


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_loads_and_reads_back(name: str) -> None:
    run = load_run(name)
    assert run.name == name
    assert parse_run(dump(run), Path("spec.yaml")) == run


def test_lane_follow_is_what_the_readme_says() -> None:
    world = load_world("lane_follow")
    assert {name: tier.min_radius_m for name, tier in world.road.tiers.items()} == {
        "easy": 60,
        "medium": 30,
        "hard": 15,
    }
    weights = {name: tier.weight for name, tier in world.road.tiers.items()}
    assert {name: weight / sum(weights.values()) for name, weight in weights.items()} == pytest.approx(
        {"easy": 1 / 2, "medium": 1 / 3, "hard": 1 / 6}
    )
    assert world.road.length_m >= 400
    assert (world.road.lanes_ahead, world.road.lanes_oncoming) == (1, 1)
    assert world.task.target_speed_mps == 12
    assert 10 <= world.task.control_hz <= 20


# --- overrides ------------------------------------------------------------------------------------------------------


def test_overrides_are_typed_like_the_file() -> None:
    run = load_run(
        "quickstart",
        ["agent.learning_rate=3e-4", "world.road.lane_width_m=3.2", "seed=7", "track=none", "agent.hidden=[32, 16]"],
    )
    assert run.agent.learning_rate == 3e-4
    assert run.world.road.lane_width_m == 3.2
    assert (run.seed, run.track, run.agent.hidden) == (7, "none", (32, 16))
    assert load_run("quickstart").world.road.lane_width_m == 3.5, "the shelf is as it was"


def test_the_last_override_wins_and_null_takes_a_key_away() -> None:
    world = load_world("lane_follow", ["road.length_m=500", "road.length_m=600", "road.tiers.hard=null"])
    assert world.road.length_m == 600
    assert set(world.road.tiers) == {"easy", "medium"}


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("road.lane_width_m=0", r"command line: road\.lane_width_m = 0: expected >= 2"),
        ("camera.height_m=-1", r"command line: camera\.height_m = -1: expected >= 0\.1"),
        ("camera.width_px=3", r"command line: camera\.width_px = 3: expected >= 16"),
        ("camera.height_px=3", r"command line: camera\.height_px = 3: "),
        ("camera.width_px=64.5", r"command line: camera\.width_px = 64\.5: expected a whole number"),
        ("road.lane_width_m=wide", r"command line: road\.lane_width_m = 'wide': expected a number"),
        ("road.length_m=.nan", r"command line: road\.length_m = nan: expected a finite number"),
        ("road.lane_widht_m=3", r"command line: road\.lane_widht_m.*unknown key; did you mean 'lane_width_m'\?"),
        ("roads.lane_width_m=3", r"command line: roads.*unknown key; did you mean 'road'\?"),
        ("road.tiers.easy.min_radius_m=3", r"command line: road\.tiers\.easy\.min_radius_m = 3"),
        (
            "road.lanes_ahead=4",
            r"command line: road\.tiers\.\w+\.min_radius_m = .*tighter than the road is wide.*fix:",
        ),
        (
            "task.physics_hz=45",
            r"command line: task\.physics_hz = 45 is not a multiple of control_hz = 10.*fix: physics_hz = 50",
        ),
        ("task.start_speed_mps=[9, 3]", r"command line: task\.start_speed_mps = \[9\.0, 3\.0\].*low <= high"),
        ("reward.lane=-1", r"reward\.lane = -1"),
        ("road.length_m", r"expected key=value"),
        ("=3", r"expected key=value"),
        ("road..length_m=3", r"expected key=value"),
        ("road.length_m=", r"has no value; fix:"),
        ("road.length_m.more=3", r"length_m is a value and has no keys below it"),
        ("camera=3", r"command line: camera = 3: is not a mapping; expected keys below it: .*frame_stack"),
        ("name=other", r"name: cannot be overridden; fix:"),
        ("road.length_m=[", "not a valid YAML value"),
        ("road.length_m={a: 1, a: 2}", r"given twice"),
        ("road.length_m=!!timestamp x", "not a valid YAML value"),
        ("road.length_m=!!int ''", "not a valid YAML value"),
        ("road.length_m=!!bool 7", "not a valid YAML value"),
    ],
)
def test_a_bad_override_is_refused_with_the_fix(override: str, shown: str) -> None:
    with pytest.raises(DriveRLError, match=shown) as error:
        load_world("lane_follow", [override])
    assert "pydantic" not in str(error.value)


def test_a_world_whose_camera_error_reaches_the_ground_cannot_be() -> None:
    with pytest.raises(DriveRLError, match=r"under ground: expected less than camera\.height_m = 0\.3"):
        load_world("lane_follow", ["camera.height_m=0.3", "appearance.camera_height_error_m=0.4"])


def test_a_reward_without_weights_cannot_be() -> None:
    with pytest.raises(DriveRLError, match=r"all weights are 0.*fix:"):
        load_world("lane_follow", [f"reward.{term}=0" for term in ("lane", "speed", "heading", "comfort", "steering")])


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("agent.batch_size=1000000", r"command line: agent\.batch_size = 1000000 is more than .*fix: batch_size <="),
        ("agent.num_envs=1", r"command line: agent\.batch_size = 300 is more than the 256 samples"),
        (
            "world.appearance.camera_height_error_m=0.5",
            r"command line: world\.appearance\.camera_height_error_m = 0\.5",
        ),
        ("world.reward.lane=0", r"command line: world\.reward: all weights are 0"),
        ("world.road=null", r"command line: world\.road: is missing"),
        ("train_tiers.steep=3", r"command line: train_tiers\.steep = 3: .*fix: one of easy, medium, hard"),
        ("train_tiers.hard=0", r"command line: train_tiers\.hard = 0: expected > 0"),
    ],
)
def test_values_that_do_not_go_together_name_the_command_line(shelf: Path, override: str, shown: str) -> None:
    world = "{base: lane_follow, camera: {height_m: 0.5}, reward: {speed: 0, heading: 0}}"
    agent = "{base: ppo, num_envs: 2, steps_per_update: 256, batch_size: 300}"
    _write(shelf / "configs" / "try.yaml", f"world: {world}\nagent: {agent}\n")
    load_run("try")
    with pytest.raises(DriveRLError, match=rf"^{shown}"):
        load_run("try", [override])


def test_what_the_files_alone_have_wrong_names_them_whatever_is_typed(shelf: Path) -> None:
    _write(shelf / "agents" / "big.yaml", "base: ppo\nbatch_size: 999999\n")
    _write(shelf / "configs" / "try.yaml", "world: lane_follow\nagent: big\n")
    with pytest.raises(DriveRLError, match=r"^\S+/agents/big\.yaml: batch_size = 999999 is more than"):
        load_run("try", ["agent.gamma=0.9", "world.camera.width_px=80"])
    _write(shelf / "configs" / "try.yaml", "world: lane_follow\nagent: {base: ppo, batch_size: 999999}\n")
    with pytest.raises(DriveRLError, match=r"^\S+/configs/try\.yaml: agent\.batch_size = 999999 is more than"):
        load_run("try", ["agent.gamma=0.9"])
    _write(shelf / "configs" / "try.yaml", "world: lane_follow\nagent: {base: ppo, epochs: 0, batch_size: 0}\n")
    with pytest.raises(DriveRLError, match=r"(?m)^\S+/configs/try\.yaml: agent\.batch_size = 0: ") as error:
        load_run("try", ["agent.epochs=0"])
    assert "command line: agent.epochs = 0: " in str(error.value)


def test_a_whole_part_is_swapped_by_name_before_finer_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = _write(tmp_path / "big.yaml", "base: ppo\nhidden: [512]\n")
    wide = "world.road.lane_width_m=4"
    run = load_run("quickstart", [wide, "world=parked_cars", f"agent={big}", "agent.epochs=3"])
    assert run.world == load_world("parked_cars", ["road.lane_width_m=4"])
    assert (run.agent.name, run.agent.hidden, run.agent.model_dump()["epochs"]) == ("big", (512,), 3)
    assert run.name == "quickstart"
    assert load_run("quickstart", ["world=parked_cars", "world=lane_follow"]) == load_run("quickstart")
    assert load_run("quickstart", ["world={base: lane_follow, road: {length_m: 90}}"]).world.road.length_m == 90
    assert load_run("quickstart", ["agent=dqn"]).agent.algorithm == "dqn"
    assert load_perception("unet", ["world=parked_cars", wide]).world == run.world
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_run("quickstart", ["agent=~/big.yaml"]).agent == load_run("quickstart", [f"agent={big}"]).agent


def test_a_swapped_part_is_blamed_by_its_file_and_a_misfit_on_the_command_line(shelf: Path) -> None:
    _write(shelf / "envs" / "broken.yaml", "base: lane_follow\nroad: {lane_width_m: 0}\n")
    with pytest.raises(DriveRLError, match=r"broken\.yaml: road\.lane_width_m = 0"):
        load_run("quickstart", ["world=broken"])
    with pytest.raises(DriveRLError, match=r"command line: train_tiers\.hard = 8: expected a tier of the world"):
        load_run("dqn-lane-follow", ["world={base: lane_follow, road: {tiers: {hard: null}}}"])


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_runs_spec_reads_back_and_a_damaged_one_names_its_file(tmp_path: Path) -> None:
    spec, path = load_run("quickstart"), tmp_path / "spec.yaml"
    _write(path, dump(spec))
    assert read_run(path) == spec
    assert read_run(path, ["budget_steps=77"]).budget_steps == 77
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DriveRLError, match=rf"^{re.escape(str(path))}: cannot be read .*; expected a UTF-8 YAML file"):
        read_run(path)
    path.unlink()
    with pytest.raises(DriveRLError, match=rf"^{re.escape(str(path))}: cannot be read "):
        read_run(path)


def test_errors_name_file_key_value_and_expectation(shelf: Path) -> None:
    _write(shelf / "envs" / "mine.yaml", "base: lane_follow\nroad: {lane_width_m: -3}\n")
    with pytest.raises(DriveRLError) as error:
        load_world("mine")
    message = str(error.value)
    assert message.startswith(str(shelf / "envs" / "mine.yaml"))
    assert "road.lane_width_m = -3: " in message
    assert "expected >= 2" in message
    assert "\n" not in message


def test_an_experiment_names_the_file_that_a_value_came_from(shelf: Path) -> None:
    _write(shelf / "envs" / "mine.yaml", "base: lane_follow\ncamera: {width_px: 3}\n")
    _write(shelf / "configs" / "try.yaml", "world: mine\nagent: ppo\n")
    with pytest.raises(DriveRLError, match=r"envs/mine\.yaml: camera\.width_px = 3"):
        load_run("try")
    _write(shelf / "configs" / "try.yaml", "world: {base: lane_follow, camera: {width_px: 3}}\nagent: ppo\n")
    with pytest.raises(DriveRLError, match=r"configs/try\.yaml: .*camera\.width_px = 3"):
        load_run("try")


def test_a_recipe_names_the_worlds_of_its_pictures(shelf: Path) -> None:
    path = shelf / "configs" / "perception" / "mine.yaml"
    _write(
        path, "base: unet\ndata: {worlds: {wide: {world: {base: parked_cars, road: {lane_width_m: 4}}, share: 0.2}}}\n"
    )
    spec = load_perception("mine", ["data.worlds.parked_cars.share=0.5"])
    assert spec.worlds == {"lane_follow": 0.3, "parked_cars": 0.5, "wide": 0.2}
    assert spec.data.worlds["wide"].world.road.lane_width_m == 4
    _write(shelf / "read.yaml", dump(spec))
    assert read_perception(shelf / "read.yaml") == spec
    _write(path, "base: unet\ndata: {worlds: null}\n")
    assert load_perception("mine").worlds == {"lane_follow": 1.0}
    assert "worlds" not in dump(load_perception("mine"))
    assert load_perception("unet", ["data.folder=x"]).worlds == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{a: {world: parkd_cars, share: 0.1}}", "data.worlds.a.world: unknown world 'parkd_cars'; did you mean"),
        ("{a: {world: parked_cars}}", "data.worlds.a.share: is missing"),
        ("{a: {share: 0.1}}", "data.worlds.a.world: is missing"),
        ("{a: {world: parked_cars, share: 0}}", "data.worlds.a.share = 0: expected > 0"),
        ("{a: {world: parked_cars, sahre: 1}}", "data.worlds.a.sahre = 1: unknown key; did you mean 'share'"),
        (
            "{a: {world: parked_cars, share: 0.8}}",
            "the shares parked_cars 0.3, a 0.8 add up to 1.1: expected at most 1",
        ),
        ("{a: 3}", "data.worlds.a = 3: is not a mapping; expected keys below it: share, world"),
        ("[parked_cars]", "data.worlds = ['parked_cars']: expected a mapping"),
    ],
)
def test_worlds_of_pictures_that_are_refused(shelf: Path, text: str, shown: str) -> None:
    path = _write(shelf / "configs" / "perception" / "mine.yaml", f"base: unet\ndata: {{worlds: {text}}}\n")
    with pytest.raises(DriveRLError) as error:
        load_perception("mine")
    assert shown in str(error.value)
    assert str(path) in str(error.value)


def test_base_chains_merge_and_null_takes_away(shelf: Path) -> None:
    _write(shelf / "envs" / "wide.yaml", "base: lane_follow\nroad: {lane_width_m: 4}\ncamera: {width_px: 128}\n")
    _write(shelf / "envs" / "wider.yaml", "base: wide\nroad: {lane_width_m: 4.5, tiers: {hard: null}}\n")
    world = load_world("wider")
    assert (world.name, world.road.lane_width_m, world.camera.width_px) == ("wider", 4.5, 128)
    assert set(world.road.tiers) == {"easy", "medium"}
    assert world.road.length_m == load_world("lane_follow").road.length_m


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("base: mine\n", "chain of bases never ends; fix: break the circle"),
        ("base: 3\n", "base = 3: expected the name"),
        ("base: lane_folow\n", "unknown world 'lane_folow'; did you mean 'lane_follow'"),
        ("road: 3\nroad: 4\n", "key 'road' is given twice"),
        ("road: {a: 1, b: 2, a: 3}\n", "key 'a' is given twice"),
        ("- road\n", "holds a list; expected a mapping"),
        ("", "holds nothing; expected a mapping"),
        ("3: 4\n", "expected a mapping of keys"),
        ("road: [\n", "not valid YAML"),
        ("road: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        ("a: &a {b: *a}\n", "not valid YAML"),
        ("road: !!timestamp x\n", "not valid YAML"),
        ("road: {}\n", "road.tiers: is missing; fix: add it"),
        ("description: none\n", "road: is missing"),
        ("base: lane_follow\nppo: 3\n", "ppo = 3: unknown key"),
        ("base: lane_follow\nraod: {}\n", "raod: unknown key; did you mean 'road'"),
    ],
)
def test_bad_files_are_refused_with_the_fix(shelf: Path, text: str, shown: str) -> None:
    path = _write(shelf / "envs" / "mine.yaml", text)
    with pytest.raises(DriveRLError) as error:
        load_world("mine")
    assert shown in str(error.value)
    assert shown.startswith("unknown world") or str(path) in str(error.value)


def test_anchors_and_merge_keys_are_plain_yaml(shelf: Path) -> None:
    _write(
        shelf / "envs" / "mine.yaml",
        "road:\n  tiers:\n    a: &a {min_radius_m: 20, weight: 1}\n    b: {<<: *a, weight: 2}\n    c: *a\n",
    )
    tiers = load_world("mine").road.tiers
    assert (tiers["b"].min_radius_m, tiers["b"].weight, tiers["c"].weight) == (20, 2, 1)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"description: caf\xe9\n")
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    for name in ("latin.yaml", "binary.yaml"):
        with pytest.raises(DriveRLError, match="UTF-8"):
            read_yaml(tmp_path / name)
    with pytest.raises(DriveRLError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_a_file_that_explodes_is_refused_in_a_line(tmp_path: Path) -> None:
    # "a billion laughs": every list holds the one before nine times
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    path = _write(tmp_path / "laughs.yaml", "\n".join(lines) + "\nroad: *a11\ndescription: *a11\n")
    with pytest.raises(DriveRLError) as error:
        load_world(str(path))
    assert len(str(error.value)) < 5000


def test_agents_of_the_wrong_kind_are_refused(shelf: Path) -> None:
    _write(shelf / "agents" / "mine.yaml", "algorithm: a2c\n")
    with pytest.raises(
        DriveRLError, match=r"agents/mine\.yaml: .*one of ppo, recurrent-ppo, dqn, .*, bc, reference, expert"
    ):
        load_agent("mine")
    _write(shelf / "agents" / "mine.yaml", "algorithm: dqn\nactions: continuous\n")
    with pytest.raises(DriveRLError, match=r"agents/mine\.yaml: actions = 'continuous'"):
        load_agent("mine")
    _write(shelf / "configs" / "try.yaml", "world: lane_follow\nagent: reference\n")
    with pytest.raises(DriveRLError, match=r"reference"):
        load_run("try")
    _write(shelf / "agents" / "mine.yaml", "base: ppo\nbatch_size: 100000\n")
    with pytest.raises(DriveRLError, match=r"more than the \d+ samples of an update.*fix: batch_size <="):
        load_agent("mine")


@pytest.mark.parametrize("value", ["3", "[lane_follow]", "null"])
def test_a_part_that_is_no_name_is_refused(shelf: Path, value: str) -> None:
    _write(shelf / "configs" / "try.yaml", f"world: {value}\nagent: ppo\n")
    with pytest.raises(DriveRLError, match=r"world = .*expected a name, or a mapping"):
        load_run("try")


# --- anything at all ------------------------------------------------------------------------------------------------

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
_keys = (
    st.sampled_from(["road", "car", "camera", "task", "reward", "appearance", "tiers", "easy", "hard", "base", "name"])
    | st.sampled_from(["lane_width_m", "length_m", "min_radius_m", "weight", "width_px", "frame_stack", "steer_grid"])
    | st.sampled_from(["world", "agent", "algorithm", "hidden", "encoder", "evaluation", "seed", "description"])
    | st.text(max_size=6)
)
_values = st.recursive(
    _scalars | st.sampled_from(["lane_follow", "ppo", "grey", "dqn"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=15,
)
_fuzz = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _only_our_error(load: Any, *args: Any) -> None:
    with contextlib.suppress(DriveRLError):
        load(*args)


@_fuzz
@given(st.dictionaries(_keys, _values, max_size=6))
def test_any_yaml_loads_or_is_refused(shelf: Path, raw: dict[str, Any]) -> None:
    text = yaml.safe_dump(raw, allow_unicode=True)
    for part, load in (("envs", load_world), ("agents", load_agent), ("configs", load_run)):
        path = _write(shelf / part / "any.yaml", text.encode("utf-8", "replace").decode())
        _only_our_error(load, str(path))
    _only_our_error(parse_run, text, Path("spec.yaml"))


@_fuzz
@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("{}[]&*!:<>-#'\"|\n a1.~%@`,?", max_size=40))
def test_any_text_loads_or_is_refused(shelf: Path, text: str) -> None:
    _only_our_error(load_world, str(_write(shelf / "envs" / "any.yaml", text)))
    _only_our_error(load_world, "lane_follow", [text])
    _only_our_error(load_world, "lane_follow", [f"road.length_m={text}"])
    _only_our_error(load_world, text)


@_fuzz
@given(st.lists(st.tuples(st.lists(_keys, min_size=1, max_size=4), _values), max_size=3))
def test_any_override_is_taken_or_refused(items: list[tuple[list[str], Any]]) -> None:
    overrides = [f"{'.'.join(keys)}={yaml.safe_dump(value, default_flow_style=True)}" for keys, value in items]
    _only_our_error(load_world, "lane_follow", overrides)
    _only_our_error(load_run, "quickstart", [f"world.{override}" for override in overrides])


_numbers = {
    "road.lane_width_m": st.floats(1, 9),
    "road.length_m": st.floats(10, 6000),
    "road.lanes_ahead": st.integers(0, 6),
    "camera.width_px": st.integers(-1, 5000),
    "camera.pitch_rad": st.floats(-3, 3),
    "camera.height_m": st.floats(-1, 120),
    "task.physics_hz": st.integers(0, 2000),
    "task.control_hz": st.integers(0, 200),
    "car.mass_kg": st.floats(0, 1e5),
    "reward.lane": st.floats(-1, 200),
    "appearance.wear": st.tuples(st.floats(-1, 2), st.floats(-1, 2)).map(list),
}


@_fuzz
@given(st.fixed_dictionaries({}, optional=_numbers))
def test_numbers_are_taken_within_their_bounds_and_refused_outside(values: dict[str, Any]) -> None:
    overrides = [f"{key}={value}" for key, value in values.items()]
    try:
        world = load_world("lane_follow", overrides)
    except DriveRLError:
        return
    assert 2 <= world.road.lane_width_m <= 8
    assert 60 <= world.road.length_m <= 5000
    assert 16 <= world.camera.width_px <= 4096
    assert world.camera.height_m > world.appearance.camera_height_error_m
    assert world.task.physics_hz % world.task.control_hz == 0
    assert 0 <= world.appearance.wear[0] <= world.appearance.wear[1] <= 1
    assert type(world).model_validate(yaml.safe_load(dump(world))) == world
