"""A fitted model as an ONNX file for others, compared with torch, and the adapter that brings it back.

It knows models and files. It knows no score.
"""

from pathlib import Path
from typing import NamedTuple

from drive_rl.config.reader import dump
from drive_rl.config.specs.adapter import AdapterSpec, InputSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.evaluation import onnx_runtime
from drive_rl.perception.models.load import Fitted
from drive_rl.run.storage.atomic import write_bytes, write_text

_COMPARED = 12  # pictures; a batch of each of the sizes below
_BATCHES = (1, 4, 12)


class Exported(NamedTuple):
    """What was written."""

    adapter: Path
    """The YAML file beside the ONNX file."""
    difference: float
    """The largest of an output from torch's: absolute, or relative to the largest."""
    pictures: int
    """On how many it was compared, in batches of several sizes."""


def export_onnx(trained: Fitted, out: Path, overwrite: bool = False) -> Exported:
    """Write a model as ONNX that takes batches of any size, and its adapter beside it.

    Raises:
        DriveRLError: `out` is no `.onnx`, either file exists, a package is missing, or the outputs differ from torch's
            by more than `onnx_runtime.TOLERANCE`; then neither file is left.
    """
    adapter = out.with_suffix(".yaml")
    if out.suffix != ".onnx":
        raise DriveRLError(f"{out}: expected a name that ends in .onnx; fix: {out.with_suffix('.onnx')}")
    if adapter.exists() and not overwrite:
        raise DriveRLError(f"{adapter}: exists already; fix: --overwrite to replace it, or another name")
    images = held_out(trained.spec.world, trained.spec.data, "val", _COMPARED).images
    file = onnx_runtime.export(trained.model, images[:2], any_batch=True)
    parts = [images[:size] for size in _BATCHES]
    worst = max(min(onnx_runtime.difference(trained.model, file, part)) for part in parts)
    if not worst <= onnx_runtime.TOLERANCE:  # true for NaN, too
        raise DriveRLError(
            f"{out}: an output differs from torch's by {worst:.2g}: expected <= {onnx_runtime.TOLERANCE:g}; fix:"
            " report it with this model"
        )
    write_bytes(out, file)
    write_text(adapter, dump(_adapter(trained, out)))
    return Exported(adapter, worst, sum(len(part) for part in parts))


def _adapter(trained: Fitted, out: Path) -> AdapterSpec:
    camera = trained.spec.world.camera
    return AdapterSpec(
        name=out.stem,
        description=f"{trained.name}, exported",
        model=out.name,
        input=InputSpec(colour=camera.channels, frame_stack=camera.frame_stack, dtype="uint8"),
        world=trained.spec.world,
        data=trained.spec.data.model_copy(update={"folder": None, "format": None, "worlds": {}}),
    )
