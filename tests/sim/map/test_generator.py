"""Seeded roads: the spec's radius and length hold, nothing crosses, seeds and tiers do what they say."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drive_rl.config.reader import load_world
from drive_rl.config.specs.world import RoadSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.generator import RUN_IN_M, RUN_OUT_M, generate, paved_half_width_m
from drive_rl.sim.map.geometry import Road

LANE_FOLLOW = load_world("lane_follow").road


def _crossings(line: np.ndarray, other: np.ndarray, skip: int) -> int:
    """Count proper crossings of two polylines' segments, by orientation; `skip` neighbours of one line do not count."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])

    a, b = line[:-1, None], line[1:, None]
    c, d = other[None, :-1], other[None, 1:]
    cross = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    far = np.abs(np.arange(len(line) - 1)[:, None] - np.arange(len(other) - 1)[None]) > skip
    return int((cross & far).sum())


def _assert_sound(road: Road, spec: RoadSpec) -> None:
    curvature = road.knots[:, 3]
    radius = spec.tiers[road.tier].min_radius_m
    assert np.isfinite(road.knots).all()
    assert np.abs(curvature).max() <= 1 / radius + 1e-12
    assert np.abs(np.diff(curvature)).max() <= 2 / (8 * radius) + 1e-12, "a jump in curvature"
    assert road.end_s_m - road.start_s_m == pytest.approx(spec.length_m)
    assert road.start_s_m == RUN_IN_M
    assert road.length_m >= RUN_IN_M + spec.length_m + RUN_OUT_M
    half = paved_half_width_m(spec)
    edges = [road.line(d, 0, road.length_m, 2.0) for d in (-half, half)]
    assert _crossings(edges[0], edges[0], 1) == 0
    assert _crossings(edges[1], edges[1], 1) == 0
    assert _crossings(edges[0], edges[1], -1) == 0


def test_the_crossing_check_sees_a_crossing() -> None:
    eight = np.array([[0, 0], [2, 2], [2, 0], [0, 2]], float)
    assert _crossings(eight, eight, 1) == 2  # one pair, seen from both sides
    assert _crossings(eight[:3], eight[:3], 1) == 0


@pytest.mark.parametrize("seed", range(0, 60))
def test_shipped_roads_are_sound(seed: int) -> None:
    _assert_sound(generate(LANE_FOLLOW, np.random.default_rng([seed, 0])), LANE_FOLLOW)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.floats(60, 1200), st.floats(2, 5), st.integers(1, 3), st.integers(0, 3), st.floats(0, 3), st.floats(2, 300),
    st.integers(0, 2**31),
)  # fmt: skip
def test_any_road_is_sound_or_refused(
    length: float, lane: float, ahead: int, oncoming: int, shoulder: float, extra: float, seed: int
) -> None:
    half = max(ahead, oncoming) * lane + shoulder
    spec = RoadSpec.model_validate(
        {
            "length_m": length,
            "lane_width_m": lane,
            "lanes_ahead": ahead,
            "lanes_oncoming": oncoming,
            "shoulder_m": shoulder,
            "tiers": {"one": {"min_radius_m": max(8, half + extra), "weight": 1}},
        }
    )
    try:
        road = generate(spec, np.random.default_rng(seed))
    except DriveRLError:
        return
    _assert_sound(road, spec)


def test_seeds_name_roads() -> None:
    roads = [generate(LANE_FOLLOW, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert np.array_equal(roads[0].knots, roads[1].knots)
    assert not np.array_equal(roads[0].knots, roads[2].knots)


def test_tiers_are_drawn_half_third_sixth_and_bends_go_both_ways() -> None:
    roads = [generate(LANE_FOLLOW, np.random.default_rng([seed, 0])) for seed in range(600)]
    tiers = [road.tier for road in roads]
    for tier, share in (("easy", 1 / 2), ("medium", 1 / 3), ("hard", 1 / 6)):
        sigma = (share * (1 - share) / len(tiers)) ** 0.5
        assert tiers.count(tier) / len(tiers) == pytest.approx(share, abs=4 * sigma)
    left = np.mean([np.mean(road.knots[road.knots[:, 3] != 0, 3] > 0) for road in roads])
    assert left == pytest.approx(0.5, abs=0.05)
    radii = {tier: min(1 / np.abs(r.knots[:, 3]).max() for r in roads if r.tier == tier) for tier in set(tiers)}
    assert radii == pytest.approx({"easy": 60, "medium": 30, "hard": 15}, rel=0.02), "the tightest bends are drawn"


def _drawn(rng: np.random.Generator, seed: int) -> int:
    """Return how many 64-bit numbers a generator of this seed has given."""
    again, here = np.random.PCG64(seed), rng.bit_generator.state["state"]
    count = 0
    while again.state["state"] != here:
        again.advance(1)
        count += 1
    return count


def test_a_road_takes_bounded_work() -> None:
    # every try draws four numbers (two integers share one), and a fifth when it comes too near an earlier stretch
    counts = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        generate(LANE_FOLLOW, rng)
        counts.append(_drawn(rng, seed))
    assert np.median(counts) <= 40
    assert max(counts) <= 400


def test_a_road_not_found_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_rl.sim.map.generator._TRIES", 1)  # with all its tries it finds every road of these tests
    with pytest.raises(DriveRLError, match=r"road\.length_m = 400: .*fix:"):
        generate(LANE_FOLLOW, np.random.default_rng(0))
