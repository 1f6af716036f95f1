"""Lanes of data sets as columns at anchor rows, and what a model predicts of them, back in the data set's form.

Covers lane_anchors and heads.predicted_lanes.
"""

import numpy as np
import pytest
from small_sets import cars, write

from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.formats.coco_masks import area_of, filled, paint
from drive_rl.perception.data.lane_anchors import line_columns
from drive_rl.perception.data.records import LaneTruth
from drive_rl.perception.data.samples import Samples, anchor_rows
from drive_rl.perception.heads.lane_benchmarks import lane_scores
from drive_rl.perception.heads.predicted_lanes import predicted_columns, predicted_points
from drive_rl.perception.scores.culane import LaneCounts, count_lanes
from drive_rl.perception.scores.tusimple import mean_score, score_picture
from drive_rl.sim.sensors.lane_labels import lane_polylines
from drive_rl.sim.task.episode import draw_episode, lane_centre_d_m

SURE = 9.0


def test_which_line_is_which():
    """Straight lanes that meet the bottom (row 100) of a 200 px wide picture at 150, 110, 90, 40, 10, and -30."""
    tops = 100.0
    bottoms = (150, 110, 90, 40, 10, -30)
    lanes = tuple(np.array([[tops, 30.0], [(tops + b) / 2, 65.0]]) - 0.5 for b in bottoms)  # they end above the bottom
    found = line_columns(LaneTruth(lanes, None, 200, 100), 100)
    rows = anchor_rows(100)
    inside = (rows >= 30) & (rows <= 65)
    for slot, bottom in enumerate((110, 90, 40, 150)):
        wanted = (tops + (bottom - tops) * (rows - 30) / 70) / 200
        assert np.allclose(found[slot, inside], wanted[inside])
        assert np.isnan(found[slot, ~inside]).all()


@pytest.mark.parametrize(
    ("bottoms", "places"),
    [
        ((90, 110), (110, 90, None, None)),
        ((10, 40, 90, 110), (110, 90, 40, 10)),
        ((90, 110, 150, 190), (110, 90, 190, 150)),
        ((90, 110, 150, 170, 190), (110, 90, 170, 150)),
        ((40, 90), (None, 90, 40, None)),
    ],
)
def test_places_of_lines_on_one_side(bottoms, places):
    lanes = tuple(np.array([[b, 20.0], [b, 99.0]]) - 0.5 for b in bottoms)
    point = np.array([[100.0, 50.0]])  # of a lane of one point nothing is learned, and it takes no place
    found = line_columns(LaneTruth((*lanes, point, np.empty((0, 2))), None, 200, 100), 100)
    for row, bottom in zip(found, places, strict=True):
        assert np.isnan(row).all() if bottom is None else np.nanmax(row) * 200 == pytest.approx(bottom)


FOUR = [(850, 1500), (700, 900), (600, 400), (450, -300)]
"""Columns at rows 240 and 710 of 1280 x 720: two lines either side."""


def four_lanes() -> list[np.ndarray]:
    rows = np.arange(240, 711, 10.0)
    columns = [np.interp(rows, [240, 710], ends) for ends in FOUR]
    return [np.where((each >= 0) & (each < 1280), each, -2.0) for each in columns]


def test_two_lines_either_side_are_scored_in_full():
    """Labels predicted perfectly reach every lane, by TuSimple's rule and by CULane's."""
    rows, sampled = np.arange(240, 711, 10.0), four_lanes()
    as_points = tuple(np.stack([lane, rows], axis=1)[lane >= 0] for lane in sampled)
    for truth in (LaneTruth(tuple(sampled), rows, 1280, 720), LaneTruth(as_points, None, 1280, 720)):
        samples = Samples.unlabelled(np.zeros((1, 3, 80, 160), np.uint8))
        samples.lines[0], samples.lined[0] = line_columns(truth, 80), True
        scores = lane_scores(samples.lines, samples, [truth])
        assert scores.tusimple[:3] == pytest.approx((1, 0, 0), abs=0.02)
        assert scores.culane[:3] == (1, 1, 1)


