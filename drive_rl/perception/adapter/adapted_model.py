"""A perception model that others made, as ours are: pictures in, predictions out, with heads that score them.

It knows inputs, outputs and geometry. It does not know where the network comes from.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from drive_rl.config.plugin_call import called
from drive_rl.config.specs.adapter import AdapterSpec, OutputSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.geometry import LaneGeometry
from drive_rl.perception.adapter.masks import LinesOfClasses
from drive_rl.perception.adapter.networks import Outputs
from drive_rl.perception.adapter.outputs import Size, classes, lane_state, lanes, line_predictions
from drive_rl.perception.adapter.prepare import Prepare
from drive_rl.perception.data.samples import LANE_FIELDS, LINES, ROWS, WEATHER
from drive_rl.perception.heads.head import Predictions
from drive_rl.perception.heads.registry import heads_of
from drive_rl.perception.models.perception_model import FileModel, PictureModel
from drive_rl.sim.sensors.renderer import CLASSES

_HEAD_NEEDS = {
    "lane": {"lane"},
    "segmentation": {"classes"},
    "lines": {"lines", "lines_there"},
    "scene": {"tier", "weather"},
}
_TRIED = 2  # pictures that a model is tried with


class AdaptedModel(PictureModel):
    """(B, C, H, W) pictures, of any size -> `Predictions`.

    Lines come from lanes or else from classes, and the lane state, if no output is it, from lines by geometry.

    Args:
        spec: What the input and the outputs are.
        network: (B, ...) input -> outputs by name.
        where: The adapter's file, for messages.
        of_file: The same model for a number of threads, where it is a file of ONNX.

    Raises:
        DriveRLError: the network fails on two pictures, or its outputs are not what the spec states.
    """

    def __init__(
        self, spec: AdapterSpec, network: nn.Module, where: str, of_file: Callable[[int], FileModel] | None = None
    ) -> None:
        super().__init__()
        camera = spec.world.camera
        self.shape = camera.planes * camera.frame_stack, camera.height_px, camera.width_px
        self._spec, self._where, self._of_file = spec, where, of_file
        self.prepare, self.network = Prepare(spec.input, camera), network
        known = {name for output in spec.outputs.values() for name in output.map}
        self._lines_of = LinesOfClasses(frozenset(known), spec.world)
        self.geometry = LaneGeometry(spec.world)
        self.runtimes = ("eager",) if of_file is None else ("onnx",)
        others = ("compiled", "ONNX Runtime") if of_file is None else ("eager", "compiled")
        self.not_made_for = ("attacks", "saliency", *others)
        predicted = self._try()
        names = [head for head, needs in _HEAD_NEEDS.items() if needs <= predicted.keys()]
        if not names:
            raise self._wrong(f"outputs: {', '.join(predicted) or 'none'}: none is what drive-rl scores; fix: outputs")
        self.heads = heads_of(names, spec.world)

    @property
    def size(self) -> Size:
        """Height and width [px] of the pictures that it takes as they are."""
        return self.prepare.size

    def of_file(self, threads: int) -> FileModel | None:
        """Return it for a number of threads, where it is a file of ONNX; else None."""
        return None if self._of_file is None else self._of_file(threads)

    def forward(self, images: Tensor) -> Predictions:
        """Return what is on the pictures; masks have their size.

        Raises:
            DriveRLError: the network fails, or returns anything that is not a finite number.
        """
        outputs = self._run(images)
        size = int(images.shape[2]), int(images.shape[3])
        if not self._spec.outputs:
            return self._own(outputs, size)
        predictions = Predictions()
        for name, output in self._spec.outputs.items():
            try:
                predictions |= self._read(output, self._output(outputs, name), outputs, size)
            except DriveRLError as error:
                raise self._wrong(f"outputs.{name}: {error}") from error
        return self._completed(predictions)

    def _read(self, output: OutputSpec, found: Tensor, outputs: Outputs, size: Size) -> Predictions:
        if output.kind == "lanes":
            return lanes(output, found, self.prepare.size, size[0])
        _check_finite(found)
        if output.kind == "classes":
            return classes(output, found, size)
        return lane_state(output, found, None if output.std is None else self._output(outputs, output.std))

    def _completed(self, predictions: Predictions) -> Predictions:
        """Return predictions with what geometry adds."""
        if "classes" in predictions and "lines" not in predictions and self._lines_of.possible:
            found = predictions["classes"].argmax(dim=1).cpu().numpy()
            columns = np.stack([self._lines_of(each) for each in found])
            predictions |= line_predictions(columns, predictions["classes"].device)
        if "lines" in predictions and "lane" not in predictions:
            lane = self.geometry(predictions["lines"], (predictions["lines_there"] > 0).float())
            predictions |= {"lane": lane, "lane_std": torch.full_like(lane, float("nan"))}
        return predictions

    def _own(self, outputs: Outputs, size: Size) -> Predictions:
        """Return outputs under our own names, as they are."""
        lines = LINES, ROWS
        shapes: dict[str, tuple[int, ...]] = {
            "lane": (len(LANE_FIELDS),),
            "lane_std": (len(LANE_FIELDS),),
            "classes": (len(CLASSES), *size),
            **dict.fromkeys(("lines", "lines_std", "lines_there"), lines),
            "tier": (len(self._spec.world.road.tiers),),
            "weather": (len(WEATHER),),
        }
        predictions = {name: value for name, value in outputs.items() if name in shapes}
        if not predictions:
            raise self._wrong(f"outputs is empty, and its outputs are {', '.join(outputs)}; fix: state what they are")
        for name, value in predictions.items():
            if tuple(value.shape[1:]) != shapes[name]:
                expected = ", ".join(map(str, shapes[name]))
                raise self._wrong(f"output {name} has shape {tuple(value.shape)}: expected (B, {expected})")
            _check_finite(value, f"{self._where}: output {name}: ")
        if "lane" in predictions:
            predictions.setdefault("lane_std", torch.full_like(predictions["lane"], float("nan")))
        return predictions

    def _run(self, images: Tensor) -> Outputs:
        x = self.prepare(images)
        fix = "correct the model, or what its input is"
        with called(f"{self._where}: model = {self._spec.model}", f"fails on {tuple(x.shape)} {x.dtype}", fix):
            outputs = self.network(x)
        short = [name for name, value in outputs.items() if value.dim() == 0 or len(value) != len(images)]
        used = [*self._spec.outputs, *(each.std for each in self._spec.outputs.values() if each.std)] or list(outputs)
        for name in (name for name in short if name in used):
            shape = tuple(outputs[name].shape)
            raise self._wrong(f"output {name} has shape {shape} for {len(images)} pictures: expected one row each")
        return outputs

    def _output(self, outputs: Outputs, name: str) -> Tensor:
        if name not in outputs:
            raise DriveRLError(f"{self._spec.model} has no such output; fix: one of {', '.join(outputs) or 'none'}")
        return outputs[name]

    def _try(self) -> Predictions:
        noise = np.random.default_rng(0).integers(0, 256, (_TRIED, *self.shape), np.uint8)
        with torch.inference_mode():
            return self(torch.as_tensor(noise))

    def _wrong(self, what: str) -> DriveRLError:
        return DriveRLError(f"{self._where}: {what}")


def _check_finite(found: Tensor, where: str = "") -> None:
    total = found.sum() if found.is_cuda else found.detach().numpy().sum()  # NumPy's needs no threads
    if not found.is_floating_point() or math.isfinite(total):  # a sum that overflows is counted below
        return
    if wrong := int((~torch.isfinite(found)).sum()):
        raise DriveRLError(
            f"{where}{wrong:,} of {found.numel():,} numbers are NaN or infinite: expected finite ones; fix: the model,"
            " or input.scale, mean and std"
        )
