"""Small ONNX files that nobody here trained, and adapters for them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 32, 64


def segmentation(path: Path, channels: int = 5, opset: int = 18, nan: bool = False, **dims: Any) -> Path:
    """Write a 1x1 convolution, RGB -> logits of so many classes; `dims` change the input's batch, height or width."""
    weights = np.random.default_rng(0).normal(size=(channels, 3, 1, 1)).astype(np.float32)
    weights = weights * np.nan if nan else weights
    batch, height, width = dims.get("batch", "batch"), dims.get("height", HEIGHT), dims.get("width", WIDTH)
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, height, width])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, channels, height, width])
    node = helper.make_node("Conv", ["pixels", "w"], ["logits"])
    graph = helper.make_graph([node], "net", [taken], [given], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def constant(path: Path, name: str, value: np.ndarray) -> Path:
    """Write a network whose only output is `value` for each picture, plus the picture's sum times zero."""
    row = [1] * value.ndim
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, HEIGHT, WIDTH])
    given = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *value.shape])
    stored = [
        numpy_helper.from_array(value[None].astype(np.float32), "value"),
        numpy_helper.from_array(np.array([-1, *row], np.int64), "shape"),
        numpy_helper.from_array(np.zeros((), np.float32), "zero"),
    ]
    nodes = [
        helper.make_node("ReduceSum", ["pixels", "axes"], ["sums"], keepdims=0),
        helper.make_node("Mul", ["sums", "zero"], ["zeros"]),
        helper.make_node("Reshape", ["zeros", "shape"], ["rows"]),
        helper.make_node("Add", ["rows", "value"], [name]),
    ]
    stored.append(numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"))
    graph = helper.make_graph(nodes, "net", [taken], [given], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def move_weights(path: Path, location: str) -> None:
    """Store a file's weights outside it, at a place that the file names."""
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())


WORLD = f"{{base: lane_follow, camera: {{width_px: {WIDTH}, height_px: {HEIGHT}, channels: rgb, frame_stack: 1}}}}"


def adapter(path: Path, outputs: str, model: str = "net.onnx", more: str = "") -> Path:
    """Write an adapter in the small camera."""
    path.write_text(f"model: {model}\noutputs: {outputs}\nworld: {WORLD}\n{more}")
    return path
