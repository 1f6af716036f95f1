"""The benchmark of perception models: every part, what fails, what is measured again, and its page in a browser."""

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from drive_rl.benchmark.correlation import relations
from drive_rl.benchmark.metrics import parse_floor
from drive_rl.benchmark.runner import PARTS, run_benchmark
from drive_rl.benchmark.settings import (
    BenchSetting,
    DrivesSetting,
    ExamplesSetting,
    RobustSetting,
    SeesSetting,
    reduced,
)
from drive_rl.benchmark.table import benchmark_progress, print_benchmark
from drive_rl.config.reader import load_perception
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.writer import write_data
from drive_rl.perception.evaluation.latency import LatencySetting
from drive_rl.perception.models.load import Trained
from drive_rl.perception.training.trainer import fit
from drive_rl.run.storage.lock import only_writer

TINY = BenchSetting(
    split="val",
    sees=SeesSetting(pictures=6),
    fast=LatencySetting(min_duration_s=0.02, min_queries=8, batch=2, runtimes=("eager",)),
    robust=RobustSetting(pictures=2, severities=(3,), epsilons_px=(2.0,), pgd_steps=1),
    drives=DrivesSetting(roads=4, corruptions=("gaussian_noise",), delays_s=(0.2, 0.4)),
    examples=ExamplesSetting(pictures=4, each=1),
)
RECIPE = (
    *("world.camera.width_px=64", "world.camera.height_px=32", "model.encoder.features=16", "data.weather=false"),
    *("fit.samples=8", "fit.batch_size=4", "fit.val_samples=4", "fit.augment=false", "data.per_road=1", "track=none"),
)
NAMES = {"all": (), "seer": ("model.heads=[segmentation]",), "feeler": ("model.heads=[lane]",)}


class Silent:
    def at(self, samples: int, of: int, loss: float) -> None: ...

    def validated(self, validation: object) -> None: ...


