"""Heads of plugins: fitted, validated, recorded, loaded, exported and benchmarked beside ours; and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_recipes import recipe

from drive_rl.benchmark.exam.conditions import Exam, exam_of
from drive_rl.benchmark.exam.pictures import PictureSource
from drive_rl.benchmark.metrics import add_plugin_metrics, metrics_of
from drive_rl.benchmark.part import Subject
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.parts.accuracy import AccuracySetting
from drive_rl.benchmark.parts.examples import ExamplesSetting
from drive_rl.benchmark.parts.robustness import RobustnessSetting
from drive_rl.benchmark.requirements import parse_requirement
from drive_rl.benchmark.runner import run_benchmark
from drive_rl.benchmark.settings import BenchSetting
from drive_rl.benchmark.table import print_benchmark
from drive_rl.config.extensions import find, forgotten, load_file
from drive_rl.config.reader import load_perception
from drive_rl.config.specs.perception import DataSpec
from drive_rl.config.specs.suite import ConditionSpec, ExamCameraSpec, SuiteSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.evaluation import onnx_runtime
from drive_rl.perception.evaluation.accuracy import evaluate_accuracy
from drive_rl.perception.evaluation.latency import LatencySetting
from drive_rl.perception.heads.head import Labels
from drive_rl.perception.heads.plugin_head import PluginHead
from drive_rl.perception.models.export import export_model
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.perception.models.perception_model import build_perception
from drive_rl.perception.training.trainer import fit
from drive_rl.run.folder import RunFolder

EXAMPLE = Path(__file__).parents[3] / "docs" / "extend" / "head.py"
BOTH = "model.heads=[line_distance, lane]"
CPU = torch.device("cpu")


class Silent:
    def at(self, samples: int, of: int, loss: float) -> None: ...

    def validated(self, validation: object) -> None:
        assert "line_distance_mae_m" in str(validation)


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    with forgotten():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    runs = tmp_path_factory.mktemp("runs")
    with forgotten():
        load_file(EXAMPLE)
        return fit(recipe(BOTH, "fit.samples=96"), runs, Silent(), lambda line: None, "cpu")


def exam() -> Exam:
    """Pictures of the recipe's world, as its own camera takes them."""
    world = recipe().world
    camera = {name: getattr(world.camera, name) for name in ExamCameraSpec.model_fields}
    conditions = {"own": ConditionSpec(world=world)}
    return exam_of(SuiteSpec(name="own", camera=ExamCameraSpec(**camera), conditions=conditions))


def pictures(count: int = 8) -> Samples:
    return held_out(recipe().world, recipe().data, "val", count)


def mae_m(predicted: np.ndarray, samples: Samples) -> float:
    """The example's score, written again."""
    half_m = recipe().world.road.lane_width_m / 2
    return float(np.abs(predicted[:, 0] - (half_m - np.abs(samples.lane[:, 0]))).mean())


def test_a_fit_validates_it_and_keeps_its_plugin(run: RunFolder) -> None:
    assert (run.path / "plugins" / "head.py").read_text() == EXAMPLE.read_text()
    load_file(EXAMPLE)
    scores, samples = json.loads(run.evaluation.read_text()), pictures(16)
    assert {"line_distance_loss", "line_distance_mae_m", "lane_loss", "offset_m_mae"} <= scores.keys()
    with torch.no_grad():
        predicted = load_trained(str(run.path)).model(torch.as_tensor(samples.images))["line_distance"].numpy()
    assert scores["line_distance_mae_m"] == pytest.approx(mae_m(predicted, samples), rel=1e-4)


def test_a_model_asks_for_its_plugin(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match=r"spec\.yaml: plugins: plugins/head\.py .*fix: read it, then --plugin"):
        load_trained(str(run.path))
    load_file(EXAMPLE)
    export_model(run, tmp_path / "mine")
    with forgotten():
        with pytest.raises(DriveRLError, match=r"mine/spec\.yaml: plugins: plugins/head\.py .*--plugin"):
            load_trained(str(tmp_path / "mine"))
        load_file(tmp_path / "mine" / "plugins" / "head.py")
        exported = load_trained(str(tmp_path / "mine"))
    images = torch.as_tensor(pictures(2).images)
    with torch.no_grad():
        first, again = load_trained(str(run.path)).model(images), exported.model(images)
    assert torch.equal(first["line_distance"], again["line_distance"])


