"""MOBIL against highway-env, and its two rules."""

import numpy as np
import pytest

from drive_rl.sim.traffic.idm import NO_LEADER_M, Idm, idm_acceleration
from drive_rl.sim.traffic.mobil import KEEP_RIGHT_MPS2, THRESHOLD_MPS2, Change, incentive, is_safe

IDM = Idm(1.5, 10.0, 3.0, 5.0)
"""highway-env's, whose gaps are from centre to centre."""


def acceleration(who, ahead) -> float:
    """Ours, of highway-env's vehicles; 0 for nobody, as there."""
    if who is None:
        return 0.0
    gap, lead = (ahead.position[0] - who.position[0], ahead.speed) if ahead else (NO_LEADER_M, 0.0)
    return idm_acceleration(float(who.speed), float(who.target_speed), float(gap), float(lead), IDM)


def test_highway_env_changes_lanes_alike() -> None:
    behavior = pytest.importorskip("highway_env.vehicle.behavior")
    road_module = pytest.importorskip("highway_env.road.road")
    random, changes, compared = np.random.default_rng(1), 0, 0
    for _ in range(300):
        network = road_module.RoadNetwork.straight_road_network(2, speed_limit=50)
        road = road_module.Road(network=network)
        politeness = float(random.uniform(0, 0.5))
        places = [(500.0, 0), (500 + random.uniform(12, 60), 0), (500 - random.uniform(12, 60), 0)]
        places += [(500 + random.uniform(12, 60), 1), (500 - random.uniform(12, 60), 1)]
        for s, lane in places:
            car = behavior.IDMVehicle(
                road, [s, 4.0 * lane], speed=random.uniform(10, 25), target_speed=random.uniform(15, 30)
            )
            car.POLITENESS, car.LANE_CHANGE_MAX_BRAKING_IMPOSED = politeness, 4.0
            road.vehicles.append(car)
        own, lead, follower, new_lead, new_follower = road.vehicles
        ways = [(follower, own), (own, lead), (new_follower, own), (new_follower, new_lead), (own, new_lead)]
        if any(b.speed - a.speed > a.speed * 1e-9 + 3 * 3.873 for a, b in [*ways, (follower, lead)]):
            continue  # v T + v dv / (2 sqrt(a b)) < 0, which highway-env does not bound
        theirs = own.mobil(("0", "1", 1))
        change = Change(
            acceleration(own, lead),
            acceleration(own, new_lead),
            acceleration(new_follower, new_lead),
            acceleration(new_follower, own),
            acceleration(follower, own),
            acceleration(follower, lead),
        )
        ours = change.new_follower_after >= -4.0 and incentive(change, politeness, 0.0) >= 0.0
        assert ours == theirs
        compared, changes = compared + 1, changes + theirs
    assert compared > 200
    assert 0.1 < changes / compared < 0.9


def test_keeping_right_needs_less_than_going_left() -> None:
    gain = Change(0.0, 0.3, 0.0, 0.0, 0.0, 0.0)
    assert incentive(gain, 0.5, 0.0) == pytest.approx(0.3 - THRESHOLD_MPS2)
    assert incentive(gain, 0.5, KEEP_RIGHT_MPS2) > 0 > incentive(gain, 0.5, -KEEP_RIGHT_MPS2)


def test_politeness_weighs_what_others_lose() -> None:
    selfish = Change(0.0, 1.0, 0.0, -2.0, 0.0, 0.0)
    assert incentive(selfish, 0.0, 0.0) > 0 > incentive(selfish, 0.5, 0.0)


def test_a_change_is_unsafe_for_whoever_must_brake_hard() -> None:
    assert is_safe(Change(0.0, -3.9, 0.0, -3.9, 0.0, 0.0), 4.0)
    assert not is_safe(Change(0.0, 0.0, 0.0, -4.1, 0.0, 0.0), 4.0)
    assert not is_safe(Change(0.0, -4.1, 0.0, 0.0, 0.0, 0.0), 4.0)
