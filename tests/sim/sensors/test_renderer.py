"""Pixels and ground truth against hand-computed geometry: places, widths, shades, depth, vehicles."""

import math

import cv2
import numpy as np
import pytest
from scenes import PLAIN, ROAD, SHADES, opencv_pixels, picture, pinhole_row, straight_scene

from drive_rl.config.reader import load_world
from drive_rl.config.specs.car import CameraSpec, CarSpec
from drive_rl.sim.appearance import ASPHALT, MARKING, Appearance, draw_appearance
from drive_rl.sim.sensors.pinhole import focal_px
from drive_rl.sim.sensors.renderer import BACKGROUND, EGO_LANE, LINE, VEHICLE, Scene
from drive_rl.sim.sensors.renderer import ROAD as OTHER_LANE
from drive_rl.sim.sensors.solids import car_solids
from drive_rl.sim.task.episode import draw_episode

BIG = CameraSpec(width_px=640, height_px=400, fov_rad=1.2, forward_m=0, height_m=1.5, pitch_rad=0.1)
LANE_D_M = -ROAD.lane_width_m / 2


def _columns(row: np.ndarray, kind: int) -> np.ndarray:
    return np.flatnonzero(row == kind)


@pytest.mark.parametrize("ahead_m", [6.0, 10.0, 20.0])
def test_lines_are_where_the_pinhole_puts_them_and_as_wide(ahead_m: float) -> None:
    truth = picture(straight_scene(), BIG, 100.0, LANE_D_M)
    row = int(pinhole_row(BIG, ahead_m))
    # the row's own distance, by hand: its angle below the axis
    below = BIG.pitch_rad + math.atan((row + 0.5 - 200) / focal_px(BIG))
    depth = BIG.height_m / math.sin(below) * math.cos(below - BIG.pitch_rad)
    per_m = focal_px(BIG) / depth
    right = _columns(truth.classes[row, 320:], LINE) + 320
    assert right.mean() + 0.5 == pytest.approx(320 + per_m * ROAD.lane_width_m / 2, abs=0.6)
    assert len(right) == pytest.approx(ROAD.line_width_m * per_m, abs=1)
    ego = _columns(truth.classes[row], EGO_LANE)
    assert ego.min() == pytest.approx(320 - per_m * ROAD.lane_width_m / 2, abs=per_m * ROAD.line_width_m + 1)
    shoulder_edge = 320 + per_m * (ROAD.lane_width_m / 2 + ROAD.shoulder_m)
    if shoulder_edge < 640:
        assert truth.classes[row, int(shoulder_edge) - 2] == OTHER_LANE
        assert truth.classes[row, int(shoulder_edge) + 2] == BACKGROUND


def test_dashes_are_a_third_of_the_middle_line() -> None:
    above = CameraSpec(width_px=400, height_px=400, fov_rad=1.2, forward_m=0, height_m=66, pitch_rad=1.57)
    per_m = focal_px(above) / above.height_m
    truth = picture(straight_scene(), above, 150.0, 0.5 / per_m)  # the line runs through pixel centres
    painted = (truth.classes == LINE).any(axis=1, where=np.abs(np.arange(400) - 199.5) < 2)
    assert painted.mean() == pytest.approx(ROAD.dash_length_m / (ROAD.dash_length_m + ROAD.dash_gap_m), abs=0.02)
    # on the straight road s is x, and dashes start at multiples of 9 m
    starts = 150 - (np.flatnonzero(np.diff(painted.astype(int))) + 1 - 200) / per_m
    on_the_beat = np.minimum(starts % 9, np.abs(starts % 9 - 3))
    assert np.minimum(on_the_beat, np.abs(starts % 9 - 9)).max() < 0.3


def test_a_far_line_keeps_its_share_of_the_light() -> None:
    # thinner than a pixel, it is neither lost nor fat: brightness summed over the row is its width in pixels
    small = CameraSpec(width_px=160, height_px=100, fov_rad=1.2, forward_m=0, height_m=1.5, pitch_rad=0.1)
    row = int(pinhole_row(small, 35))
    below = small.pitch_rad + math.atan((row + 0.5 - 50) / focal_px(small))
    per_m = focal_px(small) / (small.height_m / math.sin(below) * math.cos(below - small.pitch_rad))
    width_px = ROAD.line_width_m * per_m
    assert width_px < 0.7
    bare = Appearance(PLAIN.rgb.copy(), 0.0, 0.0, 0.0)
    bare.rgb[MARKING] = bare.rgb[ASPHALT]  # the same road and texture, its lines painted in asphalt
    shares = []
    for shift in np.linspace(-0.4, 0.4, 41):
        line, none = (
            picture(straight_scene(appearance=appearance), small, 100.0, LANE_D_M + float(shift))
            .image[0, row]
            .astype(float)
            for appearance in (PLAIN, bare)
        )
        at = int(80 + per_m * (ROAD.lane_width_m / 2 + shift))
        covered = (line / none - 1)[at - 2 : at + 3] / (SHADES["marking"] / SHADES["asphalt"] - 1)
        shares.append(covered.sum())
    assert np.mean(shares) == pytest.approx(width_px, rel=0.1)
    assert np.std(shares) < 0.15 * width_px


def test_shades_are_the_appearances() -> None:
    asphalt, paint, sky = [], [], []
    for x_m in np.linspace(30, 250, 23):  # the texture comes and goes
        truth = picture(straight_scene(), BIG, float(x_m), LANE_D_M)
        image, near = truth.image[0] / 255, np.arange(400)[:, None] >= 250
        asphalt.append(image[near & (cv2.erode((truth.classes == EGO_LANE).astype(np.uint8), np.ones((9, 9))) > 0)])
        paint.append(image[near & (cv2.erode((truth.classes == LINE).astype(np.uint8), np.ones((1, 5))) > 0)])
        sky.append(image[0])
    assert np.concatenate(asphalt).mean() == pytest.approx(SHADES["asphalt"], rel=0.05)
    assert np.concatenate(paint).mean() == pytest.approx(SHADES["marking"], rel=0.05)
    assert np.concatenate(sky).mean() == pytest.approx(SHADES["sky"], rel=0.15)


