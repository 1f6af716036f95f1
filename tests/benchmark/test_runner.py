"""The benchmark of perception models: every part, what fails, what is measured again, its table, and its page in a
browser. Covers `benchmark/parts/`, `page`, `plots`, `svg`, `settings` and `table`, too.
"""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from drive_rl.benchmark.closed_loop import Driven
from drive_rl.benchmark.exam.conditions import Condition, exam_of
from drive_rl.benchmark.metrics import COMPARISON, METRICS
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.parts.accuracy import AccuracySetting
from drive_rl.benchmark.parts.closed_loop import ClosedLoopSetting
from drive_rl.benchmark.parts.examples import ExamplesSetting
from drive_rl.benchmark.parts.robustness import RobustnessSetting
from drive_rl.benchmark.requirements import missed_requirements, parse_requirement
from drive_rl.benchmark.results import BenchResults, read_results, results_json
from drive_rl.benchmark.runner import run_benchmark
from drive_rl.benchmark.settings import BenchSetting, reduced
from drive_rl.benchmark.svg import Plot, axis_of
from drive_rl.benchmark.table import benchmark_progress, print_benchmark
from drive_rl.config.extensions import forgotten, load_file
from drive_rl.config.reader import load_perception, load_world
from drive_rl.config.specs.perception import DataSpec
from drive_rl.config.specs.suite import ConditionSpec, ExamCameraSpec, SuiteSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.writer import write_data
from drive_rl.perception.evaluation import latency
from drive_rl.perception.evaluation.latency import LatencySetting
from drive_rl.perception.evaluation.runtimes import eager
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.perception.training.trainer import fit
from drive_rl.run.storage.json_values import plain
from drive_rl.run.storage.lock import only_writer

TINY = BenchSetting(
    split="val",
    accuracy=AccuracySetting(pictures=6),
    latency=LatencySetting(min_duration_s=0.02, min_queries=8, batch=2, runtimes=("eager",)),
    robustness=RobustnessSetting(pictures=2, severities=(3,), epsilons_px=(2.0,), pgd_steps=1),
    closed_loop=ClosedLoopSetting(roads=4, corruptions=("gaussian_noise",), longest_delay_s=0.4, delay_width_s=0.2),
    examples=ExamplesSetting(pictures=4, each=1),
)
RECIPE = (
    *("world.camera.width_px=64", "world.camera.height_px=32", "model.encoder.features=16", "data.weather=false"),
    *("fit.samples=8", "fit.batch_size=4", "fit.val_samples=4", "fit.augment=false", "data.per_road=1", "track=none"),
    "fit.head_finetune_samples=0",
)
EXAM = exam_of(
    SuiteSpec(
        name="two",
        camera=ExamCameraSpec(width_px=64, height_px=32, channels="grey", frame_stack=3),
        conditions={
            "clear": ConditionSpec(world=load_world("lane_follow")),
            "fog": ConditionSpec(world=load_world("parked_cars"), weather="fog"),
        },
    )
)
PAGES = ("index.html", "junit.xml", "summary.md")
NAMES = {"all": (), "masks": ("model.heads=[segmentation]",), "lane": ("model.heads=[lane]",)}


class Silent:
    def at(self, samples: int, of: int, loss: float) -> None: ...

    def validated(self, validation: object) -> None: ...


