import numpy as np
import pytest

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.car import CarSpec
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.task import TaskSpec
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.task.outcome import STATE_FIELDS

SPEC = ReferenceSpec(name="reference", algorithm="reference")
CAR = CarSpec()
TASK = TaskSpec()


def act(**fields: float) -> np.ndarray:
    values = {"speed_mps": 10.0, "target_speed_mps": 10.0, **fields}
    row = np.array([[values.get(name, 0.0) for name in STATE_FIELDS]], np.float32)
    return ReferenceDriver(SPEC, CAR, TASK).act(row)[0]


def bend(curvature: float) -> dict[str, float]:
    return {f"curvature_{at}m": curvature for at in (0, 5, 10, 20)}


def test_straight_and_centred_needs_nothing() -> None:
    assert act() == pytest.approx([0, 0], abs=1e-6)


def test_it_steers_back_to_the_centre() -> None:
    assert act(offset_m=0.5)[0] < 0 < act(offset_m=-0.5)[0]
    assert act(heading_error_rad=0.1)[0] < 0 < act(heading_error_rad=-0.1)[0]


def test_in_a_bend_it_steers_the_wheelbase_over_the_radius() -> None:
    # on the bend the rear axle runs inside the cg by atan(cg_to_rear / R) of body slip: hence the tolerance
    expected = np.arctan((CAR.cg_to_front_m + CAR.cg_to_rear_m) / 40) / CAR.max_steer_rad
    left, right = act(**bend(1 / 40))[0], act(**bend(-1 / 40))[0]
    assert left == pytest.approx(expected, rel=0.45)
    assert left == pytest.approx(-right, rel=1e-5)
    assert act(**bend(1 / 20))[0] > left


def test_the_pedal_is_proportional_and_bounded() -> None:
    assert act(speed_mps=9.0)[1] == pytest.approx(SPEC.speed_gain)
    assert act(speed_mps=2.0)[1] == 1
    assert act(speed_mps=20.0)[1] == -1


def test_it_drives_every_tier_without_a_fault() -> None:
    spec = load_agent("reference")
    assert isinstance(spec, ReferenceSpec)
    for name in ("lane_follow", "lane_follow_hard"):
        world = load_world(name)
        score, rows = evaluate(ReferenceDriver(spec, world.car, world.task), world, "val", 12)
        assert score.success.value == 1, [row for row in rows if not row.success]
        assert score.lateral_deviation_m.value < 0.25
