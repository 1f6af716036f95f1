"""IDM against highway-env and SUMO, which others wrote, and against its own closed forms."""

import math

import numpy as np
import pytest

from drive_rl.sim.traffic.idm import NO_LEADER_M, Idm, advance, desired_gap, idm_acceleration

CASES = 500


def test_highway_env_accelerates_alike() -> None:
    """highway-env measures gaps from centre to centre, adds a length to s0, and lets `v T + v dv / ..` be negative."""
    behavior = pytest.importorskip("highway_env.vehicle.behavior")
    road_module = pytest.importorskip("highway_env.road.road")
    road = road_module.Road(network=road_module.RoadNetwork.straight_road_network(2, speed_limit=50))
    random, compared = np.random.default_rng(0), 0
    for _ in range(CASES):
        values = random.uniform([0.5, 1, 0.5, 0.5], [3, 10, 4, 4])
        idm = Idm(*map(float, values))
        v, v0, gap, ahead = map(float, random.uniform([0, 1, 1, 0], [40, 40, 100, 40]))
        if v * idm.time_gap_s + v * (v - ahead) / (2 * math.sqrt(idm.acceleration_mps2 * idm.braking_mps2)) < 0:
            continue
        own = behavior.IDMVehicle(road, [0.0, 0.0], speed=v, target_speed=v0)
        own.TIME_WANTED, own.DISTANCE_WANTED = idm.time_gap_s, idm.min_gap_m
        own.COMFORT_ACC_MAX, own.COMFORT_ACC_MIN = idm.acceleration_mps2, -idm.braking_mps2
        lead = behavior.IDMVehicle(road, [gap, 0.0], speed=ahead)
        theirs = own.acceleration(own, lead)
        assert idm_acceleration(v, v0, gap, ahead, idm) == pytest.approx(theirs, rel=1e-12, abs=1e-9)
        theirs = own.acceleration(own)
        assert idm_acceleration(v, v0, NO_LEADER_M, 0.0, idm) == pytest.approx(theirs, rel=1e-6, abs=1e-6)
        compared += 1
    assert compared > CASES / 2


NET = """<net version="1.20"><location netOffset="0,0" convBoundary="0,0,2000,0" origBoundary="0,0,2000,0"
projParameter="!"/><edge id="e" from="a" to="b" priority="1"><lane id="e_0" index="0" speed="50" length="2000"
shape="0,0 2000,0"/></edge><junction id="a" type="dead_end" x="0" y="0" incLanes="" intLanes="" shape="0,0"/>
<junction id="b" type="dead_end" x="2000" y="0" incLanes="e_0" intLanes="" shape="2000,0"/></net>"""
ROUTES = """<routes><vType id="t" carFollowModel="IDM" accel="1.5" decel="2" emergencyDecel="9" tau="1.4" minGap="2"
speedFactor="1" speedDev="0" maxSpeed="20" length="4.5" delta="4"/><route id="r" edges="e"/></routes>"""
SUMO = Idm(1.4, 2.0, 1.5, 2.0)
DT_S = 0.1


@pytest.fixture
def sumo(tmp_path):
    """SUMO with a straight lane of 2 km."""
    libsumo = pytest.importorskip("libsumo")
    (tmp_path / "a.net.xml").write_text(NET)
    (tmp_path / "a.rou.xml").write_text(ROUTES)
    options = ["--step-length", str(DT_S), "--step-method.ballistic", "--no-step-log", "--xml-validation", "never"]
    libsumo.start(["sumo", "-n", str(tmp_path / "a.net.xml"), "-r", str(tmp_path / "a.rou.xml"), *options])
    yield libsumo
    libsumo.close()


def test_sumo_follows_alike(sumo) -> None:
    """Its `getFollowSpeed` takes a gap that min_gap is subtracted from, and returns a speed, at least 0."""
    sumo.vehicle.add("x", "r", typeID="t", departPos="10", departSpeed="10")
    sumo.simulationStep()
    random = np.random.default_rng(0)
    for _ in range(CASES):
        v, gap, ahead = map(float, random.uniform([0, 2.5, 0], [20, 100, 20]))
        theirs = sumo.vehicle.getFollowSpeed("x", v, gap - SUMO.min_gap_m, ahead, 9.0, "")
        ours = max(0.0, v + idm_acceleration(v, 20.0, gap, ahead, SUMO) * DT_S)
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_a_platoon_drives_as_in_sumo(sumo) -> None:
    """Three cars behind one whose speed is set, 60 s: positions to 0.3 m, speeds to 0.1 m/s."""
    places, speeds = [160.0, 110.0, 80.0, 50.0], [10.0, 14.0, 12.0, 12.0]
    for k, (place, speed) in enumerate(zip(places, speeds, strict=True)):
        sumo.vehicle.add(f"{k}", "r", typeID="t", departPos=str(place), departSpeed=str(speed))
    sumo.simulationStep()
    sumo.vehicle.setSpeedMode("0", 0)
    s, v = ([function(f"{k}") for k in range(4)] for function in (sumo.vehicle.getLanePosition, sumo.vehicle.getSpeed))
    for step in range(600):
        lead_speed = 10 + 4 * math.sin(step / 60) if step < 300 else max(0.0, v[0] - 0.1)
        sumo.vehicle.setSpeed("0", lead_speed)
        gaps = [s[k - 1] - 4.5 - s[k] for k in range(1, 4)]
        push = [idm_acceleration(v[k], 20.0, gaps[k - 1], v[k - 1], SUMO) for k in range(1, 4)]
        push = [(lead_speed - v[0]) / DT_S, *push]
        moved = [advance(v[k], push[k], DT_S) for k in range(4)]
        s, v = [s[k] + moved[k][0] for k in range(4)], [m[1] for m in moved]
        sumo.simulationStep()
        for k in range(4):
            assert s[k] == pytest.approx(sumo.vehicle.getLanePosition(f"{k}"), abs=0.3), (step, k)
            assert v[k] == pytest.approx(sumo.vehicle.getSpeed(f"{k}"), abs=0.1), (step, k)


def test_the_equilibrium_gap_is_the_closed_form() -> None:
    """Treiber 2000, eq. 11: `s_e = (s0 + v T) / sqrt(1 - (v / v0)^4)`."""
    for v in (0.0, 5.0, 15.0):
        gap = (2 + v * 1.4) / math.sqrt(1 - (v / 20) ** 4)
        assert idm_acceleration(v, 20.0, gap, v, SUMO) == pytest.approx(0, abs=1e-12)


def test_a_leader_that_pulls_away_never_shortens_the_gap_below_s0() -> None:
    assert desired_gap(10.0, -30.0, SUMO) == SUMO.min_gap_m


def test_nobody_drives_backwards() -> None:
    assert advance(1.0, -5.0, 1.0) == (pytest.approx(0.1), 0.0)
    assert advance(0.0, -5.0, 0.1) == (0.0, 0.0)
    assert advance(2.0, 1.0, 2.0) == (6.0, 4.0)
