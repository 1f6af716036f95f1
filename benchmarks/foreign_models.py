"""Models that nobody here trained or defined: each through `perception predict` and `bench perception` by a short YAML.

    python -m venv .foreign-venv && .foreign-venv/bin/pip install -e '.[perception]'
    .foreign-venv/bin/pip install -r benchmarks/foreign-requirements.txt
    .foreign-venv/bin/python benchmarks/foreign_models.py

Eleven architectures and one trained file of packages on PyPI. Weights are random from one seed, but for the file, which
detects text, not lanes: what is shown is that they run and are scored, not that they see. None is tuned to anything.
In this process rather than by the command line, for the missing operators below.
"""

import argparse
import inspect
import tempfile
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from record import Bar, Bench
from safetensors.torch import save_file
from torch import Tensor, nn

from drive_rl.benchmark.closed_loop import drive_model
from drive_rl.benchmark.exam.conditions import load_exam
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.parts.accuracy import AccuracySetting
from drive_rl.benchmark.parts.closed_loop import ClosedLoopSetting
from drive_rl.benchmark.parts.examples import ExamplesSetting
from drive_rl.benchmark.parts.robustness import RobustnessSetting
from drive_rl.benchmark.results import ModelResult
from drive_rl.benchmark.runner import run_benchmark
from drive_rl.benchmark.settings import BenchSetting
from drive_rl.config.extensions import trust_specs
from drive_rl.config.reader import load_perception
from drive_rl.perception.adapter.load import load_model
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.evaluation.latency import LatencySetting
from drive_rl.report.predict.predict import Predicted, predict

HEIGHT, WIDTH = 96, 160
MOST_LINES = 15
SETTING = BenchSetting(
    accuracy=AccuracySetting(pictures=8),
    latency=LatencySetting(min_duration_s=0.1, min_queries=8, batch=4),
    robustness=RobustnessSetting(pictures=2, severities=(3,)),
    closed_loop=ClosedLoopSetting(roads=1, corrupted_roads=1, corruptions=(), longest_delay_s=0),
    examples=ExamplesSetting(pictures=4, each=1),
)
"""Every part, on few pictures and roads: most of these models have learned nothing."""
CITYSCAPES = "{output: {kind: classes, map: cityscapes}}"
NORMALISED = "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]"
LIBRARY = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):  # torchvision of the registry is built for CUDA: beside a torch for CPUs it lacks these
    LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


class Model(NamedTuple):
    """A model of others."""

    name: str
    package: str
    what: str
    made: Callable[[], nn.Module] | Path
    form: str  # onnx, pt2, ts, timm or py
    outputs: str
    weights: str = "random, seed 0"


class First(nn.Module):
    """A module whose output is one tensor: the first, or the one of a name."""

    def __init__(self, module: nn.Module, key: str | None = None) -> None:
        super().__init__()
        self.module, self.key = module, key

    def forward(self, x: Tensor) -> Tensor:
        found: Any = self.module(x)
        return found if self.key is None else found[self.key]


def of_torchvision(name: str, classes: int) -> nn.Module:
    from torchvision.models import segmentation  # pyright: ignore[reportMissingImports]

    return First(getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=classes), "out")


def of_smp(name: str, encoder: str, classes: int) -> nn.Module:
    import segmentation_models_pytorch as smp  # pyright: ignore[reportMissingImports]

    return getattr(smp, name)(encoder, encoder_weights=None, classes=classes)


def segformer() -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation  # pyright: ignore[reportMissingImports]

    return First(SegformerForSemanticSegmentation(SegformerConfig(num_labels=19)), "logits")


def mobilevit() -> nn.Module:
    from transformers import MobileViTConfig, MobileViTForSemanticSegmentation  # pyright: ignore[reportMissingImports]

    config = MobileViTConfig(num_labels=5, image_size=256)
    return First(MobileViTForSemanticSegmentation(config), "logits")


def monai_unet() -> nn.Module:
    from monai.networks.nets import UNet  # pyright: ignore[reportMissingImports]

    return UNet(spatial_dims=2, in_channels=3, out_channels=5, channels=(16, 32, 64, 128), strides=(2, 2, 2))


def of_timm(name: str) -> nn.Module:
    import timm  # pyright: ignore[reportMissingImports]

    return timm.create_model(name, pretrained=False, num_classes=2)


def text_detector() -> Path:
    found = util.find_spec("rapidocr_onnxruntime")
    assert found is not None, "pip install -r benchmarks/foreign-requirements.txt"
    return Path(str(found.origin)).parent / "models" / "ch_PP-OCRv4_det_infer.onnx"


TWO_FIELDS = "{output: {kind: lane_state, fields: [offset_m, heading_error_rad]}}"


