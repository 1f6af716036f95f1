"""How fast a perception model is: its size, its work, and its latency and throughput on each runtime.

It knows models as modules from pictures to named tensors. It does not know what they predict, nor on which machine it
runs: the caller stamps that once (`run.provenance`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation import onnx_runtime
from drive_rl.perception.evaluation.loadgen import Offline, SingleStream, offline, single_stream
from drive_rl.perception.evaluation.runtimes import Images, Runtime, compiled, eager, still, torch_threads
from drive_rl.perception.models.perception_model import FileModel, PictureModel

RUNTIMES = ("eager", "compiled", "onnx")
_TORCH: dict[str, Callable[[nn.Module], Runtime]] = {"eager": eager, "compiled": compiled}
_VERIFIED = 8  # pictures over which ONNX Runtime is compared with eager


@dataclass(frozen=True)
class LatencySetting:
    """What is measured, and for how long."""

    min_duration_s: float = 10.0  # of each of LoadGen's two tests
    min_queries: int = 1024  # of the single stream; a 99th percentile needs 662
    batch: int = 16  # pictures at once, offline
    runtimes: tuple[str, ...] = RUNTIMES  # where none of them runs the model, eager is measured instead
    attempts: int = 3  # at a single stream that other processes do not disturb; the quietest counts


@dataclass(frozen=True)
class RuntimeLatency:
    """The figures of one runtime, or else `error`, the reason why there are none."""

    single_stream: SingleStream | None = None
    offline: Offline | None = None
    bytes: int | None = None  # of ONNX Runtime: the size of its file
    difference: float | None = None  # of ONNX Runtime: the largest from eager's outputs
    error: str | None = None


@dataclass(frozen=True)
class Latency:
    """A model's size, its work, and its speed by runtime."""

    threads: int
    parameters: int
    macs: int | None  # multiply-accumulates of one picture; None: of a file, or of code that cannot be counted
    runtimes: dict[str, RuntimeLatency]


def measure_latency(
    model: nn.Module,
    images: Images,
    threads: int,
    setting: LatencySetting,
    export: Callable[[], bytes] | None = None,
) -> Latency:
    """Measure `model`, which is left as it was, on the CPU.

    Args:
        model: Its forward takes (B, C, H, W) uint8 and returns a mapping from names to tensors.
        images: Pictures (N, C, H, W) uint8 to run it on.
        threads: Threads of each runtime.
        setting: Which runtimes, and for how long.
        export: Returns the model as `onnx_runtime.export` does for one picture; None: exported here.

    Raises:
        DriveRLError: there is no picture.
        Exception: what the model itself raised.
    """
    if not len(images):
        raise DriveRLError("images = 0: expected at least one picture to measure latency with")
    export = export or (lambda: onnx_runtime.export(model, images[:1]))
    with torch_threads(threads):
        if isinstance(model, PictureModel) and (file := model.of_file(threads)) is not None:
            return Latency(threads, file.parameters, None, {"onnx": _of_file(file, images, setting)})
        able = model.runtimes if isinstance(model, PictureModel) else setting.runtimes
        names = [name for name in setting.runtimes if name in able or name not in RUNTIMES]
        found = {name: _measured(name, model, images, threads, setting, export) for name in names}
        if "eager" not in found and all(figures.error for figures in found.values()):
            found["eager"] = _measured("eager", model, images, threads, setting, export)
        return Latency(threads, parameters(model), macs(model, images[:1]) or None, found)


def parameters(model: nn.Module) -> int:
    """Return how many parameters the model has, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, images: Images) -> int:
    """Return the multiply-accumulates for `images`, of convolutions and matrix products only, as is usual."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        still(model)(torch.tensor(images))
    return counter.get_total_flops() // 2


def _measured(
    name: str, model: nn.Module, images: Images, threads: int, setting: LatencySetting, export: Callable[[], bytes]
) -> RuntimeLatency:
    """Measure one runtime; whatever goes wrong there is kept as its error, and does not stop the others."""
    try:
        if name == "onnx":
            return _onnx(model, export(), images, threads, setting)
        runtime = _TORCH[name](model)
        return RuntimeLatency(*_figures(runtime, runtime, images, setting))
    except Exception as error:
        return RuntimeLatency(error=_reason(error))


def _onnx(model: nn.Module, single: bytes, images: Images, threads: int, setting: LatencySetting) -> RuntimeLatency:
    full = onnx_runtime.export(model, images[np.arange(setting.batch) % len(images)])
    difference = onnx_runtime.verify(model, single, images[:_VERIFIED])
    runtimes = onnx_runtime.load(single, threads), onnx_runtime.load(full, threads)
    return RuntimeLatency(*_figures(*runtimes, images, setting), bytes=len(single), difference=difference)


def _of_file(file: FileModel, images: Images, setting: LatencySetting) -> RuntimeLatency:
    """Measure a model that is a file, with what surrounds it: preparing pictures, reading outputs, geometry."""
    try:
        runtime = eager(file.model)
        return RuntimeLatency(*_figures(runtime, runtime, images, setting), bytes=file.bytes)
    except Exception as error:
        return RuntimeLatency(error=_reason(error))


def _figures(single: Runtime, full: Runtime, images: Images, setting: LatencySetting) -> tuple[SingleStream, Offline]:
    return (
        _quietest(single, images, setting),
        offline(full, images, setting.batch, setting.min_duration_s),
    )


def _quietest(runtime: Runtime, images: Images, setting: LatencySetting) -> SingleStream:
    """Measure a single stream until one is quiet; return the one of which the smallest share was preempted."""
    found: list[SingleStream] = []
    while len(found) < setting.attempts and not (found and found[-1].quiet):
        found.append(single_stream(runtime, images, setting.min_duration_s, setting.min_queries))
    return min(found, key=lambda stream: stream.preempted_share)


def _reason(error: Exception) -> str:
    """Return the first paragraph of an error: torch's continue with advice for its developers."""
    text = " ".join(str(error).strip().partition("\n\n")[0].split())
    return text if isinstance(error, DriveRLError) else f"{type(error).__name__}: {text}"
