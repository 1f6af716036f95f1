"""Seeded maps of streets: whole, joined, drivable and apart, on train and on test seeds."""

from functools import cache
from typing import cast

import cv2
import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from drive_rl.config.map_reader import load_map
from drive_rl.config.specs.streets.map import MAPS, DrawnMapSpec, MapSpec
from drive_rl.sim.map.check import check_network
from drive_rl.sim.map.conflicts import CLEAR_M
from drive_rl.sim.map.lane_geometry import locate, may_change, pose_at
from drive_rl.sim.map.network import Control, Floats, Priority, RoadNetwork, StreetMap, Turn
from drive_rl.sim.map.streets.generate import generate_streets, map_of_seed

SEEDS = (*range(8), 20_000, 20_001, 20_002)
BOTH = [(kind, seed) for kind in MAPS for seed in SEEDS]
both = pytest.mark.parametrize(("kind", "seed"), BOTH)


@cache
def drawn(kind: str, seed: int) -> StreetMap:
    return map_of_seed(load_map(kind), seed)


def points(network: RoadNetwork, lane: int) -> Floats:
    part = slice(network.first_point[lane], network.first_point[lane + 1])
    return np.stack([network.x_m[part], network.y_m[part]], axis=1)


def listed(first: np.ndarray, items: np.ndarray, lane: int) -> list[int]:
    return items[first[lane] : first[lane + 1]].tolist()


@both
def test_lanes_are_joined_without_gaps(kind: str, seed: int) -> None:
    streets = drawn(kind, seed)
    check_network(streets)
    network = streets.network
    for lane in range(len(streets.lanes)):
        x, y, yaw = pose_at(network, lane, float(network.length_m[lane]), 0.0)
        for after in listed(network.first_successor, network.successor, lane):
            place = pose_at(network, after, 0.0, 0.0)
            assert place[:2] == pytest.approx((x, y), abs=2e-3), (streets.lanes[lane], streets.lanes[after])
            assert np.cos(place[2] - yaw) > np.cos(2e-3)
            assert lane in listed(network.first_predecessor, network.predecessor, after)


@both
def test_every_lane_reaches_every_other(kind: str, seed: int) -> None:
    network = drawn(kind, seed).network
    lanes = network.length_m.size
    edges = np.zeros((lanes, lanes))
    for lane in range(lanes):
        edges[lane, listed(network.first_successor, network.successor, lane)] = 1
        for other, to_left in ((network.left[lane], True), (network.right[lane], False)):
            if may_change(network, lane, to_left):
                edges[lane, other] = 1
    assert connected_components(csr_array(edges), connection="strong")[0] == 1


@both
def test_lines_are_smooth_and_not_too_tight(kind: str, seed: int) -> None:
    network = drawn(kind, seed).network
    assert np.abs(network.curvature_1pm).max() < 1 / 5
    for lane in range(network.length_m.size):
        line, step = points(network, lane), network.step_m[lane]
        part = slice(network.first_point[lane], network.first_point[lane + 1])
        chords, yaw, bend = np.diff(line, axis=0), network.yaw_rad[part], network.curvature_1pm[part]
        assert 0 < step <= 1 + 1e-9
        np.testing.assert_allclose(np.hypot(*chords.T), step, rtol=3e-3)  # a chord is shorter than its arc
        heading = np.arctan2(chords[:, 1], chords[:, 0])
        assert np.cos(heading - (yaw[1:] + yaw[:-1]) / 2).min() > np.cos(0.01)
        np.testing.assert_allclose(np.diff(yaw), step * (bend[1:] + bend[:-1]) / 2, atol=0.02)


@both
def test_neighbours_run_side_by_side(kind: str, seed: int) -> None:
    network = drawn(kind, seed).network
    for lane in range(network.length_m.size):
        if (right := network.right[lane]) >= 0:
            assert network.left[right] == lane
            assert network.right_marking[lane] == network.left_marking[right]
            apart = [locate(network, right, x, y)[1] for x, y in points(network, lane)[1:-1]]
            np.testing.assert_allclose(apart, (network.width_m[lane] + network.width_m[right]) / 2, atol=0.02)
        if (other := network.opposite[lane]) >= 0:
            assert network.opposite[other] == lane
            apart = [locate(network, other, x, y)[1] for x, y in points(network, lane)[1:-1]]
            width = (network.width_m[lane] + network.width_m[other]) / 2  # of the narrower end, where it changes
            assert width - 0.03 < min(apart) <= max(apart) < width + 0.65


@both
def test_widths_limits_and_ends_are_sane(kind: str, seed: int) -> None:
    network = drawn(kind, seed).network
    assert 2.9 < network.width_m.min() <= network.width_m.max() < 4.1
    assert 29 / 3.6 < network.speed_limit_mps.min() + 1 <= network.speed_limit_mps.max() < 131 / 3.6
    stops = np.isfinite(network.stop_s_m)
    assert (network.length_m[stops] - network.stop_s_m[stops] < 6).all()
    assert (network.stop_s_m[stops] > 0).all()
    assert ((network.signal >= 0) == (network.control == Control.SIGNAL)).all()
    assert ((network.turn == Turn.NONE) == (network.junction < 0)).all()
    assert (network.paint_from_s_m < network.paint_to_s_m).all()