def test_a_stopped_fit_resumes(run: RunFolder, tmp_path: Path) -> None:
    load_file(EXAMPLE)
    spec = recipe(
        BOTH, "fit.samples=32", "fit.evaluate_every=32", "fit.learning_rate=0.002", "fit.learning_rate_end=0.002"
    )
    short = fit(spec, tmp_path, Silent(), lambda line: None, "cpu")
    fit(None, tmp_path, Silent(), lambda line: None, "cpu", short.path, samples=64)
    whole = fit(
        spec.model_copy(update={"fit": spec.fit.model_copy(update={"samples": 64})}),
        tmp_path / "whole",
        Silent(),
        lambda line: None,
        "cpu",
    )
    weights = [(each.last / "weights.safetensors").read_bytes() for each in (short, whole)]
    assert weights[0] == weights[1]


def test_onnx_runtime_runs_it(run: RunFolder, tmp_path: Path) -> None:
    load_file(EXAMPLE)
    model, images = load_trained(str(run.path)).model, pictures(4).images
    file = onnx_runtime.export(model, images[:2])
    assert onnx_runtime.verify(model, file, images) <= onnx_runtime.TOLERANCE
    assert set(onnx_runtime.load(file, 1)(images[:2])) == {"lane", "lane_std", "line_distance"}