def models() -> list[Model]:
    """Return the models."""
    smp, torchvision = "segmentation-models-pytorch", "torchvision"
    return [
        Model("lraspp", torchvision, "LR-ASPP, MobileNetV3", lambda: of_torchvision("lraspp_mobilenet_v3_large", 19),
              "onnx", CITYSCAPES),
        Model("deeplabv3", torchvision, "DeepLabV3, MobileNetV3",
              lambda: of_torchvision("deeplabv3_mobilenet_v3_large", 19), "pt2", CITYSCAPES),
        Model("unet-resnet18", smp, "U-Net, ResNet-18", lambda: of_smp("Unet", "resnet18", 5), "onnx",
              "{output: {kind: classes, map: drive_rl}}"),
        Model("fpn-mobilenet", smp, "FPN, MobileNetV2", lambda: of_smp("FPN", "mobilenet_v2", 1), "ts",
              "{output: {kind: classes, map: {ego_lane: [0]}}}"),
        Model("linknet", smp, "LinkNet, ResNet-18", lambda: of_smp("Linknet", "resnet18", 3), "onnx",
              "{output: {kind: classes, map: bdd100k_drivable}}"),
        Model("pspnet", smp, "PSPNet, ResNet-18", lambda: of_smp("PSPNet", "resnet18", 5), "ts",
              "{output: {kind: lanes, form: masks, background: 0}}"),
        Model("segformer", "transformers", "SegFormer-B0", segformer, "onnx", CITYSCAPES),
        Model("mobilevit", "transformers", "MobileViT, DeepLabV3 head", mobilevit, "pt2",
              "{output: {kind: classes, map: culane}}"),
        Model("monai-unet", "monai", "U-Net of residual units", monai_unet, "py",
              "{output: {kind: classes, map: drive_rl}}"),
        Model("mobilenetv3", "timm", "MobileNetV3-Small 0.5", lambda: of_timm("mobilenetv3_small_050"), "timm",
              TWO_FIELDS),
        Model("convnext", "timm", "ConvNeXt-Atto", lambda: of_timm("convnext_atto"), "timm", TWO_FIELDS),
        Model("pp-ocr", "rapidocr-onnxruntime", "PP-OCRv4 text detector, its ONNX file", text_detector(), "onnx",
              "{sigmoid_0.tmp_0: {kind: classes, form: probabilities, map: {marking: [0]}}}", "trained, to find text"),
    ]  # fmt: skip


TIMM = {"mobilenetv3": "mobilenetv3_small_050", "convnext": "convnext_atto"}


def write(model: Model, work: Path) -> Path:
    """Write a model's files and its YAML file, unless they are kept from before; return the latter."""
    path = work / f"{model.name}.yaml"
    if path.exists():
        return path
    file = work / f"{model.name}.{model.form}"
    lines = [f"description: {model.what}, of {model.package}"]
    if isinstance(model.made, Path):
        file.write_bytes(model.made.read_bytes())
        lines.append(f"model: {file.name}")
    else:
        torch.manual_seed(0)
        module, example = model.made().eval(), torch.rand(2, 3, HEIGHT, WIDTH)
        lines += _saved(model, module, example, file)
    lines += [f"input: {{size: [{HEIGHT}, {WIDTH}], {NORMALISED}}}", f"outputs: {model.outputs}"]
    path.write_text("\n".join(lines) + "\n")
    return path


def _saved(model: Model, module: nn.Module, example: Tensor, file: Path) -> list[str]:
    """Save a module in its form; return the YAML lines that name it."""
    batch = ({0: torch.export.Dim("batch")},)
    if model.form == "onnx":
        torch.onnx.export(
            module, (example,), file, dynamo=True, input_names=["input"], output_names=["output"],
            dynamic_shapes=batch, external_data=False, verbose=False,
        )  # fmt: skip
    elif model.form == "pt2":
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=batch), file)
    elif model.form == "ts":
        torch.jit.save(torch.jit.trace(module, example), str(file))
    else:
        save_file(module.state_dict(), file.with_suffix(".safetensors"))
        file.with_suffix(".py").write_text(f"from torch import nn\n\n{inspect.getsource(monai_unet)}")
        named = f"timm:{TIMM[model.name]}" if model.form == "timm" else f"{model.name}.py:monai_unet"
        return [f"model: {named}", f"weights: {file.with_suffix('.safetensors').name}"]
    return [f"model: {file.name}"]


def picture(work: Path) -> Path:
    """Write a picture of a test road, and return it."""
    spec = load_perception("unet")
    image = held_out(spec.world, spec.data, "test", 1).images[0].transpose(1, 2, 0)
    path = work / "road.png"
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    return path


def row_of(model: Model, path: Path, predicted: Predicted, result: ModelResult) -> dict[str, Any]:
    """Return what came of a model."""
    (frame,) = predicted.frames
    return {
        "package": f"{model.package} {metadata.version(model.package)}",
        "what": model.what,
        "weights": model.weights,
        "form": model.form,
        "yaml": path.read_text().splitlines(),
        "predict": {"lane": frame.lane, "classes": frame.classes, "model_ms": predicted.model_ms},
        "heads": result.heads,
        "errors": result.errors,
        "metrics": result.metrics,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore[reportOptionalMemberAccess]
    parser.add_argument("--keep", type=Path, help="keep models, pictures and the page in this folder")
    parser.add_argument("--only", nargs="*", help="some models, by name")
    bench = Bench("foreign_models", parser)
    chosen = [model for model in models() if not bench.args.only or model.name in bench.args.only]
    trust_specs()
    with tempfile.TemporaryDirectory() as temporary:
        work = (bench.args.keep or Path(temporary)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        shown, paths = str(picture(work)), [write(model, work) for model in chosen]
        drawn = [predict(load_model(str(path)), shown, path.with_suffix(".png"), overwrite=True) for path in paths]
        results = run_benchmark(
            [str(path) for path in paths], work / "bench", SETTING, drive_model, load_exam(worlds=["lane_follow"])
        ).models
        rows = [row_of(*each) for each in zip(chosen, paths, drawn, results, strict=True)]
    failed = [row["what"] for row in rows if set(row["errors"]) & {"model", *PARTS}]
    short = [row for row in rows if row["what"] not in failed and len(row["yaml"]) <= MOST_LINES]
    bar = Bar(f"models through every part with at most {MOST_LINES} lines of YAML", len(short), least=10)
    figures = {"through": len(short), "failed": failed, "most_lines": max(len(row["yaml"]) for row in rows)}
    bench.finish(figures, rows, [bar])


if __name__ == "__main__":
    main()
