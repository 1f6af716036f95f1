"""The benchmark of models that others made: what they are not made for is named, and one that is broken stops none."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_onnx
from command_line import call
from rich.console import Console
from small_onnx import HEIGHT, WIDTH, adapter
from typer.testing import CliRunner

from drive_rl.benchmark.closed_loop import Driven
from drive_rl.benchmark.exam.conditions import load_exam
from drive_rl.benchmark.metrics import COMPARISON, METRICS
from drive_rl.benchmark.parts.accuracy import AccuracySetting
from drive_rl.benchmark.parts.closed_loop import ClosedLoopSetting
from drive_rl.benchmark.parts.examples import ExamplesSetting
from drive_rl.benchmark.parts.robustness import RobustnessSetting
from drive_rl.benchmark.results import NOT_MADE, BenchResults
from drive_rl.benchmark.runner import run_benchmark
from drive_rl.benchmark.settings import BenchSetting
from drive_rl.benchmark.table import print_benchmark
from drive_rl.cli.benchmark import bench
from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.latency import LatencySetting

TINY = BenchSetting(
    split="val",
    accuracy=AccuracySetting(pictures=4),
    latency=LatencySetting(min_duration_s=0.02, min_queries=8, batch=2),
    robustness=RobustnessSetting(pictures=2, severities=(3,), epsilons_px=(2.0,), pgd_steps=1),
    closed_loop=ClosedLoopSetting(roads=2, corruptions=(), longest_delay_s=0),
    examples=ExamplesSetting(pictures=4, each=1),
)
EXAM = load_exam(worlds=["lane_follow"])
MASKS = "{logits: {kind: classes, map: drive_rl}}"


def drive(*asked: Any) -> Driven:
    return Driven(0.5, 0.5, 0.5, 0.5, 0.5, (0.5, 0.5), (0.5, 0.5), (True, False), (0.5, 0.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    small_onnx.segmentation(path / "net.onnx")
    small_onnx.segmentation(path / "broken.onnx", nan=True)
    small_onnx.constant(path / "lane.onnx", "state", np.array([0.1, 0.0]))
    adapter(path / "masks.yaml", MASKS)
    adapter(path / "nan.yaml", MASKS, "broken.onnx")
    adapter(path / "lane.yaml", "{state: {kind: lane_state, fields: [offset_m, heading_error_rad]}}", "lane.onnx")
    return path


@pytest.fixture(scope="module")
def results(folder: Path) -> BenchResults:
    given = [str(folder / f"{name}.yaml") for name in ("masks", "nan", "lane")]
    return run_benchmark(given, folder / "out", TINY, drive, EXAM)


def test_each_model_is_measured_as_far_as_it_goes(results: BenchResults) -> None:
    masks, broken, lane = results.models
    assert masks.parts.accuracy is not None
    assert masks.parts.accuracy.segmentation is not None
    assert masks.heads == ("lines", "segmentation", "lane")
    assert masks.input == (3, HEIGHT, WIDTH)
    assert masks.metrics["parameters"] == 5 * 3
    assert "macs" not in masks.metrics
    assert "onnx_p50_ms" in masks.metrics
    assert "eager_p50_ms" not in masks.metrics
    assert set(masks.errors) == {"attacks", "saliency", "eager", "compiled"}
    assert masks.metrics["driving_score"] == 0.5
    assert masks.parts.closed_loop is not None
    assert masks.parts.closed_loop.predicted_by == "onnx"
    robustness = masks.parts.robustness
    assert robustness is not None
    assert robustness.ego_lane_iou is not None
    assert robustness.ego_lane_iou.attacks is None
    assert broken.parts.accuracy is None
    assert "nan.yaml: outputs.logits: " in broken.errors["model"]
    assert lane.heads == ("lane",)
    assert "offset_mae_m" in lane.metrics
    assert "offset_nll" not in lane.metrics


def test_the_table_and_the_page_name_it(results: BenchResults, folder: Path) -> None:
    console = Console(record=True, width=60, file=io.StringIO())
    print_benchmark(results, console)
    text = console.export_text()
    assert "excess" in text, "no heading is cut off on a narrow terminal"
    assert "…" not in text
    assert "masks: not made for attacks, saliency, eager, compiled" in text
    assert "failed: nan.yaml: model: " in text
    page = (folder / "out" / "index.html").read_text()
    assert "not made for it" in page
    assert "numbers are NaN or infinite" in page


def test_a_second_run_measures_nothing_again(results: BenchResults, folder: Path) -> None:
    def stopped(*asked: Any) -> Driven:
        raise AssertionError("it drives again")

    again = run_benchmark([str(folder / "masks.yaml")], folder / "out", TINY, stopped, EXAM)
    own = {name: each for name, each in results.models[0].metrics.items() if METRICS[name].part != COMPARISON}
    assert again.models[0].metrics == own


def test_a_model_that_cannot_be_loaded_ends_with_2(folder: Path, tmp_path: Path) -> None:
    done = call(tmp_path, "bench", "perception", str(folder / "nan.yaml"), "--reduced", "--out", "out", expect=2)
    assert "nan.yaml: outputs.logits: 20,480 of 20,480 numbers are NaN or infinite" in done.stderr
    assert not (tmp_path / "out").exists()


def test_so_it_does_beside_others_which_are_measured(results: BenchResults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_rl.benchmark.runner.run_benchmark", lambda *asked, **options: results)
    done = CliRunner().invoke(bench, ["perception", "masks.yaml", "nan.yaml", "lane.yaml"])
    assert str(done.exception) == "1 of 3 models failed, or a part of them (nan.yaml); fix: see the reasons above"
    assert isinstance(done.exception, DriveRLError)  # which `main` ends with 2


def test_and_a_part_that_fails(results: BenchResults, monkeypatch: pytest.MonkeyPatch) -> None:
    late = replace(results.models[0], errors={"attacks": NOT_MADE, "accuracy": "numbers are NaN"})
    some = replace(results, models=(late, results.models[2]))
    monkeypatch.setattr("drive_rl.benchmark.runner.run_benchmark", lambda *asked, **options: some)
    done = CliRunner().invoke(bench, ["perception", "masks.yaml", "lane.yaml"])
    assert str(done.exception).startswith("1 of 2 models failed, or a part of them (masks")
