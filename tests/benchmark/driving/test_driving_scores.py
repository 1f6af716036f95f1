"""Scores of recorded drives, by hand: CARLA's, nuPlan's, times to collision, infractions."""

import numpy as np
import pytest
from drive_records import STEP_S, drive, line, other
from scipy.signal import savgol_filter

from drive_rl.benchmark.driving.boxes import corners, overlap
from drive_rl.benchmark.driving.carla import driving_score_2_0, driving_score_2_1
from drive_rl.benchmark.driving.collisions import find_collisions
from drive_rl.benchmark.driving.comfort import is_comfortable
from drive_rl.benchmark.driving.infractions import (
    Infractions,
    held_up,
    off_lane_share,
    red_lights,
    slow_parts,
    stop_signs,
)
from drive_rl.benchmark.driving.nuplan import driving_direction, no_at_fault_collision, nuplan_score, speed_limit
from drive_rl.benchmark.driving.record import DriveRecord
from drive_rl.benchmark.driving.scores import score_drive
from drive_rl.benchmark.driving.smoothing import smoothed
from drive_rl.benchmark.driving.surrogate import post_encroachment_time, times_to_collision
from drive_rl.sim.map.network import Control, Light

AT_10 = np.arange(101.0)  # 0 to 100 m at 10 m/s


def test_carla_2_0_is_a_product() -> None:
    assert driving_score_2_0(1.0, Infractions()) == 1.0
    assert driving_score_2_0(0.5, Infractions(vehicle=2)) == pytest.approx(0.5 * 0.36)
    each = Infractions(1, 1, 1, 1, 1, 1, 1, 1)
    assert driving_score_2_0(1.0, each) == pytest.approx(0.5 * 0.6 * 0.6 * 0.65 * 0.7 * 0.8 * 0.7 * 0.7)
    assert driving_score_2_0(1.0, Infractions(off_lane=0.25)) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("infractions", "published"),
    [  # result files of the leaderboard's own 2.0 evaluation: what it counted, and its `score_penalty`
        (Infractions(min_speed=(0.392, 0.7243)), 0.749976),
        (Infractions(min_speed=(0.7963,), yield_emergency=1), 0.657223),
        (Infractions(min_speed=(0.306, 0.306)), 0.626947),
        (Infractions(scenario_timeout=1), 0.7),
    ],
)
def test_carla_2_0_is_what_its_leaderboard_computed(infractions: Infractions, published: float) -> None:
    assert driving_score_2_0(1.0, infractions) == pytest.approx(published, abs=2e-5)


def test_carla_2_1_is_a_quotient() -> None:
    assert driving_score_2_1(1.0, Infractions()) == 1.0
    assert driving_score_2_1(0.5, Infractions(vehicle=2)) == pytest.approx(0.5 / 2.4)
    each = Infractions(1, 1, 1, 1, 1, 1, 1, 1)  # 1 + 1.0 + 0.7 + 0.7 + 0.6 + 0.4 + 0.25 + 0.4 + 0.4
    assert driving_score_2_1(1.0, each) == pytest.approx(1 / 5.45)
    assert driving_score_2_1(1.0, Infractions(red_light=1, off_lane=0.3)) == pytest.approx(0.7 / 1.4)
    assert driving_score_2_1(1.0, Infractions(min_speed=(0.5,))) == pytest.approx(1 / 1.2)


def test_rectangles_touch_where_they_do() -> None:
    one, half = np.array([0.0, 0.0, 0.0]), np.array([2.0, 1.0])
    assert corners(one, half).tolist() == [[2, 1], [-2, 1], [-2, -1], [2, -1]]
    turned = corners(np.array([1.0, 0.0, np.pi / 2]), half)  # forward is y, left is -x
    assert turned == pytest.approx(np.array([[0, 2], [0, -2], [2, -2], [2, 2]]))
    for x, yaw, touching in ((3.99, 0, True), (4.01, 0, False), (2.99, np.pi / 2, True), (3.01, np.pi / 2, False)):
        assert overlap(one, half, np.array([x, 0.0, yaw]), half) == touching
    # a corner of the other, turned by 45 degrees, reaches 3 / sqrt(2) = 2.12 m from its middle
    assert overlap(one, half, np.array([4.11, 0.0, np.pi / 4]), half)
    assert not overlap(one, half, np.array([4.13, 0.0, np.pi / 4]), half)