def test_truth_is_not_cut_to_the_lines_that_a_model_has():
    """Six true lanes as CULane has them, of which four are predicted: two are missed by both rules."""
    lanes = tuple(np.array([[x, 100.0], [x, 589.0]]) for x in (100.0, 400.0, 700.0, 1000.0, 1300.0, 1600.0))
    truth = LaneTruth(lanes, None, 1640, 590)
    samples = Samples.unlabelled(np.zeros((1, 3, 80, 160), np.uint8))
    samples.lines[0], samples.lined[0] = line_columns(truth, 80), True
    scores = lane_scores(samples.lines, samples, [truth])
    assert scores.culane.recall == pytest.approx(4 / 6)
    assert scores.culane.precision == 1
    assert scores.tusimple.fn == pytest.approx(1 / 4)  # of more than four true lanes one miss is forgiven


def test_slots_of_our_own_go_before_the_rule():
    lane = np.array([[10.0, 20.0], [10.0, 90.0]])
    assert np.isfinite(line_columns(LaneTruth((lane,), None, 200, 100, slots=(3,)), 100)[3]).any()


def test_samples_reach_half_a_step_and_the_last_row_the_bottom():
    """TuSimple's rows 200, 210 .. 710 in 720: a lane from 300 on covers anchors from 295.5 to the bottom, 719.5."""
    samples = np.arange(200, 711, 10.0)
    lane = np.where(samples >= 300, samples, -2.0)  # along the diagonal
    rows = anchor_rows(720)
    whole = line_columns(LaneTruth((lane,), samples, 1280, 720), 720)[0]
    there = rows >= 295.5
    assert np.allclose(whole[there], rows[there] / 1280)
    assert np.isnan(whole[~there]).all()
    short = line_columns(LaneTruth((np.where(samples > 600, -2.0, lane),), samples, 1280, 720), 720)[0]
    assert np.array_equal(np.isfinite(short), there & (rows <= 605.5))


def test_scaled_by_hand():
    """The centre of pixel 3 of 10 lies at 3.5, so at 7 in a picture of twice the width: 6.5 from its first centre."""
    columns = LaneTruth((np.array([3.0, -2.0]),), np.array([1.0, 2.0]), 10, 5).scaled(20, 5)
    assert columns.h_samples is not None
    assert (columns.lanes[0].tolist(), columns.h_samples.tolist()) == ([6.5, -2], [1, 2])
    points = LaneTruth((np.array([[3.0, 1.0], [4.0, 2.0]]),), None, 10, 5).scaled(20, 10)
    assert points.points()[0].tolist() == [[6.5, 2.5], [8.5, 4.5]]


def test_labels_reported_back_score_as_perfect(tmp_path):
    """The written lanes against themselves, by way of the anchor rows, in TuSimple's and CULane's own picture sizes."""
    world = cars()
    found = read_folder(write(tmp_path / "set", world, samples=12), world)
    scores, counts = [], LaneCounts()
    for line, truth in zip(found.samples.lines, found.truths, strict=True):
        assert truth is not None
        columns, there = np.nan_to_num(line), np.where(np.isnan(line), -SURE, SURE)
        large, larger = truth.scaled(1280, 720), truth.scaled(1640, 590)
        assert large.h_samples is not None
        predicted = predicted_columns(columns, there, 48, large.h_samples, 1280, 720)
        scores.append(score_picture(predicted, np.array(large.lanes), large.h_samples.tolist()))
        counts += count_lanes(predicted_points(columns, there, 48, 1640, 590), larger.points())
    assert mean_score(scores) == pytest.approx((1, 0, 0))
    assert counts.f1 == 1
    assert counts.tp > 12


