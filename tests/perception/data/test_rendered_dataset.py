"""Labelled pictures: the labels are those of the environment and of geometry, and any minibatch is always the same.

Covers rendered_dataset, weather and samples.
"""

import math

import cv2
import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.perception import HEADS, DataSpec, OtherWorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import RenderedSamples, along_road, held_out
from drive_rl.perception.data.samples import LANE_FIELDS, LINES, UNKNOWN_SCENE, Samples, anchor_rows
from drive_rl.perception.data.weather import weather
from drive_rl.perception.heads.registry import heads_of
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.sensors.renderer import LINE, VEHICLE
from drive_rl.sim.task.outcome import STATE_FIELDS

CAMERA = ("camera.width_px=160", "camera.height_px=80", "camera.channels=rgb", "camera.frame_stack=1")
WORLD = load_world("lane_follow", CAMERA)


def same(a: Samples, b: Samples) -> bool:
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(*map(every, (a, b)), strict=True))


def every(samples: Samples) -> list[np.ndarray]:
    return list(samples.arrays().values())


def test_pictures_and_labels_are_what_the_environment_says_at_that_pose() -> None:
    samples = along_road(WORLD, 20003, 30)
    env = LaneEnv(WORLD, observation="camera+state")
    try:
        env.reset(options={"road_seed": 20003})
        road, lane_d = env.episode.road, -WORLD.road.lane_width_m / 2
        for i in (0, 7, 29):
            at = road.place(road.start_s_m + i * 1.2, lane_d)  # 12 m/s at 10 Hz
            env.set_state(env.get_state() | {"car": np.array([*at, 12, 0, 0, 0])})
            truth = env.truth()
            assert np.array_equal(truth.image, samples.images[i])
            assert np.array_equal(truth.classes, samples.classes[i])
            _, _, _, _, info = env.step(np.zeros(2, np.float32))
            assert abs(info["offset_m"]) < 0.5  # the pose is on the lane
    finally:
        env.close()


def test_stacks_of_ages_are_rendered_so_many_steps_before() -> None:
    small = "camera.width_px=32", "camera.height_px=16"
    deep = along_road(load_world("lane_follow", [*small, "camera.frame_stack=6"]), 20003, 4).images
    some = [*small, "camera.frame_stack=3", "camera.frame_ages=[5, 3, 0]"]
    assert np.array_equal(along_road(load_world("lane_follow", some), 20003, 4).images, deep[:, [0, 2, 5]])


def test_the_lane_fields_are_the_environments_own() -> None:
    assert set(LANE_FIELDS) <= set(STATE_FIELDS)


def test_lines_lie_on_the_markings() -> None:
    samples = held_out(WORLD, DataSpec(), "val", 40)
    rows = anchor_rows(80)
    on, there = 0, 0
    for mask, lines in zip(samples.classes, samples.lines, strict=True):
        near = cv2.dilate((mask == LINE).astype(np.uint8), np.ones((3, 3), np.uint8))
        for row, column in zip(rows, lines[0] * 160, strict=True):  # the right edge line, which is not dashed
            if np.isfinite(column) and 1 < column < 159 and row > 24:
                on += int(near[int(row), int(column)])
                there += 1
    assert there > 300
    assert on / there > 0.98
    assert np.isnan(samples.lines[:, 3]).all()  # a road of two lanes has three lines
    assert samples.lines.shape[1] == LINES


def test_minibatches_are_the_same_in_any_order_and_mixed_of_many_roads() -> None:
    data = DataSpec(per_road=4)
    one, other = (RenderedSamples(WORLD, data, "train", 24, 5) for _ in range(2))
    try:
        forward = [one.batch(n) for n in range(12)]
        assert same(other.batch(11), forward[11])
        assert same(other.batch(2), forward[2])
        assert len(set(forward[0].seeds.tolist())) > 12
        assert not same(forward[0], forward[1])
    finally:
        one.close()
        other.close()


def test_an_epoch_shows_each_picture_once() -> None:
    data = DataSpec(per_road=2, labelled=0.0064)  # 64 roads: one chunk
    source = RenderedSamples(WORLD, data, "train", 32, 0)
    try:
        epochs = [Samples.joined([source.batch(n) for n in range(first, first + 4)]) for first in (0, 4)]
    finally:
        source.close()
    for epoch in epochs:
        assert sorted(epoch.seeds.tolist()) == sorted([*range(64), *range(64)])
    keys = [sorted(map(tuple, epoch.lane.tolist())) for epoch in epochs]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 128


def of_worlds(*changes: str, world: str = "parked_cars", share: float = 0.4) -> DataSpec:
    return DataSpec(per_road=4, worlds={"other": OtherWorldSpec(world=load_world(world, changes), share=share)})


