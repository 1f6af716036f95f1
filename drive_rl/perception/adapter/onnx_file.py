"""ONNX files of others: checked, then opened with ONNX Runtime on the CPU. It knows files, and no output's meaning."""

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from drive_rl.config.plugin_call import brief
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.networks import OnnxNetwork
from drive_rl.perception.adapter.prepare import Prepare
from drive_rl.perception.optional import need

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_PLACE = re.compile(r"/onnxruntime_src/\S+ .*?\)( const)? ")  # in ONNX Runtime's sources, before each reason
_AXES = {"nchw": ("channels", "height", "width"), "nhwc": ("height", "width", "channels")}


class OnnxFile(NamedTuple):
    """A file that may be opened: its parts and its size."""

    path: Path
    external: tuple[Path, ...]
    """Files of weights beside it."""
    parameters: int


def check_onnx(path: Path) -> OnnxFile:
    """Return an ONNX file that can be parsed and keeps its weights in its own folder.

    Raises:
        DriveRLError: it is not an ONNX model, or its external data lies elsewhere or is missing.
    """
    onnx = need("onnx")
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's and onnx's errors have no common class
        raise DriveRLError(f"{path}: not an ONNX model ({brief(error)}); fix: export it again") from error
    stored = [each for each in _tensors(graph) if each.data_location == onnx.TensorProto.EXTERNAL]
    names = {entry.value for each in stored for entry in each.external_data if entry.key == "location"}
    external = tuple(_beside(path, name) for name in sorted(names))
    return OnnxFile(path, external, sum(math.prod(each.dims) for each in graph.initializer))


def open_onnx(path: Path, threads: int) -> Any:
    """Return a session of ONNX Runtime on the CPU; 0 threads: as many as there are cores.

    Raises:
        DriveRLError: it cannot run the file, as where its opset or an operator is unknown.
    """
    onnxruntime = need("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # its errors are raised, too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        fix = "export it again, with an opset that this ONNX Runtime knows and no operators of its own"
        reason = _PLACE.sub("", str(error))
        raise DriveRLError(f"{path}: ONNX Runtime cannot run it ({brief(type(error)(reason))}); fix: {fix}") from error


def onnx_network(path: Path, where: str, prepare: Prepare, threads: int = 0) -> OnnxNetwork:
    """Return the network of a file, whose only input must be what `prepare` gives.

    Args:
        path: The file.
        where: The adapter's file, for messages.
        prepare: Gives the input.
        threads: See `open_onnx`.

    Raises:
        DriveRLError: the file has several inputs, or takes another type or shape.
    """
    session = open_onnx(path, threads)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise DriveRLError(f"{path}: has {len(inputs)} inputs ({names}): expected one, the pictures; fix: export it so")
    (taken,) = inputs
    wanted, dtype = prepare.spec.dtype, _TYPES.get(taken.type, taken.type)
    if dtype != wanted:
        fix = f"dtype: {dtype}" if dtype in _TYPES.values() else "export it with pictures as its input"
        raise DriveRLError(f"{where}: input.dtype = {wanted}: {path.name} takes {dtype}; fix: {fix}")
    _check_shape(path, where, list(taken.shape), prepare)
    batch = taken.shape[0]
    return OnnxNetwork(session, batch if isinstance(batch, int) else None)


def _check_shape(path: Path, where: str, shape: list[Any], prepare: Prepare) -> None:
    axes = _AXES[prepare.spec.layout]
    shown = f"{path.name} takes ({', '.join(str(each) for each in shape)})"
    if len(shape) != 4:
        raise DriveRLError(f"{where}: input: {shown}: expected (batch, {', '.join(axes)}); fix: export it so")
    for axis, theirs, ours in zip(axes, shape[1:], prepare.shape, strict=True):
        if isinstance(theirs, int) and theirs != ours:
            of_channels = f"input.colour = {prepare.spec.colour} with frame_stack = {prepare.spec.frame_stack}"
            key = of_channels if axis == "channels" else f"input.size = {list(prepare.size)}"
            fix = "colour, frame_stack or layout" if axis == "channels" else "size, as [height, width], or layout"
            raise DriveRLError(f"{where}: {key}: {shown}, and gets {axis} = {ours}; fix: {fix}")


def _tensors(graph: Any) -> list[Any]:
    """Return the stored tensors of a graph, those in attributes and in graphs within it too."""
    found = [*graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            found += [*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors]
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                found += _tensors(inner)
    return found


def _beside(path: Path, name: str) -> Path:
    folder = path.resolve().parent
    file = (folder / name).resolve()
    if not file.is_relative_to(folder):
        raise DriveRLError(
            f"{path}: its weights lie in {name!r}: expected a file inside its own folder; fix: onnx.save_model(...,"
            " save_as_external_data=True, location=NAME) beside it"
        )
    if not file.is_file():
        raise DriveRLError(f"{path}: its weights in {name!r} are missing; fix: put that file beside it")
    return file