@pytest.mark.parametrize("light", list(Light))
def test_a_red_light_is_run_where_the_bumper_crosses_its_line(light: Light) -> None:
    """At 10 m/s with the bumper 2 m ahead, the line at 50.5 m is crossed in the step from 48 to 49 m."""
    assert red_lights(drive(AT_10, lines=line(50.5, np.full(101, light)))) == ([48] if light == Light.RED else [])


def test_only_the_light_at_the_line_counts() -> None:
    def lit(changes_at: int, before: Light, after: Light) -> DriveRecord:
        return drive(AT_10, lines=line(50.5, np.where(np.arange(101) < changes_at, before, after)))

    assert red_lights(lit(48, Light.RED, Light.GREEN)) == []
    assert red_lights(lit(49, Light.RED, Light.GREEN)) == [48]  # red when it was last seen before the line
    assert red_lights(lit(49, Light.GREEN, Light.RED)) == []
    assert red_lights(lit(48, Light.YELLOW, Light.RED)) == [48]
    waits = np.concatenate([np.arange(48.0), np.full(53, 48.4)])  # stands with the bumper 0.1 m before the line
    assert red_lights(drive(waits, lines=line(50.5, np.zeros(101)))) == []


def test_a_stop_sign_takes_a_stop_at_its_line() -> None:
    through = drive(AT_10, lines=line(50.5, np.zeros(101), Control.STOP_SIGN))
    assert (stop_signs(through), red_lights(through)) == ([48], [])
    early, there = (
        np.concatenate([np.linspace(0, at, 51), np.full(10, at), np.linspace(at, 100, 51)[1:]]) for at in (44.0, 47.0)
    )  # the bumper stands 4.5 m and 1.5 m before the line
    assert len(stop_signs(drive(early, lines=line(50.5, np.zeros(111), Control.STOP_SIGN)))) == 1
    assert stop_signs(drive(there, lines=line(50.5, np.zeros(111), Control.STOP_SIGN))) == []


def test_the_share_off_the_lane_is_of_the_distance() -> None:
    """A metre a step; outside its 2 m at 20 of the 100 rows that follow a step."""
    offset = np.zeros(101)
    offset[30:50] = 2.1
    assert off_lane_share(drive(AT_10, offset_m=offset)) == pytest.approx(0.2)
    assert off_lane_share(drive(np.zeros(5))) == 0.0


@pytest.mark.parametrize(
    ("gap_m", "beside_m", "steps", "is_emergency", "expected"),
    [
        (19.9, 1.9, 101, True, 1),  # halves of both are 4 m long and 2 m wide together
        (19.9, 1.9, 100, True, 0),  # 10 s are not more than 10 s
        (20.1, 1.9, 111, True, 0),
        (19.9, 2.1, 111, True, 0),
        (-10.0, 0.0, 111, True, 0),  # ahead
        (19.9, 1.9, 111, False, 0),
    ],
)
def test_an_emergency_vehicle_is_held_up(
    gap_m: float, beside_m: float, steps: int, is_emergency: bool, expected: int
) -> None:
    own = np.arange(111.0)
    x = np.where(own < steps, own - 4 - gap_m, own + 10)
    assert held_up(drive(own, others=other(x, beside_m, emergency=is_emergency))) == expected


def test_speed_is_compared_with_the_traffic_around() -> None:
    """10 m/s beside one 10 m away, at 20 m/s for 50 rows and 10 m/s for 51: 10 / (1510 / 101)."""
    speed = np.where(AT_10 < 50, 20.0, 10.0)
    assert slow_parts(drive(AT_10, others=other(AT_10, 10.0, speed_mps=speed))) == (pytest.approx(1010 / 1510),)
    assert slow_parts(drive(AT_10, others=other(AT_10, 51.0, speed_mps=speed))) == ()  # farther than 50 m
    assert slow_parts(drive(AT_10, others=other(AT_10, 10.0, speed_mps=9.0))) == ()
    assert slow_parts(drive(AT_10, others=other(AT_10, 10.0, speed_mps=20.0, who="pedestrian"))) == ()
    half_way = AT_10[:51]
    assert slow_parts(drive(half_way, others=other(half_way, 10.0, speed_mps=20.0))) == ()


