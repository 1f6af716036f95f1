"""Places on lanes against circles in closed form, paths against SciPy's, and what is refused."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from small_streets import arc, circle, lane, street_map

from drive_rl.errors import DriveRLError
from drive_rl.sim.map.build import CrossingDraft, NetworkDraft, SignalDraft, build
from drive_rl.sim.map.check import check_network
from drive_rl.sim.map.conflicts import Entrant, priority
from drive_rl.sim.map.lane_geometry import (
    curvature_at,
    lane_at,
    light_at,
    locate,
    may_change,
    next_lane,
    opposite_s,
    pose_at,
    project,
)
from drive_rl.sim.map.network import Control, Light, Marking, Priority, RoadNetwork, Turn
from drive_rl.sim.map.routes import CHANGE_M, distance_to, shortest_route, strong_parts
from drive_rl.sim.traffic.streets import abreast, streets_of

RADIUS_M = 20.0
CIRCLE = build(circle(RADIUS_M))


@settings(deadline=None)
@given(st.floats(0, math.pi * RADIUS_M), st.floats(-6, 6), st.integers(0, 1))
def test_places_on_a_circle(s: float, d: float, half: int) -> None:
    x, y, yaw = pose_at(CIRCLE, half, s, d)
    angle = s / RADIUS_M + half * math.pi - math.pi / 2
    expected = (RADIUS_M - d) * math.cos(angle), (RADIUS_M - d) * math.sin(angle), angle + math.pi / 2
    assert (x, y, yaw) == pytest.approx(expected, abs=2e-6)
    assert project(CIRCLE, half, x, y, s + 1.5) == pytest.approx((s, d), abs=1e-6)
    assert locate(CIRCLE, half, x, y) == pytest.approx((s, d), abs=1e-6)
    assert curvature_at(CIRCLE, half, s) == pytest.approx(1 / RADIUS_M)


def test_a_lane_goes_on_straight_beyond_its_ends() -> None:
    assert pose_at(CIRCLE, 0, -5.0, 1.0) == pytest.approx((-5, -19, 0))
    assert project(CIRCLE, 0, -5.0, -19.0, 0.0) == pytest.approx((-5, 1))


def test_the_lane_of_a_pose_leads_its_way() -> None:
    lane, s, d = lane_at(CIRCLE, 19.0, 0.1, math.pi / 2)
    assert (lane, s, d) == (
        0,
        pytest.approx(RADIUS_M * (math.pi / 2 + math.atan2(0.1, 19))),
        pytest.approx(1, abs=1e-2),
    )
    assert lane_at(CIRCLE, 19.0, 0.1, -math.pi / 2 - 0.3)[0] == 1


def two_lanes() -> NetworkDraft:
    """Return two lanes side by side, 100 m long, both into one lane back; the right one is a detour."""
    left, right = lane("left", arc(0, 3.5, 0, 0, 100), 100), lane("right", arc(0, 0, 0, 0, 100), 100)
    left.right, right.left = 1, 0
    left.right_marking = right.left_marking = Marking.WHITE_DASHED
    short, long = lane("short", arc(100, 3.5, 0, 0, 10), 10), lane("long", arc(100, 0, 0, 0, 300), 300)
    goal = lane("goal", arc(0, 50, 0, 0, 5), 5)
    left.successors, right.successors, short.successors, long.successors = [2], [3], [4], [4]
    goal.successors = [0, 1]
    return NetworkDraft([left, right, short, long, goal])


def test_a_route_changes_lanes_where_that_is_shorter() -> None:
    network = build(two_lanes())
    assert shortest_route(network, 1, 4).tolist() == [1, 0, 2, 4]
    assert distance_to(network, 4)[1] == pytest.approx(CHANGE_M + 100 + 10 + 5)
    assert next_lane(network, distance_to(network, 4), 4) == 0
    solid = two_lanes()
    solid.lanes[1].left_marking = Marking.WHITE_SOLID
    assert not may_change(build(solid), 1, True)
    assert shortest_route(build(solid), 1, 4).tolist() == [1, 3, 4]


def test_abreast() -> None:
    network = build(two_lanes())
    assert abreast(streets_of(network), 0, 30.0, 1) == pytest.approx(30)
    assert opposite_s(network, 0, 30.0, 2) == pytest.approx(7)


def random_network(rng: np.random.Generator) -> tuple[RoadNetwork, np.ndarray]:
    """Return lanes with random successors and neighbours, and the lengths of the edges between them (L, L)."""
    size = int(rng.integers(2, 12))
    lanes = [lane(str(i), arc(0, 0, 0, 0, 10.0 + i), 10.0 + i) for i in range(size)]
    edges = np.zeros((size, size))
    for i in range(0, size - 1, 3):  # these are left and right of each other
        if rng.random() < 0.5:
            lanes[i].right, lanes[i + 1].left = i + 1, i
            edges[i, i + 1] = edges[i + 1, i] = CHANGE_M
    for one, other in rng.integers(0, size, (int(size * 1.3), 2)).tolist():
        if other not in lanes[one].successors and one != other:
            lanes[one].successors.append(other)
            edges[one, other] = min(lanes[one].length_m, edges[one, other] or np.inf)
    return build(NetworkDraft(lanes)), edges


@pytest.mark.parametrize("seed", range(60))
def test_paths_and_parts_against_scipy(seed: int) -> None:
    network, edges = random_network(np.random.default_rng(seed))
    goal = seed % len(edges)
    oracle = dijkstra(csr_array(edges.T), indices=goal) + network.length_m[goal]
    np.testing.assert_allclose(distance_to(network, goal), oracle)
    _, parts = connected_components(csr_array(edges), connection="strong")
    same = parts[:, None] == parts
    ours = strong_parts(network)
    assert ((ours[:, None] == ours) == same).all()
    for start in np.flatnonzero(np.isfinite(oracle)).tolist():
        route = shortest_route(network, start, goal)
        steps = [edges[one, other] for one, other in pairwise(route.tolist())]
        assert sum(steps) + network.length_m[goal] == pytest.approx(oracle[start])


def test_a_goal_that_cannot_be_reached_is_refused() -> None:
    draft = circle()
    draft.lanes.append(lane("away", arc(0, 0, 0, 0, 5), 5, successors=[0]))
    with pytest.raises(DriveRLError, match=r"lane 2 cannot be reached from lane 0.*fix: another goal \(1 lanes lead"):
        shortest_route(build(draft), 0, 2)


def test_lights() -> None:
    draft = circle()
    draft.signals = [SignalDraft(0, 60, 50, 20, 3), SignalDraft(0, 60, 15, 30, 3)]
    network = build(draft)
    assert [light_at(network, 0, time) for time in (0, 9.9, 10.1, 12.9, 13.1, 49.9, 50, 110)] == [
        Light.GREEN, Light.GREEN, Light.YELLOW, Light.YELLOW, Light.RED, Light.RED, Light.GREEN, Light.GREEN,
    ]  # fmt: skip
    assert light_at(network, 1, 14.0) == Light.RED
    assert light_at(network, 1, 46.0) == Light.YELLOW


Entered = tuple[float, Turn, Control, int]
NORTH, WEST, SOUTH, EAST = math.pi / 2, math.pi, -math.pi / 2, 0.0


UNSIGNED = (Control.NONE, -1)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((NORTH, Turn.STRAIGHT, *UNSIGNED), (WEST, Turn.STRAIGHT, *UNSIGNED), "YIELDS"),
        ((NORTH, Turn.STRAIGHT, *UNSIGNED), (EAST, Turn.LEFT, *UNSIGNED), "GOES_FIRST"),
        ((NORTH, Turn.LEFT, *UNSIGNED), (SOUTH, Turn.STRAIGHT, *UNSIGNED), "YIELDS"),
        ((NORTH, Turn.LEFT, Control.SIGNAL, 3), (SOUTH, Turn.RIGHT, Control.SIGNAL, 3), "YIELDS"),
        ((NORTH, Turn.LEFT, Control.SIGNAL, 3), (WEST, Turn.RIGHT, Control.SIGNAL, 4), "NEITHER"),
        ((NORTH, Turn.LEFT, *UNSIGNED), (WEST, Turn.LEFT, Control.STOP_SIGN, -1), "GOES_FIRST"),
        ((NORTH, Turn.RIGHT, Control.GIVE_WAY, -1), (EAST, Turn.LEFT, *UNSIGNED), "YIELDS"),
    ],
)
def test_who_goes_first(one: Entered, other: Entered, expected: str) -> None:
    first, second = Entrant(*one, lane=0), Entrant(*other, lane=1)
    assert priority(first, second).name == expected
    assert priority(second, first) == -Priority[expected]


def cut(draft: NetworkDraft) -> None:
    draft.lanes[1].successors = []


def moved(draft: NetworkDraft) -> None:
    draft.lanes[1].points[:, 0] += 0.2


def turned(draft: NetworkDraft) -> None:
    draft.lanes[1].points[:, 2] += 0.1


def crossed(draft: NetworkDraft) -> None:
    draft.crossings.append(CrossingDraft(np.array([[50, 0], [53, 0], [53, 7], [50, 7]], float), []))


def apart(draft: NetworkDraft) -> None:
    points = arc(100, 0, 0, 1 / 20, 40 * math.pi)
    draft.lanes.append(lane("alone", points, 40 * math.pi, successors=[2]))


def emptied(draft: NetworkDraft) -> None:
    draft.lanes = [lane("lost", arc(0, 0, 0, 0, 5), 5)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"lane 'half1' is a dead end at \(-?0\.0, -20\.0\): expected a successor; fix: connect it"),
        (moved, r"lane 'half0' ends at \(0\.0, 20\.0\), 0\.20 m and 0\.0 degrees from .* 'half1'.*fix: let"),
        (turned, r"lane 'half0' ends at .* 0\.00 m and 5\.7 degrees from the start of its successor 'half1'"),
        (crossed, r"crossing 0 at \(51\.5, 3\.5\) crosses no lane: expected at least one; fix: move it"),
        (apart, r"lane 'alone' cannot be reached from 'half0' and back: expected .* \(1 do not\); fix: connect it"),
        (emptied, r"lane 'lost' is a dead end"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_driven_is_refused(damage: Callable[[NetworkDraft], None], message: str) -> None:
    draft = circle()
    check_network(street_map(draft))
    damage(draft)
    with pytest.raises(DriveRLError, match=f"small: {message}"):
        check_network(street_map(draft))