@both
def test_conflicts_are_where_connections_meet(kind: str, seed: int) -> None:
    network = drawn(kind, seed).network
    lines = {lane: points(network, lane) for lane in np.flatnonzero(network.junction >= 0).tolist()}
    starts = {lane: listed(network.first_predecessor, network.predecessor, lane) for lane in lines}
    for one, line in lines.items():
        meets = listed(network.first_conflict, network.conflict_lane, one)
        assert len(set(meets)) == len(meets)
        for other, across in lines.items():
            if network.junction[one] == network.junction[other] and one != other and starts[one] != starts[other]:
                nearest = np.hypot(*(line[:, None] - across[None]).transpose(2, 0, 1)).min()
                assert (other in meets) == (nearest < CLEAR_M)
    one = np.repeat(np.arange(network.length_m.size), np.diff(network.first_conflict)).tolist()
    priority = dict(zip(zip(one, network.conflict_lane.tolist(), strict=True), network.conflict_priority, strict=True))
    assert all(priority[other, one] == -value for (one, other), value in priority.items())
    assert (network.conflict_s_m <= network.conflict_end_s_m).all()


@both
def test_crossings_cross_the_lanes_that_they_name(kind: str, seed: int) -> None:
    network = drawn(kind, seed).network
    for crossing, corners in enumerate(network.crossing_corners):
        named = {
            lane
            for lane in range(network.length_m.size)
            if crossing in listed(network.first_crossing, network.crossing, lane)
        }
        inside = {
            lane
            for lane in range(network.length_m.size)
            for place in points(network, lane)[1:-1].tolist()
            if cv2.pointPolygonTest(corners.astype(np.float32), place, True) > 0.05
        }
        assert named == inside
    for lane in range(network.length_m.size):
        for at in range(network.first_crossing[lane], network.first_crossing[lane + 1]):
            corners = network.crossing_corners[network.crossing[at]].astype(np.float32)
            for s in (network.crossing_s_m[at], network.crossing_end_s_m[at]):
                assert abs(cv2.pointPolygonTest(corners, pose_at(network, lane, s, 0.0)[:2], True)) < 0.3
            near_end = network.length_m[lane] - network.crossing_end_s_m[at] < 2
            assert not near_end or not network.stop_s_m[lane] > network.crossing_s_m[at]


def roads(network: RoadNetwork) -> np.ndarray:
    """Return a number for each lane: lanes side by side, of either direction, share it."""
    lanes = network.length_m.size
    edges = np.zeros((lanes, lanes))
    for beside in (network.left, network.right, network.opposite):
        edges[np.flatnonzero(beside >= 0), beside[beside >= 0]] = 1
    return connected_components(csr_array(edges), directed=False)[1]


@both
def test_roads_keep_apart(kind: str, seed: int) -> None:
    network = drawn(kind, seed).network
    road, plain = roads(network), np.flatnonzero(network.junction < 0)
    joined = {
        (road[lane], road[after])
        for lane in plain.tolist()
        for after in listed(network.first_successor, network.successor, lane)
    }
    lines = {lane: points(network, lane)[::3] for lane in plain.tolist()}
    for one in plain.tolist():
        for other in plain[plain > one].tolist():
            pair = road[one], road[other]
            if pair[0] != pair[1] and pair not in joined and pair[::-1] not in joined:
                low, high = lines[one].min(axis=0) - 3, lines[one].max(axis=0) + 3
                near = lines[other][((lines[other] > low) & (lines[other] < high)).all(axis=1)]
                if len(near):
                    assert np.hypot(*(lines[one][:, None] - near[None]).transpose(2, 0, 1)).min() > 3


@pytest.mark.parametrize("kind", MAPS)
def test_a_seed_draws_one_map(kind: str) -> None:
    first, again = drawn(kind, 3).network, map_of_seed(load_map(kind), 3).network
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert drawn(kind, 4).network.x_m.size != first.x_m.size or (drawn(kind, 4).network.x_m != first.x_m).any()


@pytest.mark.parametrize("kind", MAPS)
def test_test_seeds_draw_other_sizes(kind: str) -> None:
    """The same random numbers, in the ranges of the test split: another map, larger by what the spec names."""
    spec = cast(DrawnMapSpec, load_map(kind))
    train, test = (generate_streets(spec, is_test, np.random.default_rng(5), "") for is_test in (False, True))
    extent = [np.ptp(each.network.x_m) + np.ptp(each.network.y_m) for each in (train, test)]
    assert extent[1] > 1.1 * extent[0]


def test_a_town_has_what_towns_have() -> None:
    towns = [drawn("town", seed).network for seed in SEEDS]
    controls = np.concatenate([town.control for town in towns])
    assert set(np.unique(controls)) == set(Control)
    assert all(town.bay_lane.size and len(town.crossing_corners) and (town.left >= 0).any() for town in towns)
    assert {len(set(town.junction[town.turn == turn])) > 0 for town in towns for turn in (1, 2, 3)} == {True}


def test_a_roundabout_gives_way_to_who_is_on_it() -> None:
    network = drawn("roundabouts", 0).network
    on_circle = (network.turn == Turn.STRAIGHT) & (network.curvature_1pm[network.first_point[:-1]] > 1 / 31)
    assert on_circle.any()
    for lane in np.flatnonzero(on_circle).tolist():
        priorities = listed(network.first_conflict, network.conflict_priority, lane)
        assert priorities
        assert set(priorities) == {Priority.GOES_FIRST}


def test_a_motorway_joins_from_the_right_and_gives_way() -> None:
    network = drawn("motorway", 0).network
    joining = np.flatnonzero(network.control == Control.GIVE_WAY)
    assert joining.size >= 2
    assert (network.right[joining] < 0).all()
    for lane in joining.tolist():
        (taper,) = listed(network.first_successor, network.successor, lane)
        assert listed(network.first_conflict, network.conflict_priority, taper) == [Priority.YIELDS]


@pytest.mark.parametrize("kind", MAPS)
def test_a_spec_reads_back(kind: str) -> None:
    adapter: TypeAdapter[MapSpec] = TypeAdapter(MapSpec)
    assert adapter.validate_python(load_map(kind).model_dump(mode="json")) == load_map(kind)
