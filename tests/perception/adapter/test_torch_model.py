"""Models of others that torch runs: torch.export, TorchScript, a Python factory with weights. They run only
with trust, and predict what the module itself computes.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_onnx import HEIGHT, WIDTH, adapter
from torch import Tensor, nn

from drive_rl.config.extensions import forgotten, load_file, trust_specs
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.load import load_model
from drive_rl.perception.evaluation.latency import LatencySetting, measure_latency

SOURCE = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5))

def wrong():
    return 3

def broken():
    raise RuntimeError("no weights here")
"""
OUTPUT = "{output: {kind: classes, map: drive_rl}}"


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5))
    return module.eval()


@pytest.fixture
def trusted() -> Iterator[None]:
    with forgotten():
        trust_specs()
        yield


def save(module: nn.Module, folder: Path, form: str) -> str:
    """Save a module in one form, and return the YAML's `model`."""
    example = torch.rand(2, 3, HEIGHT, WIDTH)
    if form == "pt2":
        shapes = ({0: torch.export.Dim("batch")},)
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), folder / "net.pt2")
    elif form == "ts":
        torch.jit.save(torch.jit.trace(module, example), str(folder / "net.ts"))
    else:
        (folder / "net.py").write_text(SOURCE)
        return "net.py:make"
    return f"net.{form}"