class Road:
    """Stands in for the road: each model has its own score, and fails when 0.2 s late. Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, bool]] = []
        self.broken: type[BaseException] | None = None

    def __call__(self, trained: Trained, split: str, episodes: int, delay_s: float, corrupt: Any) -> Mapping[str, Any]:
        self.asked.append((trained.name, delay_s, corrupt is not None))
        if self.broken is not None and trained.name == "feeler":
            raise self.broken("the wheels came off")
        score = {"all": 0.9, "seer": 0.5, "feeler": 0.7}[trained.name] - delay_s
        return {
            "driving_score": score,
            "route_completion": score,
            "success": 1.0 if delay_s < 0.2 else 0.0,
            "mean_max_offset_m": 0.5,
            "worst_max_offset_m": 1.0,
            "max_offsets_m": [0.5] * episodes,
            "driving_scores": [score + 0.01 * i for i in range(-1, episodes - 1)],
        }


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    runs = tmp_path_factory.mktemp("runs")
    found = []
    for name, heads in NAMES.items():
        spec = load_perception("unet", [*RECIPE, *heads]).model_copy(update={"name": name})
        found.append(str(fit(spec, runs, Silent(), echo=lambda text: None, device="cpu").path))
    return found


@pytest.fixture(scope="module")
def done(models: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """All models, and one that is not there."""
    out = tmp_path_factory.mktemp("bench")
    told: list[tuple[float, str]] = []
    floors = [parse_floor("driving_score>=0.6"), parse_floor("parameters<=1e9")]
    results = run_benchmark(
        [*models, "no-such"], out, TINY, Road(), floors=floors, progress=lambda *what: told.append(what)
    )
    assert told[-1] == (1.0, "done")
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert any(what == "feeler: robust gaussian_noise 3" for _, what in told)
    return out, results


def test_what_is_written(done):
    out, results = done
    assert json.loads((out / "results.json").read_text()) == results
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [row["model"] for row in rows] == [*NAMES, "no-such"]
    assert float(rows[0]["driving_score"]) == pytest.approx(0.9, abs=0.05)
    assert {path.name for path in (out / "parts/all").iterdir()} == {f"{part}.json" for part in PARTS}
    assert {path.name for path in out.iterdir()} == {"parts", "results.json", "results.csv", "index.html"}
    assert results["provenance"]["cpu"]["cores"] >= 1


def test_one_process_at_a_time_writes_and_leftovers_of_killed_ones_go(tmp_path):
    with (
        only_writer(tmp_path / ".lock", tmp_path),
        pytest.raises(DriveRLError, match=rf"process {os.getpid()} on host .*; fix: wait until it ends"),
    ):
        run_benchmark(["no-such"], tmp_path, TINY, Road())
    for name in (".corrupted.tmp-1", "parts/all/.sees.json.tmp-1"):
        (tmp_path / name).mkdir(parents=True)
    run_benchmark(["no-such"], tmp_path, TINY, Road())
    assert not [*tmp_path.rglob(".*")]


def test_each_model_is_measured_by_what_it_tells(done):
    models = {model["name"]: model for model in done[1]["models"]}
    assert {"offset_mae_m", "miou", "lines_f1", "weather_f1", "culane_f1", "tier_ece"} <= models["all"][
        "metrics"
    ].keys()
    assert {"ego_lane_iou_corrupted", "lane_within_corrupted"} <= models["all"]["metrics"].keys()
    assert {"miou", "ego_lane_iou_corrupted"} <= models["seer"]["metrics"].keys()
    assert not {"offset_mae_m", "lane_within_corrupted"} & models["seer"]["metrics"].keys()
    assert "miou" not in models["feeler"]["metrics"]
    drives = models["all"]["parts"]["drives"]
    assert (drives["delay_of"], drives["roads"]) == ("eager", 4)
    assert drives["delay_s"] == models["all"]["metrics"]["eager_p50_ms"] / 1000
    assert [row["delay_s"] for row in drives["delays"]] == [drives["delay_s"], 0.2, 0.4]
    # half way from 1 at the model's own latency to 0 at 0.2 s
    assert drives["failing_delay_s"] == pytest.approx((drives["delay_s"] + 0.2) / 2)
    assert models["all"]["errors"] == {}
    low, high = done[1]["relations"]["intervals"]["all"]
    assert low < models["all"]["metrics"]["driving_score"] < high


def test_a_model_that_is_not_there_leaves_its_reason(done):
    lost = done[1]["models"][-1]
    assert list(lost["errors"]) == ["model"]
    assert "unknown perception model 'no-such'" in lost["errors"]["model"]
    assert lost["metrics"] == {}


def test_floors_that_are_missed(done):
    assert done[1]["missed_floors"] == [
        "seer: driving_score = 0.4986: driving_score>=0.6 is asked for".replace(
            "0.4986", f"{done[1]['models'][1]['metrics']['driving_score']:.4g}"
        ),
        "no-such: driving_score was not measured: driving_score>=0.6 is asked for",
        "no-such: parameters was not measured: parameters<=1e+09 is asked for",
    ]


def test_a_part_that_fails_leaves_the_others_and_is_tried_again(models, tmp_path):
    road = Road()
    road.broken = RuntimeError
    results = run_benchmark(models[1:], tmp_path, TINY, road)
    seer, feeler = results["models"]
    assert seer["errors"] == {}
    assert feeler["errors"] == {"drives": "RuntimeError: the wheels came off"}
    assert "offset_mae_m" in feeler["metrics"]
    assert "the wheels came off" in (tmp_path / "index.html").read_text()
    road.broken = None
    road.asked.clear()
    again = run_benchmark(models[1:], tmp_path, TINY, road)
    assert again["models"][1]["errors"] == {}
    assert again["models"][0] == seer
    assert {name for name, _, _ in road.asked} == {"feeler"}


def test_an_engine_that_fails_is_tried_again(models, tmp_path):
    setting = replace(TINY, fast=replace(TINY.fast, runtimes=("eager", "no-such")))
    results = run_benchmark(models[1:2], tmp_path, setting, Road())
    engines = results["models"][0]["parts"]["fast"]["runtimes"]
    assert "single_stream" in engines["eager"]
    assert engines["no-such"] == {"error": "KeyError: 'no-such'"}
    assert {path.stem for path in (tmp_path / "parts/seer").iterdir()} == {*PARTS} - {"fast"}


def test_a_run_that_was_cut_off_goes_on(models, tmp_path):
    road = Road()
    road.broken = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(models[2:], tmp_path, TINY, road)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts/feeler").iterdir()}
    assert {path.stem for path in kept} == {"sees", "fast", "robust"}
    road.broken = None
    run_benchmark(models[2:], tmp_path, TINY, road)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(tmp_path.glob(".corrupted*"))


def test_only_what_is_asked_otherwise_is_measured_again(models, tmp_path):
    run_benchmark(models[2:], tmp_path, TINY, Road())
    folder = tmp_path / "parts/feeler"
    before = {part: (folder / f"{part}.json").stat().st_mtime_ns for part in PARTS}

    def changed(setting: BenchSetting, resume: bool = True) -> set[str]:
        run_benchmark(models[2:], tmp_path, setting, Road(), resume=resume)
        return {part for part in PARTS if (folder / f"{part}.json").stat().st_mtime_ns != before[part]}

    assert changed(TINY) == set()
    (folder / "examples.json").write_text('{"key": ')  # damaged
    assert changed(TINY) == {"examples"}
    assert changed(replace(TINY, drives=replace(TINY.drives, roads=3))) == {"examples", "drives"}
    assert changed(TINY, resume=False) == set(PARTS)


def test_models_of_one_name_are_numbered(models, tmp_path):
    results = run_benchmark([models[2], models[2]], tmp_path, TINY, Road())
    assert [model["name"] for model in results["models"]] == ["feeler", "feeler (2)"]
    assert results["relations"]["correlations"] == {"driving_score": [], "mean_max_offset_m": []}  # it takes three


def test_models_that_drive_all_roads_are_told_apart_by_how_far_they_stray():
    """Ranks 1, 2, 3, 4 and 2, 1, 3, 4: Spearman's 1 - 6 (1 + 1) / (4 (16 - 1)) = 0.8."""
    rows = []
    for i, strayed in enumerate((0.2, 0.1, 0.3, 0.5)):
        metrics = {"offset_mae_m": 0.1 * (i + 1), "driving_score": 1.0, "mean_max_offset_m": strayed}
        clean = {"driving_scores": [1.0, 1.0], "max_offsets_m": [strayed, strayed]}
        rows.append({"name": str(i), "metrics": metrics, "parts": {"sees": {}, "drives": {"clean": clean}}})
    found = relations(rows)["correlations"]
    assert [row["spearman"] for row in found["driving_score"]] == [None]
    assert [row["metric"] for row in found["mean_max_offset_m"]] == ["offset_mae_m"]
    row = found["mean_max_offset_m"][0]
    assert (row["spearman"], row["low"], row["high"]) == pytest.approx((0.8, 0.8, 0.8))
    assert row["resampled"] == ["roads"]


