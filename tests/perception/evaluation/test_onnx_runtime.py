"""Exported models: they predict what the model predicts, in batches of any size."""

import numpy as np
import onnx
import pytest
from small_nets import HEIGHT, WIDTH, Brittle, SmallNet, pictures

from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation import onnx_runtime as exported
from drive_rl.perception.evaluation.runtimes import eager


@pytest.mark.parametrize("batch", [1, 4])
def test_file_predicts_what_the_model_predicts(batch: int, capfd: pytest.CaptureFixture[str]) -> None:
    model, images = SmallNet().train(), pictures(8)
    file = exported.export(model, images[:batch])
    assert capfd.readouterr() == ("", "")
    assert model.training
    got, wanted = exported.load(file, threads=1)(images[:batch]), eager(model)(images[:batch])
    assert list(got) == ["lane", "lane_std", "classes"]
    assert got["classes"].shape == (batch, 5, HEIGHT, WIDTH)
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, atol=1e-4, rtol=0)
    assert 0 <= exported.verify(model, file, images) <= exported.TOLERANCE


def test_file_holds_fixed_shapes_and_no_path_of_the_machine() -> None:
    file = exported.export(SmallNet(), pictures(2))
    entry = onnx.load_from_string(file).graph.input[0]
    assert [size.dim_value for size in entry.type.tensor_type.shape.dim] == [2, 3, HEIGHT, WIDTH]
    assert entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert b".py" not in file


def test_some_outputs_alone_are_the_same_and_smaller() -> None:
    model, images = SmallNet().eval(), pictures(3)
    file = exported.export(model, images)
    lane = exported.only(file, ["lane"])
    found = exported.load(lane, threads=1)(images)
    assert list(found) == ["lane"]
    np.testing.assert_array_equal(found["lane"], exported.load(file, threads=1)(images)["lane"])
    assert len(onnx.load_from_string(lane).graph.node) < len(onnx.load_from_string(file).graph.node)
    assert exported.verify(model, lane, images) <= exported.TOLERANCE


def test_difference_is_the_one_put_in() -> None:
    model = SmallNet().eval()
    file = exported.export(model, pictures(1))
    assert model.state.bias is not None
    model.state.bias.data[0] += 0.5
    assert exported.difference(model, file, pictures(3)).absolute == pytest.approx(0.5, abs=1e-4)
    with pytest.raises(DriveRLError, match=r"the exported model: an output differs from the original's by 0.5"):
        exported.verify(model, file, pictures(3))


def test_model_that_cannot_be_exported_is_the_exporters_error() -> None:
    with pytest.raises(Exception, match="data-dependent"):
        exported.export(Brittle(), pictures(2))


def test_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(DriveRLError, match=r"cannot run the exported model"):
        exported.load(b"no model", threads=1)
