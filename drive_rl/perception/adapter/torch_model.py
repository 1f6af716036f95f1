"""Networks of others that torch runs: torch.export, TorchScript, a Python factory, timm. All but timm are code.

It knows where they come from. The caller has asked whether they may run.
"""

import importlib
import sys
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from drive_rl.config.extensions import Extension
from drive_rl.config.plugin_call import called
from drive_rl.config.plugin_source import as_module, read_plugin
from drive_rl.config.specs.adapter import AdapterSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.files import beside
from drive_rl.perception.adapter.networks import ArrayNetwork, TorchNetwork
from drive_rl.perception.adapter.prepare import Prepare
from drive_rl.perception.optional import need
from drive_rl.run.storage.tensors import read_tensors


def torch_network(spec: AdapterSpec, path: Path, weights: Path | None) -> tuple[nn.Module, list[Path]]:
    """Return a network, and the files that it consists of.

    Args:
        spec: What it is.
        path: The adapter's file.
        weights: Of a factory or timm.

    Raises:
        DriveRLError: it cannot be loaded, or the weights do not fit.
    """
    network, files = _network(spec, path, weights)
    return network.requires_grad_(False), files


def plugin_network(extension: Extension, weights: Path | None) -> tuple[nn.Module, list[Path]]:
    """Return the network of a plugin's perception model, and the files that it consists of.

    Raises:
        DriveRLError: its function fails, or the weights do not fit.
    """
    what = f"{extension.plugin}: perception_model {extension.name}"
    with called(what, "fails"):
        made = extension.make()
    network, files = _of_python(made, extension.name, extension.plugin.file, weights, what)
    return network.requires_grad_(False), files


def _of_python(made: Any, maker: str, file: Path, weights: Path | None, what: str) -> tuple[nn.Module, list[Path]]:
    """Return what a function of a file made as a network."""
    if not callable(made):
        raise DriveRLError(
            f"{what}: {maker}() returned a {type(made).__name__}: expected a module or a function; fix: return one"
        )
    if isinstance(made, nn.Module):
        module = made if weights is None else _filled(made, weights, what)
        return TorchNetwork(module), [file, *([weights] if weights else [])]
    return ArrayNetwork(made), [file, *([weights] if weights else [])]


def _network(spec: AdapterSpec, path: Path, weights: Path | None) -> tuple[nn.Module, list[Path]]:
    what = f"{path}: model = {spec.model}"
    if spec.network == "timm":
        return _timm(spec, what, weights)
    if spec.network == "Python":
        made, file = _made(spec, path, what)
        return _of_python(made, spec.model.partition(":")[2], file, weights, what)
    file = beside(path, "model", spec.model)
    with called(what, f"not a {spec.network} file that torch {torch.__version__} reads", "save it again"):
        module = torch.export.load(file).module() if spec.network == "torch.export" else torch.jit.load(file, "cpu")
    return TorchNetwork(_Program(module) if spec.network == "torch.export" else module), [file]


def _timm(spec: AdapterSpec, what: str, weights: Path | None) -> tuple[nn.Module, list[Path]]:
    timm, name = need("timm", "timm"), spec.model.removeprefix("timm:")
    if weights is None:
        raise DriveRLError(f"{what}: weights is missing: nothing is downloaded; fix: weights: FILE.safetensors")
    (output, *others) = spec.outputs.values() if spec.outputs else (None,)
    if output is None or others or output.kind != "lane_state":
        raise DriveRLError(f"{what}: outputs: expected one, `output: {{kind: lane_state}}`, which its classifier is")
    channels = Prepare(spec.input, spec.world.camera).channels
    with called(what, "timm cannot make it", "another name, as in timm.list_models()"):
        module = timm.create_model(name, pretrained=False, num_classes=len(output.fields), in_chans=channels)
    return TorchNetwork(_filled(module, weights, what)), [weights]


def _made(spec: AdapterSpec, path: Path, what: str) -> tuple[Any, Path]:
    """Return what a factory returns, and the file that it is in."""
    source, _, factory = spec.model.partition(":")
    if source.endswith(".py"):
        plugin = read_plugin(beside(path, "model", source))
        with as_module(plugin) as run, called(what, "its file fails", "correct it"):
            run()
        module = next(each for each in sys.modules.values() if getattr(each, "__file__", None) == str(plugin.file))
    else:
        with called(what, "its module cannot be imported", "install its package, or name FILE.py:FACTORY"):
            module = importlib.import_module(source)
    with called(what, f"{factory}() fails", "correct it"):
        made = getattr(module, factory)()
    return made, Path(str(module.__file__))


def _filled(module: nn.Module, weights: Path, what: str) -> nn.Module:
    with called(what, f"weights = {weights.name} do not fit", "the file with this model's state_dict"):
        if weights.suffix == ".safetensors":
            state = read_tensors(weights)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        module.load_state_dict(state)
    return module


class _Program(nn.Module):
    """A program of torch.export, which has one mode."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def train(self, mode: bool = True) -> Self:
        """Do nothing: the program's own raises."""
        return self

    def forward(self, x: Tensor) -> Any:
        return self.program(x)
