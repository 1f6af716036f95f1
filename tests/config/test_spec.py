"""The declarations: frozen, strict, every field documented with a unit, defaults that are valid themselves."""

import re

import pytest
from pydantic import BaseModel, ValidationError

from drive_rl.config.reader import load_world
from drive_rl.config.specs.base import Spec
from drive_rl.config.specs.car import CameraSpec, CarSpec
from drive_rl.config.specs.driver import DqnSpec, PpoSpec, ReferenceSpec
from drive_rl.config.specs.experiment import EvalSpec
from drive_rl.config.specs.task import RewardSpec, TaskSpec
from drive_rl.config.specs.world import AppearanceSpec
from drive_rl.errors import DriveRLError


def _all_below(base: type[Spec]) -> list[type[Spec]]:
    return [model for below in base.__subclasses__() for model in (below, *_all_below(below))]


SPECS = _all_below(Spec)
UNITS = {
    "m": "[m]", "mps": "[m/s]", "mps2": "[m/s^2]", "rad": "[rad]", "radps": "[rad/s]", "s": "[s]", "hz": "[Hz]",
    "kg": "[kg]", "n": "[N]", "w": "[W]", "px": "[px]", "kgm2": "[kg m^2]", "ns2pm2": "[N s^2/m^2]",
}  # fmt: skip


@pytest.mark.parametrize("model", SPECS, ids=lambda model: model.__name__)
def test_every_field_is_documented_with_its_unit(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        if name == "algorithm":
            continue
        assert field.description, name
        suffix = re.search(r"_([a-z0-9]+)$", name)
        unit = UNITS.get(suffix[1]) if suffix and name not in ("steps_per_update",) else None
        if unit and not field.description.startswith(("Start:", "Mount")):
            assert unit in field.description, f"{name}: {field.description}"


def test_specs_are_frozen_and_know_every_key() -> None:
    world = load_world("lane_follow")
    with pytest.raises(ValidationError, match="frozen"):
        world.road.length_m = 3  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError, match="Extra inputs"):
        CameraSpec.model_validate({"width": 64})
    assert hash(world.camera) == hash(load_world("lane_follow").camera)


def test_defaults_are_what_an_empty_mapping_validates_to() -> None:
    for model in (
        CarSpec,
        CameraSpec,
        TaskSpec,
        RewardSpec,
        AppearanceSpec,
        EvalSpec,
    ):
        assert model.model_validate(model().model_dump()) == model()
    for algorithm, model in (
        ("ppo", PpoSpec),
        ("dqn", DqnSpec),
        ("reference", ReferenceSpec),
    ):
        made = model.model_validate({"name": "x", "algorithm": algorithm})
        assert model.model_validate(made.model_dump()) == made


def test_parked_cars_that_have_no_room_are_refused() -> None:
    long_cars = ["road.length_m=60", "car.length_m=20", "road.parked_cars_per_km=50"]
    with pytest.raises(
        DriveRLError, match=r"road\.parked_cars_per_km = 50.*car\.length_m = 20.*road\.length_m = 60; fix:"
    ):
        load_world("parked_cars", long_cars)
    assert not load_world("parked_cars", [*long_cars[:2], "road.parked_cars_per_km=8"]).road.parked_cars
    assert load_world("parked_cars", ["road.length_m=120", *long_cars[1:]]).road.parked_cars == 6
