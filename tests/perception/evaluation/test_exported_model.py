"""A model for driving: ONNX Runtime drives as torch does, on any number of threads; what it cannot run, torch runs."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from small_nets import Brittle
from torch import Tensor

from drive_rl.benchmark.closed_loop import drive_model
from drive_rl.benchmark.exam.conditions import Condition
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.evaluation import onnx_runtime
from drive_rl.perception.evaluation.exported_model import for_driving
from drive_rl.perception.evaluation.runtimes import Images, torch_threads
from drive_rl.perception.models.load import Fitted, load_trained
from drive_rl.perception.models.perception_model import PictureModel


@pytest.fixture(scope="module")
def trained() -> Fitted:
    return load_trained("pilotnet-160")


@pytest.fixture(scope="module")
def images(trained: Fitted) -> Images:
    return held_out(trained.spec.world, trained.spec.data, "val", 4).images


def test_onnx_runtime_drives_as_torch_does_on_any_number_of_threads(trained: Fitted, images: Images) -> None:
    exported, runtime = for_driving(trained, "onnx", images, partial(onnx_runtime.export, trained.model, images[:1]))
    assert runtime == "onnx"
    with torch.no_grad():
        wanted = trained.model(torch.as_tensor(images))["lane"].numpy()
    found = exported.model(torch.as_tensor(images))
    assert list(found) == ["lane"]
    np.testing.assert_allclose(found["lane"].numpy(), wanted, atol=1e-4)

    condition = Condition("own", trained.spec.world, "clear")
    original = drive_model(trained, condition, "val", 3)
    drives = []
    for threads in (1, 2):
        with torch_threads(threads):
            drives.append(drive_model(exported, condition, "val", 3))
    assert drives[0] == drives[1]
    assert drives[0].driving_scores == original.driving_scores
    assert drives[0].max_offsets_m == pytest.approx(original.max_offsets_m, abs=0.02)


def test_torch_drives_where_it_is_asked_for_or_nothing_else_can(trained: Fitted, images: Images) -> None:
    assert for_driving(trained, "eager", images, _never) == (trained, "eager")
    brittle = _Brittle(trained.model)
    chooses = replace(trained, model=brittle)
    assert for_driving(chooses, "suite", images, partial(onnx_runtime.export, brittle, images[:1])) == (
        chooses,
        "eager",
    )
    brittle.runtimes = ("eager",)
    assert for_driving(chooses, "onnx", images, _never) == (chooses, "eager")


def _never() -> bytes:
    pytest.fail("exported for nothing")


class _Brittle(PictureModel):
    """Cannot be exported."""

    def __init__(self, model: PictureModel) -> None:
        super().__init__()
        self.shape, self.heads = model.shape, model.heads
        self.network = Brittle()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.network(images)