def test_the_benchmark_scores_it_beside_ours(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_file(EXAMPLE)
    assert parse_requirement("line_distance_mae_m<=0.2").metric == "line_distance_mae_m"
    setting = BenchSetting(
        split="val",
        accuracy=AccuracySetting(pictures=8),
        latency=LatencySetting(min_duration_s=0.02, min_queries=8, batch=2, runtimes=("eager", "onnx")),
        robustness=RobustnessSetting(pictures=2, severities=(3,), epsilons_px=(2.0,), pgd_steps=1),
        examples=ExamplesSetting(pictures=4, each=1),
    )
    results = run_benchmark([str(run.path)], tmp_path, setting, refuse_to_drive, exam())
    found = json.loads((tmp_path / "results.json").read_text())["models"][0]
    taken = PictureSource(exam(), "val", 8, None)
    samples = taken.pictures(recipe().world, None).samples
    model = load_trained(str(run.path)).model
    with torch.no_grad():
        predicted = model(torch.as_tensor(samples.images))["line_distance"].numpy()
    assert found["parts"]["accuracy"]["heads"]["line_distance"]["mae_m"] == pytest.approx(mae_m(predicted, samples))
    assert found["metrics"]["line_distance_mae_m"] == found["parts"]["accuracy"]["heads"]["line_distance"]["mae_m"]
    assert {"offset_mae_m", "onnx_p50_ms"} <= found["metrics"].keys()
    assert set(results.models[0].errors) == {"closed_loop"}
    assert "line distance: mae m" in (tmp_path / "index.html").read_text()
    assert "line_distance_mae_m" in (tmp_path / "results.csv").read_text()
    print_benchmark(results)
    assert "unet: line_distance: mae_m 0." in capsys.readouterr().out


@pytest.mark.parametrize("method", ["target", "score"])
def test_one_that_fails_costs_its_own_scores(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    load_file(EXAMPLE)
    trained = load_trained(str(run.path))

    def fail(*_: object) -> None:
        raise KeyError("lane")

    head = trained.model.heads["line_distance"]
    assert isinstance(head, PluginHead)
    monkeypatch.setattr(head._head, method, fail)
    found = evaluate_accuracy(trained.model, pictures())
    assert found.lane
    assert found.heads is None
    assert f"head line_distance: {method} fails: KeyError: 'lane'; fix: " in (found.failed or {})["line_distance"]
    add_plugin_metrics()
    metrics = metrics_of([("accuracy", found)])
    assert "offset_mae_m" in metrics.values
    assert set(metrics.errors) == {"line_distance_mae_m"}
    assert not PARTS["accuracy"].is_complete(found), "the next benchmark measures it again"


def refuse_to_drive(*_: object) -> Any:
    raise DriveRLError("no road here")


def test_a_model_of_it_alone_is_measured_where_that_makes_sense() -> None:
    load_file(EXAMPLE)
    model = build_perception(recipe("model.heads=[line_distance]")).eval()
    assert set(model(torch.zeros(1, 3, 40, 64))) == {"line_distance"}
    assert set(evaluate_accuracy(model, pictures()).heads or {}) == {"line_distance"}
    assert evaluate_accuracy(model, Samples.unlabelled(pictures().images)).heads is None


CODE = """
import itertools, numpy as np, torch
from torch import nn
from drive_rl import extend

@extend.head("bad", scores={"mae_m": -1})
class Bad:
    def __init__(self, world): pass
    def build(self, shape): return nn.Linear(shape[0], 1)
    def target(self, samples): return samples.lane[:, :1]
    def loss(self, predicted, target): return (predicted - target).abs().mean()
    def score(self, predicted, target): return {"mae_m": np.abs(predicted - target).mean()}
"""
BUILD, TARGET = "return nn.Linear(shape[0], 1)", "return samples.lane[:, :1]"
LOSS, SCORE = "return (predicted - target).abs().mean()", 'return {"mae_m": np.abs(predicted - target).mean()}'
WRONG = {
    "no build": ("def build", "def made", r"head bad: has no build\(\)"),
    "init": ("(self, world)", "(self)", r"head bad: cannot be made for a world: TypeError"),
    "reads": (
        "def build",
        "reads = 'pictures'\n    def build",
        "reads = 'pictures': expected one of features, map; fix",
    ),
    "build fails": (BUILD, "return nn.Linear(shape, 1)", r"build\(\(128,\)\) fails: TypeError"),
    "no module": (BUILD, "return 3", r"build\(\(128,\)\) returned a int: expected a torch\.nn\.Module"),
    "width": (BUILD, "return nn.Linear(3, 1)", r"its module fails on \(2, 128\): RuntimeError"),
    "rows": (BUILD, "return nn.Flatten(0)", r"its module returned a tensor \(256,\) for \(2, 128\): expected a float"),
    "target rows": (
        TARGET,
        "return samples.lane[:1]",
        r"target returned \(1, 6\) for \d+ pictures: expected \(\d+, \.\.\.\)",
    ),
    "target fails": (TARGET, "return samples.speed", "target fails: AttributeError: 'Samples' object has no"),
    "target inf": (TARGET, "return samples.lane + np.inf", "target holds an infinite number"),
    "no target": (TARGET, "return samples.lane * np.nan", "rendered pictures have no labels for bad; fix: heads among"),
    "loss shape": (
        LOSS,
        "return (predicted - target).abs()",
        r"loss returned a tensor \(2, 1\) of .*fix: such as \.mean",
    ),
    "loss nan": (LOSS, "return predicted.mean() * np.nan", r"loss is nan of predictions \(2, 1\) and targets \(2, 1\)"),
    "loss fails": (LOSS, "return predicted - target[:, [9]]", "loss fails: IndexError"),
    "score names": (SCORE, "return {'mae': 0.0}", r"score returned \['mae'\]: expected \['mae_m'\]"),
    "score nan": (SCORE, "return {'mae_m': np.nan}", "score mae_m = nan: expected a finite number, or None"),
    "score words": (SCORE, "return {'mae_m': 'x'}", "score mae_m: ValueError"),
    "score fails": (SCORE, "return predicted[9]", "score fails: IndexError"),
    "taken": ('"bad"', '"lane"', "registers the head 'lane', a name that drive-rl itself has; fix: another name"),
    "an output": ('"bad"', '"tier"', "registers the head 'tier', a name that drive-rl itself has"),
    "scores": ('{"mae_m": -1}', '["mae_m"]', r"head 'bad': scores = \['mae_m'\]: expected names and 1, -1 or 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_head_that_breaks_its_contract_begins_no_run(case: str, tmp_path: Path) -> None:
    right, wrong, expected = WRONG[case]
    assert right in CODE
    (tmp_path / "bad.py").write_text(CODE.replace(right, wrong, 1))

    def load_and_fit() -> None:
        load_file(tmp_path / "bad.py")
        fit(recipe("model.heads=[lane, bad]"), tmp_path / "runs", Silent(), lambda line: None, "cpu")

    with pytest.raises(DriveRLError, match=expected) as caught:
        load_and_fit()
    assert "fix: " in str(caught.value)
    assert "bad" in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_loss_that_is_not_of_the_predictions(tmp_path: Path) -> None:
    head = loaded(tmp_path, CODE.replace(LOSS, "return (target - target).abs().mean()"))
    predicted = torch.zeros(8, 1, requires_grad=True)
    with pytest.raises(DriveRLError, match="loss does not depend on the predictions"):
        head.losses({"bad": predicted}, Labels(pictures(), CPU), "l1")


def loaded(folder: Path, code: str = CODE) -> PluginHead:
    (folder / "bad.py").write_text(code)
    load_file(folder / "bad.py")
    extension = find("head", "bad")
    assert extension is not None
    return PluginHead(extension, recipe().world)


def test_pictures_without_a_target_count_for_nothing(tmp_path: Path) -> None:
    head, samples = loaded(tmp_path), pictures()
    samples.lane[[1, 4]] = np.nan
    predicted = torch.full((8, 1), 0.5, requires_grad=True)
    known = samples.lane[[0, 2, 3, 5, 6, 7], 0]
    loss = head.losses({"bad": predicted}, Labels(samples, CPU), "l1")["bad"]
    assert loss.item() == pytest.approx(np.abs(0.5 - known).mean(), rel=1e-5)
    loss.backward()
    assert predicted.grad is not None
    assert predicted.grad[[1, 4]].tolist() == [[0.0], [0.0]]
    measure = head.measures()["bad"]
    for part in (slice(0, 3), slice(3, 8)):
        measure.add({"bad": predicted.detach().numpy()[part]}, samples.take(part))
    assert measure.scores() == {"mae_m": pytest.approx(np.abs(0.5 - known).mean(), rel=1e-5)}
    unknown = Samples.unlabelled(samples.images)
    assert not head.known(unknown)
    assert head.losses({"bad": predicted}, Labels(unknown, CPU), "l1")["bad"].item() == 0


def test_a_head_reads_the_map(tmp_path: Path) -> None:
    code = CODE.replace("def build", "reads = 'map'\n    def build").replace(BUILD, "return nn.Conv2d(shape[0], 2, 1)")
    loaded(tmp_path, code)
    model = build_perception(recipe("model.heads=[bad]")).eval()
    assert model.decoder is not None
    assert model(torch.zeros(3, 3, 40, 64))["bad"].shape == (3, 2, *model.decoder.shape[1:])


def test_a_folder_without_the_target_is_refused(tmp_path: Path) -> None:
    from drive_rl.perception.data.writer import write_data

    loaded(tmp_path)
    spec = recipe("model.heads=[lines, bad]")
    write_data(spec.world, DataSpec(), "train", 12, tmp_path / "set", False, lambda *_: None)
    (tmp_path / "lines").mkdir()
    (tmp_path / "set" / "lanes.json").rename(tmp_path / "lines" / "lanes.json")
    (tmp_path / "lines" / "images").symlink_to(tmp_path / "set" / "images")
    spec = spec.model_copy(update={"data": DataSpec(folder=str(tmp_path / "lines"))})
    with pytest.raises(DriveRLError, match="the data set has no labels for bad; fix: heads among lines"):
        fit(spec, tmp_path / "runs", Silent(), lambda line: None, "cpu")
    assert not (tmp_path / "runs").exists()


def test_names_of_heads_and_scores(tmp_path: Path) -> None:
    with pytest.raises(
        DriveRLError, match=r"model\.heads = \['lane', 'bda'\]: 'bda': expected one of lane, .*--plugin"
    ):
        load_perception("unet", ["model.heads=[lane, bda]"])
    loaded(tmp_path)
    with pytest.raises(DriveRLError, match=r"'bda': expected one of .*did you mean 'bad'"):
        load_perception("unet", ["model.heads=[lane, bda]"])
    text = CODE.replace('"bad"', '"line"').replace("mae_m", "error_px")
    (tmp_path / "taken.py").write_text(text)
    load_file(tmp_path / "taken.py")
    with pytest.raises(DriveRLError, match="score error_px: the benchmark has a metric line_error_px already; fix"):
        parse_requirement("miou>=0.5")


def test_the_accuracy_part_of_a_model_without_our_heads(tmp_path: Path) -> None:
    loaded(tmp_path)
    spec = recipe("model.heads=[bad]")
    taken = PictureSource(exam(), "val", 8, None)
    trained = Trained("bad", spec, build_perception(spec).eval(), tmp_path)
    drive: Any = refuse_to_drive
    subject = Subject(
        trained=trained,
        split="val",
        threads=1,
        exam=exam(),
        drive=drive,
        reference=drive,
        pictures=lambda count: taken.pictures(spec.world, count),
        data=None,
        corrupted=tmp_path,
        delay=None,
        progress=lambda *_: None,
        export=lambda: b"",
    )
    found = PARTS["accuracy"].measure(subject, AccuracySetting(pictures=8))
    assert found.heads["bad"]["mae_m"] > 0
    assert PARTS["examples"].measure(subject, ExamplesSetting(pictures=4, each=1)).score == ""
    with pytest.raises(DriveRLError, match="robustness needs masks, lines or the lane state"):
        PARTS["robustness"].measure(subject, RobustnessSetting(pictures=2))
