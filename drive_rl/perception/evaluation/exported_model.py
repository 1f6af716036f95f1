"""A perception model as a car drives on it: its lane state alone, by a named runtime, on one thread.

It knows models and runtimes. It knows no road, and does not time anything.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drive_rl.perception.evaluation import onnx_runtime
from drive_rl.perception.evaluation.runtimes import Images, Runtime
from drive_rl.perception.heads.head import Predictions
from drive_rl.perception.models.load import Trained
from drive_rl.perception.models.perception_model import PictureModel

_REMEMBERED = 256
"""Pictures whose lane state is remembered: cars that have arrived show the same ones at every step."""


class Running(NamedTuple):
    """A model, and the runtime that runs it."""

    trained: Trained
    runtime: str
    """`onnx` or `eager`."""


def for_driving(trained: Trained, runtime: str, images: Images, export: Callable[[], bytes]) -> Running:
    """Return a model for driving, on one thread, so that its drives depend on no number of cores.

    Args:
        trained: A model that predicts the lane state.
        runtime: `eager`: torch, as the model is. Otherwise ONNX Runtime, which predicts faster; a model that cannot be
            exported, or whose file predicts anything else, still runs in torch.
        images: Pictures (N, C, H, W) uint8, on which the file is compared with the model.
        export: Returns the model as `onnx_runtime.export` does for one picture; called once at most.

    Raises:
        DriveRLError: the model's own file cannot be opened.
    """
    model = trained.model
    if (file := model.of_file(1)) is not None:
        return Running(_with(trained, file.model), "onnx")
    if runtime == "eager" or "onnx" not in model.runtimes:
        return Running(trained, "eager")
    try:
        return Running(_with(trained, _ExportedModel(model, _exported(model, images, export()))), "onnx")
    except Exception:  # the exporter's errors have no common class, and plugins' code raises its own
        return Running(trained, "eager")


def _with(trained: Trained, model: PictureModel) -> Trained:
    return Trained(trained.name, trained.spec, model.eval(), trained.weights, trained.more_files)


def _exported(model: PictureModel, images: Images, file: bytes) -> Runtime:
    lane = onnx_runtime.only(file, ["lane"])
    onnx_runtime.verify(model, lane, images)
    return onnx_runtime.load(lane, threads=1)


class _ExportedModel(PictureModel):
    """(B, C, H, W) uint8 pictures on the CPU -> the lane state alone, of each as if it were alone."""

    def __init__(self, model: PictureModel, run: Runtime) -> None:
        super().__init__()
        self.shape, self.heads = model.shape, {"lane": model.heads["lane"]}
        self._lane = lru_cache(_REMEMBERED)(lambda seen: run(_picture(seen, model.shape))["lane"])

    def forward(self, images: Tensor) -> Predictions:
        return Predictions(
            {"lane": torch.from_numpy(np.concatenate([self._lane(one.tobytes()) for one in images.numpy()]))}
        )


def _picture(seen: bytes, shape: tuple[int, ...]) -> Images:
    return np.frombuffer(seen, np.uint8).reshape(1, *shape)
