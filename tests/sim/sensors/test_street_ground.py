"""The ground of maps of streets, pixel by pixel, against polygons and against many samples a pixel."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ground_truth import Outlines, ground_kind, outlines_of, poses_on, sampled_picture

from drive_rl.config.specs.car import CameraSpec, CarSpec
from drive_rl.config.specs.streets.map import CountrySpec, MapSpec, MotorwaySpec, RoundaboutsSpec, TownSpec
from drive_rl.sim.appearance import MARKING, VERGE, YELLOW, Appearance
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.paved_field import STEPS_A_METRE, PavedField, build_paved_field
from drive_rl.sim.map.streets.generate import map_of_seed
from drive_rl.sim.sensors.pinhole import Viewpoint, cast_rays
from drive_rl.sim.sensors.solids import car_solids
from drive_rl.sim.sensors.streets.ground import StreetView, build_street_ground, paint_street_pixel, street_view
from drive_rl.sim.sensors.streets.renderer import render_street

SPECS = (TownSpec(), RoundaboutsSpec(), CountrySpec(), MotorwaySpec())
CAMERA = CameraSpec(width_px=64, height_px=40, fov_rad=1.3, forward_m=0.4, height_m=1.7, pitch_rad=0.25)
APPEARANCE = Appearance(
    np.array([[0.3, 0.3, 0.3], [0.2, 0.5, 0.2], [0.9, 0.9, 0.9], [0.5, 0.6, 0.8]], np.float32), 0.0, 0.0, 0.0
)
Pose = tuple[float, float, float]


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.kind)
def network(request: pytest.FixtureRequest) -> RoadNetwork:
    spec: MapSpec = request.param
    return map_of_seed(spec, 3).network


@pytest.fixture(scope="module")
def outlines(network: RoadNetwork) -> Outlines:
    return outlines_of(network)


@pytest.fixture(scope="module")
def plain(network: RoadNetwork) -> StreetView:
    """Return a view without grain."""
    view = street_view(cast_rays(CAMERA), build_street_ground(network), APPEARANCE, 1)
    return view._replace(appearance=view.appearance._replace(texels=np.zeros_like(view.appearance.texels)))


def _picture(view: StreetView, pose: Pose) -> np.ndarray:
    image = _blank(view.appearance.palette.shape[1])
    render_street(view, *pose, image)
    return image


def _distance(field: PavedField, x: float, y: float) -> float:
    """Return the bilinear distance to the edge [m]."""
    i, j = math.floor(x - field.x0), math.floor(y - field.y0)
    u, v = x - field.x0 - i, y - field.y0 - j
    (a, b), (c, d) = field.steps[j : j + 2, i : i + 2].astype(float) / STEPS_A_METRE
    return (a * (1 - u) + b * u) * (1 - v) + (c * (1 - u) + d * u) * v


def test_points_are_paved_where_the_outlines_say(network: RoadNetwork, outlines: Outlines) -> None:
    field, rng = build_paved_field(network), np.random.default_rng(0)
    wrong, far_wrong, count = 0, 0, 4000
    for x, y, _ in poses_on(network, count, rng):
        x, y = x + float(rng.uniform(-8, 8)), y + float(rng.uniform(-8, 8))
        if not (0 < x - field.x0 < field.steps.shape[1] - 1 and 0 < y - field.y0 < field.steps.shape[0] - 1):
            continue
        distance = _distance(field, x, y)
        if (distance > 0) != (ground_kind(outlines, x, y) != VERGE):
            wrong += 1
            far_wrong += abs(distance) > 0.35  # a corner within a cell
    assert wrong < 0.01 * count
    assert far_wrong <= 2


def test_pictures_are_close_to_64_samples_a_pixel(network: RoadNetwork, outlines: Outlines, plain: StreetView) -> None:
    squares, means = [], []
    for pose in poses_on(network, 8, np.random.default_rng(1)):
        exact = sampled_picture(outlines, APPEARANCE.street_palette(1), CAMERA, pose, 8)
        difference = _picture(plain, pose) + 0.5 - exact  # the renderer cuts fractions off
        squares.append(np.nanmean(difference**2))
        means.append(np.nanmean(np.abs(difference)))
    assert np.mean(means) < 1.2
    assert 10 * math.log10(255**2 / np.mean(squares)) > 34


def test_a_thread_a_pixel_paints_the_same_picture(network: RoadNetwork) -> None:
    """With grain, worn paint and a car ahead, in colour."""
    ground, worn = build_street_ground(network), replace(APPEARANCE, wear=0.5)
    for x, y, yaw in poses_on(network, 3, np.random.default_rng(2)):
        cos, sin = math.cos(yaw), math.sin(yaw)
        car = car_solids(CarSpec(), x + 9 * cos, y + 9 * sin, yaw + 0.3)
        view, image = street_view(cast_rays(CAMERA), ground, worn, 3, car), _blank(3)
        for r in range(CAMERA.height_px):
            for c in range(CAMERA.width_px):
                paint_street_pixel(r, c, view, Viewpoint(x, y, cos, sin), image)
        assert np.array_equal(image, _picture(view, (x, y, yaw)))
        empty = _picture(street_view(cast_rays(CAMERA), ground, worn, 3), (x, y, yaw))
        assert 20 < (image != empty).any(axis=0).sum() < 600  # the car and its shadow


def _blank(channels: int) -> np.ndarray:
    return np.zeros((channels, CAMERA.height_px, CAMERA.width_px), np.uint8)


def test_the_same_seed_gives_the_same_ground(network: RoadNetwork) -> None:
    for one, other in zip(build_street_ground(network), build_street_ground(network), strict=True):
        assert np.array_equal(one, other)


def test_paint_has_the_area_that_it_has_on_the_ground(network: RoadNetwork, outlines: Outlines) -> None:
    """Seen from above, the share of paint is that of random points on the same ground."""
    camera = CameraSpec(width_px=400, height_px=400, fov_rad=1.2, forward_m=0, height_m=40, pitch_rad=1.57)
    only_paint = np.array([0, 0, 1, 0, 1], np.float32)[:, None]
    view = street_view(cast_rays(camera), build_street_ground(network), APPEARANCE, 1)
    view = view._replace(
        appearance=view.appearance._replace(palette=only_paint, texels=np.zeros_like(view.appearance.texels))
    )
    image = np.zeros((1, 400, 400), np.uint8)
    x, y, yaw = poses_on(network, 1, np.random.default_rng(5))[0]
    render_street(view, x, y, yaw, image)
    half, cos, sin = 40 * math.tan(0.6), math.cos(yaw), math.sin(yaw)
    points = np.random.default_rng(6).uniform(-half, half, (200_000, 2)).tolist()
    kinds = [ground_kind(outlines, x + cos * f - sin * left, y + sin * f + cos * left) for f, left in points]
    expected = np.isin(kinds, (MARKING, YELLOW)).mean()
    assert expected > 0.003
    assert image.mean() / 255 == pytest.approx(expected, rel=0.08)
