"""Mistakes in plain words: pydantic's own sentences never reach a user."""

from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from drive_rl.config import explain
from drive_rl.config.reader import load_agent, load_perception, load_run, load_world
from drive_rl.config.spec_keys import fields
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("agent.hidden=7", "agent.hidden = 7: expected a list"),
        ("agent.hidden=[1.5]", "agent.hidden.0 = 1.5: expected a whole number"),
        ("train_tiers=3", "train_tiers = 3: expected a mapping; fix: such as {NAME: VALUE}"),
        ("track=paper", "track = 'paper': expected 'wandb', 'tensorboard', 'csv' or 'none'; fix: one of them"),
        ("seed=many", "seed = 'many': expected a whole number"),
        ("agent.gamma=.nan", "agent.gamma = nan: expected a finite number"),
        ("agent.gamma=1.5", "agent.gamma = 1.5: expected <= 1"),
        ("agent.guidance.passes=0", "agent.guidance.passes = 0: expected > 0"),
        ("agent.encoder.frozen=1", "agent.encoder.frozen = 1: expected true or false"),
        ("project=3", "project = 3: expected text"),
        ("world.task.steer_grid=[]", "world.task.steer_grid = []: expected at least 1 value(s), got 0; fix: add some"),
        ("world.task.start_speed_mps=[1]", "world.task.start_speed_mps.1: is missing; fix: add it"),
        ("world.road.tiers={}", "world.road.tiers: expected at least 1 value(s), got 0; fix: add some"),
        (
            "agent=null",
            "agent = None: expected a name, or a mapping with `base: NAME` and differences; fix: a name",
        ),
        ("agent={base: ppo, gamma: 2}", "agent.gamma = 2: expected <= 1"),
        ("agent={gamma: 0.5}", "agent: algorithm is missing; fix: add it, or `base: NAME` of a recipe"),
    ],
)
def test_a_mistake_in_plain_words(override: str, expected: str) -> None:
    with pytest.raises(DriveRLError) as error:
        load_run("quickstart", [override])
    assert str(error.value) == f"command line: {expected}"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            "traffic: {populations: {slwo: 1}}",
            "traffic.populations.slwo: expected 'normal', 'aggressive', 'timid', 'erratic', 'distracted' or 'slow'; did"
            " you mean 'slow'?",
        ),
        ("hazard: {kind: hard_brake, gap: 2}", "hazard.gap = 2: unknown key; did you mean 'gap_m'?"),
        (
            "hazard: {kind: hard_brake, side: left}",
            "hazard.side = 'left': unknown key; it is a key of crossing_pedestrian; fix: leave it out, or `side: null`"
            " where its base has it",
        ),
        (
            "hazard: {kind: hard_brake, gap_m: [25, 15]}",
            "hazard.gap_m = [25.0, 15.0]: expected two values, low <= high, within [5, 100]; fix: such as [5, 100]",
        ),
        (
            "hazard: {gap_m: [15, 25]}",
            "hazard.kind: is missing; expected one of hard_brake, blocked_lane, runs_red_light, takes_priority,"
            " crossing_pedestrian, obstacle, cut_in, emergency_vehicle, parking_exit, invading_cars; fix: add it",
        ),
        (
            "route_m: 100, hazard: {kind: hard_brake, after_m: [30, 100]}",
            "hazard.after_m = [30.0, 100.0]: expected less than route_m = 100, for nothing happens behind the route;"
            " fix: a smaller hazard.after_m, or a larger route_m",
        ),
        (
            "route_m: 150, hazard: {kind: crossing_pedestrian, distance_m: [40, 200]}",
            "hazard.distance_m = [40.0, 200.0]: expected less than route_m = 150, for nothing happens behind the route;"
            " fix: a smaller hazard.distance_m, or a larger route_m",
        ),
        ("map: {kind: country, length_m: 2000}", "map.length_m = 2000: expected a list"),
    ],
)
def test_a_mistake_in_one_of_several_kinds_names_the_key_as_written(tmp_path: Path, wrong: str, expected: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: town\nstreets: {{{wrong}}}\n")
    with pytest.raises(DriveRLError) as error:
        load_world(str(path))
    assert str(error.value) == f"{path}: streets.{expected}"


def test_a_wrong_key_of_a_kind_on_the_command_line_is_its_own() -> None:
    with pytest.raises(DriveRLError, match=r"^command line: streets.hazard.gap = 2: unknown key; did you mean 'gap_m'"):
        load_world("scenarios/hard_break_route", ["streets.hazard.gap=2"])


def test_every_kind_of_mistake_that_a_spec_can_hold_has_its_words() -> None:
    """Wrong values of every type at every key: none is answered with pydantic's own sentence."""
    for adapter in (TypeAdapter(RunSpec), TypeAdapter(PerceptionSpec)):
        for value in (None, True, "x", 1.5, -1e9, 1e9, float("nan"), 10**400, [], [[]], {}, {"a": 1}, object()):
            with pytest.raises(ValidationError) as error:
                adapter.validate_python(dict.fromkeys(fields(adapter, ()), value))
            text = explain.explain(explain.Given(adapter, {"": "f"}, set(), ""), error.value, lambda _: False)
            assert "Input should" not in text, text
            assert " valid " not in text, text


def test_more_than_twenty_mistakes_are_counted() -> None:
    with pytest.raises(DriveRLError, match="and 5 more mistakes"):
        load_world("lane_follow", [f"key_{i}=1" for i in range(25)])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("agent.eyes", "agent.perception_model"),
        ("agent.encoder.start", "agent.encoder.init_from"),
    ],
)
@pytest.mark.parametrize("value", ["unet-160", "null"])
def test_an_old_key_of_a_driver_names_the_new_one(tmp_path: Path, old: str, new: str, value: str) -> None:
    fix = f"`{old}` is now `{new}`; fix: rename it"
    with pytest.raises(DriveRLError, match=rf"^command line: {fix}$"):
        load_run("quickstart", [f"{old}={value}"])
    short, now = old.removeprefix("agent."), new.removeprefix("agent.")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"base: ppo\n{_nested(short, value)}\n")
    for load in (lambda: load_agent(str(recipe)), lambda: load_run("quickstart", [f"agent={recipe}"])):
        with pytest.raises(DriveRLError, match=rf"^{recipe}: `{short}` is now `{now}`; fix: rename it$"):
            load()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model.start", "model.init_from"),
        ("fit.frames", "fit.samples"),
        ("fit.val_frames", "fit.val_samples"),
        ("fit.polish_frames", "fit.head_finetune_samples"),
    ],
)
def test_an_old_key_of_a_perception_recipe_names_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"base: unet\n{_nested(old, '5')}\n")
    for source, load in (
        ("command line", lambda: load_perception("unet", [f"{old}=5"])),
        (recipe, lambda: load_perception(str(recipe))),
    ):
        with pytest.raises(DriveRLError, match=rf"^{source}: `{old}` is now `{new}`; fix: rename it$"):
            load()


def _nested(dotted: str, value: str) -> str:
    first, dot, rest = dotted.partition(".")
    return f"{first}: {{{_nested(rest, value)}}}" if dot else f"{first}: {value}"


def test_shipped_specs_use_the_new_names_alone() -> None:
    """The table refuses what no spec knows: an old name that came back as a key would go unnoticed."""
    from drive_rl.config.old_names import _RENAMED

    keys = {RunSpec: TypeAdapter(RunSpec), PerceptionSpec: TypeAdapter(PerceptionSpec)}
    for old, last in _RENAMED.items():
        *above, first = old.split(".")
        known: dict[type[BaseModel], list[str]] = {
            spec: fields(adapter, tuple(above)) for spec, adapter in keys.items()
        }
        assert any(last in names for names in known.values()), old
        assert not any(first in names for names in known.values()), old
