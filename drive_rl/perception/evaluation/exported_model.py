"""A perception model as a car drives on it: its lane state alone, by a named runtime, on one thread.

It knows models and runtimes. It knows no road, and does not time anything.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from drive_rl.perception.evaluation import onnx_runtime
from drive_rl.perception.evaluation.runtimes import Images, Runtime
from drive_rl.perception.heads.head import Predictions
from drive_rl.perception.models.load import Trained
from drive_rl.perception.models.perception_model import PictureModel


class Running(NamedTuple):
    """A model, and the runtime that runs it."""

    trained: Trained
    runtime: str
    """`onnx` or `eager`."""


def for_driving(trained: Trained, runtime: str, images: Images) -> Running:
    """Return a model for driving, on one thread, so that its drives depend on no number of cores.

    Args:
        trained: A model that predicts the lane state.
        runtime: `eager`: torch, as the model is. Otherwise ONNX Runtime, which predicts faster; a model that cannot be
            exported, or whose file predicts anything else, still runs in torch.
        images: Pictures (N, C, H, W) uint8, on which the file is compared with the model.

    Raises:
        DriveRLError: the model's own file cannot be opened.
    """
    model = trained.model
    if (file := model.of_file(1)) is not None:
        return Running(_with(trained, file.model), "onnx")
    if runtime == "eager" or "onnx" not in model.runtimes:
        return Running(trained, "eager")
    try:
        return Running(_with(trained, _ExportedModel(model, _exported(model, images))), "onnx")
    except Exception:  # the exporter's errors have no common class, and plugins' code raises its own
        return Running(trained, "eager")


def _with(trained: Trained, model: PictureModel) -> Trained:
    return Trained(trained.name, trained.spec, model.eval(), trained.weights, trained.more_files)


def _exported(model: PictureModel, images: Images) -> Runtime:
    lane = _LaneAlone(model)
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_runtime.export(lane, Path(folder) / "lane.onnx", images[:2], any_batch=True)
        onnx_runtime.verify(lane, path, images)
        return onnx_runtime.load(path, threads=1)


class _LaneAlone(nn.Module):
    """A model without what driving does not need, which the exporter then drops."""

    def __init__(self, model: PictureModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"lane": self.model(images)["lane"]}


class _ExportedModel(PictureModel):
    """(B, C, H, W) uint8 pictures on the CPU -> the lane state alone."""

    def __init__(self, model: PictureModel, run: Runtime) -> None:
        super().__init__()
        self.shape, self.heads = model.shape, {"lane": model.heads["lane"]}
        self._run = run

    def forward(self, images: Tensor) -> Predictions:
        return Predictions({name: torch.from_numpy(found) for name, found in self._run(images.numpy()).items()})
