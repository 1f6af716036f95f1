"""How fast a perception model is: its size, its work, and its latency and throughput by each way to run it.

It knows models as modules from pictures to named tensors. It does not know what they see, nor on which machine it
runs: that is stamped once by whoever asks (`run.provenance`).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation import loadgen
from drive_rl.perception.evaluation import onnx_runtime as exported
from drive_rl.perception.evaluation.runtimes import Engine, Images, compiled, eager, still, torch_threads

ENGINES = ("eager", "compiled", "onnx")
_VERIFIED = 8  # pictures over which ONNX Runtime is compared with eager


@dataclass(frozen=True)
class SpeedSetting:
    """How long to measure, and what."""

    min_duration_s: float = 10.0  # of each of LoadGen's two tests
    min_queries: int = 1024  # of the single stream; a 99th percentile needs 662
    batch: int = 16  # pictures at once, offline
    engines: tuple[str, ...] = ENGINES


def measure_speed(model: nn.Module, images: Images, threads: int, setting: SpeedSetting) -> dict[str, Any]:
    """Measure `model`, which is left as it was, on the CPU.

    Args:
        model: Its forward takes (B, C, H, W) uint8 and returns a mapping from names to tensors.
        images: Pictures (N, C, H, W) uint8 to show it.
        threads: Threads of each engine.
        setting: How long, and by which engines.

    Returns:
        `threads`, `parameters`, `macs` of one picture, and `engines`: for each, the figures of
        `loadgen.single_stream` and `loadgen.offline` by these names, or else `error`, the reason why there are none.
        That of ONNX Runtime has `bytes`, the size of its file, and `difference`, how far its outputs are from eager's.

    Raises:
        DriveRLError: there is no picture.
        Exception: what the model itself raised.
    """
    if not len(images):
        raise DriveRLError("images = 0: expected at least one picture to measure speed with")
    with torch_threads(threads):
        return {
            "threads": threads,
            "parameters": parameters(model),
            "macs": macs(model, images[:1]),
            "engines": {name: _row(name, model, images, threads, setting) for name in setting.engines},
        }


def parameters(model: nn.Module) -> int:
    """Return how many numbers the model has learned, or could."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, images: Images) -> int:
    """Return the multiply-accumulates for `images`, of convolutions and matrix products only, as is usual."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        still(model)(torch.tensor(images))
    return counter.get_total_flops() // 2


def _row(name: str, model: nn.Module, images: Images, threads: int, setting: SpeedSetting) -> dict[str, Any]:
    """Measure one engine; whatever goes wrong there is its row, and no trouble of the others."""
    try:
        if name == "onnx":
            return _onnx(model, images, threads, setting)
        engine = {"eager": eager, "compiled": compiled}[name](model)
        return _figures(engine, engine, images, setting)
    except Exception as error:
        return {"error": _reason(error)}


def _onnx(model: nn.Module, images: Images, threads: int, setting: SpeedSetting) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        single = exported.export(model, Path(folder) / "single.onnx", images[:1])
        full = exported.export(model, Path(folder) / "batch.onnx", images[np.arange(setting.batch) % len(images)])
        return {
            "bytes": single.stat().st_size,
            "difference": exported.verify(model, single, images[:_VERIFIED]),
            **_figures(exported.load(single, threads), exported.load(full, threads), images, setting),
        }


def _figures(single: Engine, full: Engine, images: Images, setting: SpeedSetting) -> dict[str, Any]:
    return {
        "single_stream": loadgen.single_stream(single, images, setting.min_duration_s, setting.min_queries),
        "offline": loadgen.offline(full, images, setting.batch, setting.min_duration_s),
    }


def _reason(error: Exception) -> str:
    """Return the first paragraph of an error: torch's go on with advice for its developers."""
    text = " ".join(str(error).strip().partition("\n\n")[0].split())
    return text if isinstance(error, DriveRLError) else f"{type(error).__name__}: {text}"