def test_a_road_is_in_one_of_the_worlds_by_its_seed() -> None:
    mixed = held_out(WORLD, of_worlds(), "val", 400)
    here = held_out(WORLD, DataSpec(), "val", 400)
    there = held_out(load_world("parked_cars", CAMERA), DataSpec(), "val", 400)
    in_other = np.zeros(400, bool)
    for first in range(0, 400, 4):
        road = slice(first, first + 4)
        in_other[road] = same(mixed.take(road), there.take(road))
        assert in_other[first] != same(mixed.take(road), here.take(road))
    assert 0.3 < in_other.mean() < 0.5
    assert (mixed.classes[in_other] == VEHICLE).any()
    assert not (mixed.classes[~in_other] == VEHICLE).any()
    assert same(held_out(WORLD, of_worlds(share=1.0), "val", 8), there.take(slice(0, 8)))


def test_minibatches_of_several_worlds_are_those_roads_in_any_order() -> None:
    one, other = (RenderedSamples(WORLD, of_worlds("camera.width_px=64"), "train", 24, 5) for _ in range(2))
    try:
        forward = Samples.joined([one.batch(n) for n in range(3)])
        assert same(other.batch(2), forward.take(slice(48, 72)))
    finally:
        one.close()
        other.close()
    parked = np.isin(forward.seeds, forward.seeds[(forward.classes == VEHICLE).any(axis=(1, 2))])
    assert 0.1 < parked.mean() < 0.6
    assert forward.images.shape[1:] == (3, 80, 160)  # the camera is the model's


def test_tiers_of_another_world_that_the_model_does_not_know_are_unknown() -> None:
    world = load_world("lane_follow", [*CAMERA, "road.tiers.easy=null"])
    known = {tier: n for n, tier in enumerate(sorted(world.road.tiers))}
    mixed, there = (held_out(world, of_worlds(share=1.0), "val", 80), held_out(WORLD, DataSpec(), "val", 80))
    names = [sorted(WORLD.road.tiers)[tier] for tier in there.scene[:, 0]]
    assert mixed.scene[:, 0].tolist() == [known.get(name, UNKNOWN_SCENE) for name in names]
    assert set(names) == {"easy", "medium", "hard"}


def test_another_world_that_cannot_have_the_camera_is_refused() -> None:
    low = load_world("lane_follow", ["camera.height_m=0.4"])
    data = of_worlds("appearance.camera_height_error_m=0.5")
    with pytest.raises(
        DriveRLError, match=r"data\.worlds\.other\.world: appearance\.camera_height_error_m = 0\.5 .*fix"
    ):
        held_out(low, data, "val", 1)


def test_splits_do_not_share_roads() -> None:
    assert set(held_out(WORLD, DataSpec(), "test", 8).seeds.tolist()) == {20000, 20001}
    with pytest.raises(DriveRLError, match="at most 4000"):
        held_out(WORLD, DataSpec(), "val", 4001)


def test_another_renderer_is_refused() -> None:
    world = load_world("lane_follow", ["camera.renderer=tiny"])
    with pytest.raises(DriveRLError, match=r"fix: world.camera.renderer=field"):
        held_out(world, DataSpec(), "val", 1)


def test_a_drive_by_goes_along_the_lane() -> None:
    samples = along_road(WORLD, 20000, 5)
    assert np.allclose(samples.lane[:, :2], 0)
    assert len(samples) == 5


def test_fog_fades_by_koschmieders_law() -> None:
    depth = np.array([[0.0, 10.0, 1e9]], np.float32)
    picture = np.full((1, 1, 3), 100, np.uint8)
    foggy = weather(picture, depth, "fog", np.random.default_rng(1))
    visibility = np.random.default_rng(1).uniform(25, 90)
    left = math.exp(-3 / visibility * 10)
    assert foggy[0, 0].tolist() == [100, int(100 * left + 205 * (1 - left)), 205]


def test_each_weather_looks_different_and_clear_changes_nothing() -> None:
    picture = held_out(WORLD, DataSpec(), "val", 1).images[0]
    depth = np.full(picture.shape[1:], 20, np.float32)
    made = {kind: weather(picture, depth, kind, np.random.default_rng(0)) for kind in ("clear", "fog", "dusk", "rain")}
    assert np.array_equal(made["clear"], picture)
    assert made["dusk"].mean() < 0.6 * picture.mean()
    assert made["fog"].std() < picture.std()
    assert not np.array_equal(made["rain"], made["fog"])


def test_what_labels_are_known() -> None:
    samples = held_out(WORLD, DataSpec(), "val", 1)
    for head in heads_of(HEADS, WORLD).values():
        assert head.known(samples)
        assert not head.known(Samples.unlabelled(samples.images))
