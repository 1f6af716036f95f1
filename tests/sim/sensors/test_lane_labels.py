"""Lane polylines: on the painted pixels, inside the picture, and all paint beside one of them."""

import math

import numpy as np
import pytest
from scenes import ROAD, pinhole_row, straight_road

from drive_rl.config.reader import load_world
from drive_rl.config.specs.car import CameraSpec
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.sensors.lane_labels import lane_polylines, painted_lines_d_m
from drive_rl.sim.sensors.renderer import LINE

SIZE = ["camera.width_px=320", "camera.height_px=200", "camera.renderer=field"]


def _dense(points: np.ndarray, step_px: float = 0.5) -> np.ndarray:
    """Return points every `step_px` along a polyline."""
    length = np.r_[0, np.hypot(*np.diff(points, axis=0).T).cumsum()]
    at = np.arange(0, length[-1], step_px)
    return np.stack([np.interp(at, length, points[:, k]) for k in (0, 1)], axis=1)


def test_a_straight_road_by_hand() -> None:
    camera = CameraSpec(width_px=640, height_px=400, fov_rad=1.2, forward_m=0, height_m=1.5, pitch_rad=0.1)
    lines = lane_polylines(straight_road(), ROAD, camera, 100.0, -1.75, 0.0)
    assert [(line.d_m, line.dashed) for line in lines] == [(-3.5, False), (0.0, True), (3.5, False)]
    row = pinhole_row(camera, 15.0)
    focal = 320 / math.tan(0.6)
    depth = 15 * math.cos(0.1) + 1.5 * math.sin(0.1)
    for line, left_m in zip(lines, (-1.75, 1.75, 5.25), strict=True):
        column = np.interp(row, line.points[::-1, 1], line.points[::-1, 0])
        assert column == pytest.approx(320 - focal * left_m / depth, abs=0.01)
        assert (np.diff(line.points[:, 1]) < 0).all(), "nearest point first"


def test_lines_of_wider_roads() -> None:
    spec = ROAD.model_copy(update={"lanes_ahead": 2, "lanes_oncoming": 0, "lane_width_m": 3.0})
    assert painted_lines_d_m(spec) == [-6, -3, 0]


@pytest.mark.parametrize("world", ["lane_follow", "lane_follow_hard"])
def test_polylines_lie_on_the_segmentations_paint(world: str) -> None:
    env = LaneEnv(load_world(world, SIZE), observation="state")
    rng = np.random.default_rng(5)
    on_paint, off_line = [], []
    for seed in range(12):
        env.reset(options={"road_seed": seed})
        for _ in range(int(rng.integers(1, 30))):
            env.step([rng.uniform(-0.1, 0.1), 0.3])
        truth = env.truth()
        height, width = truth.classes.shape
        paint = truth.classes == LINE
        assert truth.lanes
        everything = [_dense(line.points) for line in truth.lanes if len(line.points) > 1]
        for line in truth.lanes:
            assert (line.points >= 0).all()
            assert (line.points <= [width, height]).all()
            if line.dashed:
                continue
            points = _dense(line.points).astype(int)
            near = points[(points[:, 1] > 0.75 * height) & (points[:, 1] < height) & (points[:, 0] < width)]
            on_paint += paint[near[:, 1], near[:, 0]].tolist()
        rows, columns = np.nonzero(paint)
        apart = [
            min(np.hypot(p[:, 0] - c - 0.5, p[:, 1] - r - 0.5).min() for p in everything)
            for r, c in zip(rows, columns, strict=True)
        ]
        off_line += (np.array(apart) > 1.5 + 0.06 * (rows - 0.4 * height).clip(0)).tolist()
    env.close()
    assert len(on_paint) > 300
    assert np.mean(on_paint) > 0.98
    assert np.mean(off_line) < 0.01