class Road:
    """Stands in for the road: each model has its own score, and fails when 0.2 s late. Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, bool]] = []
        self.broken: type[BaseException] | None = None

    def __call__(
        self, trained: Trained | None, condition: Condition, split: str, episodes: int, delay_s: float, corrupt: Any
    ) -> Driven:
        name = "reference" if trained is None else trained.name
        self.asked.append((name, delay_s, corrupt is not None))
        if self.broken is not None and name == "lane":
            raise self.broken("the wheels came off")
        score = {"all": 0.9, "masks": 0.5, "lane": 0.7, "reference": 1.0}[name] - delay_s
        score -= 0.1 * (condition.name == "fog")
        return Driven(
            driving_score=score,
            route_completion=score,
            success=1.0 if delay_s < 0.2 else 0.0,
            mean_max_offset_m=0.5,
            worst_max_offset_m=1.0,
            driving_scores=tuple(score + 0.01 * i for i in range(-1, episodes - 1)),
            max_offsets_m=(0.5,) * episodes,
            successes=(delay_s < 0.2,) * episodes,
            settled_offsets_m=tuple(1.2 - score + 0.1 * i for i in range(episodes)),
        )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    runs = tmp_path_factory.mktemp("runs")
    found = []
    for name, heads in NAMES.items():
        spec = load_perception("unet", [*RECIPE, *heads]).model_copy(update={"name": name})
        found.append(str(fit(spec, runs, Silent(), echo=lambda text: None, device="cpu").path))
    return found


@pytest.fixture(scope="module")
def done(models: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BenchResults]:
    """All models, and one that is not there."""
    out = tmp_path_factory.mktemp("bench")
    reports: list[tuple[float, str]] = []
    requirements = [parse_requirement("driving_score>=0.6"), parse_requirement("parameters<=1e9")]
    results = run_benchmark(
        [*models, "no-such"],
        out,
        TINY,
        Road(),
        EXAM,
        requirements=requirements,
        progress=lambda *what: reports.append(what),
    )
    assert reports[-1] == (1.0, "done")
    assert [share for share, _ in reports] == sorted(share for share, _ in reports)
    assert any(what == "lane: robustness gaussian_noise 3" for _, what in reports)
    return out, results


def test_what_is_written(done):
    out, results = done
    assert json.loads((out / "results.json").read_text()) == results_json(results)
    assert read_results(out / "results.json").models[0].metrics == results.models[0].metrics
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [row["model"] for row in rows] == [*NAMES, "no-such"]
    assert float(rows[0]["driving_score"]) == pytest.approx(0.85, abs=0.05)
    assert {path.name for path in (out / "parts/all").iterdir()} == {f"{part}.json" for part in PARTS}
    assert {path.name for path in out.iterdir()} == {"parts", "results.json", "results.csv", *PAGES}
    assert {"cpu", "versions"} <= results.provenance.keys()


def test_one_process_at_a_time_writes_and_leftovers_of_killed_ones_go(models, done, tmp_path):
    out = shutil.copytree(done[0], tmp_path / "bench")  # every part is kept there
    with (
        only_writer(out / ".lock", out),
        pytest.raises(DriveRLError, match=rf"process {os.getpid()} on host .*; fix: wait until it ends"),
    ):
        run_benchmark(models[:1], out, TINY, Road(), EXAM)
    for name in (".corrupted.tmp-1", "parts/all/.accuracy.json.tmp-1"):
        (out / name).mkdir(parents=True)
    run_benchmark(models[:1], out, TINY, Road(), EXAM)
    assert not [*out.rglob(".*")]


def test_each_model_is_measured_by_what_it_predicts(done):
    models = {model.name: model for model in done[1].models}
    assert {"offset_mae_m", "miou", "lines_f1", "weather_f1", "culane_f1", "tier_ece"} <= models["all"].metrics.keys()
    assert {"ego_lane_iou_corrupted", "lane_within_corrupted"} <= models["all"].metrics.keys()
    assert {"miou", "ego_lane_iou_corrupted"} <= models["masks"].metrics.keys()
    assert not {"offset_mae_m", "lane_within_corrupted"} & models["masks"].metrics.keys()
    assert "miou" not in models["lane"].metrics
    assert models["all"].errors == {}


def test_driving_is_as_late_as_the_model(done):
    model = done[1].models[0]
    drive = model.parts.closed_loop
    assert (drive.delay_of, drive.predicted_by, drive.roads) == ("eager", "eager", 4)
    assert drive.delay_s == model.metrics["eager_p50_ms"] / 1000
    # bisected once: the middle of its own latency and 0.4 s is late already
    middle_s = (drive.delay_s + 0.4) / 2
    assert [row.delay_s for row in drive.delays] == pytest.approx([drive.delay_s, middle_s, 0.4])
    assert drive.failing_delay.value_s == pytest.approx((drive.delay_s + middle_s) / 2)
    # four of four roads: Wilson's interval of success begins at 0.51, and of none ends at 0.49
    assert (drive.failing_delay.low_s, drive.failing_delay.high_s) == pytest.approx((drive.delay_s, middle_s))
    interval = done[1].comparison.intervals["all"]
    assert interval.low < model.metrics["driving_score"] < interval.high


def test_every_metric_is_found_in_a_model_with_every_head(models, tmp_path, monkeypatch):
    monkeypatch.setitem(latency._TORCH, "compiled", eager)  # compiling takes half a minute
    monkeypatch.setattr("drive_rl.perception.evaluation.onnx_runtime.TOLERANCE", 0.1)  # it has hardly learned
    setting = replace(TINY, latency=replace(TINY.latency, runtimes=("onnx", "eager", "compiled")))
    found = run_benchmark(models[:1], tmp_path, setting, Road(), EXAM).models[0]
    assert found.errors == {}
    own = {name: metric for name, metric in METRICS.items() if metric.part != COMPARISON}  # of this model alone
    values = {name: metric.value(getattr(found.parts, metric.part)) for name, metric in own.items()}
    assert [name for name, value in values.items() if value is None] == []  # NaN: found, such as 0 / 0
    assert missed_requirements([("all", found.metrics)], [parse_requirement("onnx_difference<=1")]) == []


def test_stated_certainty_is_scored_in_each_condition(done):
    out, results = done
    every, masks, lane, _ = json.loads((out / "results.json").read_text())["models"]
    certainty = every["parts"]["accuracy"]["certainty"]
    assert list(certainty) == ["line_column", "offset_m", "heading_error_rad"]
    assert {name: each["n"] for name, each in certainty["offset_m"]["groups"].items()} == {"clear": 3, "fog": 3}
    worst = min(each["within_95"] for each in certainty["offset_m"]["groups"].values())
    assert every["metrics"]["offset_within_95_worst"] == worst
    assert missed_requirements([("lane", lane["metrics"])], [parse_requirement("offset_within_95_worst>=2")])
    assert masks["parts"]["accuracy"]["certainty"] == {}
    said = results.comparison.verdict[-3:]
    assert [line.split()[0] for line in said] == ["all", "masks", "lane"]
    assert said[1] == "masks states no deviation of what these pictures have labels of: no certainty to score."
    page = (out / "index.html").read_text()
    assert "<h2>Stated certainty</h2>" in page
    for words in ("<h3>Offset</h3>", "<h3>Heading</h3>", "<h3>Line columns</h3>", "none stated", said[1]):
        assert words in page
    assert said[1] in (out / "summary.md").read_text()


def test_a_model_that_is_not_there_leaves_its_reason(done):
    lost = done[1].models[-1]
    assert list(lost.errors) == ["model"]
    assert "unknown perception model 'no-such'" in lost.errors["model"]
    assert lost.metrics == {}


def test_requirements_that_are_missed(done):
    score = done[1].models[1].metrics["driving_score"]
    assert done[1].missed_requirements == (
        f"masks: driving_score = {score:.4g}, required: driving_score>=0.6",
        "no-such: driving_score was not measured, required: driving_score>=0.6",
        "no-such: parameters was not measured, required: parameters<=1e+09",
    )


def test_mce_can_be_required(done, capsys):
    """Of each score that several models have; the first of them is what the others are compared with."""
    mce = done[1].comparison.mce
    assert mce.keys() == {"ego_lane_iou", "lane_within"}
    for score, each in mce.items():
        for model in (model for model in done[1].models if model.name in each):
            assert model.metrics.get(f"mce_{score}", float("nan")) == pytest.approx(each[model.name], nan_ok=True)
    assert done[1].models[0].metrics["mce_lane_within"] == 1
    models = [(model.name, model.metrics) for model in done[1].models]
    (missed, *_) = missed_requirements(models, [parse_requirement("mce_lane_within<=0.5")])
    assert missed == "all: mce_lane_within = 1, required: mce_lane_within<=0.5"


def test_a_part_that_fails_leaves_the_others_and_is_tried_again(models, tmp_path):
    road = Road()
    road.broken = RuntimeError
    results = run_benchmark(models[1:], tmp_path, TINY, road, EXAM)
    masks, lane = results.models
    assert masks.errors == {}
    assert lane.errors == {"closed_loop": "RuntimeError: the wheels came off"}
    assert "offset_mae_m" in lane.metrics
    assert "the wheels came off" in (tmp_path / "index.html").read_text()
    road.broken = None
    road.asked.clear()
    again = run_benchmark(models[1:], tmp_path, TINY, road, EXAM)
    assert again.models[1].errors == {}
    assert plain(again.models[0]) == plain(masks)
    assert {name for name, _, _ in road.asked} == {"lane", "reference"}


METRICS_OF_A_USER = """
from drive_rl import extend
@extend.metric("dropped", of="accuracy")
def dropped(accuracy): return accuracy.lane["no_such"].mae
@extend.metric("left", of="accuracy", unit="n")
def left(accuracy):
    accuracy.lane.clear() if accuracy.lane else None
    raise SystemExit
