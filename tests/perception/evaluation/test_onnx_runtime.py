"""ONNX files: they say what the model says, and are whole or not there."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from small_nets import HEIGHT, WIDTH, Brittle, SmallNet, pictures

from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation import onnx_runtime as exported
from drive_rl.perception.evaluation.runtimes import eager


@pytest.mark.parametrize("batch", [1, 4])
def test_file_says_what_the_model_says(tmp_path: Path, batch: int, capfd: pytest.CaptureFixture[str]) -> None:
    model, images = SmallNet().train(), pictures(8)
    path = exported.export(model, tmp_path / "net.onnx", images[:batch])
    assert capfd.readouterr() == ("", "")
    assert model.training
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]

    got, wanted = exported.load(path, threads=1)(images[:batch]), eager(model)(images[:batch])
    assert list(got) == ["lane", "lane_std", "classes"]
    assert got["classes"].shape == (batch, 5, HEIGHT, WIDTH)
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, atol=1e-4, rtol=0)
    assert 0 <= exported.verify(model, path, images) <= exported.TOLERANCE


def test_file_holds_fixed_shapes_and_no_path_of_the_machine(tmp_path: Path) -> None:
    path = exported.export(SmallNet(), tmp_path / "net.onnx", pictures(2))
    entry = onnx.load(path).graph.input[0]
    assert [size.dim_value for size in entry.type.tensor_type.shape.dim] == [2, 3, HEIGHT, WIDTH]
    assert entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert b".py" not in path.read_bytes()


def test_difference_is_the_one_put_in(tmp_path: Path) -> None:
    model = SmallNet().eval()
    path = exported.export(model, tmp_path / "net.onnx", pictures(1))
    assert model.state.bias is not None
    model.state.bias.data[0] += 0.5
    assert exported.difference(model, path, pictures(3)).absolute == pytest.approx(0.5, abs=1e-4)
    with pytest.raises(DriveRLError, match=r"net.onnx: an output differs from the model's by 0.5"):
        exported.verify(model, path, pictures(3))


def test_model_that_cannot_be_exported_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    with pytest.raises(Exception, match="data-dependent"):
        exported.export(Brittle(), path, pictures(1))
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(DriveRLError, match=r"net.onnx: not an ONNX model"):
        exported.load(path, threads=1)
