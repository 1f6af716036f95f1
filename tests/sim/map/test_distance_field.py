"""The distance field against exact road coordinates: bilinear look-up is off by millimetres, one centimetre at 15 m."""

import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.sim.map.distance_field import CELL_M, Field, build_field
from drive_rl.sim.map.generator import generate, paved_half_width_m

SPEC = load_world("lane_follow").road


def _bilinear(field: Field, x: float, y: float) -> tuple[float, float]:
    u, v = (x - field.origin_x_m) / CELL_M, (y - field.origin_y_m) / CELL_M
    i, j = int(u), int(v)
    weights = np.outer([1 - v % 1, v % 1], [1 - u % 1, u % 1])
    d, s = (float((grid[j : j + 2, i : i + 2] * weights).sum()) for grid in (field.d_m, field.s_m))
    return d, s


def _errors_m(tier: str, roads: int = 12, points: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Errors of d and s over random points of the pavement."""
    spec = SPEC.model_copy(update={"tiers": {tier: SPEC.tiers[tier]}})
    half = paved_half_width_m(spec)
    out = []
    for seed in range(roads):
        rng = np.random.default_rng(seed)
        road = generate(spec, rng)
        field = build_field(road, spec)
        for s, d in zip(rng.uniform(2, road.length_m - 2, points), rng.uniform(-half, half, points), strict=True):
            x, y, _ = road.place(float(s), float(d))
            found_d, found_s = _bilinear(field, x, y)
            out.append((found_d - d, found_s - s))
    errors = np.abs(out)
    return errors[:, 0], errors[:, 1]


# d's second derivative is at most 1 / (radius - half width), so bilinear look-up is off by that / 8 on 1 m cells:
# 2.2 mm (easy), 4.9 mm (medium), 11.6 mm (hard); measured over these points: 2.1, 4.6 and 9.9 mm, s no worse
@pytest.mark.parametrize("tier", ["easy", "medium", "hard"])
def test_look_up_is_exact_to_millimetres(tier: str) -> None:
    d_error, s_error = _errors_m(tier)
    bound_m = CELL_M**2 / 8 / (SPEC.tiers[tier].min_radius_m - paved_half_width_m(SPEC))
    assert d_error.max() < bound_m + 2e-4  # float32
    assert s_error.max() < bound_m + 2e-4


def test_the_pavement_is_known_and_the_far_is_not() -> None:
    road = generate(SPEC, np.random.default_rng(1))
    field = build_field(road, SPEC)
    rows, columns = np.nonzero(np.isnan(field.d_m))
    picked = np.random.default_rng(0).choice(len(rows), 500)
    half = paved_half_width_m(SPEC)
    for row, column in zip(rows[picked], columns[picked], strict=True):
        at = road.locate(field.origin_x_m + column * CELL_M, field.origin_y_m + row * CELL_M)
        assert abs(at.d_m) > half or not 0 < at.s_m < road.length_m
    assert np.nanmax(np.abs(field.d_m)) < half + 3


def test_own_line_is_found_where_the_road_comes_back_near() -> None:
    # every known cell belongs to the nearest part of the road
    road = generate(SPEC, np.random.default_rng(4))
    field = build_field(road, SPEC)
    rows, columns = np.nonzero(~np.isnan(field.d_m))
    picked = np.random.default_rng(0).choice(len(rows), 500)
    for row, column in zip(rows[picked], columns[picked], strict=True):
        at = road.locate(field.origin_x_m + column * CELL_M, field.origin_y_m + row * CELL_M)
        assert field.d_m[row, column] == pytest.approx(at.d_m, abs=1e-4)
        assert field.s_m[row, column] == pytest.approx(at.s_m, abs=1e-3)