@extend.metric("counted", of="accuracy", unit="n")
def counted(accuracy): return len(accuracy.lane or {})
"""


def test_a_metric_of_a_user_that_fails_leaves_the_others(done, models, tmp_path, capsys):
    shutil.copytree(done[0] / "parts", tmp_path / "parts")
    (tmp_path / "mine.py").write_text(METRICS_OF_A_USER)
    with forgotten():
        load_file(tmp_path / "mine.py")
        required = [parse_requirement("dropped>=1"), parse_requirement("counted>=0")]
        results = run_benchmark(models, tmp_path, TINY, Road(), EXAM, requirements=required)
        print_benchmark(results)
        said = capsys.readouterr().out
        page, table = (tmp_path / "index.html").read_text(), (tmp_path / "results.csv").read_text()
    every, masks, _ = results.models
    assert {**every.metrics, "counted": 0} == {**done[1].models[0].metrics, "counted": 0}
    assert every.metrics["counted"] == len(done[1].models[0].parts.accuracy.lane)
    assert list(every.errors) == ["metric dropped", "metric left"]
    assert "mine.py: metric dropped: fails: KeyError: 'no_such'; fix: correct it" in every.errors["metric dropped"]
    assert "metric left: fails: SystemExit" in masks.errors["metric left"]
    assert "failed: metric dropped, of 3 of 3 models: " in said
    assert "all: dropped: failed" in said
    assert f"all: counted: {every.metrics['counted']:.0f} n" in said
    assert "missed: all: dropped was not measured, required: dropped>=1" in said
    assert page.count(">failed<") == 6
    assert "metric dropped: fails: KeyError" in page
    assert "metric dropped: fails: KeyError" in table
    assert read_results(tmp_path / "results.json").models[0].errors == every.errors


def test_a_runtime_that_fails_is_tried_again(models, tmp_path):
    setting = replace(TINY, latency=replace(TINY.latency, runtimes=("eager", "no-such")))
    latency = run_benchmark(models[1:2], tmp_path, setting, Road(), EXAM).models[0].parts.latency
    assert latency is not None
    assert latency.runtimes["eager"].single_stream is not None
    assert latency.runtimes["no-such"].error == "KeyError: 'no-such'"
    assert {path.stem for path in (tmp_path / "parts/masks").iterdir()} == {*PARTS} - {"latency"}


def test_a_run_that_was_cut_off_resumes(models, tmp_path):
    road = Road()
    road.broken = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(models[2:], tmp_path, TINY, road, EXAM)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts/lane").iterdir()}
    assert {path.stem for path in kept} == {"accuracy", "latency", "robustness"}
    road.broken = None
    run_benchmark(models[2:], tmp_path, TINY, road, EXAM)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(tmp_path.glob(".corrupted*"))


def test_only_changed_settings_are_measured_again(models, tmp_path):
    run_benchmark(models[2:], tmp_path, TINY, Road(), EXAM)
    folder = tmp_path / "parts/lane"
    before = {part: (folder / f"{part}.json").stat().st_mtime_ns for part in PARTS}

    def changed(setting: BenchSetting, resume: bool = True) -> set[str]:
        run_benchmark(models[2:], tmp_path, setting, Road(), EXAM, resume=resume)
        return {part for part in PARTS if (folder / f"{part}.json").stat().st_mtime_ns != before[part]}

    assert changed(TINY) == set()
    (folder / "examples.json").write_text('{"key": ')  # damaged
    assert changed(TINY) == {"examples"}
    assert changed(replace(TINY, closed_loop=replace(TINY.closed_loop, roads=3))) == {"examples", "closed_loop"}
    assert changed(TINY, resume=False) == set(PARTS)


def test_the_training_data_changes_no_row(models, tmp_path, monkeypatch):
    """The same weights under a spec of other training data: all parts but the latency are equal."""

    def loaded(name: str) -> Trained:
        found = load_trained(models[0])
        other = found.spec.model_copy(update={"data": DataSpec(offset_m=0.3, per_road=7, weather=True)})
        return found if name == models[0] else replace(found, spec=other)

    monkeypatch.setattr("drive_rl.benchmark.runner.load_model", loaded)
    exam = replace(EXAM, suite=EXAM.suite.model_copy(update={"delay_s": 0.05}))
    setting = replace(TINY, parts=("accuracy", "robustness", "closed_loop", "examples"))
    one, other = run_benchmark(models[:2], tmp_path / "out", setting, Road(), exam).models
    assert one.errors == other.errors == {}
    assert one.metrics == other.metrics
    assert plain(one.parts) == plain(other.parts)
    assert one.parts.closed_loop is not None
    assert (one.parts.closed_loop.delay_of, one.parts.closed_loop.predicted_by) == ("suite", "onnx")


def test_a_model_of_more_frames_is_not_made_for_the_exam(tmp_path):
    recipe = [*RECIPE, "model.heads=[lane]", "world.camera.frame_stack=4"]
    path = fit(load_perception("unet", recipe), tmp_path / "runs", Silent(), echo=lambda text: None, device="cpu").path
    found = run_benchmark([str(path)], tmp_path / "out", TINY, Road(), EXAM).models[0]
    assert "not made for this exam: the model reads 4 frames, the exam shows 3; fix: a suite" in found.errors["model"]


def test_no_model_is_loaded_twice(models, done, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "drive_rl.perception.adapter.load.load_trained", lambda name: loaded.append(name) or load_trained(name)
    )
    shutil.copytree(done[0] / "parts", tmp_path / "parts")
    run_benchmark(["no-such", *models[:2]], tmp_path, TINY, Road(), EXAM)
    assert loaded == ["no-such", models[0], "no-such", models[1]]


def test_models_of_one_name_are_numbered(models, tmp_path):
    results = run_benchmark([models[2], models[2]], tmp_path, TINY, Road(), EXAM)
    assert [model.name for model in results.models] == ["lane", "lane (2)"]


def test_a_folder_of_pictures(models, tmp_path):
    spec = load_perception("unet", RECIPE)
    data = spec.data.model_copy(update={"worlds": {}})
    write_data(spec.world, data, "val", 8, tmp_path / "data")  # more than the six of the setting
    for limit, count in ((None, 8), (3, 3)):
        setting = replace(TINY, accuracy=replace(TINY.accuracy, limit=limit))
        exam = replace(EXAM, data=tmp_path / "data")
        accuracy = run_benchmark(models[2:], tmp_path / "out", setting, Road(), exam).models[0].parts.accuracy
        assert accuracy is not None
        assert accuracy.pictures == count
    with pytest.raises(DriveRLError, match="nothing"):
        run_benchmark(models[2:], tmp_path / "out", TINY, Road(), replace(EXAM, data=tmp_path / "nothing"))


def test_culanes_scenarios_are_scored_apart(models, tmp_path):
    """A folder as downloaded: lists of pictures by scenario; at crossroads no lane is true."""
    for name, lanes in {"normal": "20 47 30 20\n70 47 60 20\n", "cross": ""}.items():
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((48, 96, 3), np.uint8))
        (tmp_path / f"{name}.lines.txt").write_text(lanes)
    (tmp_path / "list/test_split").mkdir(parents=True)
    for number, name in enumerate(("normal", "cross")):
        (tmp_path / f"list/test_split/test{number}_{name}.txt").write_text(f"/{name}.jpg\n")
    setting, exam = replace(TINY, parts=("accuracy",)), replace(EXAM, data=tmp_path)
    results = run_benchmark(models[:1], tmp_path / "out", setting, Road(), exam)
    read = read_results(tmp_path / "out/results.json")
    assert read.models[0].parts.accuracy is not None
    assert read.models[0].parts.accuracy.lines is not None
    found = read.models[0].parts.accuracy.lines.culane_scenarios
    assert found is not None
    assert {name: each.n for name, each in found.items()} == {"normal": 1, "cross": 1}
    assert np.isnan(found["cross"].f1)
    console = Console(record=True, width=200, file=io.StringIO())
    print_benchmark(results, console)
    shown = f"CULane F1: normal {found['normal'].f1:.3g}, cross {found['cross'].fp} FP"
    assert shown in console.export_text()
    page = (tmp_path / "out/index.html").read_text()
    assert "<h3>CULane F1 by scenario</h3>" in page
    assert f"{found['cross'].fp} FP<small>n = 1</small>" in page


def test_the_terminal_shows_the_results(done):
    console = Console(record=True, width=200, file=io.StringIO())
    print_benchmark(done[1], console)
    shown = console.export_text()
    for words in (
        *NAMES,
        "none stated",
        "worst NLL",
        "failed: no-such: model: unknown perception model",
        "missed: masks: driving_score = ",
    ):
        assert words in shown
    with benchmark_progress() as progress:
        progress(0.5, "[not] markup")


def test_no_model_is_named(tmp_path):
    with pytest.raises(DriveRLError, match="no model is named"):
        run_benchmark([], tmp_path, TINY, Road(), EXAM)


def test_the_results_of_another_benchmark_are_kept(models, tmp_path):
    (tmp_path / "results.json").write_text('{"drivers": []}')
    with pytest.raises(DriveRLError, match="has no 'models': expected results of this benchmark"):
        run_benchmark(models[:1], tmp_path, TINY, Road(), EXAM)
    assert (tmp_path / "results.json").read_text() == '{"drivers": []}'


def test_the_reduced_setting_is_smaller():
    full, less = BenchSetting(split="val"), reduced(BenchSetting(split="val"))
    assert less.split == "val"
    assert less.reduced
    assert less.accuracy.pictures < full.accuracy.pictures
    assert less.closed_loop.roads < full.closed_loop.roads


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_asks_the_network_for_nothing(done):
    page = (done[0] / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert not re.search(r"https?://|@import|url\(", page)
    for image in re.findall(r"<img[^>]*>", page):
        assert re.search(r'alt="[^"]+"', image)
    for plot in re.findall(r"<svg[^>]*>", page):
        assert 'role="img" aria-label="' in plot


def test_the_page_of_one_model(models, tmp_path):
    run_benchmark(models[2:], tmp_path, replace(TINY, parts=("accuracy", "latency", "closed_loop")), Road(), EXAM)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<title>Perception benchmark: 1 model</title>" in page
    assert "One model measured by" in page
    assert "<li>lane alone drove: there is nothing to compare it with.</li>" in page
    assert "<h2>Robustness</h2>" not in page  # not measured


def test_ticks_stay_clear_of_the_label_of_their_axis():
    plot = Plot(axis_of("x", [1.0]), axis_of("offset MAE [m]", [0.01234]), "")  # ticks such as 0.0115
    ticks = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="end">([\d.]+)</text>', plot.svg())
    assert max(len(text) for _, text in ticks) == 6
    assert all(float(x) - 7 * len(text) > 16 + 7 for x, text in ticks)  # 7 px a letter; the label's middle is at 16


SORTED = """<script>window.addEventListener("load", () => {
const table = document.querySelector("table");
table.querySelectorAll("button")[1].click();
document.title = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join();
});</script>"""


def test_a_browser_opens_the_page_from_disk(browser, done, tmp_path):
    page = tmp_path / "index.html"
    page.write_text((done[0] / "index.html").read_text(encoding="utf-8") + SORTED, encoding="utf-8")
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--dump-dom"]
    command = [*browser, *offline, page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in shown.stderr
    assert "<title>all,lane,masks,no-such</title>" in shown.stdout  # best driver first, unknown last
    for name in (*NAMES, "no-such"):
        assert f"<h3>{name}</h3>" in shown.stdout
    assert shown.stdout.count("<img ") == 3 * 4 + 3 * 4 + 3 * 3  # three pictures each; the lane model predicts no masks