@pytest.mark.parametrize("form", ["pt2", "ts", "py"])
@pytest.mark.filterwarnings("ignore")  # of torch, about its own TorchScript and trees
def test_it_predicts_what_the_module_computes(module: nn.Module, tmp_path: Path, trusted: None, form: str) -> None:
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    more = "weights: net.safetensors\n" if form == "py" else ""
    found = load_model(str(adapter(tmp_path / "a.yaml", OUTPUT, save(module, tmp_path, form), more)))
    pictures = torch.randint(0, 256, (3, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    with torch.inference_mode():
        expected: Tensor = module(pictures.float() / 255)
        assert found.model(pictures)["classes"] == pytest.approx(expected, abs=1e-5)

    setting = LatencySetting(min_duration_s=0.02, min_queries=8, batch=2)
    latency = measure_latency(found.model, pictures.numpy(), 1, setting)
    assert list(latency.runtimes) == ["eager"]
    assert latency.runtimes["eager"].error is None
    assert latency.macs is not None
    assert 0 <= latency.macs - HEIGHT * WIDTH * 5 * 3 * 9 < 2000  # geometry's own
    assert latency.parameters == 3 * 5 * 9 + 5 + 10


@pytest.mark.parametrize("form", ["pt2", "ts", "py"])
@pytest.mark.filterwarnings("ignore")
def test_code_runs_only_with_trust(module: nn.Module, tmp_path: Path, form: str) -> None:
    path = adapter(tmp_path / "a.yaml", OUTPUT, save(module, tmp_path, form))
    with (
        forgotten(),
        pytest.raises(DriveRLError, match=r"a\.yaml: model = net\..*does not run untrusted; fix: --trust"),
    ):
        load_model(str(path))


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("harm"),)


CASES = {
    "net.py:wrong": r"wrong\(\) returned a int: expected a module or a function",
    "net.py:broken": r"broken\(\) fails: RuntimeError: no weights here; fix",
    "net.py:absent": r"absent\(\) fails: AttributeError",
    "no_such_package.net:make": r"its module cannot be imported: ModuleNotFoundError.*fix: install its package",
    "net.tflite": r"expected FILE\.onnx, FILE\.pt2.*fix: one of them",
    "gone.pt2": r"gone\.pt2 is not a file; fix",
    "text.pt2": r"text\.pt2: not a torch\.export file that torch .* reads.*fix: save it again",
    "text.ts": r"text\.ts: not a TorchScript file.*fix: save it again",
}


@pytest.mark.parametrize("model", CASES)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_loaded_is_named(tmp_path: Path, trusted: None, model: str) -> None:
    (tmp_path / "net.py").write_text(SOURCE)
    for name in ("text.pt2", "text.ts"):
        (tmp_path / name).write_text("no archive")
    with pytest.raises(DriveRLError, match=CASES[model]):
        load_model(str(adapter(tmp_path / "a.yaml", OUTPUT, model)))


def test_weights_hold_no_code_and_must_fit(
    tmp_path: Path, trusted: None, monkeypatch: pytest.MonkeyPatch, module: nn.Module
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(SOURCE)
    (tmp_path / "net.pt").write_bytes(pickle.dumps(Harmful()))
    path = adapter(tmp_path / "a.yaml", OUTPUT, "net.py:make", "weights: net.pt\n")
    with pytest.raises(DriveRLError, match=r"weights = net\.pt do not fit"):
        load_model(str(path))
    assert not (tmp_path / "harm").exists()

    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "net.pt")
    with pytest.raises(DriveRLError, match=r"weights = net\.pt do not fit.*fix: the file with this model's state_dict"):
        load_model(str(path))
    torch.save(module.state_dict(), tmp_path / "net.pt")
    assert load_model(str(path)).network == "Python"


PLUGIN = """
from drive_rl import extend
{source}
extend.perception_model("mine", {adapter})({made})
"""
ADAPTER = {
    "outputs": {"output": {"kind": "classes", "map": "drive_rl"}},
    "world": {"base": "lane_follow", "camera": {"width_px": WIDTH, "height_px": HEIGHT, "frame_stack": 1}},
    "weights": "net.pt",
}


def plugin(folder: Path, made: str = "make", adapter: object = ADAPTER) -> None:
    (folder / "mine.py").write_text(PLUGIN.format(source=SOURCE, adapter=adapter, made=made))
    load_file(folder / "mine.py")


def test_a_plugins_model_goes_by_name(tmp_path: Path, module: nn.Module) -> None:
    """With its weights, as the module itself computes it; without trust, for the user has named the plugin."""
    torch.save(module.state_dict(), tmp_path / "net.pt")
    camera = {**ADAPTER["world"]["camera"], "channels": "rgb"}
    with forgotten():
        plugin(tmp_path, adapter={**ADAPTER, "world": {**ADAPTER["world"], "camera": camera}})
        found, before = load_model("mine"), load_model("mine").sha256
        pictures = torch.randint(0, 256, (2, 3, HEIGHT, WIDTH), dtype=torch.uint8)
        with torch.inference_mode():
            assert torch.allclose(found.model(pictures)["classes"], module(pictures / 255), atol=1e-5)
        assert (found.name, found.network) == ("mine", "Python")
        assert found.model.heads.keys() == {"lines", "segmentation", "lane"}
        torch.save({name: value * 2 for name, value in module.state_dict().items()}, tmp_path / "net.pt")
        assert load_model("mine").sha256 != before
        with pytest.raises(DriveRLError, match="unknown perception model 'miner'; did you mean 'mine'"):
            load_model("miner")
    with pytest.raises(DriveRLError, match="unknown perception model 'mine'"):
        load_model("mine")


@pytest.mark.parametrize(
    ("made", "adapter", "message"),
    [
        ("wrong", ADAPTER, r"mine\(\) returned a int: expected a module or a function; fix"),
        ("broken", ADAPTER, r"mine\.py: perception_model mine: fails: RuntimeError: no weights here; fix"),
        ("make", {"output": {}}, r"mine\.py: output: unknown key"),
        ("make", {**ADAPTER, "weights": "gone.pt"}, r"weights = gone\.pt: .*gone\.pt is not a file"),
        ("make", {"model": "x"}, r"expected the keys of an adapter but model; fix"),
        ("make", 3, r"adapter = 3: expected the keys of an adapter but model; fix"),
    ],
)
def test_a_plugins_model_that_cannot_be_is_named(tmp_path: Path, made: str, adapter: object, message: str) -> None:
    torch.save({}, tmp_path / "net.pt")

    def load() -> None:
        plugin(tmp_path, made, adapter)
        load_model("mine")

    with forgotten(), pytest.raises(DriveRLError, match=message):
        load()


def test_a_plugins_model_takes_no_name_of_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents").mkdir()
    adapter(tmp_path / "agents/mine.yaml", OUTPUT)
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    with forgotten():
        plugin(tmp_path)
        with pytest.raises(DriveRLError, match=r"mine\.yaml has that name; fix: rename it"):
            load_model("mine")