def test_a_folder_of_pictures(models, tmp_path):
    spec = load_perception("unet", RECIPE)
    write_data(spec.world, spec.data, "val", 4, tmp_path / "data")
    results = run_benchmark(models[2:], tmp_path / "out", TINY, Road(), data=tmp_path / "data")
    assert results["models"][0]["parts"]["sees"]["pictures"] == 4
    with pytest.raises(DriveRLError, match="nothing"):
        run_benchmark(models[2:], tmp_path / "out", TINY, Road(), data=tmp_path / "nothing")


def test_the_terminal_says_what_came_out(done):
    console = Console(record=True, width=200, file=io.StringIO())
    print_benchmark(done[1], console)
    told = console.export_text()
    for words in (*NAMES, "failed: no-such: model: unknown perception model", "missed: seer: driving_score = "):
        assert words in told
    with benchmark_progress() as progress:
        progress(0.5, "[not] markup")


def test_no_model_is_named(tmp_path):
    with pytest.raises(DriveRLError, match="no model is named"):
        run_benchmark([], tmp_path, TINY, Road())


def test_the_reduced_setting_is_smaller():
    full, less = BenchSetting(split="val"), reduced(BenchSetting(split="val"))
    assert less.split == "val"
    assert less.reduced
    assert less.sees.pictures < full.sees.pictures
    assert less.drives.roads < full.drives.roads


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_asks_the_network_for_nothing(done):
    page = (done[0] / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert not re.search(r"https?://|@import|url\(", page)
    for image in re.findall(r"<img[^>]*>", page):
        assert re.search(r'alt="[^"]+"', image)
    for plot in re.findall(r"<svg[^>]*>", page):
        assert 'role="img" aria-label="' in plot


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
    assert "<title>all,feeler,seer,no-such</title>" in shown.stdout  # best driver first, unknown last
    for name in (*NAMES, "no-such"):
        assert f"<h3>{name}</h3>" in shown.stdout
    assert shown.stdout.count("<img ") == 3 * 4 + 3 * 4 + 3 * 3  # three pictures each; the feeler tells no masks
