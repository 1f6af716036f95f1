"""A perception model as an ONNX file: export, run, and compare with the original.

It knows models as modules from pictures to named tensors. It does not know what the outputs mean.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.runtimes import Images, Outputs, Runtime, eager, still
from drive_rl.perception.optional import need

TOLERANCE = 1e-4  # of an output from eager's: absolute, or of numbers as large as logits relative to the largest
INPUT = "images"


class Difference(NamedTuple):
    """How far the file's outputs are from eager's, at worst."""

    absolute: float  # max |a - b|
    relative: float  # max |a - b| / max |b|, each output by its own largest value


def export(model: nn.Module, images: Images, any_batch: bool = False) -> bytes:
    """Return `model` as the content of an ONNX file with fixed shapes.

    Args:
        model: Its forward takes (B, C, H, W) uint8 and returns a mapping from names to tensors.
        images: Pictures (B, C, H, W) uint8, whose shape, batch included, the file is fixed to.
        any_batch: Whether the file takes batches of any size instead, which takes twice as long to export.

    Raises:
        DriveRLError: a package is missing.
        Exception: what torch's exporter raises of a model that it cannot export.
    """
    onnx = need("onnx")
    need("onnxscript")
    original, example = still(model), torch.tensor(images)
    shapes = {"images": {0: torch.export.Dim("batch")}} if any_batch else None
    with torch.no_grad(), _quiet():
        names = list(original(example))
        program: Any = torch.onnx.export(
            _Tuple(original, names),
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=names,
            dynamic_shapes=shapes,
            verbose=False,
        )
    proto = _plain(program.model_proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


def only(file: bytes, outputs: Sequence[str]) -> bytes:
    """Return an exported file without what none of these outputs needs."""
    extractor = need("onnx.utils").Extractor(need("onnx").load_from_string(file))
    return extractor.extract_model([INPUT], list(outputs)).SerializeToString()


def load(file: bytes, threads: int) -> Runtime:
    """Return a runtime that runs an exported file on the CPU with `threads` threads, in batches of the file's own size.

    Raises:
        DriveRLError: ONNX Runtime is missing, or cannot read the file.
    """
    session = _session(file, threads)
    names = [output.name for output in session.get_outputs()]

    def run(images: Images) -> Outputs:
        return dict(zip(names, session.run(names, {INPUT: images}), strict=True))

    return run


def difference(model: nn.Module, file: bytes, images: Images) -> Difference:
    """Return how far the file's outputs are from those of `model`, at worst.

    Args:
        model: The original; it may have more outputs.
        file: What `export` returned of it.
        images: Pictures (N, C, H, W) uint8, N a multiple of the file's batch.

    Raises:
        DriveRLError: ONNX Runtime is missing, or cannot read the file.
    """
    taken = _session(file, threads=1).get_inputs()[0].shape[0]
    batch = taken if isinstance(taken, int) else len(images)
    reference, runtime = eager(model), load(file, threads=1)
    worst = np.zeros(2)
    for part in np.split(images, range(batch, len(images), batch)):
        wanted, got = reference(part), runtime(part)
        worst = np.maximum(worst, np.max([_difference(wanted[name], got[name]) for name in got], axis=0))
    return Difference(*worst.tolist())


def verify(model: nn.Module, file: bytes, images: Images) -> float:
    """Return the largest absolute difference between the file's outputs and those of `model`, as `difference` takes it.

    Raises:
        DriveRLError: it and the relative one are above `TOLERANCE`, or ONNX Runtime is missing or cannot read the file.
    """
    worst = difference(model, file, images)
    if not min(worst) <= TOLERANCE:  # true for NaN, too
        raise DriveRLError(
            f"the exported model: an output differs from the original's by {worst.absolute:.2g}: expected <="
            f" {TOLERANCE:g}; fix: drive and time it with torch, or report it with this model"
        )
    return worst.absolute


def _session(file: bytes, threads: int) -> Any:
    onnxruntime = need("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise DriveRLError(f"ONNX Runtime cannot run the exported model: {error}; fix: export it again") from error


def _plain(proto: Any) -> Any:
    """Drop the exporter's notes on where each node came from: half of a small file, with paths of this machine."""
    graph = proto.graph
    for noted in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    return proto


def _difference(wanted: NDArray[Any], got: NDArray[Any]) -> tuple[float, float]:
    """Return the absolute and the relative difference of one output; NaN where either holds one."""
    gap, largest = float(np.abs(got - wanted).max()), float(np.abs(wanted).max())
    return gap, gap / largest if largest else gap


class _Tuple(nn.Module):
    """A model whose outputs come as a tuple, in the order of `names`: ONNX has no mappings."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = self.model(images)
        return tuple(outputs[name] for name in self.names)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's prints, warnings and log lines; its errors pass."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
