"""Drivers are drawn within their population's ranges, and test drivers are not training's."""

import numpy as np
import pytest
from pydantic import ValidationError

from drive_rl.config.specs.streets.traffic import POPULATIONS, PopulationSpec, TrafficSpec
from drive_rl.sim.traffic.population import BODIES, KINDS, draw_vehicles


def test_drivers_lie_within_their_population() -> None:
    vehicles = draw_vehicles(TrafficSpec(kinds={"car": 1}), "train", 500, np.random.default_rng(0))
    normal = POPULATIONS["normal"]
    for drawn, (low, high) in [
        (vehicles.speed_factor, normal.speed_factor),
        (vehicles.time_gap_s, normal.time_gap_s),
        (vehicles.politeness, normal.politeness),
        (vehicles.patience_s, normal.patience_s),
    ]:
        assert low <= drawn.min() < low + 0.1 * (high - low)
        assert high >= drawn.max() > high - 0.1 * (high - low)
    assert not vehicles.inattention_s.any()
    assert (vehicles.length_m == BODIES["car"].length_m).all()


def test_test_drivers_include_some_that_training_never_meets() -> None:
    vehicles = draw_vehicles(TrafficSpec(), "test", 500, np.random.default_rng(0))
    outside = (vehicles.time_gap_s < 1.0) | (vehicles.time_gap_s > 1.8) | (vehicles.inattention_s > 0)
    outside |= vehicles.speed_swing > 0
    assert 0.5 < outside.mean() < 0.8  # four of six shares


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_seed_is_a_draw_and_more_vehicles_change_none_before(split) -> None:
    few, many = (draw_vehicles(TrafficSpec(), split, n, np.random.default_rng(7)) for n in (10, 20))
    for one, other in zip(few, many, strict=True):
        assert np.array_equal(one, other[:10])


def test_kinds_come_by_their_weights_and_bodies_limit_drivers() -> None:
    traffic = TrafficSpec(kinds={"car": 3, "lorry": 1}, populations={"aggressive": 1})
    vehicles = draw_vehicles(traffic, "train", 2000, np.random.default_rng(0))
    lorries = vehicles.kind == KINDS.index("lorry")
    assert 0.2 < lorries.mean() < 0.3
    assert (vehicles.acceleration_mps2[lorries] == BODIES["lorry"].acceleration_mps2).all()


def test_no_vehicles_are_none() -> None:
    assert draw_vehicles(TrafficSpec(), "train", 0, np.random.default_rng(0)).length_m.shape == (0,)


def test_a_range_out_of_order_names_the_key() -> None:
    with pytest.raises(ValidationError, match=r"time_gap_s = \[2.0, 1.0\]: expected two values, low <= high"):
        PopulationSpec(time_gap_s=(2.0, 1.0))