def test_half_the_brightness_is_half_the_picture() -> None:
    dark = Appearance((PLAIN.rgb / 2).astype(np.float32), 0.0, 0.0, 0.0)
    full = picture(straight_scene(), BIG, 100.0, LANE_D_M).image.astype(float)
    half = picture(straight_scene(appearance=dark), BIG, 100.0, LANE_D_M).image.astype(float)
    assert np.abs(full / 2 - half).max() <= 1.01


def test_grey_is_the_luma_of_rgb() -> None:
    world = load_world("parked_cars")
    for seed in range(3):
        episode = draw_episode(world, seed)
        scene = Scene(episode.field, world.road, episode.appearance, episode.parked_solids)
        x, y, yaw = episode.road.place(60.0 + 20 * seed, LANE_D_M)
        camera = CameraSpec(width_px=160, height_px=100)
        grey = picture(scene, camera, x, y, yaw)
        colour = picture(scene, camera.model_copy(update={"channels": "rgb"}), x, y, yaw)
        luma = cv2.cvtColor(np.ascontiguousarray(colour.image.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY).astype(float)
        # where no channel is clipped at 255
        free = colour.image.max(axis=0) < 255
        assert np.abs(grey.image[0] - luma)[free].max() <= 2
        assert np.array_equal(grey.classes, colour.classes)
        assert np.array_equal(grey.depth_m, colour.depth_m)


def test_depth_is_the_ground_planes() -> None:
    truth = picture(straight_scene(), BIG, 100.0, LANE_D_M, 0.3)
    tangent = (np.arange(400) + 0.5 - 200) / focal_px(BIG)
    # along the axis: height / (sin(pitch) + tangent cos(pitch)), the same over a row
    slope = math.sin(BIG.pitch_rad) + tangent * math.cos(BIG.pitch_rad)
    ground = slope > 0.01
    expected = BIG.height_m / slope[ground]
    assert truth.depth_m[ground] == pytest.approx(np.repeat(expected[:, None], 640, axis=1), rel=1e-4)
    assert np.isinf(truth.depth_m[slope < 0]).all()


@pytest.mark.parametrize(("ahead", "left", "yaw"), [(12.0, 0.0, 0.0), (18.0, 3.0, 0.4), (9.0, -2.0, 2.5)])
def test_a_vehicle_fills_its_projected_box(ahead: float, left: float, yaw: float) -> None:
    car = CarSpec()
    truth = picture(straight_scene(car_solids(car, 100 + ahead, LANE_D_M + left, yaw)), BIG, 100.0, LANE_D_M)
    mask = truth.classes == VEHICLE
    signs = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (0, 1)])
    local = signs * [1.01 * car.length_m / 2 + 0.02, car.width_m / 2 * 1.12, 0.98 * car.height_m]
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    corners = np.c_[local[:, :2] @ turn.T + [ahead, left], local[:, 2]]
    pixels = opencv_pixels(BIG, corners)
    hull = cv2.convexHull(pixels.astype(np.float32) - 0.5).round().astype(np.int32)
    box = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), hull, 1)
    assert not (mask & (cv2.dilate(box, np.ones((3, 3), np.uint8)) == 0)).any(), "paint outside the box"
    assert mask.sum() > 0.6 * box.sum()
    rows, columns = np.nonzero(mask)
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert found == pytest.approx([*pixels.min(axis=0), *pixels.max(axis=0)], abs=0.08 * np.ptp(pixels[:, 0]))
    nearest = (corners[:, 0] * math.cos(BIG.pitch_rad) + (BIG.height_m - corners[:, 2]) * math.sin(BIG.pitch_rad)).min()
    assert truth.depth_m[mask].min() == pytest.approx(nearest, abs=0.35)


def test_nothing_is_seen_through_a_vehicle() -> None:
    near = car_solids(CarSpec(), 110.0, LANE_D_M, 0.0, colour=(1, 1, 1))
    truth = picture(straight_scene(near), BIG, 100.0, LANE_D_M)
    empty = picture(straight_scene(), BIG, 100.0, LANE_D_M)
    mask = truth.classes == VEHICLE
    assert (truth.depth_m[mask] <= empty.depth_m[mask]).all()
    assert np.array_equal(truth.classes[~mask], empty.classes[~mask])
    assert np.array_equal(truth.depth_m[~mask], empty.depth_m[~mask])


def test_looks_are_drawn_from_the_worlds_ranges() -> None:
    spec = load_world("lane_follow").appearance
    appearances = [draw_appearance(spec, np.random.default_rng(seed)) for seed in range(200)]
    wear = [appearance.wear for appearance in appearances]
    assert spec.wear[0] <= min(wear) < max(wear) <= spec.wear[1]
    assert max(abs(appearance.camera_height_error_m) for appearance in appearances) <= spec.camera_height_error_m
    assert max(abs(appearance.camera_pitch_error_rad) for appearance in appearances) <= spec.camera_pitch_error_rad
    asphalt = [float(appearance.palette(1)[0, 0]) for appearance in appearances]
    assert min(asphalt) >= spec.asphalt[0] * spec.brightness[0] - 1e-6
    assert max(asphalt) <= spec.asphalt[1] * spec.brightness[1] + 1e-6
    assert np.std(asphalt) > 0.02