@pytest.mark.parametrize(
    ("others", "in_one_lane", "kind", "at_fault"),
    [
        (other(np.full(101, 60.0)), True, "stopped other", True),
        (other(np.full(101, 60.0), speed_mps=5.0), True, "front", True),
        (other(np.linspace(-10, 200, 101), speed_mps=21.0), True, "rear", False),
        (other(AT_10 - 1, np.linspace(5, 1, 101), speed_mps=10.0), True, "lateral", False),
        (other(AT_10 - 1, np.linspace(5, 1, 101), speed_mps=10.0), False, "lateral", True),
    ],
)
def test_whose_fault_a_collision_is(others: object, in_one_lane: bool, kind: str, at_fault: bool) -> None:
    (found,) = find_collisions(drive(AT_10, others=others, in_one_lane=in_one_lane))
    assert (found.kind, found.at_fault, found.who) == (kind, at_fault, "vehicle")


def test_a_car_that_stands_is_hit_without_fault() -> None:
    (found,) = find_collisions(drive(np.zeros(101), others=other(np.linspace(-20, 0, 101), speed_mps=2.0)))
    assert (found.kind, found.at_fault, found.step) == ("stopped ego", False, 80)  # -20 + 0.2 x 80 = -4, their lengths
    assert no_at_fault_collision([found]) == 1.0


def test_collisions_at_fault_close_the_gate_by_who_was_hit() -> None:
    for who, score in (("pedestrian", 0.0), ("cyclist", 0.0), ("vehicle", 0.0), ("static", 0.5)):
        record = drive(AT_10, others=other(np.full(101, 60.0), who=who))
        assert no_at_fault_collision(find_collisions(record)) == score


def test_time_to_collision_ahead() -> None:
    """10 m/s towards one who stands at 60 m: from x to 56 m, where both touch, it takes (56 - x) / 10 s."""
    record = drive(AT_10[:56], others=other(np.full(56, 60.0)))
    found = times_to_collision(record, find_collisions(record))
    assert np.isinf(found[:27]).all()  # more than 2.9 s
    assert found[27] == pytest.approx(2.9)
    assert found[50] == pytest.approx(0.6)
    faster = drive(AT_10[:56], others=other(AT_10[:56] + 20, speed_mps=10.0))
    assert np.isinf(times_to_collision(faster, ())).all()  # keeps its distance


def test_time_to_collision_beside_counts_in_junctions_alone() -> None:
    """One at 5 m/s from the right, 90 degrees off: at x = 10 it is 8 m beside, and they would touch after 1 s."""
    crossing = other(np.full(11, 20.0), np.linspace(-13, -8, 11), np.pi / 2, speed_mps=5.0)
    for in_junction in (True, False):
        record = drive(AT_10[:11], others=crossing, in_junction=in_junction)
        found = times_to_collision(record, find_collisions(record))
        # it reaches y = -8 + 5 t + 2 >= -1 from t = 1; the car covers x = 20 +- 1 from t = 0.7 to 1.3
        assert found[-1] == (pytest.approx(1.0) if in_junction else np.inf)


def test_a_collision_at_fault_takes_no_time() -> None:
    record = drive(AT_10, others=other(np.full(101, 60.0)))
    (collision,) = collisions = find_collisions(record)
    assert collision.step == 56
    assert times_to_collision(record, collisions)[56] == 0.0
    assert np.isinf(times_to_collision(record, collisions)[57:]).all()  # who was touched does not count again


