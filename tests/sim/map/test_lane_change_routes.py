"""Routes that change lanes: their line in closed form, where they may, and what is refused."""

from typing import cast

import numpy as np
import pytest

from drive_rl.benchmark.driving.places import stop_lines
from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.build import NetworkDraft
from drive_rl.sim.map.geometry import pose_at
from drive_rl.sim.map.lane_geometry import locate
from drive_rl.sim.map.network import Marking, RoadNetwork, Turn
from drive_rl.sim.map.street_route import CHANGES, LEAVES, StreetRoute, draw_route
from drive_rl.sim.task.street_episode import built_map, draw_street_episode
from tests.support.small_streets import arc, lane, street_map

WIDTH_M, LIMIT_MPS = 3.5, 10.0
RUN_IN = 5  # knots before the start


def two_lanes(marking: Marking) -> RoadNetwork:
    """Return two straight lanes of 400 m eastward side by side, the right one on the x axis."""
    right = lane("right", arc(0, 0, 0, 0, 400), 400, left=1, left_marking=marking)
    left = lane("left", arc(0, WIDTH_M, 0, 0, 400), 400, right=0, right_marking=marking)
    return street_map(NetworkDraft([right, left])).network


def test_the_line_over_is_a_quintic_of_three_and_a_half_seconds() -> None:
    network = two_lanes(Marking.WHITE_DASHED)
    for seed in range(8):
        route = draw_route(network, 200, np.random.default_rng(seed), changes=1)
        x, y, _, _ = route.knots.T
        to_left, begins_m = route.lanes.tolist() == [0, 1], route.spans[0, LEAVES] - route.spans[0, CHANGES]
        u = np.clip((x - begins_m) / (3.5 * LIMIT_MPS), 0, 1)
        share = 10 * u**3 - 15 * u**4 + 6 * u**5
        assert np.abs(y - WIDTH_M * (share if to_left else 1 - share)).max() < 0.01
        assert 3 * LIMIT_MPS <= begins_m - x[RUN_IN] <= 3 * LIMIT_MPS + 40
        assert np.allclose(np.hypot(*np.diff(route.knots[:, :2], axis=0).T), 1, atol=1e-3)


def episode_route(world_name: str, seed: int) -> tuple[RoadNetwork, StreetRoute]:
    world = load_world(world_name)
    streets = cast(StreetsSpec, world.streets)
    episode = draw_street_episode(world, streets, seed)
    return built_map(streets.map, episode.map_seed).network, episode.route


@pytest.mark.parametrize(
    ("family", "changes"), [("lane_change", 1), ("highway_exit", 1), ("sequential_lane_change", 2)]
)
def test_routes_move_smoothly_over_dashed_lines_alone(family: str, changes: int) -> None:
    for seed in (10_000, 20_001):
        network, route = episode_route(f"scenarios/{family}", seed)
        for one, other in zip(route.lanes[:changes], route.lanes[1 : changes + 1], strict=True):
            to_left = network.left[one] == other
            assert to_left or network.right[one] == other
            assert Marking((network.left_marking if to_left else network.right_marking)[one]).is_dashed
        assert (route.spans[:changes, CHANGES] > 0).all()
        assert not route.spans[changes:, CHANGES].any()
        for at, lane_number in (
            (route.start_m, 0),
            (route.begins_m[changes] + route.spans[changes - 1, CHANGES], changes),
        ):
            x, y, _, _ = pose_at(route.knots, float(at))
            assert abs(locate(network, route.lanes[lane_number], x, y)[1]) < 0.01
        ahead = np.array([pose_at(route.knots, k + 1 - 1e-9)[:2] for k in range(len(route.knots) - 1)])
        assert np.abs(ahead - route.knots[1:, :2]).max() < 0.01
        if family == "highway_exit":
            assert network.turn[route.lanes[changes + 1]] == Turn.RIGHT


def test_a_stop_line_beside_two_lanes_is_one() -> None:
    network, route = episode_route("scenarios/lane_change", 10_000)
    lines = stop_lines(network, route, np.zeros(1))
    assert (np.diff(lines.s_m) > 5).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DriveRLError, match=r"streets.lane_changes = 1: found no route of 200 m that begins with so"):
        draw_route(two_lanes(Marking.WHITE_SOLID), 200, np.random.default_rng(0), changes=1)
    with pytest.raises(DriveRLError, match=r"lane_changes = 1: expected 0 beside hazard.kind = hard_brake"):
        load_world("town", ["streets.lane_changes=1", "streets.hazard={kind: hard_brake}"])
