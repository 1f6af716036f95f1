"""Models that nobody here trained or defined: each through `perception predict` and `bench perception` by a short YAML.

    python -m venv .foreign-venv && .foreign-venv/bin/pip install -e '.[perception]'
    .foreign-venv/bin/pip install -r benchmarks/foreign-requirements.txt
    .foreign-venv/bin/python benchmarks/foreign_models.py

Eleven architectures and one trained file of packages on PyPI. Weights are random from one seed, but for the file, which
detects text, not lanes: what is shown is that they run and are scored, not that they see. None is tuned to anything.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from record import ROOT, Bar, Bench
from safetensors.torch import save_file
from torch import Tensor, nn

from drive_rl.config.reader import load_perception
from drive_rl.perception.data.rendered_dataset import held_out

HEIGHT, WIDTH = 96, 160
MOST_LINES = 15
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
    from torchvision.models import segmentation

    return First(getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=classes), "out")


def of_smp(name: str, encoder: str, classes: int) -> nn.Module:
    import segmentation_models_pytorch as smp

    return getattr(smp, name)(encoder, encoder_weights=None, classes=classes)


def segformer() -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return First(SegformerForSemanticSegmentation(SegformerConfig(num_labels=19)), "logits")


def mobilevit() -> nn.Module:
    from transformers import MobileViTConfig, MobileViTForSemanticSegmentation

    config = MobileViTConfig(num_labels=5, image_size=256)
    return First(MobileViTForSemanticSegmentation(config), "logits")


def monai_unet() -> nn.Module:
    from monai.networks.nets import UNet

    return UNet(spatial_dims=2, in_channels=3, out_channels=5, channels=(16, 32, 64, 128), strides=(2, 2, 2))


def of_timm(name: str) -> nn.Module:
    import timm

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
FACTORY = "from foreign_models import monai_unet as make\n"


def write(model: Model, work: Path) -> Path:
    """Write a model's files and its YAML file; return the latter."""
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
    path = work / f"{model.name}.yaml"
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
        named = f"timm:{TIMM[model.name]}" if model.form == "timm" else "foreign_models:monai_unet"
        return [f"model: {named}", f"weights: {file.with_suffix('.safetensors').name}"]
    return [f"model: {file.name}"]


def drive_rl(words: list[str]) -> tuple[int, str]:
    """Run the command line as a user does; return its exit code and what it printed."""
    shown = "import runpy, sys; sys.path.insert(0, 'benchmarks'); import foreign_models; "
    shown += "sys.argv = ['drive-rl', *sys.argv[1:]]; runpy.run_module('drive_rl', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", shown, *words], capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr


def picture(work: Path) -> Path:
    """Write a picture of a test road, and return it."""
    spec = load_perception("unet")
    image = held_out(spec.world, spec.data, "test", 1).images[0].transpose(1, 2, 0)
    path = work / "road.png"
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    return path


def measured(model: Model, path: Path, shown: Path, out: Path) -> dict[str, Any]:
    """Predict and benchmark with one model; return what came of it."""
    began_s = time.perf_counter()
    predict = ["perception", "predict", str(path), str(shown), "--out", str(path.with_suffix(".png")), "--trust"]
    bench = ["bench", "perception", str(path), "--reduced", "--out", str(out), "--trust"]
    codes = {}
    for verb, words in (("predict", predict), ("bench", bench)):
        codes[verb], text = drive_rl([*words, *(["--overwrite"] if verb == "predict" else [])])
        if codes[verb]:
            print(text, file=sys.stderr)
    results = json.loads((out / "results.json").read_text())["models"] if not codes["bench"] else [{}]
    return {
        "package": f"{model.package} {metadata.version(model.package)}",
        "what": model.what,
        "weights": model.weights,
        "form": model.form,
        "yaml": path.read_text().splitlines(),
        "exit_codes": codes,
        "seconds": round(time.perf_counter() - began_s, 1),
        "heads": results[0].get("heads"),
        "errors": results[0].get("errors"),
        "metrics": results[0].get("metrics"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore[reportOptionalMemberAccess]
    parser.add_argument("--keep", type=Path, help="keep models, pictures and pages in this folder")
    parser.add_argument("--only", nargs="*", help="some models, by name")
    bench = Bench("foreign_models", parser)
    chosen = [model for model in models() if not bench.args.only or model.name in bench.args.only]
    with tempfile.TemporaryDirectory() as temporary:
        work = (bench.args.keep or Path(temporary)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        shown, found = picture(work), {}
        for model in chosen:
            row = found[model.name] = measured(model, write(model, work), shown, work / "bench" / model.name)
            print(model.name, row["exit_codes"], row["seconds"], flush=True)
    through = [row for row in found.values() if not any(row["exit_codes"].values()) and len(row["yaml"]) <= MOST_LINES]
    bar = Bar(f"models through predict and bench with at most {MOST_LINES} lines of YAML", len(through), least=10)
    bench.finish({"through": len(through), "lines": max(len(row["yaml"]) for row in found.values())}, found, [bar])


if __name__ == "__main__":
    main()