def test_what_anchor_rows_lose_of_dense_lanes():
    """Lines of the road itself, point by point up to the horizon, through 24 rows and back."""
    world = cars(width_px=160, height_px=80)
    samples = np.arange(160, 711, 10.0)
    scores, counts = [], LaneCounts()
    for seed in range(20_000, 20_008):
        episode = draw_episode(world, seed)
        place = episode.road.place(episode.road.start_s_m + 10, lane_centre_d_m(world.road) + 0.3, 0.02)
        appearance = episode.appearance.camera_height_error_m, episode.appearance.camera_pitch_error_rad
        lines = {
            line.d_m: line for line in lane_polylines(episode.road, world.road, world.camera, *place, *appearance)[::-1]
        }
        lanes = [line.points - 0.5 for line in lines.values() if np.ptp(line.points[:, 1]) > 8]
        lanes = [lane[: 1 + np.argmin(lane[:, 1])] for lane in lanes]  # up to where it turns back
        truth = LaneTruth(tuple(lanes), None, 160, 80)
        line = line_columns(truth, 80)
        columns, there = np.nan_to_num(line), np.where(np.isnan(line), -SURE, SURE)
        counts += count_lanes(predicted_points(columns, there, 80, 1640, 590), truth.scaled(1640, 590).points())
        wanted = [
            np.interp(samples, lane[::-1, 1], lane[::-1, 0], left=-2, right=-2)
            for lane in truth.scaled(1280, 720).points()
        ]
        predicted = predicted_columns(columns, there, 80, samples, 1280, 720)
        scores.append(score_picture(predicted, np.array(wanted), samples.tolist()))
    assert mean_score(scores).accuracy > 0.97
    assert mean_score(scores).fn == 0
    assert counts.f1 > 0.85
    assert counts.tp > 12


def test_nothing_reported_is_no_lane():
    nothing = np.full((4, 24), 0.5), np.full((4, 24), -SURE)
    assert predicted_points(*nothing, 80, 1640, 590) == []
    assert predicted_columns(*nothing, 80, [100, 200], 1280, 720).shape == (0, 2)


def test_a_box_is_its_pixels():
    assert np.argwhere(filled(np.array([[2, 1], [5, 1], [5, 3], [2, 3.0]]), 8, 4)).tolist() == [
        [y, x] for y in (1, 2) for x in (2, 3, 4)
    ]


def test_run_lengths_by_hand_and_by_a_library():
    """Down the columns of a 2 x 3 picture: 1 pixel outside, 2 inside, 3 outside."""
    wanted = [[255, 4, 255], [4, 255, 255]]
    area = area_of({"segmentation": {"size": [2, 3], "counts": [1, 2, 3]}}, 4)
    assert paint((area,), False, 3, 2).tolist() == wanted
    mask = pytest.importorskip("faster_coco_eval").mask
    runs = mask.encode(np.asfortranarray(np.array(wanted) == 4, np.uint8))
    counts = runs["counts"].decode()
    assert paint((area_of({"segmentation": {"size": [2, 3], "counts": counts}}, 4),), False, 3, 2).tolist() == wanted


def test_polygons_agree_with_a_library():
    """COCO's own outline is drawn five times finer, and rounds pixels on the edge its way."""
    mask = pytest.importorskip("faster_coco_eval").mask
    rng = np.random.default_rng(0)
    both = either = 0
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 8))
        radius = rng.uniform(15, 30, 8)
        polygon = np.stack([50 + radius * np.cos(angles), 50 + radius * np.sin(angles)], axis=1)
        theirs = mask.decode(mask.merge(mask.frPyObjects([polygon.reshape(-1).tolist()], 100, 100))) == 1
        ours = filled(polygon, 100, 100)
        both, either = both + (ours & theirs).sum(), either + (ours | theirs).sum()
    assert both / either > 0.98


def test_later_classes_lie_on_the_road_and_beside_it_is_background():
    road = area_of({"segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]]}, 1)
    car = area_of({"bbox": [1, 1, 1, 1]}, 4)
    assert paint((car, road), True, 6, 4)[1].tolist() == [1, 4, 1, 1, 0, 0]