def test_post_encroachment_time_of_paths_that_cross() -> None:
    """The other drives north along x = 50 m at 10 m/s: its front comes to the car's path (y = -3 m) after 6.4 s.

    The car's rear leaves the other's path (x = 53 m) after 5.3 s: 1.1 s before. One that starts 40 m farther back comes
    5.1 s after the car.
    """
    y = -67 + AT_10
    record = drive(AT_10, others=other(np.full(101, 50.0), y, np.pi / 2, speed_mps=10.0))
    assert post_encroachment_time(record) == pytest.approx(1.1)
    alike = drive(AT_10, others=other(AT_10 + 15, speed_mps=10.0))
    assert post_encroachment_time(alike) == np.inf  # it follows
    late = drive(AT_10, others=other(np.full(101, 50.0), y - 40, np.pi / 2, speed_mps=10.0))
    assert post_encroachment_time(late) == np.inf


def test_speed_limit_and_direction() -> None:
    # 10 m/s at a limit of 9: 101 rows x 1 m/s x 0.1 s / (2.23 x 10 s)
    assert speed_limit(drive(AT_10, limit_mps=9.0, vx_mps=10.0)) == pytest.approx(1 - 10.1 / 22.3)
    assert speed_limit(drive(AT_10, limit_mps=10.0, vx_mps=10.0)) == 1.0
    assert driving_direction(drive(AT_10)) == 1.0
    for against, score in ((1, 1.0), (2, 0.5), (5, 0.5), (6, 0.0)):  # so many metres, one a step, in the oncoming lane
        direction = np.ones(101)
        direction[40 : 40 + 11] = 0.0
        direction[40 : 40 + against] = -1.0
        assert driving_direction(drive(AT_10, direction=direction)) == score


@pytest.mark.parametrize(("window", "order", "derivative"), [(8, 2, 0), (15, 2, 1), (5, 2, 1), (5, 3, 2)])
@pytest.mark.parametrize("count", [8, 15, 16, 40])
def test_smoothing_is_scipys(window: int, order: int, derivative: int, count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    theirs = savgol_filter(values, min(window, count), order, deriv=derivative, delta=STEP_S)
    assert smoothed(values, window, order, derivative, STEP_S) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("acceleration", "comfortable"), [(2.3, True), (2.5, False), (-4.0, True), (-4.1, False)])
def test_steady_acceleration_is_comfortable_within_its_bounds(acceleration: float, comfortable: bool) -> None:
    time_s = np.arange(31) * STEP_S
    speed = 15 + acceleration * time_s
    record = drive(15 * time_s + acceleration * time_s**2 / 2, vx_mps=speed)
    assert is_comfortable(record) == comfortable


def test_nuplan_weighs_what_passes_its_gates() -> None:
    """Half the route at 10 m/s with a limit of 9, steadily: (5 x 1 + 5 x 0.5 + 4 x (1 - 5.1 / (2.23 x 5)) + 2) / 16."""
    record = drive(AT_10[:51], limit_mps=9.0, vx_mps=10.0, end_reason="timeout")
    ttc = times_to_collision(record, ())
    expected = (5 + 2.5 + 4 * (1 - 5.1 / 11.15) + 2) / 16
    assert nuplan_score(record, (), ttc).score == pytest.approx(expected)
    assert nuplan_score(drive(AT_10[:51], off_pavement_m=0.29), (), ttc).drivable_area == 1.0
    assert nuplan_score(drive(AT_10[:51], off_pavement_m=0.31), (), ttc).score == 0.0
    assert nuplan_score(drive(AT_10[:20]), (), ttc).score == 0.0  # 19 % of the route is no progress
    assert nuplan_score(record, (), np.array([0.95])).time_to_collision == 0.0  # it must exceed 0.95 s


def test_a_drive_that_ends_in_a_collision() -> None:
    """56 of 100 m; 2.0: x 0.6, 2.1: / 1.7."""
    scores = score_drive(drive(AT_10[:57], others=other(np.full(57, 60.0)), end_reason="collision"))
    assert scores.carla_driving_score_2_0 == pytest.approx(0.56 * 0.6)
    assert scores.carla_driving_score_2_1 == pytest.approx(0.56 / 1.7)
    assert (scores.nuplan.score, scores.min_ttc_s, scores.min_pet_s) == (0.0, 0.0, 5.0)
    assert scores.driven_km == pytest.approx(0.056)


def test_a_drive_of_a_single_row_has_scores() -> None:
    scores = score_drive(drive([0.0], end_reason="collision", others=other([3.0])))
    assert scores.carla_driving_score_2_0 == 0.0
