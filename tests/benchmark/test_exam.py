"""The exam: the same pictures and roads for all models. Covers `adapt`, `exam`, `pictures` and `closed_loop`, too."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from drive_rl.benchmark.closed_loop import OffsetRecorder, drive_model, mean_driven
from drive_rl.benchmark.exam.adapt import adaptations, input_of, samples_for, with_tiers
from drive_rl.benchmark.exam.conditions import load_exam
from drive_rl.config.reader import load_suite
from drive_rl.config.shelf import entries
from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.perception import DataSpec
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.models.load import load_trained

SUITE = """
camera: {width_px: 64, height_px: 32, channels: rgb, frame_stack: 2}
conditions:
  here: {world: lane_follow}
  up: {world: {base: lane_follow_hard, camera: {pitch_rad: 0.4}}, weather: dusk}
"""


@pytest.fixture
def exam(tmp_path):
    (tmp_path / "mine.yaml").write_text(SUITE)
    return load_exam(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("name", entries("configs/suites"))
def test_shipped_suites_are_read(name):
    exam = load_exam(name)
    assert len({condition.name for condition in exam.conditions}) == len(exam.conditions) > 1
    assert len({(c.world.camera.width_px, c.world.camera.channels) for c in exam.conditions}) == 1
    assert load_suite(name).description


def test_pictures_are_those_of_each_condition_in_turn(exam):
    found = exam.pictures("val", 6)
    assert found.images.shape == (6, 6, 32, 64)
    data = DataSpec(offset_m=exam.suite.offset_m, heading_rad=exam.suite.heading_rad)
    first = held_out(exam.conditions[0].world, data, "val", 3)
    assert np.array_equal(found.images[::2], first.images)
    assert np.array_equal(exam.pictures("val", 4).images, found.images[:4])
    assert found.scene[:, 1].tolist() == [0, 2, 0, 2, 0, 2]  # clear, dusk
    assert found.scene[1::2, 0].tolist() == [exam.tiers.index("hard")] * 3  # that world has no other
    assert found.images[1::2].mean() < 0.6 * found.images[::2].mean()


def test_pictures_become_a_models_input(exam):
    samples, camera = exam.pictures("val", 2), exam.camera
    own = camera.model_copy(update={"width_px": 32, "height_px": 16, "channels": "grey", "frame_stack": 1})
    found = samples_for(samples, camera, own)
    newest = samples.images[0, 3:].transpose(1, 2, 0)
    expected = cv2.resize(cv2.cvtColor(newest, cv2.COLOR_RGB2GRAY), (32, 16), interpolation=cv2.INTER_AREA)
    assert np.array_equal(found.images[0, 0], expected)
    assert found.classes.shape == (2, 16, 32)
    assert np.array_equal(found.lane, samples.lane)
    assert input_of(camera, camera)(samples.images) is samples.images
    with pytest.raises(DriveRLError, match=r"reads 3 frames, the exam shows 2; fix: .*camera\.frame_stack = 3"):
        input_of(camera, camera.model_copy(update={"frame_stack": 3}))
    with pytest.raises(DriveRLError, match=r"reads 6 frames, the exam shows 2; fix: .*camera\.frame_stack = 6"):
        input_of(camera, camera.model_copy(update={"frame_ages": (5, 0)}))


def test_a_model_of_some_ages_gets_those_of_the_exams_frames():
    own = CameraSpec(width_px=16, height_px=16, frame_stack=2, frame_ages=(2, 0))
    exam = own.model_copy(update={"frame_stack": 4, "frame_ages": None})
    images = np.arange(4, dtype=np.uint8)[None, :, None, None].repeat(16, 2).repeat(16, 3)
    assert input_of(exam, own)(images)[0, :, 0, 0].tolist() == [1, 3]


def test_what_a_model_was_not_made_for(exam):
    camera = exam.camera
    assert adaptations(camera, camera) == ()
    own = camera.model_copy(update={"width_px": 32, "pitch_rad": 0.5})
    assert adaptations(camera, own) == (
        "resampled from 2 frames of 64x32 rgb to its own 2 frames of 32x32 rgb",
        "not made for the exam's mount: pitch 0.5 rad instead of 0.25",
    )


def test_tiers_that_a_model_does_not_know_are_unknown(exam):
    samples = exam.pictures("val", 2)
    scene = np.array([[0, 0], [2, 1]])
    found = with_tiers(replace(samples, scene=scene), ["easy", "hard", "medium"], ["easy", "medium"])
    assert found.scene.tolist() == [[0, 0], [1, 1]]
    assert with_tiers(replace(samples, scene=scene), ["a", "b", "c"], ["c"]).scene[:, 0].tolist() == [-1, 0]


def test_worlds_by_name():
    exam = load_exam(worlds=["lane_follow", "parked_cars"])
    assert [condition.name for condition in exam.conditions] == ["lane_follow", "parked_cars"]
    assert (exam.camera.width_px, exam.camera.channels, exam.camera.fov_rad) == (160, "rgb", 1.3)
    assert [each.name for each in load_exam("open", ["lane_keep"]).conditions][-1] == "lane_keep"
    assert (
        exam.record().conditions["parked_cars"]
        == "lane_follow with cars parked along the right-hand edge, clear, 1.3 rad wide, 1.7 m up, pitched 0.25 rad"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("conditions: {a: {world: no_such}}", r"bad\.yaml: conditions\.a\.world: unknown world 'no_such'"),
        ("conditions: {a: {world: lane_follow, wether: fog}}", "wether"),
        ("conditions: {a: {world: lane_follow, weather: snow}}", "snow"),
        ("conditions: {}", "conditions"),
        ("conditions: [1]", "conditions"),
        ("conditions: {a: 3}", "conditions"),
        ("camera: {width_px: 3}\nconditions: {a: {world: lane_follow}}", "width_px"),
    ],
)
def test_suites_that_are_refused(tmp_path, text, error):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(DriveRLError, match=error):
        load_exam(str(tmp_path / "bad.yaml"))


def test_a_shipped_model_drives_among_parked_cars():
    """Whose camera is not its own: the pictures are resampled."""
    condition = load_exam(worlds=["parked_cars"]).conditions[0]
    driven = drive_model(load_trained("small-160"), condition, "val", 2, 0.0)
    assert len(driven.driving_scores) == len(driven.settled_offsets_m or ()) == 2
    again = drive_model(load_trained("small-160"), condition, "val", 2, 0.0)
    assert again == driven


def test_the_start_does_not_count():
    """The reference driver's largest offset is the drawn start; three seconds later it is in the lane's middle."""
    condition = load_exam(worlds=["lane_follow"]).conditions[0]
    driven = drive_model(None, condition, "val", 20)
    assert driven.success == 1
    settled = np.array(driven.settled_offsets_m)
    assert (settled <= np.array(driven.max_offsets_m) + 1e-6).all()
    assert settled.mean() < 0.8 * driven.mean_max_offset_m
    both = mean_driven([driven, replace(driven, settled_offsets_m=tuple(settled + 1), success=0.0)])
    assert both.success == 0.5
    assert both.settled_offsets_m == pytest.approx(settled + 0.5)


def test_offsets_are_recorded_by_road():
    """More episodes than rows: each road's, recorded from the first step on, is near its episode's largest."""
    condition = load_exam(worlds=["lane_follow"]).conditions[0]
    spec = ReferenceSpec(name="reference", algorithm="reference")
    recorder = OffsetRecorder(ReferenceDriver(spec, condition.world.car, condition.world.task), 0)
    _, rows = evaluate(recorder, condition.world, "val", 20, engine="batch")
    found = recorder.settled_m(rows)
    assert found == pytest.approx([row.max_offset_m for row in rows], abs=0.1)
    assert np.corrcoef(found, [row.max_offset_m for row in rows])[0, 1] > 0.9


def test_an_empty_name_is_no_suite():
    with pytest.raises(DriveRLError, match="unknown suite ''"):
        load_exam("")
